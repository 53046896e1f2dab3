"""One turn of one side at one workload, and what many turns come to."""

import statistics
from collections.abc import Sequence
from typing import Self

import msgspec

from tests.load.report import Report, quantile_of

OWN = ("driver", "embedder")
"""Whose processor time is not the side's: the generator's, and that of the model server."""


class Turn(msgspec.Struct):
    """What one side did: units of work, the time they took, and the processor time of each process meanwhile."""

    units: int
    seconds: float
    p50_ms: float
    p99_ms: float
    cpu_s: dict[str, float] = {}

    @classmethod
    def of(cls, latencies_s: Sequence[float], seconds: float, *, units_each: int = 1) -> Self:
        """Of the latency of each request."""
        p50, p99 = (quantile_of(latencies_s, quantile) * 1000 for quantile in (0.5, 0.99))
        return cls(len(latencies_s) * units_each, seconds, p50, p99)

    @classmethod
    def of_report(cls, report: Report, *, status: int, units_each: int = 1) -> Self:
        """Of a closed loop of the generator; every answer must have this status."""
        assert report.statuses().keys() == {status}, f"{report.statuses()}: {_first_other(report, status)}"
        ended = max(answer.answered_s for answer in report.answers)
        return cls.of([answer.latency_s for answer in report.answers], ended, units_each=units_each)

    @property
    def rate(self) -> float:
        """Units a second."""
        return self.units / self.seconds

    @property
    def cpu_ms_each(self) -> float:
        """Processor time for a unit, of service and database, in milliseconds."""
        return 1000 * sum(used for name, used in self.cpu_s.items() if name not in OWN) / max(self.units, 1)


def _first_other(report: Report, status: int) -> str:
    other = next(answer for answer in report.answers if answer.status != status)
    return f"{other.fault} {other.body[:300]!r}"


class Spread(msgspec.Struct):
    """The median of some values, and the least and the most of them."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Of one value a round."""
        return cls(statistics.median(values), min(values), max(values))


class Result(msgspec.Struct):
    """All rounds of one workload: the turns of each side, in the order of the rounds."""

    name: str
    title: str
    unit: str
    turns: dict[str, list[Turn]]

    def rate(self, side: str) -> Spread:
        """Units a second."""
        return Spread.of([turn.rate for turn in self.turns[side]])

    def p99_ms(self, side: str) -> Spread:
        """The 99th percentile of the latency."""
        return Spread.of([turn.p99_ms for turn in self.turns[side]])

    def cpu_ms_of(self, side: str) -> dict[str, float]:
        """Processor time for a unit by process, in milliseconds: the median of the rounds."""
        turns = self.turns[side]
        return {
            name: statistics.median(1000 * turn.cpu_s.get(name, 0.0) / max(turn.units, 1) for turn in turns)
            for name in turns[0].cpu_s
        }

    def ratio(self, side: str, other: str) -> Spread:
        """Of the rates, round by round, since what slows a round slows both sides of it."""
        return self._by_round(side, other, "rate")

    def p99_ratio(self, side: str, other: str) -> Spread:
        """Of the 99th percentiles, round by round."""
        return self._by_round(side, other, "p99_ms")

    def _by_round(self, side: str, other: str, what: str) -> Spread:
        pairs = zip(self.turns[side], self.turns[other], strict=True)
        return Spread.of([getattr(one, what) / getattr(two, what) for one, two in pairs])
