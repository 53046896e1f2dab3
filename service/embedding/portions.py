"""Storing gives way to searches: a few postings at a time, with rests, while queries are about."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TypeVar

Item = TypeVar("Item")

PORTION = 1
"""Postings that are stored at once while queries are about."""
RESTS = 1.0
"""How many times as long as it took to store a portion nothing is stored after it: half of one core at most."""
MOST_REST_S = 1.0


class Portions:
    """Cuts work into portions while `gently` says so; `rested_s` is how long it has rested."""

    def __init__(self, gently: Callable[[], bool]) -> None:
        self._gently = gently
        self.rested_s = 0.0

    async def of(self, items: Sequence[Item]) -> AsyncIterator[Sequence[Item]]:
        """All at once, or a few at a time with a rest after each that is in proportion to what it took.

        Index and model serve searches meanwhile, and storing a few vectors takes a core for a tenth of a second.
        """
        left = items
        while left:
            count = PORTION if self._gently() else len(left)
            began = time.perf_counter()
            yield left[:count]
            left = left[count:]
            if self._gently():
                rest_s = min(MOST_REST_S, RESTS * (time.perf_counter() - began))
                self.rested_s += rest_s
                await asyncio.sleep(rest_s)
