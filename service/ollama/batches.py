"""Embedding many passages: requests that fit a time, one fault per request, and bisecting down to the text to blame."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from service.embedder import PartlyEmbedded, Vector
from service.errors import TextRefused
from service.ollama.faults import SUSPICIOUS, BadText, TimedOut, Transient, Verdict, WireFault, unavailable
from service.ollama.lanes import Lanes
from service.ollama.pacing import BUSY_REQUEST_S, QUIET_REQUEST_S, Pace

Outcome = Vector | TextRefused
Send = Callable[[Sequence[str]], Awaitable[list[Vector | None]]]
"""Embed some prompts in one request, with retries; None for a vector that is no good. Raises WireFault."""

RUNNERS = 2
MOST_REST_S = 30.0


class _Part(NamedTuple):
    """Positions of prompts that may share a request; `after_timeout` when a request with them timed out before."""

    positions: list[int]
    after_timeout: bool = False


class BulkRun:
    """One call of `embed_documents`: its prompts, what came of them so far, and the fault that stopped it.

    `control` embeds a harmless text: it tells a text that is to blame from a server that is.
    """

    def __init__(
        self, prompts: Sequence[str], *, lanes: Lanes, pace: Pace, send: Send, control: Callable[[], Awaitable[object]]
    ) -> None:
        self._prompts = prompts
        self._lanes = lanes
        self._pace = pace
        self._send = send
        self._control = control
        # A stack: what is left of a part that failed goes before the rest. Sorted, so that a request holds texts of
        # like length.
        by_length = sorted(range(len(prompts)), key=lambda position: len(prompts[position]))
        self._parts = [_Part(by_length)] if by_length else []
        self._finished: dict[int, Outcome] = {}
        self._suspects: dict[int, str] = {}
        self._first_suspect: Verdict | None = None
        self._stopped_by: Verdict | None = None
        self._failed_in_a_row = 0

    async def run(self) -> list[Outcome]:
        """Embed all prompts. Raises PartlyEmbedded with what is finished when a fault keeps the rest from it."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(RUNNERS):
                tasks.create_task(self._work())
        if (verdict := self._stopped_by or self._first_suspect) is not None:
            raise PartlyEmbedded(unavailable(verdict), self._finished, self._suspects)
        return [self._finished[position] for position in range(len(self._prompts))]

    async def _work(self) -> None:
        """Send parts in turn with the other runner: one is in flight, the other stands in line for the lane already.

        Faults are kept, never raised, so that no sibling is cancelled. They are dealt with before the lane is given
        up: whoever comes next knows of them.
        """
        while self._parts:
            async with self._lanes.bulk():
                if self._stopped_by is not None or not self._parts:
                    return
                await self._embed(self._take())

    def _take(self) -> _Part:
        """The next part, as large as fits the time that a request may take now."""
        part = self._parts.pop()
        target_s = BUSY_REQUEST_S if self._lanes.busy else QUIET_REQUEST_S
        fits = self._pace.fit((len(self._prompts[position]) for position in part.positions), target_s)
        self._put(part.positions[fits:], after_timeout=part.after_timeout)
        return part._replace(positions=part.positions[:fits])

    def _put(self, positions: list[int], *, after_timeout: bool) -> None:
        if positions:
            self._parts.append(_Part(positions, after_timeout))

    def _split(self, part: _Part, *, after_timeout: bool) -> None:
        middle = len(part.positions) // 2
        self._put(part.positions[middle:], after_timeout=after_timeout)
        self._put(part.positions[:middle], after_timeout=after_timeout)

    async def _embed(self, part: _Part) -> None:
        if (verdict := await self._try(part)) is not None:
            await self._on_fault(verdict, part)

    async def _try(self, part: _Part) -> Verdict | None:
        """Send a part and keep its vectors; else what was wrong."""
        try:
            vectors = await self._send([self._prompts[position] for position in part.positions])
        except WireFault as fault:
            return fault.verdict
        self._failed_in_a_row = 0
        for position, vector in zip(part.positions, vectors, strict=True):
            if vector is None:
                self._put([position], after_timeout=part.after_timeout)
            else:
                self._finished[position] = vector
        return None

    async def _on_fault(self, verdict: Verdict, part: _Part) -> None:
        alone = len(part.positions) == 1
        match verdict:
            case BadText() if not alone:
                self._split(part, after_timeout=part.after_timeout)
            case BadText():
                if verdict.certain or await self._fails_again(verdict, part):
                    self._finished[part.positions[0]] = TextRefused(verdict.detail)
            case TimedOut():
                # Twice, and not alone: one of them may hang the server for good, or the server is slow for all.
                if alone or not part.after_timeout or await self._harmless_passes(verdict):
                    await self._on_timeout(verdict, part)
            case Transient(reason=reason) if reason in SUSPICIOUS:
                self._failed_in_a_row += 1
                if alone:
                    await self._suspect(verdict, part.positions[0])
                elif self._failed_in_a_row == 1 or await self._harmless_passes(verdict):
                    self._split(part, after_timeout=part.after_timeout)
            case _:
                self._stopped_by = verdict

    async def _fails_again(self, verdict: BadText, part: _Part) -> bool:
        """Where the server's words leave doubt: whether a harmless text goes through and this one, after it, does not.

        A fault that passes just then would set a text aside for good otherwise.
        """
        if not await self._harmless_passes(verdict):
            return False
        match await self._try(part):
            case None:
                return False
            case BadText():
                return True
            case other:
                await self._on_fault(other, part)
                return False

    async def _on_timeout(self, verdict: TimedOut, part: _Part) -> None:
        """Rest as long as the request took, for the server is still at work on it; then try half of it."""
        self._pace.halve(len(part.positions))
        if not part.after_timeout:
            await asyncio.sleep(min(verdict.elapsed_s, MOST_REST_S))
        if len(part.positions) == 1:
            await self._suspect(verdict, part.positions[0])
        else:
            self._split(part, after_timeout=True)

    async def _suspect(self, verdict: Verdict, position: int) -> None:
        """Leave out a text that failed alone, if a harmless one goes through."""
        if await self._harmless_passes(verdict):
            self._suspects[position] = verdict.reason
            self._first_suspect = self._first_suspect or verdict

    async def _harmless_passes(self, verdict: Verdict) -> bool:
        """Say whether a harmless text goes through after `verdict`; if it does not, the server is to blame: stop."""
        try:
            await self._control()
        except WireFault as fault:
            self._stopped_by = verdict if isinstance(fault.verdict, BadText) else fault.verdict
            return False
        self._failed_in_a_row = 0
        return True
