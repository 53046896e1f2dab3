"""Turns finished records into metrics, log lines and (through `traces`) spans: the one place where notes leave."""

from collections.abc import Mapping
from typing import Any, Protocol

from structlog.typing import FilteringBoundLogger

from service.telemetry.event_names import EVENT_LEVELS
from service.telemetry.keeping import Keeping
from service.telemetry.logs import LEVELS
from service.telemetry.metrics import Metrics
from service.telemetry.names import STAGES, StageName, Value
from service.telemetry.record import Record, Stage, exception_fields
from service.telemetry.sampling import Sampling
from service.telemetry.w3c import Traceparent


class SpanSink(Protocol):
    """What makes spans of records; `traces.Tracing`, or nothing when tracing is off."""

    def describe(self, name: StageName, known: Mapping[str, Value]) -> None:
        """Put this on every span of a stage."""

    def export(self, record: Record) -> None:
        """Make the spans of a record that has ended or ends now."""


class Recorder:
    """The outputs of one process; `sink` is None when tracing is off."""

    def __init__(
        self,
        log: FilteringBoundLogger,
        metrics: Metrics,
        sampling: Sampling,
        sink: SpanSink | None = None,
        *,
        debug: bool = False,
    ) -> None:
        self.log = log
        self.metrics = metrics
        self.sampling = sampling
        self.sink = sink
        self.debug = debug
        self.keeping = Keeping()

    def sampled(self, parent: Traceparent | None, trace_id: int) -> bool:
        """Decide at the start whether the trace is kept; never when nothing receives it."""
        return self.sink is not None and self.sampling.keeps(parent, trace_id)

    def describe(self, name: StageName, known: Mapping[str, Value]) -> None:
        """Tell the spans what is the same of all stages of a name."""
        if self.sink is not None:
            self.sink.describe(name, known)

    def stage_ended(self, noted: Stage) -> None:
        """Feed the metrics of calls to the database and the model."""
        if noted.name == "query":
            summary = str(noted.attributes.get("db.query.summary", ""))
            self.metrics.observe("db_client_operation_duration_seconds", noted.seconds, summary, noted.error_type)
        elif noted.name == "embed":
            model = str(noted.attributes.get("gen_ai.request.model", ""))
            self.metrics.observe("gen_ai_client_operation_duration_seconds", noted.seconds, model, noted.error_type)

    def pool_waited(self, seconds: float) -> None:
        """Feed the histogram of waits for a connection."""
        self.metrics.observe("db_client_connection_wait_time_seconds", seconds)

    def count_timeout(self) -> None:
        """Count a wait for a connection that was in vain."""
        self.metrics.count("db_client_connection_timeouts_total")

    def count(self, name: str, *labels: str, by: float) -> None:
        """Raise a counter."""
        self.metrics.count(name, *labels, by=by)

    def observe(self, name: str, value: float, *labels: str) -> None:
        """Add a value to a histogram."""
        self.metrics.observe(name, value, *labels)

    def search_ended(self, record: Record) -> None:
        """Feed the metrics of searches when the record is one; `mode` is that asked for if nothing was served."""
        if mode := str(record.attributes.get("jobsense.search.mode", "")):
            for name, seconds in record.stage_seconds().items():
                self.metrics.observe("jobsense_search_stage_duration_seconds", seconds, name, mode)
            reason = str(record.attributes.get("jobsense.search.degraded_reason", ""))
            if reason:
                self.metrics.count("jobsense_degraded_total", reason)
            failed = "jobsense.search.results" not in record.attributes
            self.metrics.count("jobsense_search_total", mode, "failed" if failed else "degraded" if reason else "ok")

    def searchable(self, seconds: float, record: Record | None) -> None:
        """Feed the histogram of freshness."""
        trace_id = f"{record.trace_id:032x}" if record is not None and record.sampled else ""
        self.metrics.observe("jobsense_ingest_to_searchable_seconds", seconds, trace_id=trace_id)

    def backlog_read(self, waiting: int, failed: int, oldest_age_s: float) -> None:
        """Set the gauges of the embedding queue."""
        self.metrics.put("jobsense_embed_queue_depth", waiting, "waiting")
        self.metrics.put("jobsense_embed_queue_depth", failed, "failed")
        self.metrics.put("jobsense_embed_queue_oldest_age_seconds", oldest_age_s)

    def embed_batch(self, record: Record) -> None:
        """Feed the metrics of a batch of embedding tasks when the record is one."""
        if record.event != "embed.batch":
            return
        self.metrics.observe("jobsense_embed_batch_size", float(record.attributes["messaging.batch.message_count"]))
        for outcome in ("ok", "retried", "failed"):
            if tasks := int(record.attributes.get(f"jobsense.embed.{outcome}", 0)):
                self.metrics.count("jobsense_embed_items_total", outcome, by=tasks)

    def task_ended(self, record: Record) -> None:
        """Write the line and the spans of a unit of work outside a request."""
        if self.sink is not None and not record.sampled:
            # A trace that is kept should not end at the queue.
            record.sampled = any(linked.sampled for linked, _ in record.links)
            if not record.sampled and record.error_type:
                self.keeping.keep(record, 0.0)
        for name, seconds in record.stage_seconds().items():
            record.attributes[f"jobsense.stage.{name}_ms"] = round(seconds * 1000, 3)
        self.embed_batch(record)
        level = "error" if record.exception is not None else EVENT_LEVELS[record.event]
        self.write_line(level, record.event, record, task=record.name, **record.fields)
        if self.sink is not None and record.sampled:
            self.sink.export(record)

    def write_line(self, level: str, event: str, record: Record, **fields: Any) -> None:
        """Write the canonical line of a record, and before it that of the exception it ended with."""
        if record.exception is not None:
            name = "http.server.request.exception" if record.kind == "server" else "task.exception"
            self.log.error(name, **exception_fields(record.exception))
        if record.error_type:
            fields["error.type"] = record.error_type
        self.log.log(LEVELS[level], event, **fields, **record.attributes)


def server_timing(record: Record) -> str:
    """Write the `Server-Timing` header: milliseconds of each stage that has ended, and of the whole so far.

    Source: https://www.w3.org/TR/server-timing/
    """
    return ", ".join(
        f"{STAGES[name].timing};dur={seconds * 1000:.2f}" for name, seconds in record.stage_seconds().items()
    )
