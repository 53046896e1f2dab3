"""Writes what came of a load run: Markdown for people, JSON for programs."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.load.slowest import Asked
from tests.load.thresholds import Figures, Limits

LISTED = 25
"""Slow requests in the Markdown; the JSON has all that were remembered."""


class Run(NamedTuple):
    """A run as it is told."""

    host: str
    users: int
    seconds: float
    figures: Mapping[str, Figures]
    limits: Limits
    missed: Sequence[str]
    slowest: Sequence[Asked]
    failed: Sequence[Asked]


def markdown(run: Run, jaeger: str = "") -> str:
    """The report; with the address of a Jaeger, trace ids are links into it."""
    lines = [
        "# Load run",
        "",
        f"{run.users} users for {run.seconds:.0f} s at {run.host}: "
        + ("**every limit held.**" if not run.missed else f"**{len(run.missed)} missed.**"),
        *["", *(f"- {sentence}" for sentence in run.missed)][: 1 + len(run.missed) if run.missed else 0],
        "",
        "| request | count | failed | a second | p50 ms | p95 ms | allowed | p99 ms | allowed | slowest ms |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *(_row(name, one, run.limits) for name, one in run.figures.items()),
        *_section("Slowest requests", run.slowest[:LISTED], jaeger),
        *_section("Failed requests, the latest", run.failed, jaeger),
    ]
    return "\n".join(lines) + "\n"


def _row(name: str, one: Figures, limits: Limits) -> str:
    allowed = [f"{table[name]:g}" if name in table else "" for table in (limits.p95_ms, limits.p99_ms)]
    return (
        f"| {name} | {one.requests} | {one.failures} | {one.per_second:.1f} | {one.p50_ms:.0f} | {one.p95_ms:.0f} "
        f"| {allowed[0]} | {one.p99_ms:.0f} | {allowed[1]} | {one.most_ms:.0f} |"
    )


def _section(title: str, found: Sequence[Asked], jaeger: str) -> list[str]:
    if not found:
        return []
    rows = [
        f"| {one.name} | {one.ms:.0f} | {one.fault or one.status} | {_trace(one, jaeger)} | `{one.request_id}` "
        f"| {one.timing} |"
        for one in found
    ]
    head = ["| request | ms | answer | trace | request id | stages in the service |", "|---|---|---|---|---|---|"]
    return ["", f"## {title}", "", *head, *rows]


def _trace(one: Asked, jaeger: str) -> str:
    if not one.trace_id:
        return ""
    return f"[`{one.trace_id}`]({jaeger.rstrip('/')}/trace/{one.trace_id})" if jaeger else f"`{one.trace_id}`"


def write(run: Run, folder: Path, jaeger: str = "") -> Path:
    """Write `load.md` and `load.json` into a folder, made if it is not there; the path of the first."""
    folder.mkdir(parents=True, exist_ok=True)
    told = run._asdict() | {
        "figures": {name: one._asdict() for name, one in run.figures.items()},
        "limits": run.limits._asdict(),
        "slowest": [one._asdict() for one in run.slowest],
        "failed": [one._asdict() for one in run.failed],
    }
    (folder / "load.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    report = folder / "load.md"
    report.write_text(markdown(run, jaeger), encoding="utf-8")
    return report
