"""Decides on each call: in the store where there is one that answers, else in this process."""

import time
from collections import OrderedDict
from contextlib import suppress

from service.quota.memory import MemoryWindows
from service.quota.model import Rate, Store, StoreAway, Verdict
from service.telemetry.stages import stage

MOST_EXHAUSTED = 20_000


class Limiter:
    """Quotas of callers; never fails, whatever the store does."""

    def __init__(self, store: Store | None = None) -> None:
        self.store = store
        self.memory = MemoryWindows()
        # Nobody can give a quota back before its time, so the store is not asked about those that are used up.
        self._exhausted: OrderedDict[tuple[str, Rate], float] = OrderedDict()

    async def take(self, key: str, rate: Rate, cost: int = 1) -> Verdict:
        """Take `cost` calls of a quota, all or none; where the whole quota is less than that, the whole."""
        cost = min(cost, rate.amount)
        if cost == 1 and (refused := self.exhausted(key, rate)) is not None:
            return refused
        verdict = await self._ask(f"{key}/{rate.window_s}", rate, cost)
        if verdict.remaining == 0:
            self._exhausted[key, rate] = time.monotonic() + verdict.reset_s
            if len(self._exhausted) > MOST_EXHAUSTED:
                self._exhausted.popitem(last=False)
        return verdict

    def exhausted(self, key: str, rate: Rate) -> Verdict | None:
        """The refusal of a caller who is known to have nothing left, without asking anybody."""
        until = self._exhausted.get((key, rate))
        if until is None:
            return None
        left_s = until - time.monotonic()
        if left_s <= 0:
            del self._exhausted[key, rate]
            return None
        return Verdict(allowed=False, remaining=0, reset_s=left_s, retry_s=left_s)

    async def _ask(self, key: str, rate: Rate, cost: int) -> Verdict:
        if self.store is not None and self.store.away is None:
            with stage("rate_limit"), suppress(StoreAway):
                return await self.store.take(key, rate, cost)
        return self.memory.take(key, rate, cost)
