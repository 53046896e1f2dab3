"""A tag that is pulled again names another model: storing stops, it is said, and the old model brings it back."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from service.db import Database
from service.embedding.domain import LiveEmbedder
from service.embedding.worker import Worker
from service.errors import EmbedderUnavailable
from tests.fake_ollama.clients import quick
from tests.fake_ollama.knobs import Knobs
from tests.fake_ollama.serve import FakeOllama
from tests.worker.scene import Scene, reason

OLD, NEW = Knobs().digest, "f" * 64


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
    made = LiveEmbedder(db, lambda _generation: [quick(fake.url)])
    await made.connect()
    assert made.absence is None, made.absence
    yield made
    await made.close()


async def test_nothing_of_another_model_is_stored(
    scene: Scene, fake: FakeOllama, live: LiveEmbedder, db: Database
) -> None:
    """The model is exchanged while a request is under way: its vectors are dropped, those of before stay as they are.

    The reason is on the task and with the embedder until the old model is back; then the same process goes on.
    """
    worker = Worker(db, live)
    (before,) = await scene.post(title="Stored before")
    assert (await worker.step()).stored == 1
    kept = await scene.passages(before)

    (during,) = await scene.post(title="Computed by another model")
    fake.set(hold=True)
    step = asyncio.create_task(worker.step())
    await fake.wait_until(lambda counts: counts.in_flight == 1)
    fake.set(digest=NEW, hold=False)
    outcome = await step
    assert (outcome.claimed, outcome.stored, outcome.retried, outcome.discarded) == (1, 0, 1, 0)
    assert [row["reason"] for row in await scene.tasks()] == ["model_differs"]
    assert await scene.passages(during) == []

    await scene.make_due()
    for _ in range(2):
        await live.connect()  # starts a client of the new model, which does not fit the generation
        await worker.run_once()
        assert reason(live) == "model_differs"
    with pytest.raises(EmbedderUnavailable) as caught:
        await live.embed_query("tailor")
    assert caught.value.reason == "model_differs"
    assert live.absence is not None
    assert NEW[:12] in live.absence.detail
    assert OLD[:12] in live.absence.detail
    assert await scene.value("select count(*) from passage") == 1
    assert await scene.value("select count(*) from generation") == 1

    fake.set(digest=OLD)
    await live.connect()
    assert reason(live) is None
    assert (await worker.step()).stored == 1
    assert [await scene.passages(before), len(await scene.passages(during))] == [kept, 1]
    assert await scene.tasks() == []
