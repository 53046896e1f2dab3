"""What matters is kept at any ratio: failures, slow and degraded requests, whole, and within bounds."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from service.telemetry.keeping import MOST_A_SECOND, SLOW_S, Keeping
from service.telemetry.record import Record
from service.telemetry.stages import annotate, note_turned_away, stage, task_record
from tests.otlp_receiver import otlp_receiver, values
from tests.telemetry_stack import PARENT, Stack


async def work(path: str) -> int:
    """Do as the path says, inside one stage; the status of the answer."""
    with stage("query", db_query_summary="jobs.list_jobs"):
        if path == "/broken":
            raise ValueError("a fault of ours")
        if path == "/slow":
            done = asyncio.Event()
            asyncio.get_running_loop().call_later(SLOW_S, done.set)
            await done.wait()
        if path == "/degraded":
            annotate(jobsense_search_degraded=True, jobsense_search_degraded_reason="timeout")
        if path == "/away":
            note_turned_away()
        return 503 if path in {"/away", "/health/ready"} else 200


@pytest.fixture
async def stack() -> AsyncIterator[Stack]:
    """A stack that keeps no trace by its ratio."""

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        status = await work(scope["path"])
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    with otlp_receiver() as receiver:
        made = Stack(receiver, 0.0, app)
        yield made
        await made.client.aclose()
        await made.telemetry.stop()


@pytest.mark.parametrize(("path", "reason"), [("/broken", "error"), ("/slow", "slow"), ("/degraded", "degraded")])
async def test_what_matters_is_kept_whole(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, path: str, reason: str
) -> None:
    """Root and stages arrive as if the trace had been sampled, under the caller's span, and the root says why."""
    headers = {"traceparent": f"00-{PARENT}-00", "user-agent": "curl/8"}
    monkeypatch.setattr("service.telemetry.keeping.SLOW_S", 60.0)  # whatever else the machine does
    for other in ("/fine", "/away", "/health/ready"):
        await stack.client.get(other, headers=headers)
    if path == "/slow":
        monkeypatch.undo()
    await stack.client.get(path, headers=headers)
    await stack.telemetry.flush()
    receiver = stack.receiver
    assert receiver.tree() == {("", "GET"), ("GET", "jobs.list_jobs")}
    root, inner = receiver.span("GET"), receiver.span("jobs.list_jobs")
    assert root.kind == Span.SPAN_KIND_SERVER
    assert (root.trace_id.hex(), root.parent_span_id.hex()) == tuple(PARENT.split("-"))
    found = values(root.attributes)
    assert {
        "jobsense.sampling.reason": reason,
        "url.path": path,
        "url.scheme": "http",
        "http.request.method": "GET",
        "http.response.status_code": 500 if path == "/broken" else 200,
        "user_agent.original": "curl/8",
        "network.protocol.version": "1.1",
        "client.address": "127.0.0.1",
    }.items() <= found.items()
    assert (root.status.code == Status.STATUS_CODE_ERROR) == (path == "/broken")
    assert root.start_time_unix_nano <= inner.start_time_unix_nano
    assert inner.end_time_unix_nano <= root.end_time_unix_nano
    line = stack.requests()[-1]
    assert (line["trace_id"], line["span_id"]) == (root.trace_id.hex(), root.span_id.hex())
    assert line["jobsense.sampling.reason"] == reason


async def test_every_failure_of_many_requests_arrives(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a thousand requests those that failed are kept, each complete, and no other."""
    monkeypatch.setattr("service.telemetry.keeping.SLOW_S", 60.0)
    kept = set()
    for number in range(1000):
        answer = await stack.client.get("/broken" if number % 50 == 0 else "/fine")
        if answer.status_code == 500:
            kept.add(answer.headers["traceresponse"].split("-")[1])
    await stack.telemetry.flush()
    assert {span.trace_id.hex() for span in stack.receiver.spans} == kept
    assert len(stack.receiver.spans) == 2 * len(kept) == 40


async def test_a_task_that_fails_is_kept(stack: Stack) -> None:
    """Work outside a request follows the same rule."""
    with task_record("process embed_queue", kind="consumer"):
        pass
    with pytest.raises(ValueError, match="ours"), task_record("process embed_queue", kind="consumer"):
        raise ValueError("a fault of ours")
    await stack.telemetry.flush()
    assert values(stack.receiver.span("process embed_queue").attributes)["jobsense.sampling.reason"] == "error"


def test_no_more_than_so_many_a_second() -> None:
    """When everything fails, a bounded number of traces says so, and the next second has its own."""
    now = [7.0]
    keeping = Keeping(lambda: now[0])

    def kept(count: int) -> int:
        records = [Record("GET", "server", None) for _ in range(count)]
        for record in records:
            record.error_type = "503"
            keeping.keep(record, 0.001)
        return sum(record.sampled for record in records)

    assert kept(MOST_A_SECOND + 20) == MOST_A_SECOND
    now[0] += 1
    assert kept(5) == 5
