"""What a rate is, and what a look at a caller's quota says."""

from datetime import datetime
from functools import lru_cache
from typing import Literal, Protocol

import msgspec

Reason = Literal["connecting", "timeout", "unreachable", "refused", "error"]
"""Why a store is away."""

BUCKETS = 60
"""A call counts for one window and for what is left of its bucket, a 60th of a window: no window ever sees more than
the rate allows, a quota comes back a 60th of a window late at most, and 61 numbers hold a caller, whatever the rate."""
_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}


class Rate(msgspec.Struct, frozen=True):
    """At most `amount` calls in any `window_s` seconds."""

    amount: int
    window_s: int


class Verdict(msgspec.Struct, frozen=True):
    """Whether a call is allowed, how many more are now, and when that changes.

    `reset_s`: seconds until a part of the quota comes back; `retry_s`: until a refused call would be allowed, else 0.
    """

    allowed: bool
    remaining: int
    reset_s: float
    retry_s: float


class StoreAway(Exception):
    """The store did not answer this call."""


class Store(Protocol):
    """What several processes count in: `store.SharedWindows`, whose client is loaded only where there is one."""

    away: Reason | None
    since: datetime

    async def take(self, key: str, rate: Rate, cost: int = 1) -> Verdict:
        """Take `cost` calls of a quota, all or none; raises StoreAway."""


@lru_cache(maxsize=1024)
def read_rate(text: str) -> Rate:
    """Read a rate as settings and keys spell it: `600/minute`."""
    amount, _, unit = text.partition("/")
    return Rate(int(amount), _SECONDS[unit])
