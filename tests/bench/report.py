"""The report: goals beside what was measured, every workload with its spread, plots, and profiles of what is missed."""

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tests.bench.goals import Measured, Verdict, verdicts
from tests.bench.moving import what_moves
from tests.bench.plot import NAMES, bars
from tests.bench.profiling import Profile
from tests.bench.turn import OWN, Result, Spread

REPORT, JSON = "report.md", "report.json"
PLOTS = {
    "throughput.svg": ("Work done a second (longer is better)", "rate", "/s"),
    "latency.svg": ("99th percentile of latency (shorter is better)", "p99_ms", "ms"),
    "processor.svg": ("Processor time of service and database for a unit (shorter is better)", "cpu_ms_each", "ms"),
}


def write(folder: Path, measured: Measured, profiles: Sequence[Profile]) -> str:
    """Write report, figures and plots into a folder; returns the table of the goals."""
    folder.mkdir(parents=True, exist_ok=True)
    found = verdicts(measured)
    for name, (title, what, unit) in PLOTS.items():
        (folder / name).write_text(bars(title, [*measured.results.values()], what, unit=unit))
    table = goals_table(found)
    parts = [
        "# Benchmark",
        _about(measured),
        "## Goals",
        table,
        _missed(found, measured),
        "## Work by work",
        *(f"![{title}]({name})" for name, (title, _, _) in PLOTS.items()),
        *(_workload(result) for result in measured.results.values()),
        _singles(measured),
        _starts(measured),
        _memory(measured),
        _backlog(measured),
        _recall(measured),
        "## The same work",
        "\n".join(f"- {line}" for line in measured.agreement) or "Not compared in this run.",
        *(_profile(profile) for profile in profiles),
    ]
    (folder / REPORT).write_text("\n\n".join(part for part in parts if part) + "\n")
    (folder / JSON).write_bytes(msgspec.json.format(msgspec.json.encode({"goals": found, "measured": measured})))
    return table


def goals_table(found: Sequence[Verdict]) -> str:
    """A row for each goal, with the median of the rounds and their spread."""
    rows = ["| work | against | goal | measured (least to most) | |", "|---|---|---|---|---|"]
    for one in found:
        sign = ">=" if one.least else "<="
        spread = f"{_figure(one.measured.least)} to {_figure(one.measured.most)}"
        rows.append(
            f"| {one.work} | {one.against} | {sign} {_figure(one.goal)} {one.unit}"
            f" | **{_figure(one.measured.median)} {one.unit}** ({spread}) | {'met' if one.met else '**missed**'} |"
        )
    return "\n".join(rows)


def _missed(found: Sequence[Verdict], measured: Measured) -> str:
    processors = len(os.sched_getaffinity(0))
    rows = [f"- {one.work}, {one.against}: {what_moves(one, measured, processors)}" for one in found if not one.met]
    return "\n".join(["### What is missed, and what would move it", "", *rows]) if rows else ""


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}" if abs(value) < 1 else f"{value:.2f}"


def _about(measured: Measured) -> str:
    return "\n".join(f"- {name}: {text}" for name, text in measured.about.items())


def _workload(result: Result) -> str:
    rows = [
        f"### {result.title[0].upper()}{result.title[1:]}",
        "",
        f"| | {result.unit} a second (least to most) | p50 ms | p99 ms (least to most) | processor ms each |",
        "|---|---|---|---|---|",
    ]
    for side, turns in result.turns.items():
        p50 = Spread.of([turn.p50_ms for turn in turns])
        rows.append(
            f"| {NAMES[side]} | {_spread(result.rate(side))} | {_figure(p50.median)} | {_spread(result.p99_ms(side))}"
            f" | {_processor(result, side)} |"
        )
    ratios = "; ".join(
        f"JobSense over {NAMES[other]}: {_spread(result.ratio('jobsense', other))}"
        for other in result.turns
        if other != "jobsense"
    )
    return "\n".join([*rows, "", f"{ratios}."])


def _spread(spread: Spread) -> str:
    return f"{_figure(spread.median)} ({_figure(spread.least)} to {_figure(spread.most)})"


def _processor(result: Result, side: str) -> str:
    """Processor time for a unit by process, the median of the rounds; idle processes are left out."""
    each = result.cpu_ms_of(side)
    own = {"driver": "this program"} if side == "limit" else {"driver": "generator"}
    told = [
        f"{own.get(name, name)} {_figure(value)}"
        for name, value in sorted(each.items(), key=lambda item: item[0] in OWN)
        if value > 0.02 * max(each.values())
    ]
    return ", ".join(told)


def _singles(measured: Measured) -> str:
    """Batches beside single creates of either service."""
    if not {"batch", "create"} <= measured.results.keys():
        return ""
    batch, create = measured.results["batch"], measured.results["create"]
    told = ", ".join(
        f"{batch.rate(one).median / create.rate(other).median:.1f} times the single creates of {NAMES[other]}"
        f" ({NAMES[one]})"
        for one, other in (("jobsense", "jobsense"), ("jobsense", "reference"), ("reference", "reference"))
    )
    return f"Rows a second in batches: {told}."


def _starts(measured: Measured) -> str:
    if not measured.starts["jobsense"]:
        return ""
    rows = ["### Start", "", "| | ready after s | memory then MiB | most at work MiB |", "|---|---|---|---|"]
    for side, starts in measured.starts.items():
        seconds, memory = (Spread.of([getattr(start, what) for start in starts]) for what in ("seconds", "memory_mib"))
        rows.append(f"| {NAMES[side]} | {_spread(seconds)} | {_spread(memory)} | {_figure(measured.most_mib(side))} |")
    return "\n".join(rows)


def _memory(measured: Measured) -> str:
    """Which works made a service grow."""
    works = list(measured.memory_mib["jobsense"])
    if not works:
        return ""
    rows = ["### Memory", "", "The most that each ever took, in MiB, after each work in turn:", ""]
    rows += [f"| | {' | '.join(works)} |", "|---" * (len(works) + 1) + "|"]
    for side, grown in measured.memory_mib.items():
        rows.append(f"| {NAMES[side]} | {' | '.join(_figure(grown[work]) for work in works)} |")
    return "\n".join(rows)


def _backlog(measured: Measured) -> str:
    if not measured.backlog.get("jobsense"):
        return ""
    rows = [
        "### Search while a backlog is embedded",
        "",
        "| | p99 idle ms | p99 with a backlog ms | times | embedded a second meanwhile | share turned away |",
        "|---|---|---|---|---|---|",
    ]
    for side, rounds in measured.backlog.items():
        names = ("idle_p99_ms", "busy_p99_ms", "slower", "embedded_rate", "refused")
        cells = (_spread(Spread.of([getattr(one, name) for one in rounds])) for name in names)
        rows.append(f"| {NAMES[side]} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _recall(measured: Measured) -> str:
    if not measured.recall:
        return ""
    rows = ["### Recall@10", "", "| | all postings | behind the filters |", "|---|---|---|"]
    rows += [
        f"| {NAMES[side]} | {recall.everywhere:.3f} | {recall.filtered:.3f} |"
        for side, recall in measured.recall.items()
    ]
    return "\n".join(rows)


def _profile(profile: Profile) -> str:
    rows = [
        f"## Missed: {profile.title}",
        "",
        f"Where JobSense spends its time there ({profile.samples:,} {profile.unit}):",
        "",
        "| of what | share |",
        "|---|---|",
        *(f"| {name} | {share:.0%} |" for name, share in profile.packages),
        "",
        "| function, itself | share |",
        "|---|---|",
        *(f"| `{name}` | {share:.1%} |" for name, share in profile.functions),
    ]
    return "\n".join(rows)
