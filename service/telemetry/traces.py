"""Makes OpenTelemetry spans of finished records and delivers them by OTLP over HTTP; not imported unless traced."""

import os
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler, SamplingResult
from opentelemetry.trace import TraceState
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import Attributes
from structlog.typing import FilteringBoundLogger

from service.telemetry.metrics import Metrics
from service.telemetry.names import STAGES, SpanKind, StageName, Value
from service.telemetry.record import Record, Stage, current_record_var, exception_fields
from service.telemetry.w3c import Traceparent

_QUEUE_SPANS = 8192
_BATCH_SPANS = 512
_DELAY_MS = 1000
_FLUSH_S = 2.0
_KINDS: dict[SpanKind, trace.SpanKind] = {
    "server": trace.SpanKind.SERVER,
    "client": trace.SpanKind.CLIENT,
    "producer": trace.SpanKind.PRODUCER,
    "consumer": trace.SpanKind.CONSUMER,
    "internal": trace.SpanKind.INTERNAL,
}


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
        self._exporter = _WatchedExporter(
            OTLPSpanExporter(endpoint=endpoint, timeout=timeout_s, compression=Compression.Gzip), log, metrics
        )
        self._processor = _CountingProcessor(self._exporter, metrics)
        self._provider = TracerProvider(
            sampler=_AsRecorded(),
            resource=Resource.create({"service.instance.id": f"{socket.gethostname()}-{os.getpid()}", **resource}),
            shutdown_on_exit=False,
            id_generator=_AsNoted(),
            span_limits=SpanLimits(max_span_attribute_length=8192),
        )
        self._provider.add_span_processor(self._processor)
        self._tracer = self._provider.get_tracer("jobsense")
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
        _add_outcome(record, span)

    def export_stages(self, record: Record) -> None:
        """Make the child spans, with the times they were noted at, under the root span of the record."""
        contexts: dict[int, trace.SpanContext] = {}
        root = _context(Traceparent(record.trace_id, record.span_id, record.flags), remote=False)
        for noted in record.stages:
            if not noted.ended:
                continue
            parent = contexts.get(id(noted.parent), root)
            record.next_span_id = noted.span_id
            contexts[id(noted)] = self._export_stage(record, noted, parent)

    def export_task(self, record: Record, ended: int | None = None) -> None:
        """Make the root span, which ended then or ends now, with its links and its children."""
        record.next_span_id = record.span_id
        around = Context()
        if record.parent is not None:
            caller = trace.NonRecordingSpan(_context(record.parent, remote=record.kind == "server"))
            around = trace.set_span_in_context(caller, around)
        span = self._tracer.start_span(
            record.name,
            around,
            kind=_KINDS[record.kind],
            attributes=record.attributes,
            links=[trace.Link(_context(linked, remote=True), attributes) for linked, attributes in record.links],
            start_time=record.started_wall_ns,
        )
        _add_outcome(record, span)
        span.end(record.wall_ns(ended or time.perf_counter_ns()))
        self.export_stages(record)

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

    def _export_stage(self, record: Record, noted: Stage, parent: trace.SpanContext) -> trace.SpanContext:
        spec = STAGES[noted.name]
        span = self._tracer.start_span(
            _span_name(spec.span, noted.attributes),
            trace.set_span_in_context(trace.NonRecordingSpan(parent), Context()),
            kind=_KINDS[spec.kind],
            attributes={**spec.constants, **self._known.get(noted.name, {}), **noted.attributes},
            start_time=record.wall_ns(noted.started),
        )
        if noted.error_type:
            span.set_attribute("error.type", noted.error_type)
            span.set_status(trace.StatusCode.ERROR)
        span.end(record.wall_ns(noted.ended))
        return span.get_span_context()


def _span_name(template: str, attributes: dict[str, Value]) -> str:
    before, brace, attribute = template.partition("{")
    return f"{before}{attributes.get(attribute[:-1], '')}".strip() or "unnamed" if brace else template


def _context(at: Traceparent, *, remote: bool) -> trace.SpanContext:
    return trace.SpanContext(at.trace_id, at.span_id, is_remote=remote, trace_flags=trace.TraceFlags(at.flags))


def _add_outcome(record: Record, span: trace.Span) -> None:
    for name, moment, attributes in record.events:
        span.add_event(name, attributes, record.wall_ns(moment))
    if record.exception is not None:
        span.add_event("exception", exception_fields(record.exception))
    if record.error_type:
        span.set_attribute("error.type", record.error_type)
        span.set_status(trace.StatusCode.ERROR)


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
        if len(self._batch_processor._queue) == _QUEUE_SPANS:  # noqa: SLF001 -- the SDK tells nobody else
            self._metrics.count("jobsense_telemetry_spans_total", "dropped")
        super().on_end(span)

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        self._metrics.count("jobsense_telemetry_spans_total", "created")
        super().on_start(span, parent_context)


class _WatchedExporter(SpanExporter):
    """Counts what is delivered and says once when an outage begins and when it ends."""

    def __init__(self, exporter: OTLPSpanExporter, log: FilteringBoundLogger, metrics: Metrics) -> None:
        self._exporter = exporter
        self._log = log
        self._metrics = metrics
        self._failing = False
        self._stopped = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if self._stopped:
            return SpanExportResult.FAILURE
        result = self._exporter.export(spans)
        failed = result is not SpanExportResult.SUCCESS
        self._metrics.count("jobsense_telemetry_spans_total", "failed" if failed else "exported", by=len(spans))
        if failed != self._failing:
            self._failing = failed
            say: Callable[..., object] = self._log.warning if failed else self._log.info
            say("telemetry.export_failed" if failed else "telemetry.export_recovered", spans=len(spans))
        return result

    def shutdown(self) -> None:
        if not self._stopped:
            self._stopped = True
            self._exporter.shutdown()  # type: ignore[no-untyped-call]  # the exporter does not annotate it
