"""What leaves a process besides answers: metrics, task traces, and never a secret or an unlisted name."""

from collections.abc import AsyncIterator, Iterator

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from service.telemetry.event_names import EVENTS
from service.telemetry.names import ATTRIBUTE_BY_KEY, METRICS
from service.telemetry.stages import (
    annotate,
    link,
    note_event,
    note_exception,
    observe_pool_wait,
    outbound_headers,
    stage,
    task_record,
)
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


async def test_secrets_stay_inside(stack: Stack) -> None:
    """A secret in headers, query or an exception's message is in no log line and no exported byte."""
    headers = {"authorization": f"Bearer {CANARY}", "x-api-key": CANARY, "cookie": CANARY, "baggage": CANARY}
    await stack.client.get("/broken", params={"api_key": CANARY}, headers=headers)
    await stack.client.get("/jobs/1", params={"api_key": CANARY}, headers=headers)
    await stack.telemetry.flush()
    assert len(stack.requests()) == 2
    assert stack.receiver.bodies
    assert CANARY.encode() not in stack.log.getvalue()
    assert not [body for body in stack.receiver.bodies if CANARY.encode() in body]


async def test_both_metric_formats_parse(stack: Stack) -> None:
    """`/metrics` answers in Prometheus text and in OpenMetrics with exemplars, and survives a wrong Accept header."""
    await stack.client.get("/jobs/7")
    body, content_type = stack.telemetry.metrics.render("")
    assert content_type.startswith("text/plain")
    names = {family.name for family in parse_text(body.decode())}
    assert {"http_server_request_duration_seconds", "db_client_operation_duration_seconds"} <= names
    body, content_type = stack.telemetry.metrics.render("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    families = {family.name: family for family in parse_openmetrics(body.decode())}  # type: ignore[no-untyped-call]  # the parser is not annotated
    samples = families["http_server_request_duration_seconds"].samples
    assert any(sample.exemplar for sample in samples)
    modes = families["jobsense_search_stage_duration_seconds"].samples
    assert {sample.labels["stage"] for sample in modes} == {"embed", "pool_wait", "query", "send_task", "encode"}
    for wrong in ("text/plain; version=x", "application/openmetrics-text; version=", ";;,=", "a" * 5000):
        assert stack.telemetry.metrics.render(wrong)[0]


async def test_a_task_is_linked_to_what_caused_it(receiver: OtlpReceiver) -> None:
    """A task has its own trace, kept when a linked trace is kept, with links, stages and one log line."""
    stack = Stack(receiver, 0.0)
    with task_record("process embed_queue", kind="consumer", event="embed.batch", links=[f"00-{PARENT}-01", "junk"]):
        annotate(messaging_batch_message_count=2)
        with stage("query", db_query_summary="UPDATE jobs"):
            link(f"00-{PARENT}-00", messaging_message_id="8")
    with task_record("process embed_queue") as unlinked:
        pass
    with task_record("process embed_queue") as empty:
        empty.discard()
    assert not unlinked.sampled
    await stack.telemetry.stop()
    root = receiver.span("process embed_queue")
    assert root.kind == Span.SPAN_KIND_CONSUMER
    assert [values(found.attributes) for found in root.links] == [{}, {"messaging.message.id": "8"}]
    assert {found.trace_id.hex() for found in root.links} == {PARENT[:32]}
    assert receiver.tree() == {("", "process embed_queue"), ("process embed_queue", "UPDATE jobs")}
    assert [line["event"] for line in stack.lines()] == ["embed.batch", "task.done"]
    await stack.client.aclose()


def test_notes_outside_a_record_do_nothing() -> None:
    """Code that notes stages runs the same where nothing was started."""
    with stage("query", db_query_summary="SELECT 1"):
        annotate(jobsense_search_k=1)
        note_event("x")
        note_exception(ValueError())
        observe_pool_wait(0.1)
    assert outbound_headers() == {}
    with pytest.raises(KeyError):
        stage("query", no_such_attribute=1)


async def test_only_listed_names_are_emitted(stack: Stack) -> None:
    """Every attribute, metric and log event that leaves the process is in the registry."""
    for path in ("/jobs/7", "/broken", "/nowhere", "/stream"):
        await stack.client.get(path)
    with task_record("ingest"), stage("send_task"), stage("poll_tasks"), stage("admission"):
        pass
    await stack.telemetry.flush()
    stack.receiver.wait(lambda r: {"GET", "ingest"} <= {span.name for span in r.spans})
    exported = {name for span in stack.receiver.spans for name in values(span.attributes)}
    assert exported <= set(ATTRIBUTE_BY_KEY.values())
    assert {line["event"] for line in stack.lines()} <= {event.name for event in EVENTS}
    families = {family.name for family in parse_text(stack.telemetry.metrics.render("")[0].decode())}
    listed = {metric.name.removesuffix("_total") for metric in METRICS}
    own = {name for name in families if not name.startswith(("process_", "python_")) and not name.endswith("_created")}
    assert own == listed
