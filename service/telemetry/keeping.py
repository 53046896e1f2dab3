"""Keeps what matters: a trace that the ratio let go is made after all when its request failed, was slow or degraded.

Nothing is buffered for it, since records hold all that spans are made of. What callers and later services were told is
that the trace is not kept; their parts of it are missing.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, Literal

from service.telemetry.record import Record

SLOW_S = 0.25
MOST_A_SECOND = 50
"""When everything fails or is slow, a sample of it says as much, and costs 3 % of a core at most."""
_LONGEST_VALUE = 256


class Keeping:
    """Decides at the end of a request whether its trace is kept after all; for one process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._second = 0
        self._kept = 0

    def keep(self, record: Record, seconds: float) -> None:
        """Mark a record as kept, with the reason, if it has one and not too many had lately."""
        if (reason := reason_to_keep(record, seconds)) is None:
            return
        if (second := int(self._clock())) != self._second:
            self._second, self._kept = second, 0
        if self._kept < MOST_A_SECOND:
            self._kept += 1
            record.sampled = record.kept_late = True
            record.attributes["jobsense.sampling.reason"] = reason


def reason_to_keep(record: Record, seconds: float) -> Literal["error", "degraded", "slow"] | None:
    """Why a trace matters, if it does."""
    if record.error_type:
        return "error"
    if record.attributes.get("jobsense.search.degraded"):
        return "degraded"
    return "slow" if seconds > SLOW_S else None


def describe(record: Record, scope: Mapping[str, Any], user_agent: bytes) -> None:
    """Add what the stock instrumentation says of a request that it sees."""
    record.attributes["url.path"] = scope["path"][:_LONGEST_VALUE]
    record.attributes["url.scheme"] = scope.get("scheme", "http")
    record.attributes["network.protocol.version"] = scope.get("http_version", "1.1")
    if client := scope.get("client"):
        record.attributes["client.address"] = client[0]
    if user_agent:
        record.attributes["user_agent.original"] = user_agent[:_LONGEST_VALUE].decode("latin-1")
