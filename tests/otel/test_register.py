"""The register and the code, both ways: what leaves is registered, and what is registered leaves."""

import re
from pathlib import Path

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from service.telemetry.names import ATTRIBUTES, METRICS, SPANS, STAGES
from tests.factories import job_body
from tests.otel.conftest import Traced
from tests.otlp_receiver import values

SERVICE = Path(__file__).parents[2] / "service"
FROM_INSTRUMENTATION = {
    "client.address",
    "client.port",
    "http.request.method_original",
    "network.protocol.version",
    "server.address",
    "server.port",
    "url.scheme",
    "user_agent.original",
    "user_agent.synthetic.type",
}
"""Set by the stock instrumentation of ASGI, in nothing of ours."""
TYPES = {"string": str, "int": int, "double": float, "boolean": bool}


def sources() -> str:
    """The service's code but for its registry and what writes it."""
    registry = {"names.py", "event_names.py", "register.py"}
    return "\n".join(path.read_text(encoding="utf-8") for path in SERVICE.rglob("*.py") if path.name not in registry)


def test_what_is_registered_is_used() -> None:
    """Each stage, attribute and metric stands in the code that emits it, in one of its two spellings."""
    code = sources()
    words = set(re.findall(r"[\w.]+", code))
    constants = {key for stage in STAGES.values() for key in stage.constants}
    computed = {f"jobsense.stage.{stage}_ms" for stage in STAGES}
    idle = [
        attribute.name
        for attribute in ATTRIBUTES
        if attribute.name not in FROM_INSTRUMENTATION | constants | computed
        and not {attribute.name, attribute.name.replace(".", "_")} & words
    ]
    idle += [metric.name for metric in METRICS if f'"{metric.name}"' not in code]
    idle += [stage for stage in STAGES if not re.search(rf'(stage|Stage)\(\s*"{stage}"', code)]
    idle += [span.name for span in SPANS if span.kind != "server" and f'"{span.name}"' not in code]
    assert idle == []


async def test_what_arrives_is_registered_with_its_kind_and_type(traced: Traced, tmp_path: Path) -> None:
    """Postings from request or file to vectors, searches, a failure: every span and attribute is as registered."""
    await traced.take_in(tmp_path, job_body(title="Baker"), {"title": "of nobody"})
    for body in (job_body(), job_body(title="")):
        await traced.client.post("/api/v1/jobs", json=body)
    await traced.service.embed()
    await traced.search("accountant", explain=True)
    traced.embedder.down = "unreachable"
    await traced.search("nurse")
    await traced.client.get("/api/v1/jobs/1/similar")
    await traced.client.get("/api/v1/export/jobs.ndjson")
    await traced.stack.telemetry.flush()
    spans = traced.stack.receiver.spans
    types = {attribute.name: TYPES[attribute.type] for attribute in ATTRIBUTES}
    for span in spans:
        held = [*values(span.attributes).items()]
        held += [pair for event in span.events for pair in values(event.attributes).items()]
        held += [pair for link in span.links for pair in values(link.attributes).items()]
        assert [name for name, value in held if type(value) is not types.get(name)] == [], span.name
    patterns = [(re.sub(r"\\{.*?\\}", r"[^{}]+", re.escape(s.span)), s.kind) for s in STAGES.values()]
    patterns += [(re.escape(s.name), s.kind) for s in SPANS if s.kind != "server"] + [(r"[A-Z]+( /\S+)?", "server")]
    for span in spans:
        kind = Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower()
        assert any(kind == of and re.fullmatch(pattern, span.name) for pattern, of in patterns), (span.name, kind)
    arrived = {name for span in spans for name in values(span.attributes)}
    # Nobody waited for a place, and without a shared store a quota is looked at in memory.
    assert {stage for stage in STAGES if f"jobsense.stage.{stage}_ms" not in arrived} == {"admission", "rate_limit"}
