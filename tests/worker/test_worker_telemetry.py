"""What the worker tells: its trace with links to the requests, its log line, its metrics."""

import json
from collections.abc import AsyncIterator
from io import BytesIO
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from service.config import Settings
from service.db import Database
from service.embedding.domain import LiveEmbedder
from service.embedding.worker import Worker
from service.telemetry.lifecycle import Telemetry
from service.telemetry.w3c import parse_traceparent
from tests.conftest import running
from tests.factories import job_body
from tests.fake_ollama.clients import quick
from tests.fake_ollama.serve import FakeOllama
from tests.fakes import REFUSED, WordEmbedder
from tests.otlp_receiver import OtlpReceiver, otlp_receiver, values
from tests.telemetry_stack import PARENT, Stack
from tests.worker.scene import Scene

TRACE_A = PARENT.split("-", maxsplit=1)[0]


@pytest.fixture
async def stack() -> AsyncIterator[Stack]:
    """Telemetry with a collector, every trace kept."""
    with otlp_receiver() as receiver:
        made = Stack(receiver, 1.0)
        yield made
        await made.client.aclose()
        await made.telemetry.stop()


def lines(log: BytesIO, event: str) -> list[dict[str, Any]]:
    """The log lines of an event."""
    return [line for line in map(json.loads, log.getvalue().splitlines()) if line["event"] == event]


def one(receiver: OtlpReceiver, name: str, kind: "Span.SpanKind.ValueType") -> Span:
    """The one span of this name and kind."""
    (found,) = [span for span in receiver.spans if span.name == name and span.kind == kind]
    return found


async def test_trace_b_links_to_trace_a(
    stack: Stack, settings: Settings, dsn: str, embedder: WordEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trace that embeds a posting links to the trace of the request that wrote it, and the posting knows it."""
    async with running(settings, dsn, stack.telemetry, embedder, monkeypatch) as service:
        headers = {"traceparent": f"00-{PARENT}-01"}
        made = await service.client.post("/api/v1/jobs", json=job_body(), headers=headers)
        assert made.status_code == 201, made.text
        outcome = await service.parts.worker.step()
        assert outcome.stored == 1
        async with service.parts.db.connection() as connection:
            stored = await connection.fetchval("select trace_id from embedded")
    await stack.telemetry.flush()
    spans = stack.receiver.spans
    root = one(stack.receiver, "process embed_queue", Span.SPAN_KIND_CONSUMER)
    (link,) = root.links
    assert link.trace_id.hex() == TRACE_A
    assert values(link.attributes) == {"messaging.message.id": str(made.json()["id"])}
    trace_a = [span for span in spans if span.trace_id.hex() == TRACE_A]
    assert link.span_id in {span.span_id for span in trace_a}
    assert root.trace_id.hex() == stored != TRACE_A
    attributes = values(root.attributes)
    assert {
        "messaging.batch.message_count": 1,
        "jobsense.embed.ok": 1,
        "jobsense.embed.retried": 0,
        "jobsense.embed.failed": 0,
        "jobsense.embedding.model": "words",
    }.items() <= attributes.items()
    children = {span.name: span for span in spans if span.parent_span_id == root.span_id}
    assert {"poll embed_queue", "embeddings words"} <= set(children)
    assert {
        "gen_ai.operation.name": "embeddings",
        "gen_ai.provider.name": "local",
        "gen_ai.request.model": "words",
        "gen_ai.embeddings.dimension.count": 64,
        "jobsense.embed.texts": 1,
    }.items() <= values(children["embeddings words"].attributes).items()


async def test_an_empty_poll_leaves_nothing(worker: Worker, telemetry: Telemetry, log: BytesIO) -> None:
    """A step that finds no task writes no line and feeds no metric of batches."""
    await worker.step()
    assert lines(log, "embed.batch") == []
    assert telemetry.metrics.registry.get_sample_value("jobsense_embed_batch_size_count") == 0


async def test_line_and_metrics(
    scene: Scene, worker: Worker, telemetry: Telemetry, log: BytesIO, embedder: WordEmbedder
) -> None:
    """A batch writes one line with every count, one for each posting set aside, and feeds the metrics."""
    await scene.post(count=2)
    (refused,) = await scene.post(title=f"Potter {REFUSED}")
    await worker.step()
    (line,) = lines(log, "embed.batch")
    counts = {"claimed": 3, "stored": 2, "discarded": 1, "texts": 3, "retried": 0, "settled": 0, "copied": 0}
    assert counts.items() <= line.items()
    assert (line["level"], line["messaging.batch.message_count"], line["jobsense.embed.ok"]) == ("info", 3, 2)
    assert [(made["job_id"], made["reason"]) for made in lines(log, "embed.failed")] == [
        (refused, "the model yields no number")
    ]
    embedder.down = "refused"
    await scene.post()
    await worker.step()
    await worker.watch_backlog()
    sample = telemetry.metrics.registry.get_sample_value
    assert sample("jobsense_embed_batch_size_sum") == 4
    items = {name: sample("jobsense_embed_items_total", {"outcome": name}) for name in ("ok", "failed", "retried")}
    assert items == {"ok": 2, "failed": 1, "retried": 1}
    assert sample("jobsense_ingest_to_searchable_seconds_count") == 2
    assert sample("jobsense_embed_queue_depth", {"state": "waiting"}) == 1
    assert sample("jobsense_embed_queue_depth", {"state": "failed"}) == 1
    assert (sample("jobsense_embed_queue_oldest_age_seconds") or 0) > 0
    calls = {
        error: sample("gen_ai_client_operation_duration_seconds_count", {"model": "words", "error_type": error})
        for error in ("", "EmbedderUnavailable")
    }
    assert calls == {"": 1, "EmbedderUnavailable": 1}


async def test_ollama_gets_the_trace(scene: Scene, db: Database, stack: Stack) -> None:
    """Requests to Ollama carry the trace of the batch; the span counts requests, texts and tokens."""
    with FakeOllama(dimensions=32, loaded=True) as fake:
        live = LiveEmbedder(db, lambda _generation: [quick(fake.url, batch_items=2)])
        await live.connect()
        assert all("traceparent" not in call.headers for call in fake.calls), "no trace, no header"
        fake.calls.clear()
        await scene.post(count=4)
        await Worker(db, live).step()
        await stack.telemetry.flush()
        span = one(stack.receiver, "embeddings nomic-embed-text", Span.SPAN_KIND_CLIENT)
        sent = [call.headers["traceparent"] for call in fake.calls if call.path == "/api/embed"]
        await live.close()
    attributes = values(span.attributes)
    assert (attributes["jobsense.embed.requests"], attributes["jobsense.embed.texts"]) == (2, 4)
    assert int(attributes["gen_ai.usage.input_tokens"]) > 20
    assert len(sent) == 2
    for header in sent:
        parsed = parse_traceparent(header)
        assert parsed is not None
        assert (f"{parsed.trace_id:032x}", f"{parsed.span_id:016x}") == (span.trace_id.hex(), span.span_id.hex())
