"""What one step of the worker comes to: stored, settled, copied, superseded, retried, set aside."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from service.db import Database
from service.embedder import PartlyEmbedded
from service.embedding import queries
from service.embedding.domain import LiveEmbedder
from service.embedding.worker import Worker
from service.errors import EmbedderUnavailable
from tests.fakes import REFUSED, WordEmbedder
from tests.worker.scene import HeldEmbedder, Scene, due_in_s, unit

PLAIN = {"claimed": 1, "stored": 1, "texts": 1}


def said(outcome: object) -> dict[str, int]:
    """The counts of an outcome that are not zero."""
    return {
        name: count
        for name in type(outcome).__struct_fields__  # type: ignore[attr-defined] # a Struct
        if (count := getattr(outcome, name))
    }


async def held(db: Database) -> tuple[HeldEmbedder, LiveEmbedder, Worker]:
    """A worker whose embedder waits."""
    embedder = HeldEmbedder()
    live = LiveEmbedder(db, lambda _generation: [embedder])
    await live.connect()
    return embedder, live, Worker(db, live)


async def test_stored(scene: Scene, worker: Worker, embedder: WordEmbedder) -> None:
    """A new posting is embedded: its vector is the model's for title, company, place and text, and its task is gone."""
    (job_id,) = await scene.post(title="Solar technician", company="Jua", location="Kisumu", description="Fix panels.")
    assert said(await worker.step()) == PLAIN
    (vector,) = await scene.passages(job_id)
    expected = embedder.vector("Solar technician\nJua, Kisumu\nFix panels.")
    assert unit(vector, expected) == pytest.approx(1.0, abs=1e-3)
    assert await scene.tasks() == []
    assert await scene.state(job_id) == ("done", None)


async def test_nothing_to_do(worker: Worker, embedder: WordEmbedder) -> None:
    """A step on an empty queue asks the model nothing, and the loop comes again after its idle wait."""
    assert said(await worker.step()) == {}
    assert await worker.run_once() > 0
    assert embedder.calls == 0


async def test_the_loop_goes_on_at_once(scene: Scene, db: Database, live: LiveEmbedder) -> None:
    """While tasks are found the next step follows at once."""
    await scene.post(count=3)
    worker = Worker(db, live, batch=2)
    assert [await worker.run_once() for _ in range(2)] == [0.0, 0.0]
    assert await scene.tasks() == []


async def test_unchanged_text_is_never_embedded_again(scene: Scene, worker: Worker, embedder: WordEmbedder) -> None:
    """A change that leaves title, company, place and text alone makes no task; version counts, vectors stay."""
    (job_id,) = await scene.post()
    await worker.step()
    await scene.patch(job_id, salary_min=10.0, currency="KES")
    assert await scene.tasks() == []
    assert said(await worker.step()) == {}
    assert len(embedder.documents) == 1


async def test_changed_and_changed_back_is_settled(scene: Scene, worker: Worker, embedder: WordEmbedder) -> None:
    """A text that is the embedded one again costs no call: its task is only taken away."""
    (job_id,) = await scene.post(title="Nurse")
    await worker.step()
    await scene.patch(job_id, title="Nurse in charge")
    await scene.patch(job_id, title="Nurse")
    assert await scene.state(job_id) == ("pending", None)
    assert said(await worker.step()) == {"claimed": 1, "settled": 1}
    assert await scene.state(job_id) == ("done", None)
    assert len(embedder.documents) == 1


async def test_same_texts_in_one_claim(scene: Scene, worker: Worker, embedder: WordEmbedder) -> None:
    """Postings with the very same text go to the model once, and each has the vector."""
    ids = await scene.post(count=3, title="Driver", description="Drive.", external_id=...)
    assert said(await worker.step()) == {"claimed": 3, "stored": 3, "texts": 1}
    first, *others = [await scene.passages(job_id) for job_id in ids]
    assert [len(first), *others] == [1, first, first]
    assert len(embedder.documents) == 1


async def test_a_twin_is_copied(scene: Scene, worker: Worker, embedder: WordEmbedder) -> None:
    """A posting whose text another has had embedded gets copies of its passages, with its own source."""
    fields: dict[str, Any] = {"title": "Driver", "description": "Drive far. " * 40, "external_id": ...}
    (first,) = await scene.post(**fields)
    await worker.step()
    asked = len(embedder.documents)
    (second,) = await scene.post(**fields, source="brightermonday")
    assert said(await worker.step()) == {"claimed": 1, "copied": 1}
    assert await scene.passages(second) == await scene.passages(first)
    assert len(embedder.documents) == asked > 1
    assert await scene.state(second) == ("done", None)
    sources = await scene.rows("select distinct source from passage where job_id = $1", second)
    assert [row[0] for row in sources] == ["brightermonday"]


async def test_a_twin_that_changed_meanwhile(scene: Scene, worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the twin's text changes between claim and copy nothing is copied, and the posting is embedded instead."""
    (twin,) = await scene.post(title="Driver", external_id=..., description="Drive.")
    (job_id,) = await scene.post(title="Cook", external_id=..., description="Drive.")
    await worker.step()
    before = await scene.passages(job_id)
    await scene.patch(job_id, title="Driver")
    claim = queries.claim_tasks

    async def claim_late(db: Database, **how: object) -> object:
        claimed = await claim(db, **how)  # type: ignore[arg-type] # passed on as they come
        await scene.patch(twin, title="Pilot")
        await scene.rows("update embedded set text_hash = '' where job_id = $1 returning 1", twin)
        return claimed

    monkeypatch.setattr(queries, "claim_tasks", claim_late)
    assert said(await worker.step()) == PLAIN
    monkeypatch.undo()
    assert await scene.passages(job_id) != before
    assert [row["job_id"] for row in await scene.tasks()] == [twin]
    assert said(await worker.step()) == PLAIN


async def test_text_changed_during_embedding(scene: Scene, db: Database) -> None:
    """A vector is never stored for a text that is no longer there; the new text is embedded by the next step."""
    (job_id,) = await scene.post(title="Old title")
    embedder, live, worker = await held(db)
    step = asyncio.create_task(worker.step())
    await embedder.reached.acquire()
    await scene.patch(job_id, title="New title")
    embedder.go.set()
    assert said(await step) == {"claimed": 1, "superseded": 1, "texts": 1}
    assert await scene.passages(job_id) == []
    assert said(await worker.step()) == PLAIN
    (vector,) = await scene.passages(job_id)
    assert unit(vector, embedder.vector(embedder.documents[-1])) == pytest.approx(1.0, abs=1e-3)
    assert "New title" in embedder.documents[-1]
    await live.close()


async def test_changed_back_during_embedding(scene: Scene, db: Database) -> None:
    """A text that becomes the embedded one again while the other is embedded is free at once, not after the lease."""
    (job_id,) = await scene.post(title="First title")
    embedder, live, worker = await held(db)
    embedder.go.set()
    await worker.step()
    await scene.patch(job_id, title="Second title")
    embedder.go.clear()
    await embedder.reached.acquire()
    step = asyncio.create_task(worker.step())
    await embedder.reached.acquire()
    await scene.patch(job_id, title="First title")
    embedder.go.set()
    assert said(await step)["superseded"] == 1
    assert said(await worker.step()) == {"claimed": 1, "settled": 1}
    assert await scene.state(job_id) == ("done", None)
    await live.close()


async def test_deleted_during_embedding(scene: Scene, db: Database) -> None:
    """A posting deleted while it is embedded leaves nothing behind, and the others of the batch are stored."""
    gone, kept = await scene.post(count=2)
    embedder, live, worker = await held(db)
    step = asyncio.create_task(worker.step())
    await embedder.reached.acquire()
    await scene.jobs.delete(scene.tenant_id, gone)
    embedder.go.set()
    assert said(await step) == {"claimed": 2, "stored": 1, "superseded": 1, "texts": 2}
    assert await scene.passages(gone) == []
    assert len(await scene.passages(kept)) == 1
    assert await scene.tasks() == []
    await live.close()


async def test_refused_text(scene: Scene, worker: Worker, live: LiveEmbedder) -> None:
    """A text that the model refuses is set aside with the reason and found by its words; its neighbours are stored."""
    refused, fine = await scene.post(title=f"Potter {REFUSED}"), await scene.post(title="Potter")
    assert said(await worker.step()) == {"claimed": 2, "stored": 1, "discarded": 1, "texts": 2}
    assert await scene.state(refused[0]) == ("failed", "the model yields no number")
    assert await scene.state(fine[0]) == ("done", None)
    assert set(await scene.found("potter", by="lexical")) == {refused[0], fine[0]}
    assert said(await worker.step()) == {}, "it is not tried again"
    await scene.patch(refused[0], title="Potter without it")
    assert said(await worker.step()) == PLAIN
    assert live.absence is None


async def test_one_refused_passage_sets_the_posting_aside(scene: Scene, worker: Worker) -> None:
    """A posting is stored whole or not at all."""
    (job_id,) = await scene.post(description="Good words. " * 60 + REFUSED)
    assert said(await worker.step())["discarded"] == 1
    assert await scene.passages(job_id) == []


async def test_embedder_down(scene: Scene, worker: Worker, embedder: WordEmbedder, live: LiveEmbedder) -> None:
    """With the embedder down the tasks go back with the reason, each time for longer; nothing is claimed meanwhile."""
    await scene.post(count=2)
    embedder.down = "refused"
    waits = []
    for _ in range(5):
        now = datetime.now(UTC)
        assert said(await worker.step()) == {"claimed": 2, "retried": 2, "texts": 2}
        tasks = await scene.tasks()
        assert {(row["reason"], row["lease"], row["failed_at"]) for row in tasks} == {("refused", None, None)}
        waits.append(round(due_in_s(tasks[0], now)))
        assert said(await worker.step()) == {}, "not due yet"
        await scene.make_due()
    assert waits == [1, 5, 15, 60, 60]
    assert live.absence is not None
    assert await worker.run_once() == 1
    assert embedder.calls == 5, "the loop claims nothing while the embedder is away"
    embedder.down = None
    await live.connect()
    assert await worker.run_once() == 0
    assert await scene.tasks() == []


async def test_partly_embedded(
    scene: Scene, worker: Worker, embedder: WordEmbedder, live: LiveEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is finished is stored before the rest goes back: whole postings only, refusals as refusals."""
    first, second, long, refused = [
        (await scene.post(title=title, description=text))[0]
        for title, text in (("Aa", "a."), ("Bb", "b."), ("Cc", "Words and words. " * 40), (f"Dd {REFUSED}", "d."))
    ]
    embed = embedder.embed_documents

    async def fail_late(texts: list[str]) -> object:
        outcomes = await embed(texts)
        missing = {1, next(place for place, text in enumerate(texts) if "words" in text)}
        finished = {place: outcome for place, outcome in enumerate(outcomes) if place not in missing}
        raise PartlyEmbedded(EmbedderUnavailable("gone", reason="dropped"), finished)

    monkeypatch.setattr(embedder, "embed_documents", fail_late)
    outcome = said(await worker.step())
    assert outcome == {"claimed": 4, "stored": 1, "discarded": 1, "retried": 2, "texts": outcome["texts"]}
    assert [(await scene.state(job_id))[0] for job_id in (first, second, long, refused)] == [
        "done",
        "pending",
        "pending",
        "failed",
    ]
    assert [len(await scene.passages(job_id)) for job_id in (second, long)] == [0, 0]
    assert live.absence is None, "an embedder that finishes something is there"
    monkeypatch.undo()
    await scene.make_due()
    assert said(await worker.step())["stored"] == 2


async def test_a_fault_of_ours_gives_back(
    scene: Scene, worker: Worker, embedder: WordEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever goes wrong, the tasks are back at once, for later and without a strike, and the fault climbs."""

    async def break_down(_texts: list[str]) -> object:
        raise ZeroDivisionError

    await scene.post(count=2)
    monkeypatch.setattr(embedder, "embed_documents", break_down)
    with pytest.raises(ZeroDivisionError):
        await worker.step()
    tasks = [(row["lease"], row["reason"], row["attempts"], row["strikes"]) for row in await scene.tasks()]
    assert tasks == [(None, "worker_fault", 1, 0)] * 2


async def test_no_embedder_claims_nothing(scene: Scene, db: Database) -> None:
    """Without an embedder a step fails before it claims."""
    await scene.post()
    worker = Worker(db, LiveEmbedder(db, lambda _generation: []))
    with pytest.raises(EmbedderUnavailable) as caught:
        await worker.step()
    assert caught.value.reason == "starting"
    assert [row["attempts"] for row in await scene.tasks()] == [0]
