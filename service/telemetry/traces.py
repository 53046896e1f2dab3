"""Makes spans of finished records and delivers them by OTLP over HTTP; not imported unless something is traced.

The span of a request is filled by the stock instrumentation, through OpenTelemetry's API. All spans are written
straight from the record; of the SDK they take the queue and the exporter.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import Attributes, AttributeValue
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
    """One queue with its exporter, and nothing global, so that it can be started again in the same process."""

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
            _Delivery(endpoint=endpoint, timeout=timeout_s),
            described.attributes,
            log,
            metrics,
        )
        self._processor = _CountingProcessor(self._exporter, metrics)
        self._known: dict[StageName, Mapping[str, Value]] = {}

    def describe(self, name: StageName, known: Mapping[str, Value]) -> None:
        """Put this on every span of a stage; read when the span is made."""
        self._known[name] = known

    def middleware(self, app: object) -> OpenTelemetryMiddleware:
        """Wrap an ASGI application in the stock instrumentation, without its spans for each message."""
        return OpenTelemetryMiddleware(
            app,
            tracer=_Tracer(self._processor),
            default_span_details=lambda scope: (scope["method"], {}),
            exclude_spans=["receive", "send"],
        )

    def export_stages(self, record: Record) -> None:
        """Make the child spans, with the times they were noted at, under the root span of the record."""
        self._processor.put(self._stages(record))

    def export_task(self, record: Record, ended: int | None = None) -> None:
        """Make the root span, which ended then or ends now, with its links and its children."""
        self._processor.put([_root(record, record.attributes, ended or time.perf_counter_ns()), *self._stages(record)])

    def stop(self) -> None:
        """Deliver what waits, for 2 s at most, and let go; blocks for up to about 4 s, so never on an event loop."""
        flush = threading.Thread(target=self._processor.force_flush, name="telemetry-flush", daemon=True)
        flush.start()
        flush.join(_FLUSH_S)
        self._exporter.shutdown()  # ends the wait between two tries
        self._processor.shutdown()  # type: ignore[no-untyped-call] # the SDK has no types here

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
    events: list[Event] = [(name, record.wall_ns(moment), attributes) for name, moment, attributes in record.events]
    if record.exception is not None:
        events.append(("exception", time.time_ns(), exception_fields(record.exception)))
    return events


def _root(record: Record, attributes: Mapping[str, Any], ended: int, state: str = "") -> bytes:
    parent, failed = record.parent, record.error_type
    return encode_span(
        trace_id=record.trace_id,
        span_id=record.span_id.to_bytes(8, "big"),
        parent_id=parent.span_id.to_bytes(8, "big") if parent is not None else b"",
        name=record.name,
        kind=_KINDS[record.kind],
        started=record.started_wall_ns,
        ended=record.wall_ns(ended),
        attributes={**attributes, "error.type": failed} if failed else attributes,
        events=_events(record),
        links=[(linked.trace_id, linked.span_id, its) for linked, its in record.links],
        failed=bool(failed),
        remote=parent is not None and record.kind == "server",
        state=state,
    )


class _RequestSpan(trace.Span):
    """What the stock instrumentation fills: it keeps attributes as they are told, all else is as the record has it."""

    kind = trace.SpanKind.SERVER

    def __init__(
        self, record: Record, processor: "_CountingProcessor", attributes: Attributes, state: trace.TraceState
    ) -> None:
        self._record = record
        self._processor = processor
        self._ended = False
        self._attributes: dict[str, Any] = dict(attributes or {})
        flags = trace.TraceFlags(record.flags)
        self._context = trace.SpanContext(record.trace_id, record.span_id, False, flags, state)

    def get_span_context(self) -> trace.SpanContext:
        return self._context

    def is_recording(self) -> bool:
        return not self._ended

    def set_attribute(self, key: str, value: AttributeValue) -> None:
        self._attributes[key] = value

    def set_attributes(self, attributes: Mapping[str, AttributeValue]) -> None:
        self._attributes.update(attributes)

    def add_event(self, name: str, attributes: Attributes = None, timestamp: int | None = None) -> None:
        """Nothing: the record has the events."""

    def update_name(self, name: str) -> None:
        """Nothing: the record has the name."""

    def set_status(self, status: trace.Status | trace.StatusCode, description: str | None = None) -> None:
        """Nothing: the record knows whether it failed."""

    def record_exception(
        self,
        exception: BaseException,
        attributes: Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """Nothing: the record has the exception, without what it quotes."""

    def end(self, end_time: int | None = None) -> None:  # noqa: ARG002 -- when it ended the record knows
        if self._ended:  # the instrumentation ends it with the last of the answer, and again after the application
            return
        self._ended = True
        record = self._record
        told = {**self._attributes, **record.attributes}
        ended = record.ended or time.perf_counter_ns()
        self._processor.put([_root(record, told, ended, self._context.trace_state.to_header())])


class _Tracer(trace.NoOpTracer):
    """Gives the stock instrumentation spans of the current record."""

    def __init__(self, processor: "_CountingProcessor") -> None:
        self._processor = processor

    def start_span(
        self, name: str, context: Context | None = None, *args: Any, attributes: Attributes = None, **more: Any
    ) -> trace.Span:
        """Start the span of a request, whose times and ids are those of its record."""
        if (record := current_record_var.get()) is None:
            return super().start_span(name, context, *args, attributes=attributes, **more)  # type: ignore[misc] # as the SDK has it
        caller = trace.get_current_span(context).get_span_context()
        return _RequestSpan(record, self._processor, attributes, caller.trace_state)


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
            self._exporter.shutdown()  # type: ignore[no-untyped-call] # the SDK has no types here  # the exporter does not annotate it
