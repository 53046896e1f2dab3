"""The worker with the real Ollama client against a fake server on a socket."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from service.db import Database
from service.embedding.domain import LiveEmbedder
from service.embedding.worker import Worker
from service.errors import EmbedderUnavailable
from tests.fake_ollama.clients import quick
from tests.fake_ollama.serve import FakeOllama
from tests.worker.scene import Scene, reason


@pytest.fixture(scope="module")
def running_fake() -> Iterator[FakeOllama]:
    """One fake for the module."""
    with FakeOllama() as fake:
        yield fake


@pytest.fixture
def fake(running_fake: FakeOllama) -> FakeOllama:
    """The fake as new, with short vectors."""
    running_fake.reset()
    running_fake.set(dimensions=32, loaded=True)
    return running_fake


@pytest.fixture
async def live(db: Database, fake: FakeOllama) -> AsyncIterator[LiveEmbedder]:
    """The Ollama client, connected."""
    made = LiveEmbedder(db, lambda _generation: [quick(fake.url, batch_items=2)])
    await made.connect()
    assert made.absence is None, made.absence
    yield made
    await made.close()


@pytest.fixture
def worker(db: Database, live: LiveEmbedder) -> Worker:
    """A worker with the Ollama client."""
    return Worker(db, live)


def documents(fake: FakeOllama) -> list[str]:
    """The texts that postings sent, in order of arrival."""
    return [text for texts in fake.texts() for text in texts if text.startswith("search_document: ")]


async def test_the_main_path(scene: Scene, worker: Worker, fake: FakeOllama, live: LiveEmbedder) -> None:
    """Postings go to Ollama with the model's prefix, a long one in passages; the vectors are stored for its model."""
    text = " ".join(f"Sew suit number {number} well." for number in range(300))
    (short,), (long,) = await scene.post(title="Tailor"), await scene.post(description=text)
    outcome = await worker.step()
    assert (outcome.stored, outcome.texts) == (2, len(documents(fake)))
    assert [len(await scene.passages(job_id)) for job_id in (short, long)] == [1, outcome.texts - 1]
    assert outcome.texts > 3
    assert live.generation is not None
    assert (live.generation.provider, live.generation.digest) == ("ollama", fake.knobs.digest)
    assert (await live.embed_query("tailor")).generation == live.generation


async def test_text_changed_while_ollama_computes(scene: Scene, worker: Worker, fake: FakeOllama) -> None:
    """What Ollama computed for the old text is not stored."""
    (job_id,) = await scene.post(title="Old title")
    fake.set(hold=True)
    step = asyncio.create_task(worker.step())
    await fake.wait_until(lambda counts: counts.in_flight == 1)
    await scene.patch(job_id, title="New title")
    fake.set(hold=False)
    assert (await step).superseded == 1
    assert await scene.passages(job_id) == []
    assert (await worker.step()).stored == 1
    assert "New title" in documents(fake)[-1]


async def test_ollama_dies_midway(scene: Scene, worker: Worker, fake: FakeOllama, live: LiveEmbedder) -> None:
    """Requests that were answered are stored; the others go back with the reason, and are not repeated for those."""
    await scene.post(count=4)
    before_step = fake.counts.embed_requests
    fake.set(hold=True, permits=1)
    step = asyncio.create_task(worker.step())
    await fake.wait_until(lambda counts: counts.embed_requests == before_step + 2)
    fake.set(drop="before", hold=False)
    outcome = await step
    assert (outcome.stored, outcome.retried) == (2, 2)
    assert [(row["reason"], row["lease"]) for row in await scene.tasks()] == [("dropped", None)] * 2
    fake.set(drop=None)
    before = set(documents(fake)[:2])
    fake.calls.clear()
    await scene.make_due()
    assert (await worker.step()).stored == 2
    assert before.isdisjoint(documents(fake))
    assert reason(live) is None


async def test_nan_text(scene: Scene, worker: Worker, fake: FakeOllama) -> None:
    """A text that yields no number is set aside with Ollama's words; its neighbours are stored."""
    fake.set(nan_for="cursed", era="B")
    (cursed,) = await scene.post(title="The cursed posting")
    await scene.post(count=3)
    outcome = await worker.step()
    assert (outcome.stored, outcome.discarded) == (3, 1)
    state, reason = await scene.state(cursed)
    assert state == "failed"
    assert "NaN" in (reason or "")
    assert await scene.found("cursed", by="lexical") == [cursed]


async def test_cancelled_while_ollama_computes(scene: Scene, worker: Worker, fake: FakeOllama) -> None:
    """A cancelled step leaves the server and gives its tasks back."""
    await scene.post(count=2)
    fake.set(hold=True)
    step = asyncio.create_task(worker.step())
    await fake.wait_until(lambda counts: counts.in_flight == 1)
    step.cancel()
    await asyncio.wait({step})
    await fake.wait_until(lambda counts: counts.in_flight == 0)
    assert [(row["lease"], row["attempts"]) for row in await scene.tasks()] == [(None, 0)] * 2


async def test_a_model_pulled_anew(scene: Scene, worker: Worker, fake: FakeOllama, live: LiveEmbedder) -> None:
    """When the tag names another model suddenly, its vectors are refused though they have the same length."""
    await scene.post()
    fake.set(digest="f" * 64)
    assert (await worker.step()).retried == 1
    await live.connect()
    assert reason(live) == "model_differs"
    assert "ffffffffffff" in (live.absence.detail if live.absence else "")
    fake.reset()
    fake.set(dimensions=32)
    await live.connect()
    assert reason(live) is None
    await scene.make_due()
    assert (await worker.step()).stored == 1


async def test_ollama_comes_up_later(db: Database, fake: FakeOllama) -> None:
    """A server that misses the model at the start is used as soon as it has it."""
    fake.set(missing_model=True)
    live = LiveEmbedder(db, lambda _generation: [quick(fake.url)])
    await live.connect()
    assert reason(live) == "model_missing"
    fake.set(missing_model=False)
    await live.connect()
    assert reason(live) is None
    await live.close()


async def test_a_closed_client_is_unavailable(fake: FakeOllama) -> None:
    """A call that finds its client closed, as by a model that changed, may be repeated later."""
    client = quick(fake.url)
    await client.start()
    await client.close()
    for call in (client.embed_query("accountant"), client.check_identity()):
        with pytest.raises(EmbedderUnavailable) as caught:
            await call
        assert caught.value.reason == "closed"
    with pytest.raises(EmbedderUnavailable):
        await client.embed_documents(["accountant"])
