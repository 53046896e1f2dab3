"""Runs a step again and again until told to stop: at once while there is work, else after a wake-up or an idle wait."""

import asyncio
from collections.abc import Awaitable, Callable

from service.telemetry.logs import get_logger

log = get_logger(__name__)

Step = Callable[[], Awaitable[float]]
"""One piece of work; answers after how many seconds it wants to be called again (0: at once)."""

BACK_OFF_S = (1.0, 2.0, 5.0, 10.0, 30.0)


class Loop:
    """A background loop around a step. Knows no feature."""

    def __init__(self, name: str, step: Step) -> None:
        self.name = name
        self._step = step
        self._wake = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin in the background."""
        self._task = asyncio.create_task(self._run(), name=self.name)

    def wake(self) -> None:
        """Ask for a step now rather than after the idle wait."""
        self._wake.set()

    async def stop(self, *, timeout_s: float = 5.0) -> None:
        """Let the running step end, for `timeout_s` at most, then cancel it."""
        self._stopping = True
        self._wake.set()
        if self._task is None:
            return
        _, pending = await asyncio.wait({self._task}, timeout=timeout_s)
        for task in pending:
            task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        failures = 0
        while not self._stopping:
            self._wake.clear()
            try:
                wait_s = await self._step()
                failures = 0
            except Exception as error:
                wait_s = BACK_OFF_S[min(failures, len(BACK_OFF_S) - 1)]
                failures += 1
                log.warning("loop.failed", loop=self.name, error=repr(error), wait_s=wait_s, exc_info=failures == 1)
            await self._idle(wait_s)

    async def _idle(self, wait_s: float) -> None:
        if wait_s <= 0 or self._stopping:
            await asyncio.sleep(0)
            return
        try:
            async with asyncio.timeout(wait_s):
                await self._wake.wait()
        except TimeoutError:
            return
