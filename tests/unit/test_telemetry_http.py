"""What `Observed` says of every request: trace, headers, log line and metrics."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.otlp_receiver import OtlpReceiver, otlp_receiver, values
from tests.telemetry_stack import CANARY, PARENT, Stack


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    """Run a receiver."""
    with otlp_receiver() as running:
        yield running


@pytest.fixture
async def stack(receiver: OtlpReceiver) -> AsyncIterator[Stack]:
    """Run a stack that keeps every trace."""
    made = Stack(receiver, 1.0)
    yield made
    await made.client.aclose()
    await made.telemetry.stop()


async def test_one_request_is_one_tree_of_spans(stack: Stack) -> None:
    """The receiver gets root and stages with names, kinds, parents and attributes, and never the query or raw name."""
    answer = await stack.client.get("/jobs/7", params={"token": CANARY})
    await stack.telemetry.flush()
    receiver = stack.receiver
    receiver.wait(lambda r: len(r.spans) == 7)
    root = "GET /jobs/{job_id}"
    assert receiver.tree() == {
        ("", root),
        (root, "embeddings nomic"),
        (root, "pool.acquire"),
        (root, "SELECT jobs"),
        (root, "SELECT passages"),
        (root, "send embed_queue"),
        ("send embed_queue", "response.encode"),
    }
    span = receiver.span(root)
    assert span.kind == Span.SPAN_KIND_SERVER
    assert span.status.code == Status.STATUS_CODE_UNSET
    found = values(span.attributes)
    assert found["http.route"] == "/jobs/{job_id}"
    assert found["http.response.status_code"] == 200
    assert found["jobsense.search.k"] == 7
    assert found["url.path"] == "/jobs/7"
    assert not {"url.query", "http.target", "http.url"} & set(found)
    assert [event.name for event in span.events] == ["search.degraded"]
    query = receiver.span("SELECT jobs")
    assert query.kind == Span.SPAN_KIND_CLIENT
    assert values(query.attributes) == {
        "db.system.name": "postgresql",
        "db.query.summary": "SELECT jobs",
    }
    assert all(
        span.start_time_unix_nano <= child.start_time_unix_nano <= child.end_time_unix_nano <= span.end_time_unix_nano
        for child in receiver.spans
        if child.name != "pool.acquire"
    )
    assert receiver.resource["service.name"] == "jobsense"
    assert receiver.resource["deployment.environment.name"] == "development"
    # The header of the outbound call names the span that was exported afterwards.
    assert answer.json()["traceparent"].split("-")[2] == receiver.span("embeddings nomic").span_id.hex()
    assert answer.headers["traceresponse"] == f"00-{span.trace_id.hex()}-{span.span_id.hex()}-03"
    assert answer.json()["trace_id"] == span.trace_id.hex()


async def test_headers_of_an_answer(stack: Stack) -> None:
    """Timings, the trace, the request id and the security headers are on answers of every status."""
    ok = await stack.client.get("/jobs/7", headers={"x-request-id": "abc-1.2_3"})
    timing = r"embed;dur=[\d.]+, pool;dur=[\d.]+, db;dur=[\d.]+, send;dur=[\d.]+, enc;dur=[\d.]+"
    assert re.fullmatch(timing, ok.headers["server-timing"])
    assert ok.headers["x-request-id"] == "abc-1.2_3"
    for path in ("/jobs/7", "/nowhere", "/broken", "/stream", "/docs"):
        answer = await stack.client.get(path, headers={"x-request-id": "two words"})
        assert re.fullmatch("[0-9a-f]{16}", answer.headers["x-request-id"])
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "strict-transport-security" not in answer.headers
        policy = answer.headers["content-security-policy"]
        assert ("script-src 'self'" in policy) == (path == "/docs")
    over_https = await stack.client.get("https://test/docs")
    assert over_https.headers["strict-transport-security"].startswith("max-age=")


@pytest.mark.parametrize(
    ("traceparent", "continued", "flags"),
    [
        (f"00-{PARENT}-00", True, "00"),
        (f"00-{PARENT}-01", True, "01"),
        (f"00-{PARENT}-03", True, "03"),
        (f"01-{PARENT}-01-what-the-future-brings", True, "01"),
        (f"cc-{PARENT}-01", True, "01"),
        (f"ff-{PARENT}-01", False, "03"),
        (f"00-{PARENT}-01-more", False, "03"),
        (f"00-{'0' * 32}-b7ad6b7169203331-01", False, "03"),
        (f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01", False, "03"),
        (f"00-{PARENT.upper()}-01", False, "03"),
        (f"00-{PARENT}-1", False, "03"),
        ("garbage", False, "03"),
        ("", False, "03"),
    ],
)
async def test_traceparent_of_the_caller(stack: Stack, traceparent: str, flags: str, *, continued: bool) -> None:
    """A good traceparent is continued with its flags; after any other a new trace begins."""
    answer = await stack.client.get("/stream", headers={"traceparent": traceparent})
    _, trace_id, span_id, given_flags = answer.headers["traceresponse"].split("-")
    assert (trace_id == PARENT[:32]) == continued
    assert given_flags == flags
    await stack.telemetry.flush()
    if flags == "00":
        assert not stack.receiver.spans
        return
    span = stack.receiver.span("GET /stream")
    assert (span.trace_id.hex(), span.span_id.hex()) == (trace_id, span_id)
    assert span.parent_span_id.hex() == (PARENT[33:] if continued else "")


async def test_two_traceparents_are_none(stack: Stack) -> None:
    """Two traceparent headers start a new trace."""
    headers = [("traceparent", f"00-{PARENT}-01"), ("traceparent", f"00-{PARENT}-00")]
    answer = await stack.client.get("/stream", headers=headers)
    assert PARENT[:32] not in answer.headers["traceresponse"]


async def test_canonical_line(stack: Stack) -> None:
    """One JSON line says of a request what its trace says, under the same id."""
    answer = await stack.client.get("/jobs/7", headers={"traceparent": f"00-{PARENT}-01", "x-request-id": "r1"})
    (line,) = stack.requests()
    assert line["level"] == "info"
    assert line["request_id"] == "r1"
    assert line["trace_id"] == PARENT[:32]
    assert line["span_id"] == answer.headers["traceresponse"].split("-")[2]
    assert line["http.route"] == "/jobs/{job_id}"
    assert line["jobsense.search.mode"] == "hybrid"
    assert line["jobsense.stage.query_ms"] > 0
    assert line["duration_ms"] > 0
    assert line["service.version"] == "1.2.3"
    assert line["timestamp"].endswith("Z")


async def test_errors_are_counted_under_bounded_routes(stack: Stack) -> None:
    """404, 405 and 500 have metrics; a path without a route is no label."""
    for method, path in (("GET", "/nowhere/1"), ("GET", "/nowhere/2"), ("DELETE", "/stream"), ("PURGE", "/x")):
        await stack.client.request(method, path)
    await stack.client.get("/broken")
    name = "http_server_request_duration_seconds_count"
    assert stack.metric(name, method="GET", route="", status="404", error_type="") == 2
    assert stack.metric(name, method="DELETE", route="", status="405", error_type="") == 1
    assert stack.metric(name, method="_OTHER", route="", status="404", error_type="") == 1
    assert stack.metric(name, method="GET", route="/broken", status="500", error_type="500") == 1
    assert stack.metric("http_server_active_requests") == 0
    assert [line["level"] for line in stack.requests()] == ["info"] * 4 + ["error"]
    await stack.telemetry.flush()
    failed = stack.receiver.span("GET /broken")
    assert failed.status.code == Status.STATUS_CODE_ERROR
    assert {span.name for span in stack.receiver.spans} == {"GET", "DELETE", "_OTHER", "GET /broken"}


async def test_an_escaping_exception_still_gets_an_answer(receiver: OtlpReceiver) -> None:
    """What no handler caught becomes a problem with status 500, one exception event and an error line."""

    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        raise ValueError(f"password={CANARY}")

    stack = Stack(receiver, 1.0, app)
    answer = await stack.client.get("/x")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert CANARY not in answer.text
    await stack.telemetry.stop()
    span = receiver.span("GET")
    assert [event.name for event in span.events] == ["exception"]
    assert values(span.attributes)["error.type"] == "ValueError"
    assert [line["event"] for line in stack.lines()] == ["http.server.request.exception", "http.request"]
    await stack.client.aclose()


async def test_a_client_that_left_is_499(receiver: OtlpReceiver) -> None:
    """A request cancelled or abandoned before its answer is complete is logged and counted as 499, not as an error."""

    async def app(_scope: Any, receive: Any, _send: Any) -> None:
        if (await receive())["type"] == "http.disconnect":
            return
        raise asyncio.CancelledError

    stack = Stack(receiver, 1.0, app)
    scope = {"type": "http", "method": "GET", "path": "/x", "headers": [], "query_string": b"", "server": ("h", 80)}
    messages = iter(({"type": "http.disconnect"}, {"type": "http.request"}))

    async def receive() -> dict[str, str]:
        return next(messages)

    async def send(message: object) -> None:
        raise AssertionError(message)

    await stack.app(dict(scope), receive, send)
    with pytest.raises(asyncio.CancelledError):
        await stack.app(dict(scope), receive, send)
    assert [line["http.response.status_code"] for line in stack.requests()] == [499, 499]
    assert [line["level"] for line in stack.requests()] == ["info", "info"]
    await stack.telemetry.stop()
    assert [span.status.code for span in receiver.spans] == [Status.STATUS_CODE_UNSET] * 2
    await stack.client.aclose()


async def test_lifespan_passes_through(receiver: OtlpReceiver) -> None:
    """Messages that are no request reach the application untouched."""
    seen: list[object] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.extend((scope, receive, send))

    stack = Stack(receiver, 1.0, app)
    given: list[Any] = [{"type": "lifespan"}, None, None]
    await stack.app(*given)
    assert seen == given
    await stack.telemetry.stop()
    await stack.client.aclose()


async def test_probes_are_quiet(stack: Stack) -> None:
    """Health checks and scrapes leave neither an info line nor a trace, and are counted."""
    await stack.client.get("/health/live")
    await stack.client.get("/metrics")
    await stack.telemetry.flush()
    assert not stack.lines()
    assert not stack.receiver.spans
    name = "http_server_request_duration_seconds_count"
    assert stack.metric(name, method="GET", route="/health/live", status="200", error_type="") == 1


async def test_ratio_zero_records_nothing(receiver: OtlpReceiver) -> None:
    """At ratio 0 no span is made, and headers and log line still carry the trace."""
    stack = Stack(receiver, 0.0)
    answer = await stack.client.get("/jobs/7")
    await stack.telemetry.stop()
    assert not receiver.spans
    assert answer.headers["traceresponse"].endswith("-02")
    assert stack.requests()[0]["trace_id"] == answer.json()["trace_id"]
    assert stack.metric("jobsense_telemetry_spans_total", result="created") is None
    await stack.client.aclose()
