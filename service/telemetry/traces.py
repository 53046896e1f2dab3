"""Makes spans of finished records and delivers them by OTLP over HTTP; not imported unless something is traced.

The span of a request is filled by the stock instrumentation, through OpenTelemetry's API. All spans are written
straight from the record; of the SDK they take the queue and the exporter.
"""

import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, cast

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
from service.telemetry.otlp import Event, encode_attributes, encode_request, encode_span
from service.telemetry.record import Record, current_record_var, exception_fields

_QUEUE_RECORDS = 2048
_BATCH_RECORDS = 256
_DELAY_MS = 1000
_FLUSH_S = 2.0
_KINDS: dict[SpanKind, int] = {"internal": 0, "server": 1, "client": 2, "producer": 3, "consumer": 4}
"""As `opentelemetry.trace.SpanKind` numbers them."""
SCOPE = "jobsense"


class Written(NamedTuple):
    """The spans of one record as they are sent, which are queued, delivered or dropped together."""

    number: int
    spans: bytes


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
        self._shared: dict[StageName, tuple[int, bytes]] = {}

    def describe(self, name: StageName, known: Mapping[str, Value]) -> None:
        """Put this on every span of a stage; read when the span is made."""
        self._known[name] = known

    def middleware(self, app: object) -> OpenTelemetryMiddleware:
        """Wrap an ASGI application in the stock instrumentation, without its spans for each message."""
        return OpenTelemetryMiddleware(
            app,
            tracer=_Tracer(),
            default_span_details=lambda scope: (scope["method"], {}),
            exclude_spans=["receive", "send"],
        )

    def export(self, record: Record) -> None:
        """Make the spans of a record that has ended or ends now: root, links, and stages with their own times."""
        spans = [_root(record), *self._stages(record)]
        self._processor.put(Written(len(spans), b"".join(spans)))

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
            spec, failed, attributes = STAGES[noted.name], noted.error_type, noted.attributes
            spans.append(
                encode_span(
                    trace_id=record.trace_id,
                    span_id=own,
                    parent_id=ids.get(id(noted.parent), root),
                    name=_span_name(spec.span, attributes),
                    kind=_KINDS[spec.kind],
                    started=record.wall_ns(noted.started),
                    ended=record.wall_ns(noted.ended),
                    attributes={**attributes, "error.type": failed} if failed else attributes,
                    written=self._shared_by(noted.name),
                    failed=bool(failed),
                )
            )
        return spans

    def _shared_by(self, name: StageName) -> bytes:
        """What all spans of a stage have, encoded once; what is known of a database comes with its first connection."""
        known = self._known.get(name, {})
        encoded = self._shared.get(name)
        if encoded is None or encoded[0] != len(known):
            attributes = {**STAGES[name].constants, **known}
            self._shared[name] = encoded = len(known), encode_attributes(attributes)
        return encoded[1]


def _span_name(template: str, attributes: dict[str, Value]) -> str:
    before, brace, attribute = template.partition("{")
    return f"{before}{attributes.get(attribute[:-1], '')}".strip() or "unnamed" if brace else template


def _events(record: Record) -> list[Event]:
    events: list[Event] = [(name, record.wall_ns(moment), attributes) for name, moment, attributes in record.events]
    if record.exception is not None:
        events.append(("exception", time.time_ns(), exception_fields(record.exception)))
    return events


def _root(record: Record) -> bytes:
    parent, failed = record.parent, record.error_type
    attributes = {**record.told, **record.attributes}
    if failed:
        attributes["error.type"] = failed
    return encode_span(
        trace_id=record.trace_id,
        span_id=record.span_id.to_bytes(8, "big"),
        parent_id=parent.span_id.to_bytes(8, "big") if parent is not None else b"",
        name=record.name,
        kind=_KINDS[record.kind],
        started=record.started_wall_ns,
        ended=record.wall_ns(record.ended or time.perf_counter_ns()),
        attributes=attributes,
        events=_events(record),
        links=[(linked.trace_id, linked.span_id, its) for linked, its in record.links],
        failed=bool(failed),
        remote=parent is not None and record.kind == "server",
        state=trace.TraceState.from_header([record.tracestate]).to_header() if record.tracestate else "",
    )


class _RequestSpan(trace.Span):
    """What the stock instrumentation fills: the record keeps the attributes it is told, and knows all else itself."""

    kind = trace.SpanKind.SERVER

    def __init__(self, record: Record, attributes: Attributes) -> None:
        self._ended = False
        self._told = record.told = dict(attributes or {})
        self._context = trace.SpanContext(record.trace_id, record.span_id, False, trace.TraceFlags(record.flags))

    def get_span_context(self) -> trace.SpanContext:
        return self._context

    def is_recording(self) -> bool:
        return not self._ended

    def set_attribute(self, key: str, value: AttributeValue) -> None:
        self._told[key] = value

    def set_attributes(self, attributes: Mapping[str, AttributeValue]) -> None:
        self._told.update(attributes)

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
        """Take no more; the instrumentation does this with the last of the answer, and again after the application."""
        self._ended = True


class _Tracer(trace.NoOpTracer):
    """Gives the stock instrumentation spans of the current record."""

    def start_span(
        self, name: str, context: Context | None = None, *args: Any, attributes: Attributes = None, **more: Any
    ) -> trace.Span:
        """Start the span of a request, whose times and ids are those of its record."""
        if (record := current_record_var.get()) is None:
            return super().start_span(name, context, *args, attributes=attributes, **more)  # type: ignore[misc] # as the SDK has it
        return _RequestSpan(record, attributes)


class _CountingProcessor(BatchSpanProcessor):
    """Queues spans for delivery (those of the oldest record go when the queue is full), and counts them."""

    def __init__(self, exporter: SpanExporter, metrics: Metrics) -> None:
        super().__init__(
            exporter,
            max_queue_size=_QUEUE_RECORDS,
            schedule_delay_millis=_DELAY_MS,
            max_export_batch_size=_BATCH_RECORDS,
        )
        self._metrics = metrics

    def put(self, written: Written) -> None:
        """Queue the spans of a record."""
        queue = self._batch_processor
        self._metrics.count("jobsense_telemetry_spans_total", "created", by=written.number)
        waiting = cast("deque[Written]", queue._queue)  # noqa: SLF001 -- the SDK tells nobody else
        if len(waiting) == _QUEUE_RECORDS:
            with suppress(IndexError):  # the queue's own thread has made room just now
                self._metrics.count("jobsense_telemetry_spans_total", "dropped", by=waiting.pop().number)
        queue.emit(cast(ReadableSpan, written))  # to the queue a span is whatever its exporter takes


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
        batch = cast(Sequence[Written], spans)
        count = sum(written.number for written in batch)
        failed = not self._exporter.deliver(encode_request(self._resource, SCOPE, (one.spans for one in batch)))
        self._metrics.count("jobsense_telemetry_spans_total", "failed" if failed else "exported", by=count)
        if failed != self._failing:
            self._failing = failed
            say: Callable[..., object] = self._log.warning if failed else self._log.info
            say("telemetry.export_failed" if failed else "telemetry.export_recovered", spans=count)
        return SpanExportResult.FAILURE if failed else SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        if not self._stopped:
            self._stopped = True
            self._exporter.shutdown()  # type: ignore[no-untyped-call] # the SDK has no types here  # the exporter does not annotate it
