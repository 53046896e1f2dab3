"""The recorder: `stage()` notes times and attributes in the record of the current request or task, and nothing else.

Everything that leaves the process (spans, histograms, log line, `Server-Timing`) is made from the record afterwards, so
that no two of them disagree, and a request whose trace is not kept pays for notes only.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from service.errors import JobSenseError
from service.telemetry.names import ATTRIBUTE_BY_KEY, SpanKind, StageName, Value
from service.telemetry.record import (
    MAX_EVENTS,
    MAX_LINKS,
    Outputs,
    Record,
    Stage,
    current_record_var,
    current_stage_var,
    default_outputs,
    note,
    random_ids,
    set_attributes,
)
from service.telemetry.w3c import Traceparent, format_traceparent, parse_traceparent


def stage(name: StageName, **attributes: Any) -> Stage:
    """Time a part of the current request or task.

    Example: `with stage("poll_tasks") as s: ...; s.set(messaging_batch_message_count=10)`.

    Safe around awaits and in the tasks of a TaskGroup. Attributes are spelt as in the registry or with `_` for `.`;
    an unknown stage or attribute raises KeyError. Outside any record only the metrics are fed.
    """
    return Stage(name, attributes)


def describe_stage(name: StageName, known: Mapping[str, Value]) -> None:
    """Tell once for this process what is the same of all stages of a name, such as which database it is.

    Attributes are spelt as in the registry. The mapping is read whenever a span is made.
    """
    if (outputs := default_outputs()) is not None:
        outputs.describe(name, known)


def annotate(**attributes: Any) -> None:
    """Set attributes of the root span and the canonical log line of the current record, if there is one."""
    if (record := current_record_var.get()) is not None:
        set_attributes(record.attributes, attributes)


def answer_header(name: str, value: str) -> None:
    """Put a header on the answer of the current request, whatever that will be; the name in lower case."""
    if (record := current_record_var.get()) is not None:
        record.headers.append((name.encode(), value.encode("latin-1")))


def note_event(name: str, **attributes: Any) -> None:
    """Add an event to the root span of the current record (not a log line), up to MAX_EVENTS; others are counted."""
    if (record := current_record_var.get()) is None:
        return
    if len(record.events) == MAX_EVENTS:
        _count_omitted(record, "jobsense.events.omitted")
        return
    values: dict[str, Value] = {}
    set_attributes(values, attributes)
    record.events.append((name, time.perf_counter_ns(), values))


def note_exception(exception: BaseException) -> None:
    """Say that the current record ends with an exception nobody handled; once, where it becomes a 500."""
    if (record := current_record_var.get()) is not None:
        record.exception = exception
        record.error_type = type(exception).__qualname__


def link(traceparent: str, **attributes: Any) -> None:
    """Link the current record to the span that `traceparent` names, as read from a task; a bad one is ignored."""
    record, parsed = current_record_var.get(), parse_traceparent(traceparent)
    if record is None or parsed is None:
        return
    if len(record.links) == MAX_LINKS:
        _count_omitted(record, "jobsense.links.omitted")
        return
    values: dict[str, Value] = {}
    set_attributes(values, attributes)
    record.links.append((parsed, values))


def observe_pool_wait(seconds: float) -> None:
    """Note that a call waited `seconds` until now for a connection: histogram, `pool.acquire` span, `Server-Timing`."""
    record = current_record_var.get()
    if record is not None:
        _note_wait(record, Stage("pool_wait", {}), seconds)
    if (outputs := _outputs(record)) is not None:
        outputs.pool_waited(seconds)


def observe_admission_wait(seconds: float, *, limit: int, in_flight: int, queued: int) -> None:
    """Note that the request waited `seconds` until now for a place, and what it found when it came."""
    if (record := current_record_var.get()) is not None:
        found = {
            "jobsense.admission.limit": limit,
            "jobsense.admission.in_flight": in_flight,
            "jobsense.admission.queued": queued,
        }
        _note_wait(record, Stage("admission", found), seconds)


async def time_encoding(answer: Any) -> Any:
    """Begin the stage `encode`, which ends with the head of the answer; for the hook that runs before an encoding."""
    if (record := current_record_var.get()) is not None:
        record.encoding = noted = Stage("encode", {})
        noted.record, noted.started = record, time.perf_counter_ns()
        note(record, noted)
    return answer


def note_turned_away() -> None:
    """Say that the request was turned away before anything was done: one metric, and its log line at debug only."""
    if (record := current_record_var.get()) is not None:
        record.turned_away = True


def observe_pool_timeout() -> None:
    """Count a call that waited for a connection in vain."""
    if (outputs := _outputs(current_record_var.get())) is not None:
        outputs.count_timeout()


def count(name: str, *labels: str, by: float = 1) -> None:
    """Raise a counter of the registry; label values in the registry's order. An unknown name raises KeyError."""
    if (outputs := _outputs(current_record_var.get())) is not None:
        outputs.count(name, *labels, by=by)


def observe(name: str, value: float, *labels: str) -> None:
    """Add a value to a histogram of the registry; label values in the registry's order."""
    if (outputs := _outputs(current_record_var.get())) is not None:
        outputs.observe(name, value, *labels)


def add_to_stage(**amounts: float) -> None:
    """Add numbers to attributes of the stage that runs here, such as tokens of one call among several."""
    if (current := current_stage_var.get()) is not None:
        for key, amount in amounts.items():
            before = current.attributes.get(ATTRIBUTE_BY_KEY[key], 0)
            current.set(**{key: amount + (before if isinstance(before, int | float) else 0)})


def observe_searchable(seconds: float, job_id: int) -> None:
    """Note that a posting can be found by meaning `seconds` after it was written: histogram, event, longest lag."""
    if (record := current_record_var.get()) is not None:
        lag_ms = round(seconds * 1000, 3)
        note_event("job.searchable", messaging_message_id=str(job_id), jobsense_ingest_lag_ms=lag_ms)
        annotate(jobsense_ingest_lag_ms=max(lag_ms, float(record.attributes.get("jobsense.ingest.lag_ms", 0.0))))
    if (outputs := _outputs(record)) is not None:
        outputs.searchable(seconds, record)


def observe_backlog(*, waiting: int, failed: int, oldest_age_s: float) -> None:
    """Set the gauges of the embedding queue: tasks that wait, tasks set aside, age of the oldest that waits."""
    if (outputs := default_outputs()) is not None:
        outputs.backlog_read(waiting, failed, oldest_age_s)


def outbound_headers() -> dict[str, str]:
    """Build the trace headers of a call that the current stage makes to another service; empty outside any record."""
    if (record := current_record_var.get()) is None:
        return {}
    headers = {"traceparent": format_traceparent(record.trace_id, _current_span_id(record), record.flags)}
    if record.tracestate:
        headers["tracestate"] = record.tracestate
    return headers


def current_request_id() -> str:
    """Give the id of the request that is being served, for error bodies; empty outside one."""
    record = current_record_var.get()
    return record.request_id if record is not None else ""


def current_record() -> Record | None:
    """Give the record of the request or task that runs here."""
    return current_record_var.get()


def current_trace_id() -> str:
    """Give the trace id as 32 hexadecimal digits for error bodies and queue rows; empty outside any record."""
    record = current_record_var.get()
    return f"{record.trace_id:032x}" if record is not None else ""


@contextmanager
def task_record(
    name: str,
    *,
    kind: SpanKind = "internal",
    event: str = "task.done",
    links: Sequence[str] = (),
    within: Record | None = None,
    outputs: Outputs | None = None,
    **attributes: Any,
) -> Iterator[Record]:
    """Open a record for work outside a request; `links` are the traceparents of what caused it (more by `link()`).

    `within` is the record that it is a part of, with a line and a span of its own. The record goes to `outputs`, else
    to those of the telemetry started last. Exceptions are noted and pass through.
    """
    parent = Traceparent(within.trace_id, within.span_id, within.flags) if within is not None else None
    record = Record(name, kind, outputs or default_outputs(), parent=parent)
    record.event = event
    set_attributes(record.attributes, attributes)
    outer_record, outer_stage = current_record_var.get(), current_stage_var.get()
    current_record_var.set(record)
    current_stage_var.set(None)
    try:
        for traceparent in links:
            link(traceparent)
        yield record
    except JobSenseError as error:  # foreseen, and told by whoever deals with it: no stack
        record.error_type = type(error).__qualname__
        raise
    except Exception as exception:
        note_exception(exception)
        raise
    finally:
        try:
            if record.outputs is not None and record.kept:
                record.outputs.task_ended(record)
        finally:
            current_record_var.set(outer_record)
            current_stage_var.set(outer_stage)


def begin(record: Record | None) -> None:
    """Make `record` the current one; for the wrapper around the application, which ends with None."""
    current_record_var.set(record)
    current_stage_var.set(None)


def _count_omitted(record: Record, attribute: str) -> None:
    record.attributes[attribute] = int(record.attributes.get(attribute, 0)) + 1


def _note_wait(record: Record, waited: Stage, seconds: float) -> None:
    """Keep a stage that has just ended and that nobody could run inside of."""
    waited.record = record
    outer = current_stage_var.get()
    waited.parent = outer if outer is not None and outer.record is record else None
    waited.ended = time.perf_counter_ns()
    waited.started = waited.ended - int(seconds * 1e9)
    note(record, waited)


def _outputs(record: Record | None) -> Outputs | None:
    return record.outputs if record is not None else default_outputs()


def _current_span_id(record: Record) -> int:
    current = current_stage_var.get()
    if current is None or current.record is not record:
        return record.span_id
    current.span_id = current.span_id or random_ids()[1]
    return current.span_id
