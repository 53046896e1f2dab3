"""The remedy for a model that gives bad vectors for everything: unload it and load it again, once in a while."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from service.ollama.faults import WireFault

HARMLESS_TEXT = "software engineer"
"""A text that every embedding model takes: it tells a server that is to blame from a text that is."""
RELOAD_EVERY_S = 300.0
BAD_IN_A_ROW = 4
"""So many answers in a row without one good vector, whichever requests they belong to, are worth a reload."""


class Reloads:
    """When each model of each server was last reloaded; clients made anew after a failed start share it."""

    def __init__(self, every_s: float = RELOAD_EVERY_S) -> None:
        self._every_s = every_s
        self._at: dict[str, float] = {}

    def due(self, model: str) -> bool:
        """Say whether `model` was not reloaded lately."""
        return model not in self._at or time.monotonic() - self._at[model] >= self._every_s

    def note(self, model: str) -> None:
        """Remember that `model` is being reloaded now."""
        self._at[model] = time.monotonic()


RELOADS = Reloads()
"""The reloads of this process."""


class Reloader:
    """Watches the answers of one model and reloads it when it is to blame, and not the texts.

    `control` embeds a harmless text; `reload` unloads and loads. Both run in a task of their own, because a server
    whose client leaves gives up loading; while it runs, `settled` holds every other request back.
    """

    def __init__(
        self,
        model: str,
        reloads: Reloads,
        *,
        control: Callable[[], Awaitable[object]],
        reload: Callable[[], Awaitable[None]],
    ) -> None:
        self._model = model
        self._reloads = reloads
        self._control = control
        self._reload = reload
        self._bad_in_a_row = 0
        self._task: asyncio.Task[bool] | None = None

    @property
    def wanted(self) -> bool:
        """Whether the answers so far call for a reload now."""
        return self._task is not None or (self._bad_in_a_row >= BAD_IN_A_ROW and self._reloads.due(self._model))

    def note_good(self) -> None:
        """Take in an answer with a good vector."""
        self._bad_in_a_row = 0

    def note_fault(self, fault: WireFault) -> None:
        """Take in a fault; those of other kinds than bad vectors say nothing of the model."""
        self._bad_in_a_row += fault.verdict.reason == "bad_vectors"

    async def settled(self) -> None:
        """Wait while the model is being reloaded."""
        if self._task is not None:
            await asyncio.wait((self._task,))

    async def cure(self) -> bool:
        """Say whether the model was reloaded, so that another attempt makes sense. Raises WireFault as loading does.

        Callers that ask at the same time share one reload; one that is cancelled does not stop it.
        """
        if not self.wanted:
            return False
        task = self._task
        if task is None:
            task = self._task = asyncio.create_task(self._run(), name="reload-model")
            task.add_done_callback(self._forget)
        await asyncio.wait((task,))
        return not task.cancelled() and task.result()

    async def close(self) -> None:
        """Give up a reload that runs."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> bool:
        try:
            await self._control()
        except WireFault as fault:
            if fault.verdict.reason != "bad_vectors":
                return False
        else:
            self._bad_in_a_row = 0
            return False
        self._reloads.note(self._model)
        await self._reload()
        self._bad_in_a_row = 0
        return True

    def _forget(self, task: asyncio.Task[bool]) -> None:
        self._task = None
        if not task.cancelled():
            task.exception()  # looked at: its callers may all have left
