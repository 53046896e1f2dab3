"""Remembers the slowest requests of each kind, and those that failed, with what finds their traces again."""

import heapq
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

KEPT = 5
"""Slowest requests of each kind."""
FAILED = 20
"""Failed requests, the latest of all."""


class Asked(NamedTuple):
    """One request; the longest is the greatest."""

    ms: float
    name: str
    status: int
    trace_id: str
    request_id: str
    timing: str
    """`Server-Timing`: the stages of the request in the service, in milliseconds."""
    fault: str = ""


def asked(name: str, ms: float, status: int, headers: Mapping[str, str], fault: str = "") -> Asked:
    """Read it from an answer. `traceresponse` is `00-<trace id>-<span id>-<flags>`."""
    parts = (headers.get("traceresponse") or "").split("-")
    return Asked(
        round(ms, 1),
        name,
        status,
        parts[1] if len(parts) == 4 else "",
        headers.get("x-request-id") or "",
        headers.get("server-timing") or "",
        fault,
    )


class Slowest:
    """What is remembered, in a bounded amount of memory."""

    def __init__(self, kept: int = KEPT, failed: int = FAILED) -> None:
        self._most = kept
        self._by_name: dict[str, list[Asked]] = defaultdict(list)
        self._failed: deque[Asked] = deque(maxlen=failed)

    def add(self, one: Asked) -> None:
        """Remember a request, if it is among the slowest of its kind or failed."""
        if one.fault:
            self._failed.append(one)
        kept = self._by_name[one.name]
        if len(kept) < self._most:
            heapq.heappush(kept, one)
        else:
            heapq.heappushpop(kept, one)

    def slowest(self) -> list[Asked]:
        """The slowest of every kind, the slowest first."""
        return sorted((one for kept in self._by_name.values() for one in kept), reverse=True)

    def failed(self) -> list[Asked]:
        """The latest that failed."""
        return list(self._failed)

    def clear(self) -> None:
        """Forget everything: another run begins."""
        self._by_name.clear()
        self._failed.clear()

    def drain(self) -> dict[str, Any]:
        """What is remembered as plain values, for another process, and forget it."""
        told = {"slowest": self.slowest(), "failed": self.failed()}
        self.clear()
        return told

    def merge(self, told: Mapping[str, Iterable[Iterable[Any]]]) -> None:
        """Take in what another process remembered."""
        for one in told.get("slowest", ()):
            self.add(Asked(*one)._replace(fault=""))
        self._failed.extend(Asked(*one) for one in told.get("failed", ()))
