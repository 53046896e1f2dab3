"""Embedding many passages: batches by size, one fault per batch, and bisecting down to the text that is to blame."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from service.embedder import PartlyEmbedded, Vector
from service.errors import EmbedderUnavailable, TextRefused
from service.ollama.faults import BadText, Permanent, TimedOut, WireFault, unavailable
from service.ollama.lanes import Lanes

Outcome = Vector | TextRefused
Send = Callable[[Sequence[str]], Awaitable[list[Vector | None]]]
"""Embed some prompts in one request, with retries; None for a vector that is no good. Raises WireFault."""


class BatchSize:
    """How many passages and characters go into one request; halves after a time-out, grows by one after a success."""

    def __init__(self, items: int, characters: int) -> None:
        self._most_items = self.items = items
        self.characters = characters

    def shrink(self, tried: int) -> None:
        """Remember that `tried` passages were too many."""
        self.items = max(1, min(self.items, tried // 2))

    def grow(self) -> None:
        """Take one more next time."""
        self.items = min(self._most_items, self.items + 1)


def plan_batches(prompts: Sequence[str], size: BatchSize) -> list[list[int]]:
    """Split the positions of `prompts` into batches, sorted by length so that one request holds texts of like cost."""
    batches: list[list[int]] = []
    characters = 0
    for position in sorted(range(len(prompts)), key=lambda at: len(prompts[at])):
        length = len(prompts[position])
        if not batches or len(batches[-1]) >= size.items or characters + length > size.characters:
            batches.append([])
            characters = 0
        batches[-1].append(position)
        characters += length
    return batches


class BulkRun:
    """One call of `embed_documents`: its prompts, their outcomes so far, and the faults that stopped it."""

    def __init__(
        self, prompts: Sequence[str], *, lanes: Lanes, size: BatchSize, send: Send, control_prompt: str
    ) -> None:
        self._prompts = prompts
        self._lanes = lanes
        self._size = size
        self._send = send
        self._control_prompt = control_prompt
        self._finished: dict[int, Outcome] = {}
        self._faults: list[EmbedderUnavailable] = []
        self._stopped = False

    async def run(self) -> list[Outcome]:
        """Embed all prompts. Raises PartlyEmbedded with what is finished when a fault keeps the rest from it."""
        async with asyncio.TaskGroup() as tasks:
            for batch in plan_batches(self._prompts, self._size):
                tasks.create_task(self._embed(batch))
        if self._faults:
            raise PartlyEmbedded(self._faults[0], self._finished)
        return [self._finished[position] for position in range(len(self._prompts))]

    async def _embed(self, part: list[int], *, after_timeout: bool = False, alone: bool = False) -> None:
        """Embed one part and keep its outcomes; faults are kept too, never raised, so that no sibling is cancelled."""
        if len(part) > self._size.items:
            await self._halves(part, after_timeout=after_timeout)
            return
        try:
            async with self._lanes.bulk():
                if self._stopped:  # asked only now: a sibling may have failed while this part waited for its turn
                    return
                vectors = await self._request(part, rest_after_timeout=not after_timeout)
        except WireFault as fault:
            await self._on_fault(fault, part, after_timeout=after_timeout, alone=alone)
            return
        self._size.grow()
        suspects = []
        for position, vector in zip(part, vectors, strict=True):
            if vector is None:
                suspects.append(position)
            else:
                self._finished[position] = vector
        for position in suspects:
            await self._embed([position], after_timeout=after_timeout, alone=True)

    async def _request(self, part: list[int], *, rest_after_timeout: bool) -> list[Vector | None]:
        """Send one request; after its time-out the server is still at work on it, so the lane rests as long again."""
        try:
            return await self._send([self._prompts[position] for position in part])
        except WireFault as fault:
            if rest_after_timeout and len(part) > 1 and isinstance(fault.verdict, TimedOut):
                await asyncio.sleep(fault.verdict.elapsed_s)
            raise

    async def _on_fault(self, fault: WireFault, part: list[int], *, after_timeout: bool, alone: bool) -> None:
        match fault.verdict:
            case BadText() if len(part) > 1:
                await self._halves(part, after_timeout=after_timeout)
            case BadText() as verdict:
                await self._refuse(part[0], verdict)
            case TimedOut() if len(part) > 1 and not after_timeout:
                self._size.shrink(len(part))
                await self._halves(part, after_timeout=True)
            case verdict:
                self._faults.append(unavailable(verdict))
                # A text that alone keeps giving bad vectors, beside others that gave good ones, stops nobody else.
                self._stopped = self._stopped or not (alone and verdict.reason == "bad_vectors")

    async def _halves(self, part: list[int], *, after_timeout: bool) -> None:
        middle = len(part) // 2
        await self._embed(part[:middle], after_timeout=after_timeout)
        await self._embed(part[middle:], after_timeout=after_timeout)

    async def _refuse(self, position: int, verdict: BadText) -> None:
        """Refuse one text; where the server's words leave doubt, only after a harmless text went through."""
        if not verdict.certain:
            try:
                async with self._lanes.bulk():
                    await self._send([self._control_prompt])
            except WireFault as fault:
                cause = fault.verdict if not isinstance(fault.verdict, BadText) else verdict
                self._faults.append(unavailable(Permanent(cause.reason, cause.detail)))
                self._stopped = True
                return
        self._finished[position] = TextRefused(verdict.detail)
