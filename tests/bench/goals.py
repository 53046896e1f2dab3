"""The goals, as ratios within one run, and what was measured of each."""

import statistics
from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from tests.bench.backlog import Round
from tests.bench.recall import Recall
from tests.bench.starting import Start
from tests.bench.turn import Result, Spread


class Measured(msgspec.Struct):
    """Everything that one run found."""

    results: dict[str, Result]
    starts: dict[str, list[Start]]
    memory_mib: dict[str, dict[str, float]]
    """By service: after each work in turn, the most that it ever took."""
    backlog: dict[str, list[Round]]
    recall: dict[str, Recall]
    agreement: list[str]
    about: dict[str, str]

    def most_mib(self, side: str) -> float:
        """The most that a service took at any work; 0 where there was none."""
        return max(self.memory_mib.get(side, {}).values(), default=0.0)


class Verdict(msgspec.Struct):
    """A goal beside what was measured of it."""

    workload: str
    work: str
    against: str
    goal: float
    least: bool
    """Whether the goal is the least that is wanted, or the most."""
    measured: Spread
    unit: str

    @property
    def met(self) -> bool:
        """By the median of the rounds."""
        return self.measured.median >= self.goal if self.least else self.measured.median <= self.goal


Find = Callable[[Measured], Spread]
Side = Literal["reference", "limit"]


def _rate(name: str, side: Side) -> Find:
    return lambda measured: measured.results[name].ratio("jobsense", side)


def _p99(name: str) -> Find:
    return lambda measured: measured.results[name].p99_ratio("jobsense", "reference")


def _batch_over_singles(measured: Measured) -> Spread:
    """Rows a second in batches, over those that the same service stores one by one."""
    batches, singles = (measured.results[name].turns["jobsense"] for name in ("batch", "create"))
    return Spread.of([one.rate / other.rate for one, other in zip(batches, singles, strict=True)])


def _start(measured: Measured) -> Spread:
    return Spread.of([start.seconds for start in measured.starts["jobsense"]])


def _memory(measured: Measured) -> Spread:
    """When it is ready, and the most that it took at work: of both the larger."""
    values = [start.memory_mib for start in measured.starts["jobsense"]]
    return Spread(max(statistics.median(values), measured.most_mib("jobsense")), min(values), max(values))


def _backlog(measured: Measured) -> Spread:
    return Spread.of([one.slower for one in measured.backlog["jobsense"]])


_REFERENCE, _LIMIT, _P99 = "throughput, reference", "throughput, bare asyncpg", "p99, reference"
_GOALS: tuple[tuple[str, str, float, bool, str, Find], ...] = (
    ("semantic", _REFERENCE, 4.0, True, "x", _rate("semantic", "reference")),
    ("semantic", _P99, 1 / 3, False, "x", _p99("semantic")),
    ("semantic", _LIMIT, 0.5, True, "x", _rate("semantic", "limit")),
    ("zipf", _REFERENCE, 5.0, True, "x", _rate("zipf", "reference")),
    ("zipf", _LIMIT, 0.7, True, "x", _rate("zipf", "limit")),
    ("get", _REFERENCE, 4.0, True, "x", _rate("get", "reference")),
    ("get", _LIMIT, 0.4, True, "x", _rate("get", "limit")),
    ("list", _REFERENCE, 3.0, True, "x", _rate("list", "reference")),
    ("create", _REFERENCE, 2.0, True, "x", _rate("create", "reference")),
    ("batch", "rows a second, own single creates", 8.0, True, "x", _batch_over_singles),
    ("batch", "COPY into the same table", 0.4, True, "x", _rate("batch", "limit")),
    ("export", _REFERENCE, 5.0, True, "x", _rate("export", "reference")),
    ("export", "COPY TO of the same columns", 0.8, True, "x", _rate("export", "limit")),
    ("start", "start to ready", 1.5, False, "s", _start),
    ("start", "memory of a worker", 120.0, False, "MiB", _memory),
    ("backlog", "p99 of searches, idle", 1.5, False, "x", _backlog),
)
_TITLES = {
    "start": "start to ready, existing database, Ollama embedder",
    "backlog": "search while a backlog is embedded",
}


def verdicts(measured: Measured) -> list[Verdict]:
    """Each goal of which all that it needs was measured."""
    made = []
    for name, against, goal, least, unit, find in _GOALS:
        try:
            found = find(measured)
        except (KeyError, statistics.StatisticsError):  # only some workloads were run
            continue
        title = _title(measured.results, name)
        made.append(Verdict(name, title, against, goal, least, found, unit))
    return made


def _title(results: Mapping[str, Result], name: str) -> str:
    return _TITLES[name] if name in _TITLES else results[name].title
