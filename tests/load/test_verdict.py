"""What fails a load run, and what its report holds."""

import json
from pathlib import Path

import pytest

from tests.load.slowest import Slowest, asked
from tests.load.summary import Run, markdown, write
from tests.load.test_people import calls
from tests.load.thresholds import Figures, Limits, missed, read_limits

LIMITS = Limits(failures=0.01, requests=10, p95_ms={"search": 100}, p99_ms={"search": 200})
GOOD = Figures(1000, 5, 20.0, 10.0, 99.0, 199.0, 900.0)
TRACE = "0af7651916cd43dd8448eb211c80319c"


def test_a_run_that_holds_every_limit_passes() -> None:
    """Figures at their limits are no miss."""
    assert missed({"search": GOOD._replace(failures=10, p95_ms=100, p99_ms=200)}, LIMITS) == []


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        (GOOD._replace(failures=11), "search: 11 of 1000 failed, 1.00% are allowed"),
        (GOOD._replace(p95_ms=101), "search: p95 is 101 ms, 100 are allowed"),
        (GOOD._replace(p99_ms=201), "search: p99 is 201 ms, 200 are allowed"),
        (GOOD._replace(requests=9, failures=0), "search: 9 requests, at least 10 are needed"),
    ],
)
def test_every_limit_fails_a_run(figures: Figures, said: str) -> None:
    """Failures, both quantiles and too few requests are misses, each in a sentence."""
    assert missed({"search": figures}, LIMITS) == [said]


def test_what_was_never_asked_fails_a_planned_run() -> None:
    """A kind that has a limit and was never asked is a miss, unless nobody was to ask it; no requests at all always."""
    assert missed({"open": GOOD}, LIMITS) == ["search: 0 requests, at least 10 are needed"]
    assert missed({"open": GOOD}, LIMITS, planned=False) == []
    assert missed({}, LIMITS, planned=False) == ["nothing was asked"]


def test_every_request_has_a_limit() -> None:
    """The committed file bounds each kind of request that users send, and no kind that none sends."""
    limits = read_limits(Path(__file__).parent / "thresholds.toml")
    assert set(limits.p95_ms) == {call.name for call in calls()}
    assert set(limits.p99_ms) <= set(limits.p95_ms)


def test_a_misspelt_limit_is_refused(tmp_path: Path) -> None:
    """A table that nobody reads would be a limit that nothing can miss."""
    path = tmp_path / "limits.toml"
    path.write_text("[p90_ms]\nsearch = 1\n")
    with pytest.raises(ValueError, match="p90_ms is no limit"):
        read_limits(path)


def test_the_slowest_of_each_kind_are_kept() -> None:
    """The slowest requests of each kind stay, and the latest that failed; other processes add theirs."""
    mine, other = Slowest(kept=2, failed=2), Slowest(kept=2, failed=2)
    for number in range(100):
        mine.add(asked("search", float(number), 200, {}))
        other.add(asked("open", float(number), 500, {}, f"500 {number}"))
    mine.merge(json.loads(json.dumps(other.drain())))
    assert [(one.name, one.ms) for one in mine.slowest()] == [
        ("search", 99),
        ("open", 99),
        ("search", 98),
        ("open", 98),
    ]
    assert [one.fault for one in mine.failed()] == ["500 98", "500 99"]
    assert other.slowest() == other.failed() == []


def test_the_report_finds_traces(tmp_path: Path) -> None:
    """Slow and failed requests stand in it with trace id, request id and stages, figures beside their limits."""
    headers = {
        "traceresponse": f"00-{TRACE}-00f067aa0ba902b7-01",
        "x-request-id": "abc",
        "server-timing": "db;dur=3.1",
    }
    slow, bad = asked("search", 812.4, 200, headers), asked("create", 3.0, 503, {}, "503 overloaded")
    run = Run("http://127.0.0.1:1", 40, 30.0, {"search": GOOD}, LIMITS, ["search: late"], [slow], [bad])
    report = write(run, tmp_path / "new").read_text()
    for said in ("**1 missed.**", "- search: late", TRACE, "`abc`", "db;dur=3.1", "503 overloaded", "| 99 | 100 |"):
        assert said in report
    assert f"](http://jaeger:16686/trace/{TRACE})" in markdown(run, "http://jaeger:16686/")
    told = json.loads((tmp_path / "new" / "load.json").read_text())
    assert told["slowest"][0]["trace_id"] == TRACE
    assert told["figures"]["search"]["p95_ms"] == GOOD.p95_ms
    assert "**every limit held.**" in markdown(run._replace(missed=[], slowest=[], failed=[]))
