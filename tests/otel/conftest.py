"""The whole application with every trace kept, and a collector that has what it exported."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from service.access.queries import ensure_tenant
from service.config import Settings
from service.ingest.domain import Ingest, Rejects, Report
from service.ingest.mapping import FieldMap
from tests.conftest import Service, running
from tests.fakes import StuckEmbedder
from tests.otlp_receiver import Value, otlp_receiver, values
from tests.telemetry_stack import Stack


class Trace:
    """The spans of one trace, as they arrived."""

    def __init__(self, spans: list[Span]) -> None:
        self.spans = sorted(spans, key=lambda span: span.start_time_unix_nano)
        ids = {span.span_id for span in spans}
        (self.root,) = [span for span in spans if span.parent_span_id not in ids]
        self.on_root = values(self.root.attributes)

    @property
    def tree(self) -> list[str]:
        """Kind and name of every span, indented below its parent, in the order in which they began."""

        def below(parent: Span, depth: int) -> list[str]:
            shown = f"{'  ' * depth}{Span.SpanKind.Name(parent.kind).removeprefix('SPAN_KIND_').lower()} {parent.name}"
            inner = [span for span in self.spans if span.parent_span_id == parent.span_id]
            return [shown, *(line for span in inner for line in below(span, depth + 1))]

        return below(self.root, 0)

    def seconds(self, name: str) -> float:
        """How long the spans of a name took together."""
        return sum((s.end_time_unix_nano - s.start_time_unix_nano) / 1e9 for s in self.spans if s.name == name)

    def on(self, name: str) -> dict[str, Value]:
        """The attributes of the one span of this name."""
        (found,) = [span for span in self.spans if span.name == name]
        return values(found.attributes)


class Traced:
    """The application and what it exported."""

    def __init__(self, stack: Stack, service: Service, embedder: StuckEmbedder) -> None:
        self.stack = stack
        self.service = service
        self.client = service.client
        self.embedder = embedder

    async def of(self, answer: httpx.Response) -> Trace:
        """The trace of an answer."""
        return await self.by_id(answer.headers["traceresponse"].split("-")[1])

    async def by_id(self, trace_id: str) -> Trace:
        """The trace with this id."""
        await self.stack.telemetry.flush()
        return Trace([span for span in self.stack.receiver.spans if span.trace_id.hex() == trace_id])

    async def last(self, name: str) -> Trace:
        """The trace of the task of this name that ended last."""
        await self.stack.telemetry.flush()
        return await self.by_id([span for span in self.stack.receiver.spans if span.name == name][-1].trace_id.hex())

    async def take_in(self, folder: Path, *rows: Mapping[str, object]) -> Report:
        """Take in a file of these rows, as `jobsense ingest` does."""
        file = folder / "postings.jsonl"
        file.write_bytes(b"\n".join(msgspec.json.encode(row) for row in rows))
        parts = self.service.parts
        tenant_id = await ensure_tenant(parts.db, name="public")
        today = datetime.now(UTC).date()
        taking = Ingest(parts.jobs, tenant_id, field_map=FieldMap(), source="linkedin", today=today)
        return await taking.run(str(file), Rejects(folder / "rejects.jsonl"), lambda *_: None)

    async def search(self, text: str, **fields: object) -> Trace:
        """The trace of a search that was answered."""
        answer = await self.client.post("/api/v1/search", json={"text": text, **fields})
        assert answer.status_code == 200, answer.text
        return await self.of(answer)


@asynccontextmanager
async def tracing(
    settings: Settings, dsn: str, monkeypatch: pytest.MonkeyPatch, embedder: Any
) -> AsyncIterator[Traced]:
    """The application on a database with an embedder, every trace kept."""
    with otlp_receiver() as receiver:
        stack = Stack(receiver, 1.0)
        async with running(settings, dsn, stack.telemetry, embedder, monkeypatch) as service:
            yield Traced(stack, service, embedder)
        await stack.client.aclose()
        await stack.telemetry.stop()


@pytest.fixture
async def traced(settings: Settings, dsn: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Traced]:
    """The application on this test's database, every trace kept."""
    async with tracing(settings, dsn, monkeypatch, StuckEmbedder()) as made:
        yield made
