"""Golden trees: the spans of each kind of request and task, with kinds and parents, as a collector gets them."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from service.embedding.queries import fetch_trace
from service.errors import DatabaseUnavailable
from service.jobs.queries import delete_job
from service.telemetry.stages import task_record
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
    assert [(event.name, values(event.attributes)["messaging.message.id"]) for event in task.root.events] == [
        ("job.searchable", str(job_id)) for job_id in (one.json()["id"], *(r["id"] for r in many.json()["results"]))
    ]
    lags = [float(values(event.attributes)["jobsense.ingest.lag_ms"]) for event in task.root.events]
    assert task.on_root["jobsense.ingest.lag_ms"] == max(lags) > 0
    senders = [next(s for s in trace.spans if s.name == "send embed_queue") for trace in (writing, batch, batch)]
    ids = [one.json()["id"], *(result["id"] for result in many.json()["results"])]
    assert sorted(
        (values(link.attributes)["messaging.message.id"], link.span_id) for link in task.root.links
    ) == sorted((str(job_id), sender.span_id) for job_id, sender in zip(ids, senders, strict=True))


async def test_from_a_file_to_vectors(traced: Traced, tmp_path: Path) -> None:
    """Taking in a file is one trace with a part for each batch, to which the trace that embeds is linked, and back."""
    rows = [{"title": f"Baker {number}", "company": "Mkate"} for number in range(3)]
    report = await traced.take_in(tmp_path, *rows, {"title": "of nobody"})
    assert (report.created, report.refused) == (3, 1)
    await traced.service.parts.worker.step()
    file, task = await traced.last("ingest"), await traced.last("process embed_queue")
    assert file.tree == [
        "internal ingest",
        "  internal ingest batch",
        "    internal ingest.read",
        "    internal pool.acquire",
        "    client jobs.lock_jobs",
        "    producer send embed_queue",
        "      client jobs.upsert_jobs",
    ]
    assert (file.on_root["jobsense.ingest.rows"], file.on_root["jobsense.ingest.refused"]) == (4, 1)
    assert (file.on("ingest batch")["jobsense.ingest.rows"], fails(file)) == (4, [])
    (sender,) = [span for span in file.spans if span.name == "send embed_queue"]
    assert {(link.trace_id, link.span_id) for link in task.root.links} == {(sender.trace_id, sender.span_id)}
    linked = {int(str(values(link.attributes)["messaging.message.id"])) for link in task.root.links}
    assert len(linked) == 3
    found = await fetch_trace(traced.service.parts.db, job_id=linked.pop())
    assert found is not None
    assert found.embedded_by == task.root.trace_id.hex()


async def test_a_file_that_cannot_be_stored(traced: Traced, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ends the command is an error of the batch and of the whole, with no stack where it was foreseen."""

    async def away(*_: Any, **__: Any) -> None:
        raise DatabaseUnavailable("The database does not answer", reason="unreachable")

    monkeypatch.setattr(traced.service.parts.jobs, "store", away)
    with pytest.raises(DatabaseUnavailable):
        await traced.take_in(tmp_path, {"title": "Baker", "company": "Mkate"})
    file = await traced.last("ingest")
    assert file.tree == ["internal ingest", "  internal ingest batch", "    internal ingest.read"]
    assert fails(file) == ["ingest", "ingest batch"]
    assert file.on_root["error.type"] == "DatabaseUnavailable"
    assert not file.root.events
    assert {line["level"] for line in traced.stack.lines() if line["event"] == "ingest.done"} == {"info"}


async def test_statements_follow_the_conventions(traced: Traced) -> None:
    """A statement names system, database with schema, server, itself and its rows; one that fails also its code."""
    await create(traced)
    found = (await traced.of(await traced.client.get("/api/v1/jobs"))).on("jobs.list_jobs")
    async with traced.service.parts.db.connection() as connection:
        database = await connection.fetchval("select current_database()")
    assert found["db.system.name"] == "postgresql"
    assert found["db.namespace"] == f"{database}|public"
    assert found["db.query.summary"] == "jobs.list_jobs"
    assert found["db.response.returned_rows"] == 1
    assert str(found["server.address"])
    assert "db.response.status_code" not in found
    async with traced.service.parts.db.transaction() as connection:
        await connection.execute("lock table job in access exclusive mode")
        async with traced.service.parts.db.transaction() as other:
            await other.execute("set local lock_timeout = '1ms'")
            with task_record("process embed_queue"), pytest.raises(DatabaseUnavailable):
                await delete_job(other, tenant_id=1, job_id=1)
    failed = (await traced.last("process embed_queue")).on("jobs.delete_job")
    assert (failed["db.response.status_code"], failed["error.type"]) == ("55P03", "LockNotAvailableError")


async def test_the_stages_are_the_time(traced: Traced, tmp_path: Path) -> None:
    """Of what takes longer than the moments between stages, they add up to the whole within a tenth."""
    traced.embedder.free.clear()
    asking = asyncio.create_task(traced.search("midwife"))
    await traced.embedder.reached.wait()
    asyncio.get_running_loop().call_later(0.3, traced.embedder.free.set)
    search = await asking
    many = [{"title": f"Baker {number}", "company": "Mkate", "description": "bread " * 500} for number in range(300)]
    await traced.take_in(tmp_path, *many)
    file = await traced.last("ingest")
    batch = Trace([span for span in file.spans if span is not file.root])
    for trace in (search, batch):
        whole_ms = (trace.root.end_time_unix_nano - trace.root.start_time_unix_nano) / 1e6
        stages_ms = sum(float(v) for k, v in trace.on_root.items() if k.startswith("jobsense.stage."))
        nested_ms = float(trace.on_root.get("jobsense.stage.send_task_ms", 0.0))  # whose statement counts as `query`
        assert stages_ms - nested_ms == pytest.approx(whole_ms, rel=0.1), trace.tree
