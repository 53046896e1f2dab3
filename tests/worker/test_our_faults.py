"""Faults of our own: one that befalls every text sets none aside, one that comes with a single text sets that aside."""

from collections.abc import Callable, Sequence

import asyncpg
import pytest

from service.db import Database
from service.embedder import PartlyEmbedded, Vector
from service.embedding.batch import MOST_STRIKES
from service.embedding.domain import LiveEmbedder
from service.embedding.worker import Worker
from service.errors import EmbedderUnavailable, TextRefused
from tests.fakes import WordEmbedder
from tests.worker.scene import Scene, due_in_s

BAD = "poison"


class Breaking(WordEmbedder):
    """Raises a fault for the texts that it is to break on; `gone`: the server is gone with it and says nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.fault: Exception = MemoryError()
        self.breaks: Callable[[str], bool] = lambda text: BAD in text
        self.gone = False

    async def embed_documents(self, texts: Sequence[str]) -> list[Vector | TextRefused]:
        """Embed, or break at the first bad text with those before it finished."""
        bad = next((place for place, text in enumerate(texts) if self.breaks(text)), None)
        if bad is None:
            return await super().embed_documents(texts)
        if not isinstance(self.fault, EmbedderUnavailable):
            raise self.fault
        self.gone = True
        outcomes = await super().embed_documents(texts)
        raise PartlyEmbedded(self.fault, dict(enumerate(outcomes[:bad])))

    async def check_identity(self) -> bool:
        """Whether the model is the same; once nobody says, as the server starts again."""
        if self.gone:
            self.gone = False
            raise EmbedderUnavailable("it starts again", reason="refused")
        return await super().check_identity()


@pytest.fixture
def embedder() -> Breaking:
    """The embedder of these tests."""
    return Breaking()


async def work(scene: Scene, worker: Worker, *, rounds: int) -> None:
    """So many steps, letting all pauses pass; what they raise is the test's own fault."""
    for _ in range(rounds):
        await scene.make_due()
        try:
            await worker.step()
        except (MemoryError, asyncpg.UndefinedTableError):
            continue


async def states(scene: Scene, ids: Sequence[int]) -> list[str]:
    """The states of postings."""
    return [(await scene.state(job_id))[0] for job_id in ids]


@pytest.mark.parametrize("busy", [False, True])
async def test_a_fault_for_all_sets_nothing_aside(
    scene: Scene, worker: Worker, embedder: Breaking, *, busy: bool
) -> None:
    """However long memory is short, on a fresh worker or a busy one: all are done when it is there again."""
    if busy:
        await scene.post(external_id="before")
        assert (await worker.step()).stored == 1
    ids = await scene.post(count=6)
    embedder.breaks = lambda _text: True
    await work(scene, worker, rounds=6 * (MOST_STRIKES + 1))
    assert await states(scene, ids) == ["pending"] * 6
    assert sum(row["strikes"] for row in await scene.tasks()) <= 1
    embedder.breaks = lambda _text: False
    await work(scene, worker, rounds=7)
    assert await states(scene, ids) == ["done"] * 6


async def test_a_missing_table_sets_nothing_aside(scene: Scene, db: Database, worker: Worker) -> None:
    """So it is with a fault in the database, such as a table that a restore has not brought yet."""
    ids = await scene.post(count=3)
    async with db.connection() as connection:
        await connection.execute("alter table passage_g1 rename to hidden")
        await work(scene, worker, rounds=3 * (MOST_STRIKES + 1))
        assert await states(scene, ids) == ["pending"] * 3
        await connection.execute("alter table hidden rename to passage_g1")
    await work(scene, worker, rounds=4)
    assert await states(scene, ids) == ["done"] * 3


async def test_a_fault_for_all_is_met_with_one_task_at_a_time(
    scene: Scene, db: Database, live: LiveEmbedder, embedder: Breaking
) -> None:
    """It waits a minute with its reason and without a strike, and marks few others; then claims grow again."""
    await scene.post(count=8)
    embedder.breaks = lambda _text: True
    worker = Worker(db, live, batch=4)
    for marked in (4, 5, 6):
        with pytest.raises(MemoryError):
            await worker.step()
        tasks = [row for row in await scene.tasks() if row["reason"] == "worker_fault"]
        assert len(tasks) == marked
    now = await scene.value("select now()")
    assert [round(due_in_s(row, now)) for row in tasks[4:]] == [60, 60]
    assert {row["strikes"] for row in tasks} == {0}
    embedder.breaks = lambda _text: False
    await scene.rows("update embedding_task set reason = null, due_at = now() returning 1")
    assert [(await worker.step()).claimed for _ in range(4)] == [1, 2, 4, 1]


async def test_a_text_that_breaks_the_worker(scene: Scene, worker: Worker, embedder: Breaking) -> None:
    """While others go through, the one that breaks alone has a strike each time, and is set aside with the fifth."""
    (bad,), others = await scene.post(description=BAD, external_id="bad"), []
    for number in range(2 * (MOST_STRIKES + 1)):
        others += await scene.post(count=2, external_id=..., description=f"Good {number}.")
        await work(scene, worker, rounds=4)
    assert await scene.state(bad) == ("failed", "given up after 5 attempts: worker_fault: MemoryError")
    assert set(await states(scene, others)) == {"done"}
    assert embedder.calls >= MOST_STRIKES


async def test_nothing_is_stored_of_a_model_that_cannot_be_checked(
    scene: Scene, worker: Worker, live: LiveEmbedder, embedder: Breaking
) -> None:
    """What a server finished before it went away may be of another model: it goes back with the rest."""
    embedder.fault = EmbedderUnavailable("gone", reason="dropped")
    first, last = await scene.post(external_id="first"), await scene.post(description=BAD)
    outcome = await worker.step()
    assert (outcome.claimed, outcome.stored, outcome.retried) == (2, 0, 2)
    assert [row["reason"] for row in await scene.tasks()] == ["refused"] * 2
    assert await scene.passages(first[0]) == await scene.passages(last[0]) == []
    assert live.absence is not None


async def test_a_text_that_ends_the_server_starves_nobody(scene: Scene, worker: Worker, embedder: Breaking) -> None:
    """Although nothing that was finished beside it is kept: claims shrink until the others are in one without it."""
    embedder.fault = EmbedderUnavailable("gone", reason="dropped")
    others = await scene.post(count=8, external_id=...)
    (bad,) = await scene.post(description=BAD, external_id="bad")
    others += await scene.post(count=7, external_id=..., title="Later")
    await work(scene, worker, rounds=40)
    assert await states(scene, others) == ["done"] * 15
    assert await states(scene, [bad]) == ["pending"]
