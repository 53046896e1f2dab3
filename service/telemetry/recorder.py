"""Turns finished records into metrics, log lines and (through `traces`) spans: the one place where notes leave."""

from typing import Any, Protocol

from structlog.typing import FilteringBoundLogger

from service.telemetry.logs import LEVELS
from service.telemetry.metrics import Metrics
from service.telemetry.names import EVENT_LEVELS, STAGES
from service.telemetry.record import Record, Stage, exception_fields
from service.telemetry.sampling import Sampling
from service.telemetry.w3c import Traceparent


class SpanSink(Protocol):
    """What makes spans of records; `traces.Tracing`, or nothing when tracing is off."""

    def export_stages(self, record: Record) -> None:
        """Make the child spans of a root span that was made elsewhere."""

    def export_task(self, record: Record) -> None:
        """Make the root span and its children."""


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

    def sampled(self, parent: Traceparent | None, trace_id: int) -> bool:
        """Decide at the start whether the trace is kept; never when nothing receives it."""
        return self.sink is not None and self.sampling.keeps(parent, trace_id)

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

    def search_stages(self, record: Record) -> None:
        """Feed the stage histogram when the record is a search."""
        if mode := record.attributes.get("jobsense.search.mode"):
            for name, seconds in record.stage_seconds().items():
                self.metrics.observe("jobsense_search_stage_duration_seconds", seconds, name, str(mode))

    def task_ended(self, record: Record) -> None:
        """Write the line and the spans of a unit of work outside a request."""
        if self.sink is not None and not record.sampled:
            # A trace that is kept should not end at the queue.
            record.sampled = any(linked.sampled for linked, _ in record.links)
        for name, seconds in record.stage_seconds().items():
            record.attributes[f"jobsense.stage.{name}_ms"] = round(seconds * 1000, 3)
        level = "error" if record.error_type else EVENT_LEVELS[record.event]
        self.write_line(level, record.event, record, task=record.name)
        if self.sink is not None and record.sampled:
            self.sink.export_task(record)

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
