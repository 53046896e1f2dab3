"""Whatever the collector does, callers do not notice: requests are as quick, and the log has one line of it.

`tests/long/test_collector_faults.py` asks the same of real processes.
"""

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest

from tests.otlp_receiver import OtlpReceiver, otlp_receiver
from tests.telemetry_stack import Stack

ASKED = 200
TRIES = 4
"""Chance makes one of two equal services slower now and then, not four times in a row."""
MOST_SLOWER, MARGIN_S = 1.25, 0.003
LONG = [pytest.param(fault, marks=pytest.mark.long) for fault in ("refuses", "answers 503")]


@contextmanager
def collector(fault: str) -> Iterator[OtlpReceiver]:
    """A collector with a fault; `dies` ends it half-way."""
    with otlp_receiver() as receiver:
        if fault == "refuses":
            with socket.create_server(("127.0.0.1", 0)) as gone:
                receiver.endpoint = f"http://127.0.0.1:{gone.getsockname()[1]}/v1/traces"
        if fault == "hangs":
            receiver.hold.clear()
        if fault == "answers 503":
            receiver.status = 503
        yield receiver


async def took(stack: Stack) -> float:
    """Seconds of one request with seven spans."""
    began = time.perf_counter()
    assert (await stack.client.get("/jobs/7")).status_code == 200
    return time.perf_counter() - began


async def in_turns(stacks: Sequence[Stack], midway: Callable[[], None]) -> list[list[float]]:
    """Seconds of requests to each, which take turns, also at being first."""
    times: list[list[float]] = [[] for _ in stacks]
    for number in range(ASKED):
        if number == ASKED // 2:
            midway()
        for place in sorted(range(len(stacks)), reverse=bool(number % 2)):
            times[place].append(await took(stacks[place]))
    return times


def quantiles(times: Sequence[float]) -> tuple[float, float]:
    """The median and the p99."""
    return sorted(times)[ASKED // 2], sorted(times)[ASKED * 99 // 100]


@pytest.mark.parametrize("fault", ["hangs", "dies", *LONG])
async def test_requests_are_as_quick(fault: str) -> None:
    """Asked in turns with a service whose collector is well, requests take as long, and none waits for a collector."""
    with collector("") as well, collector(fault) as ill:
        stacks = [Stack(well, 1.0), Stack(ill, 1.0)]

        def die() -> None:
            if fault == "dies" and ill.status == 200:
                ill.wait(lambda receiver: bool(receiver.spans))
                ill.status = 503
                ill.hold.clear()

        asked = 0
        for _ in range(TRIES):
            asked += ASKED
            healthy, faulty = map(quantiles, await in_turns(stacks, die))
            if all(its < MOST_SLOWER * other + MARGIN_S for its, other in zip(faulty, healthy, strict=True)):
                break
        else:
            pytest.fail(f"median and p99 are {faulty}, of the one whose collector is well {healthy}")
        lines = stacks[1].lines()
        for stack in stacks:
            await stack.client.aclose()
            began = time.monotonic()
            await stack.telemetry.stop()
            assert time.monotonic() - began < 5
    assert len([line for line in lines if line["event"] not in {"http.request", "telemetry.export_failed"}]) == 0
    assert len([line for line in lines if line["event"] == "telemetry.export_failed"]) <= 1
    created = stacks[0].metric("jobsense_telemetry_spans_total", result="created")
    assert created == stacks[0].metric("jobsense_telemetry_spans_total", result="exported") == 7 * asked
