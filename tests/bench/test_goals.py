"""What is made of the turns: ratios round by round, goals met and missed, the report."""

from pathlib import Path

import pytest

from tests.bench.goals import Measured, verdicts
from tests.bench.moving import what_moves
from tests.bench.report import goals_table, write
from tests.bench.starting import Start
from tests.bench.turn import Result, Turn


def turn(rate: float, p99_ms: float = 10.0) -> Turn:
    """A turn of a second."""
    return Turn(int(rate), 1.0, 5.0, p99_ms, {"jobsense": 0.5, "postgres": 0.25, "driver": 9.0})


def measured() -> Measured:
    """A run in which the machine was half as fast in the second of three rounds."""
    sides = {
        "jobsense": [turn(400, 30), turn(200, 60), turn(420, 20)],
        "reference": [turn(100, 90), turn(50, 180), turn(100, 60)],
        "limit": [turn(1000), turn(500), turn(1000)],
    }
    results = {"semantic": Result("semantic", "semantic search", "searches", sides)}
    starts = {"jobsense": [Start(1.2, 90.0), Start(1.4, 92.0)], "reference": [Start(0.9, 80.0)]}
    return Measured(
        results,
        starts,
        {"jobsense": {"get": 90.0, "batch": 130.0}, "reference": {"get": 80.0, "batch": 99.0}},
        {},
        {},
        [],
        {"Machine": "a quick one"},
    )


def test_ratios_are_of_one_round_each() -> None:
    """What slows both sides of a round changes no ratio."""
    ratio = measured().results["semantic"].ratio("jobsense", "reference")
    assert (ratio.least, ratio.median, ratio.most) == (4.0, 4.0, 4.2)


def test_goals_are_judged_by_the_median() -> None:
    """At least and at most, and nothing of work that was not measured."""
    found = {(one.workload, one.against): one.met for one in verdicts(measured())}
    assert found == {
        ("semantic", "throughput, reference"): True,
        ("semantic", "p99, reference"): True,
        ("semantic", "throughput, bare asyncpg"): False,
        ("start", "start to ready"): True,
        ("start", "memory of a worker"): False,
    }


def test_processor_time_is_that_of_service_and_database() -> None:
    """The generator's own is left out."""
    assert turn(100).cpu_ms_each == pytest.approx(7.5)


def test_a_missed_goal_tells_the_time_there_is_for_it() -> None:
    """At the goal's rate: on the one processor of the process, or what all else leaves of all of them, or none."""
    run = measured()
    (missed,) = [one for one in verdicts(run) if one.against == "throughput, bare asyncpg"]
    # 0.5 s of processor for 400 units are 1.25 ms, and 500 units a second leave 2 ms of one processor.
    run.results["semantic"].turns["jobsense"] = [Turn(400, 1.0, 5.0, 30.0, {"jobsense": 0.5, "postgres": 0.2})]
    told = what_moves(missed, run, processors=2)
    assert told.startswith("500 searches a second on 2 processors leave the service 2.00 ms for each; it takes 1.25,")
    run.results["semantic"].turns["jobsense"] = [Turn(400, 1.0, 5.0, 30.0, {"jobsense": 0.5, "postgres": 2.0})]
    assert "no service could be quick enough" in what_moves(missed, run, processors=2)


def test_the_report_has_goals_figures_and_plots(tmp_path: Path) -> None:
    """The table is what the terminal shows too; every plot that is named is there and well-formed."""
    table = write(tmp_path, measured(), [])
    assert table == goals_table(verdicts(measured()))
    assert "| semantic search | throughput, bare asyncpg | >= 0.5 x | **0.4 x** (0.4 to 0.42) | **missed** |" in table
    told = (tmp_path / "report.md").read_text()
    assert table in told
    assert "a quick one" in told
    assert "What would move it" in told
    assert "| JobSense | 90.00 | 130 |" in told
    for plot in ("throughput.svg", "latency.svg", "processor.svg"):
        assert f"({plot})" in told
        assert (tmp_path / plot).read_text().startswith("<svg")
