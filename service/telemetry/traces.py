"""Makes spans of finished records and delivers them by OTLP over HTTP; not imported unless something is traced.

The span of a request comes from the stock instrumentation and the SDK; those of its stages, and of tasks, are written
straight from the record.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler, SamplingResult
from opentelemetry.trace import TraceState
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import Attributes
from structlog.typing import FilteringBoundLogger

from service.telemetry.metrics import Metrics
from service.telemetry.names import STAGES, SpanKind, StageName, Value
from service.telemetry.otlp import Event, encode_request, encode_span
from service.telemetry.record import Record, current_record_var, exception_fields

_QUEUE_SPANS = 8192
_BATCH_SPANS = 512
_DELAY_MS = 1000
_FLUSH_S = 2.0
_KINDS: dict[SpanKind, int] = {"internal": 0, "server": 1, "client": 2, "producer": 3, "consumer": 4}
"""As `opentelemetry.trace.SpanKind` numbers them."""
SCOPE = "jobsense"


class Tracing:
    """One provider with its exporter; not the global one, so that it can be started again in the same process."""

    def __init__(
        self,
        *,
        endpoint: str,
        timeout_s: float,
        resource: dict[str, str],
        log: FilteringBoundLogger,
        metrics: Metrics,
    ) -> None:
        # The ASGI instrumentation reads the switch once, when it is first used, and emits outdated names without it.
        os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "http"
        # It extracts with the global propagator. Baggage is left out: callers could flood the log with refused headers.
        propagate.set_global_textmap(TraceContextTextMapPropagator())
        described = Resource.create({"service.instance.id": f"{socket.gethostname()}-{os.getpid()}", **resource})
        self._exporter = _WatchedExporter(
            _Delivery(endpoint=endpoint, timeout=timeout_s, compression=Compression.Gzip),
            described.attributes,
            log,
            metrics,
        )
        self._processor = _CountingProcessor(self._exporter, metrics)
        self._provider = TracerProvider(
            sampler=_AsRecorded(), resource=described, shutdown_on_exit=False, id_generator=_AsNoted()
        )
        self._provider.add_span_processor(self._processor)
        self._tracer = self._provider.get_tracer(SCOPE)
        self._known: dict[StageName, Mapping[str, Value]] = {}

    def describe(self, name: StageName, known: Mapping[str, Value]) -> None:
        """Put this on every span of a stage; read when the span is made."""
        self._known[name] = known

    def middleware(self, app: object) -> OpenTelemetryMiddleware:
        """Wrap an ASGI application in the stock instrumentation, without its spans for each message."""
        return OpenTelemetryMiddleware(
            app,
            tracer=self._tracer,
            default_span_details=lambda scope: (scope["method"], {}),
            exclude_spans=["receive", "send"],
        )

    def end_root(self, record: Record, span: trace.Span) -> None:
        """Complete the span that the instrumentation started; it is ended there."""
        span.update_name(record.name)
        span.set_attributes(dict(record.attributes))
        for name, moment, attributes in _events(record):
            span.add_event(name, attributes, moment)
        if record.error_type:
            span.set_attribute("error.type", record.error_type)
            span.set_status(trace.StatusCode.ERROR)

    def export_stages(self, record: Record) -> None:
        """Make the child spans, with the times they were noted at, under the root span of the record."""
        self._processor.put(self._stages(record))

    def export_task(self, record: Record, ended: int | None = None) -> None:
        """Make the root span, which ended then or ends now, with its links and its children."""
        parent, failed = record.parent, record.error_type
        root = encode_span(
            trace_id=record.trace_id,
            span_id=record.span_id.to_bytes(8, "big"),
            parent_id=parent.span_id.to_bytes(8, "big") if parent is not None else b"",
            name=record.name,
            kind=_KINDS[record.kind],
            started=record.started_wall_ns,
            ended=record.wall_ns(ended or time.perf_counter_ns()),
            attributes={**record.attributes, "error.type": failed} if failed else record.attributes,
            events=_events(record),
            links=[(linked.trace_id, linked.span_id, attributes) for linked, attributes in record.links],
            failed=bool(failed),
            remote=parent is not None and record.kind == "server",
        )
        self._processor.put([root, *self._stages(record)])

    def stop(self) -> None:
        """Deliver what waits, for 2 s at most, and let go; blocks for up to about 4 s, so never on an event loop."""
        flush = threading.Thread(target=self._processor.force_flush, name="telemetry-flush", daemon=True)
        flush.start()
        flush.join(_FLUSH_S)
        self._exporter.shutdown()  # ends the wait between two tries
        self._provider.shutdown()

    def flush(self) -> None:
        """Deliver what waits; blocks."""
        self._processor.force_flush()

    def _stages(self, record: Record) -> list[bytes]:
        fresh = os.urandom(8 * len(record.stages))
        root = record.span_id.to_bytes(8, "big")
        ids: dict[int, bytes] = {}
        spans = []
        for number, noted in enumerate(record.stages):
            if not noted.ended:
                continue
            own = noted.span_id.to_bytes(8, "big") if noted.span_id else fresh[8 * number : 8 * number + 8]
            ids[id(noted)] = own
            spec, failed = STAGES[noted.name], noted.error_type
            attributes = {**spec.constants, **self._known.get(noted.name, {}), **noted.attributes}
            if failed:
                attributes["error.type"] = failed
            spans.append(
                encode_span(
                    trace_id=record.trace_id,
                    span_id=own,
                    parent_id=ids.get(id(noted.parent), root),
                    name=_span_name(spec.span, attributes),
                    kind=_KINDS[spec.kind],
                    started=record.wall_ns(noted.started),
                    ended=record.wall_ns(noted.ended),
                    attributes=attributes,
                    failed=bool(failed),
                )
            )
        return spans


def _span_name(template: str, attributes: dict[str, Value]) -> str:
    before, brace, attribute = template.partition("{")
    return f"{before}{attributes.get(attribute[:-1], '')}".strip() or "unnamed" if brace else template


def _events(record: Record) -> list[Event]:
    events = [(name, record.wall_ns(moment), attributes) for name, moment, attributes in record.events]
    if record.exception is not None:
        events.append(("exception", time.time_ns(), exception_fields(record.exception)))
    return events


def _encoded(span: ReadableSpan) -> bytes:
    """A span that the SDK made, which is that of a request."""
    at, parent = span.get_span_context(), span.parent
    return encode_span(
        trace_id=at.trace_id if at is not None else 0,
        span_id=(at.span_id if at is not None else 0).to_bytes(8, "big"),
        parent_id=parent.span_id.to_bytes(8, "big") if parent is not None else b"",
        name=span.name,
        kind=span.kind.value,
        started=span.start_time or 0,
        ended=span.end_time or 0,
        attributes=span.attributes or {},
        events=[(event.name, event.timestamp, event.attributes or {}) for event in span.events],
        failed=span.status.status_code is trace.StatusCode.ERROR,
        remote=parent is not None and parent.is_remote,
        state=at.trace_state.to_header() if at is not None else "",
    )


class _AsRecorded(Sampler):
    """Keeps what the record of the request or task says; nothing outside of one."""

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: trace.SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[trace.Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        record = current_record_var.get()
        keep = ALWAYS_ON if record is not None and record.sampled else ALWAYS_OFF
        return keep.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)

    def get_description(self) -> str:
        return "AsRecorded"


class _AsNoted(RandomIdGenerator):
    """Gives spans the ids that records and stages already used in headers and log lines."""

    def generate_trace_id(self) -> int:
        record = current_record_var.get()
        return record.trace_id if record is not None else super().generate_trace_id()

    def generate_span_id(self) -> int:
        record = current_record_var.get()
        if record is None or not record.next_span_id:
            return super().generate_span_id()
        span_id, record.next_span_id = record.next_span_id, 0
        return span_id


class _CountingProcessor(BatchSpanProcessor):
    """Queues spans for delivery (the oldest go when the queue is full), and counts them."""

    def __init__(self, exporter: SpanExporter, metrics: Metrics) -> None:
        super().__init__(
            exporter,
            max_queue_size=_QUEUE_SPANS,
            schedule_delay_millis=_DELAY_MS,
            max_export_batch_size=_BATCH_SPANS,
        )
        self._metrics = metrics

    def on_end(self, span: ReadableSpan) -> None:
        self.put([_encoded(span)])

    def put(self, spans: Sequence[bytes]) -> None:
        """Queue spans as they are sent."""
        queue = self._batch_processor
        self._metrics.count("jobsense_telemetry_spans_total", "created", by=len(spans))
        for span in spans:
            if len(queue._queue) == _QUEUE_SPANS:  # noqa: SLF001 -- the SDK tells nobody else
                self._metrics.count("jobsense_telemetry_spans_total", "dropped")
            queue.emit(cast(ReadableSpan, span))  # to the queue a span is whatever its exporter takes


class _Delivery(OTLPSpanExporter):
    """The stock exporter's headers, certificates, compression and retries, for spans that are encoded already."""

    def deliver(self, request: bytes) -> bool:
        """Whether the collector took it."""
        return self._client.export(request).success


class _WatchedExporter(SpanExporter):
    """Counts what is delivered and says once when an outage begins and when it ends."""

    def __init__(
        self, exporter: _Delivery, resource: Mapping[str, Any], log: FilteringBoundLogger, metrics: Metrics
    ) -> None:
        self._exporter = exporter
        self._resource = resource
        self._log = log
        self._metrics = metrics
        self._failing = False
        self._stopped = False

    def export(self, spans: Sequence[Any]) -> SpanExportResult:
        if self._stopped:
            return SpanExportResult.FAILURE
        failed = not self._exporter.deliver(encode_request(self._resource, SCOPE, spans))
        self._metrics.count("jobsense_telemetry_spans_total", "failed" if failed else "exported", by=len(spans))
        if failed != self._failing:
            self._failing = failed
            say: Callable[..., object] = self._log.warning if failed else self._log.info
            say("telemetry.export_failed" if failed else "telemetry.export_recovered", spans=len(spans))
        return SpanExportResult.FAILURE if failed else SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        if not self._stopped:
            self._stopped = True
            self._exporter.shutdown()  # type: ignore[no-untyped-call]  # the exporter does not annotate it
