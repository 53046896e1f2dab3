"""What a load run has to hold: limits from a file, figures from a run, and where these miss those."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple


class Figures(NamedTuple):
    """What came of the requests of one kind: counts, a rate, and milliseconds."""

    requests: int
    failures: int
    per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    most_ms: float


class Limits(NamedTuple):
    """What must hold, by the name of the kind."""

    failures: float
    requests: int
    p95_ms: Mapping[str, float]
    p99_ms: Mapping[str, float]


def read_limits(path: Path) -> Limits:
    """Read them from a TOML file; ValueError names what is wrong with it."""
    given = tomllib.loads(path.read_text(encoding="utf-8"))
    if unknown := given.keys() - set(Limits._fields):
        raise ValueError(f"{path}: {', '.join(sorted(unknown))} is no limit; there are {', '.join(Limits._fields)}")
    return Limits(
        float(given.get("failures", 0.0)),
        int(given.get("requests", 1)),
        given.get("p95_ms", {}),
        given.get("p99_ms", {}),
    )


def missed(figures: Mapping[str, Figures], limits: Limits, *, planned: bool = True) -> list[str]:
    """What does not hold, a sentence each. Without `planned`, kinds that were not asked at all are no miss."""
    found = []
    for name in [*dict.fromkeys([*limits.p95_ms, *limits.p99_ms, *figures])]:
        one = figures.get(name)
        if one is None or one.requests < limits.requests:
            if planned:
                found.append(f"{name}: {one.requests if one else 0} requests, at least {limits.requests} are needed")
            continue
        if one.failures > limits.failures * one.requests:
            found.append(f"{name}: {one.failures} of {one.requests} failed, {limits.failures:.2%} are allowed")
        for quantile, allowed, value in (
            ("p95", limits.p95_ms.get(name), one.p95_ms),
            ("p99", limits.p99_ms.get(name), one.p99_ms),
        ):
            if allowed is not None and value > allowed:
                found.append(f"{name}: {quantile} is {value:.0f} ms, {allowed:g} are allowed")
    return found if figures else ["nothing was asked"]
