"""Whatever the collector does, callers do not notice: requests are as quick, and the log has one line of it."""

import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.otlp_receiver import OtlpReceiver, otlp_receiver
from tests.telemetry_stack import Stack

ASKED = 200
MARGIN_S = 0.5
"""For a machine that does something else; a request that waited for a collector would take a second or more."""
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


@pytest.mark.parametrize("fault", ["hangs", "dies", *LONG])
async def test_requests_are_as_quick(fault: str) -> None:
    """Asked in turns with a service whose collector is well, requests take as long, and none waits for a collector."""
    with collector("") as well, collector(fault) as ill:
        stacks = [Stack(well, 1.0), Stack(ill, 1.0)]
        times: list[list[float]] = [[], []]
        for number in range(ASKED):
            if fault == "dies" and number == ASKED // 2:
                ill.wait(lambda receiver: bool(receiver.spans))
                ill.status = 503
                ill.hold.clear()
            for stack, noted in zip(stacks, times, strict=True):
                noted.append(await took(stack))
        healthy, faulty = (statistics.median(noted) for noted in times)
        assert faulty < 1.5 * healthy + 0.002
        healthy, faulty = (sorted(noted)[ASKED * 99 // 100] for noted in times)
        assert faulty < 2 * healthy + MARGIN_S
        lines = stacks[1].lines()
        for stack in stacks:
            await stack.client.aclose()
            began = time.monotonic()
            await stack.telemetry.stop()
            assert time.monotonic() - began < 5
    assert len([line for line in lines if line["event"] not in {"http.request", "telemetry.export_failed"}]) == 0
    assert len([line for line in lines if line["event"] == "telemetry.export_failed"]) <= 1
    created = stacks[0].metric("jobsense_telemetry_spans_total", result="created")
    assert created == stacks[0].metric("jobsense_telemetry_spans_total", result="exported") == 7 * ASKED
