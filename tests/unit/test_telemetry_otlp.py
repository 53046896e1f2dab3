"""Spans as they are sent: for any span, what a collector reads is what the SDK's own exporter would have sent."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from service.telemetry.names import SpanKind as KindName
from service.telemetry.otlp import LONGEST, encode_request, encode_span
from service.telemetry.traces import _KINDS, SCOPE

RESOURCE = Resource({"service.name": "jobsense", "process.pid": 7, "service.version": "1.2.3"})
TEXT = st.text(max_size=200)
VALUES = TEXT | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False)
ATTRIBUTES = st.dictionaries(st.text(min_size=1, max_size=40), VALUES, max_size=6)
MOMENTS = st.integers(1, 2**63)
CONTEXTS = st.builds(
    SpanContext,
    trace_id=st.integers(1, 2**128 - 1),
    span_id=st.integers(1, 2**64 - 1),
    is_remote=st.booleans(),
    trace_flags=st.just(TraceFlags(TraceFlags.SAMPLED)),
    trace_state=st.sampled_from([TraceState(), TraceState([("a", "1"), ("b", "x=y")])]),
)
LINKED = CONTEXTS.map(lambda at: SpanContext(at.trace_id, at.span_id, is_remote=True))
SPANS = st.builds(
    ReadableSpan,
    name=TEXT.filter(bool),
    context=CONTEXTS,
    parent=st.none() | CONTEXTS,
    resource=st.just(RESOURCE),
    instrumentation_scope=st.just(InstrumentationScope(SCOPE)),
    attributes=ATTRIBUTES,
    kind=st.sampled_from(SpanKind),
    status=st.sampled_from([Status(StatusCode.UNSET), Status(StatusCode.ERROR)]),
    start_time=MOMENTS,
    end_time=MOMENTS,
    events=st.lists(st.builds(Event, name=TEXT.filter(bool), attributes=ATTRIBUTES, timestamp=MOMENTS), max_size=3),
    links=st.just(()),
)


def encoded(span: ReadableSpan, links: list[tuple[SpanContext, dict[str, Any]]] | None = None) -> bytes:
    """The same span by our own means."""
    at, parent = span.get_span_context(), span.parent
    assert at is not None
    return encode_span(
        trace_id=at.trace_id,
        span_id=at.span_id.to_bytes(8, "big"),
        parent_id=parent.span_id.to_bytes(8, "big") if parent is not None else b"",
        name=span.name,
        kind=span.kind.value,
        started=span.start_time or 0,
        ended=span.end_time or 0,
        attributes=span.attributes or {},
        events=[(event.name, event.timestamp, event.attributes or {}) for event in span.events],
        links=[(linked.trace_id, linked.span_id, attributes) for linked, attributes in links or ()],
        failed=span.status.status_code is StatusCode.ERROR,
        remote=parent is not None and parent.is_remote,
        state=at.trace_state.to_header(),
    )


def read(*spans: bytes) -> ExportTraceServiceRequest:
    """What a collector makes of a request with these spans."""
    sent = ExportTraceServiceRequest()
    sent.ParseFromString(encode_request(RESOURCE.attributes, SCOPE, spans))
    return sent


@settings(max_examples=200, deadline=None)
@given(st.lists(SPANS, min_size=1, max_size=3))
def test_it_is_what_the_sdk_would_send(spans: list[ReadableSpan]) -> None:
    """Ids, name, kind, times, attributes of every type, events, status and flags arrive as from the SDK's exporter."""
    assert read(*map(encoded, spans)) == encode_spans(spans)


@settings(max_examples=100, deadline=None)
@given(SPANS, st.lists(st.tuples(LINKED, ATTRIBUTES), max_size=3))
def test_links_are_too(span: ReadableSpan, links: list[tuple[SpanContext, dict[str, Any]]]) -> None:
    """A span of a task links to others as one of the SDK does."""
    by_sdk = ReadableSpan(
        name=span.name,
        context=span.get_span_context(),
        parent=span.parent,
        resource=RESOURCE,
        instrumentation_scope=InstrumentationScope(SCOPE),
        attributes=span.attributes,
        events=span.events,
        status=span.status,
        kind=span.kind,
        start_time=span.start_time,
        end_time=span.end_time,
        links=[Link(linked, attributes) for linked, attributes in links],
    )
    assert read(encoded(span, links)) == encode_spans([by_sdk])


def test_kinds_are_numbered_as_the_sdk_does() -> None:
    """Each kind of the register is the kind of the same name."""
    numbers: dict[KindName, int] = _KINDS
    assert {name.upper(): number for name, number in numbers.items()} == {kind.name: kind.value for kind in SpanKind}


@pytest.mark.parametrize(
    ("given_value", "sent"),
    [
        ("x" * (LONGEST + 1), "x" * LONGEST),
        ("half a pair \ud800", "half a pair ?"),
        (("a", 1), "('a', 1)"),
        (None, "None"),
    ],
)
def test_odd_values_do_no_harm(given_value: object, sent: str) -> None:
    """A text without end is cut, one that is no Unicode mended, and what is no plain value written as text."""
    span = encode_span(
        trace_id=1,
        span_id=b"12345678",
        parent_id=b"",
        name="x",
        kind=0,
        started=1,
        ended=2,
        attributes={"key": given_value},
    )
    (found,) = read(span).resource_spans[0].scope_spans[0].spans
    assert [(pair.key, pair.value.string_value) for pair in found.attributes] == [("key", sent)]
