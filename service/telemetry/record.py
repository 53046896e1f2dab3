"""The notes of one request or task: its stages, attributes, links and events, with their times."""

import contextvars
import random
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Protocol, Self

from service.telemetry.names import ATTRIBUTE_BY_KEY, STAGES, SpanKind, StageName, Value
from service.telemetry.redact import hide_secrets, tell_message, tell_stack
from service.telemetry.w3c import FLAG_RANDOM, FLAG_SAMPLED, Traceparent

MAX_STAGES = 256
MAX_LINKS = 128
MAX_EVENTS = 128

_random = random.SystemRandom()


def random_ids() -> tuple[int, int]:
    """Draw a trace id (128 bits) and a span id (64 bits), neither of them zero."""
    bits = _random.getrandbits(192)
    return (bits >> 64) or 1, (bits & 0xFFFF_FFFF_FFFF_FFFF) or 1


class Outputs(Protocol):
    """Where finished notes go; see `recorder.Recorder`."""

    def describe(self, name: StageName, known: Mapping[str, Value]) -> None:
        """Take what is the same of all stages of a name."""

    def stage_ended(self, noted: "Stage") -> None:
        """Take one stage that has just ended."""

    def pool_waited(self, seconds: float) -> None:
        """Take the time that a call waited for a connection."""

    def count_timeout(self) -> None:
        """Take a wait for a connection that was in vain."""

    def count(self, name: str, *labels: str, by: float) -> None:
        """Take a step of a counter."""

    def observe(self, name: str, value: float, *labels: str) -> None:
        """Take a value of a histogram."""

    def searchable(self, seconds: float, record: "Record | None") -> None:
        """Take the time from writing a posting to finding it by meaning."""

    def backlog_read(self, waiting: int, failed: int, oldest_age_s: float) -> None:
        """Take the depth of the embedding queue."""

    def task_ended(self, record: "Record") -> None:
        """Take a record made by `task_record`."""

    def sampled(self, parent: Traceparent | None, trace_id: int) -> bool:
        """Decide whether the trace is kept."""


class Record:
    """All that is known of one request or task. Times are nanoseconds of `time.perf_counter_ns`."""

    __slots__ = (
        "attributes",
        "encoding",
        "ended",
        "error_type",
        "event",
        "events",
        "exception",
        "fields",
        "headers",
        "kept",
        "kept_late",
        "kind",
        "links",
        "name",
        "outputs",
        "parent",
        "request_id",
        "sampled",
        "span_id",
        "stages",
        "started",
        "started_wall_ns",
        "told",
        "trace_id",
        "tracestate",
        "turned_away",
    )

    def __init__(
        self,
        name: str,
        kind: SpanKind,
        outputs: Outputs | None,
        *,
        parent: Traceparent | None = None,
        request_id: str = "",
    ) -> None:
        self.name = name
        self.kind = kind
        self.outputs = outputs
        self.parent = parent
        self.request_id = request_id
        trace_id, self.span_id = random_ids()
        self.trace_id = parent.trace_id if parent is not None else trace_id
        self.sampled = outputs is not None and outputs.sampled(parent, self.trace_id)
        self.started = time.perf_counter_ns()
        self.started_wall_ns = time.time_ns()
        self.ended = 0
        self.attributes: dict[str, Value] = {}
        self.stages: list[Stage] = []
        self.links: list[tuple[Traceparent, dict[str, Value]]] = []
        self.events: list[tuple[str, int, dict[str, Value]]] = []
        self.error_type = ""
        self.exception: BaseException | None = None
        self.kept = True
        self.kept_late = False
        self.event = "task.done"
        self.fields: dict[str, Value] = {}
        self.headers: list[tuple[bytes, bytes]] = []
        self.told: dict[str, Any] = {}  # by the stock instrumentation of the server
        self.tracestate = ""
        self.turned_away = False
        self.encoding: Stage | None = None

    @property
    def flags(self) -> int:
        """W3C trace flags: sampled as decided here, random as the parent said (ids made here are random)."""
        random_bit = FLAG_RANDOM if self.parent is None else self.parent.flags & FLAG_RANDOM
        return random_bit | (FLAG_SAMPLED if self.sampled else 0)

    def wall_ns(self, moment: int) -> int:
        """Turn a noted moment into nanoseconds since 1970."""
        return self.started_wall_ns + moment - self.started

    def stage_seconds(self) -> dict[StageName, float]:
        """Sum the time of ended stages by name; stages that ran side by side count in full."""
        sums: dict[StageName, float] = {}
        for noted in self.stages:
            if noted.ended:
                sums[noted.name] = sums.get(noted.name, 0.0) + noted.seconds
        return sums

    def annotate(self, attributes: dict[str, Any]) -> None:
        """Set attributes of the root span and the canonical log line; None is left out."""
        set_attributes(self.attributes, attributes)

    def discard(self) -> None:
        """Leave no span and no log line, as for a poll that found nothing."""
        self.kept = False


current_record_var: contextvars.ContextVar[Record | None] = contextvars.ContextVar("jobsense_record", default=None)
current_stage_var: contextvars.ContextVar["Stage | None"] = contextvars.ContextVar("jobsense_stage", default=None)


class Stage:
    """One timed part of the current record; made by `stage()`. `span_id` is 0 until something needs it."""

    __slots__ = ("attributes", "ended", "error_type", "name", "parent", "record", "span_id", "started")

    def __init__(self, name: StageName, attributes: dict[str, Any]) -> None:
        if name not in STAGES:
            raise KeyError(name)
        self.name = name
        self.attributes: dict[str, Value] = {}
        if attributes:
            set_attributes(self.attributes, attributes)
        self.started = self.ended = self.span_id = 0
        self.error_type = ""
        self.parent: Stage | None = None
        self.record: Record | None = None

    @property
    def seconds(self) -> float:
        """How long the stage took."""
        return (self.ended - self.started) / 1e9

    def set(self, **attributes: Any) -> None:
        """Add attributes learnt while the stage runs; None is left out."""
        set_attributes(self.attributes, attributes)

    def __enter__(self) -> Self:
        self.record = record = current_record_var.get()
        if record is not None:
            outer = current_stage_var.get()
            self.parent = outer if outer is not None and outer.record is record else None
            note(record, self)
        current_stage_var.set(self)
        self.started = time.perf_counter_ns()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exception: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ended = time.perf_counter_ns()
        # Not reset(token): the closing of an abandoned generator runs in another context, where a token is refused.
        current_stage_var.set(self.parent)
        if kind is not None and issubclass(kind, Exception):  # a cancellation by the caller is not an error
            self.error_type = kind.__qualname__
            if state := getattr(exception, "sqlstate", None):
                self.attributes["db.response.status_code"] = state
        if (outputs := (self.record.outputs if self.record is not None else default_outputs())) is not None:
            outputs.stage_ended(self)


_default: Outputs | None = None


def set_default_outputs(outputs: Outputs | None) -> None:
    """Choose where notes go that belong to no record, as of the telemetry started last."""
    global _default  # noqa: PLW0603 -- like the root logger: code far from the composition root must find it
    _default = outputs


def default_outputs() -> Outputs | None:
    """Give what `set_default_outputs` chose."""
    return _default


def exception_fields(exception: BaseException) -> dict[str, Value]:
    """Describe an exception by the conventional names, without secrets and what it quotes."""
    return {
        "exception.type": type(exception).__qualname__,
        "exception.message": tell_message(exception),
        "exception.stacktrace": hide_secrets(tell_stack(exception)[-8192:]),
    }


def note(record: Record, noted: Stage) -> None:
    """Keep a stage in the record, up to MAX_STAGES; further ones are counted."""
    if len(record.stages) < MAX_STAGES:
        record.stages.append(noted)
    else:
        omitted = record.attributes.get("jobsense.stages.omitted", 0)
        record.attributes["jobsense.stages.omitted"] = int(omitted) + 1


def set_attributes(target: dict[str, Value], attributes: dict[str, Any]) -> None:
    """Copy known attributes into `target`; None is left out, an unknown one raises KeyError."""
    for key, value in attributes.items():
        if value is not None:
            target[ATTRIBUTE_BY_KEY[key]] = value
