"""Golden trees: the spans of each kind of request and task, with kinds and parents, as a collector gets them."""

import asyncio
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from tests.factories import job_body
from tests.otel.conftest import Trace, Traced
from tests.otlp_receiver import values
from tests.telemetry_stack import PARENT

SEARCH = "/api/v1/search"


async def create(traced: Traced, **fields: object) -> int:
    """A posting with its vectors."""
    made = await traced.client.post("/api/v1/jobs", json=job_body(**fields))
    assert made.status_code == 201, made.text
    await traced.service.embed()
    return int(made.json()["id"])


def fails(trace: Trace) -> list[str]:
    """The names of the spans with an error."""
    return [span.name for span in trace.spans if span.status.code == Status.STATUS_CODE_ERROR]


async def test_searches(traced: Traced) -> None:
    """A new text is embedded and the scan chosen; a text that is known needs one statement; an outage its words."""
    await create(traced)
    miss, hit = await traced.search("accountant"), await traced.search("accountant")
    traced.embedder.down = "unreachable"
    degraded = await traced.search("bookkeeper")
    assert miss.tree == [
        "server POST /api/v1/search",
        "  internal authenticate",
        "  client embeddings words",
        "  internal pool.acquire",
        "  client search.count_passages",
        "  internal pool.acquire",
        "  client search.list_behind_filters",
        "  internal pool.acquire",
        "  client search.search_hybrid",
        "  internal response.encode",
    ]
    assert hit.tree == [
        "server POST /api/v1/search",
        "  internal authenticate",
        "  internal pool.acquire",
        "  client search.search_hybrid",
        "  internal response.encode",
    ]
    assert degraded.tree == [
        "server POST /api/v1/search",
        "  internal authenticate",
        "  client embeddings words",
        "  internal pool.acquire",
        "  client search.search_lexical",
        "  internal response.encode",
    ]
    assert (fails(miss), fails(hit), fails(degraded)) == ([], [], ["embeddings words"])


async def test_requests_that_are_not_served(traced: Traced, monkeypatch: pytest.MonkeyPatch) -> None:
    """A 4xx is no error of ours and a path that is unknown is in no name; a 5xx is, with its exception on the root."""
    wrong = await traced.of(await traced.client.post(SEARCH, json={"txt": "nurse"}))
    nowhere = await traced.of(await traced.client.get("/api/v1/nowhere/7"))
    assert wrong.tree == ["server POST /api/v1/search", "  internal authenticate"]
    assert nowhere.tree == ["server GET"]
    assert (wrong.on_root["http.response.status_code"], fails(wrong), fails(nowhere)) == (422, [], [])

    async def fail(*_: Any, **__: Any) -> None:
        raise ValueError("a fault of ours")

    monkeypatch.setattr(traced.service.parts.jobs, "list", fail)
    broken = await traced.of(await traced.client.get("/api/v1/jobs"))
    assert broken.tree == ["server GET /api/v1/jobs", "  internal authenticate"]
    assert fails(broken) == ["GET /api/v1/jobs"]
    assert (broken.on_root["http.response.status_code"], broken.on_root["error.type"]) == (500, "ValueError")
    (event,) = broken.root.events
    assert (event.name, values(event.attributes)["exception.message"]) == ("exception", "a fault of ours")


async def test_a_caller_who_left(traced: Traced) -> None:
    """What was begun is in the trace, with status 499, and is nobody's error."""
    await create(traced)
    traced.embedder.free.clear()
    headers = {"traceparent": f"00-{PARENT}-01"}
    asking = asyncio.create_task(traced.client.post(SEARCH, json={"text": "midwife"}, headers=headers))
    await traced.embedder.reached.wait()
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    traced.embedder.free.set()
    left = await traced.by_id(PARENT.split("-")[0])
    assert left.tree == ["server POST /api/v1/search", "  internal authenticate", "  client embeddings words"]
    assert (left.on_root["http.response.status_code"], fails(left)) == (499, [])


async def test_from_a_posting_to_its_vectors(traced: Traced) -> None:
    """Writing and embedding are two traces; the second links to the span that queued, of one posting or of many."""
    one = await traced.client.post("/api/v1/jobs", json=job_body())
    many = await traced.client.post("/api/v1/jobs/batch", json=[job_body(), job_body()])
    assert (one.status_code, many.status_code) == (201, 200), many.text
    await traced.service.parts.worker.step()
    writing, batch = await traced.of(one), await traced.of(many)
    task = await traced.last("process embed_queue")
    assert writing.tree == [
        "server POST /api/v1/jobs",
        "  internal authenticate",
        "  producer send embed_queue",
        "    internal pool.acquire",
        "    client jobs.upsert_jobs",
        "  internal response.encode",
    ]
    assert batch.tree == [
        "server POST /api/v1/jobs/batch",
        "  internal authenticate",
        "  internal pool.acquire",
        "  client jobs.lock_jobs",
        "  producer send embed_queue",
        "    client jobs.upsert_jobs",
        "  internal response.encode",
    ]
    assert task.tree == [
        "consumer process embed_queue",
        "  client poll embed_queue",
        "    internal pool.acquire",
        "    client embedding.claim_tasks",
        "  client embeddings words",
        "  internal pool.acquire",
        "  client embedding.lock_unchanged",
        "  client embedding.store_passages",
        "  client embedding.settle_tasks",
    ]
    senders = [next(s for s in trace.spans if s.name == "send embed_queue") for trace in (writing, batch, batch)]
    ids = [one.json()["id"], *(result["id"] for result in many.json()["results"])]
    assert sorted(
        (values(link.attributes)["messaging.message.id"], link.span_id) for link in task.root.links
    ) == sorted((str(job_id), sender.span_id) for job_id, sender in zip(ids, senders, strict=True))
