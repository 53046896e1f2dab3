"""Leases: who may embed a task when there are several workers, and when one of them stops, hangs or dies."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from uuid import uuid4

from service.db import Database
from service.embedding import queries
from service.embedding.domain import LiveEmbedder
from service.embedding.model import Generation
from service.embedding.worker import Worker
from service.loop import Loop
from tests.fake_ollama.serve import FakeOllama
from tests.worker.scene import HeldEmbedder, Scene


def always(embedder: HeldEmbedder) -> Callable[[Generation | None], list[HeldEmbedder]]:
    """This embedder, whatever the generation."""
    return lambda _generation: [embedder]


class Two:
    """Two workers on one database, as in two processes; each has its own embedder, which waits."""

    def __init__(self, db: Database, *, renew_every_s: float = 10.0) -> None:
        self.embedders = [HeldEmbedder(), HeldEmbedder()]
        self.lives = [LiveEmbedder(db, always(embedder)) for embedder in self.embedders]
        self.workers = [Worker(db, live, batch=2, renew_every_s=renew_every_s) for live in self.lives]

    async def connect(self) -> "Two":
        """Start both."""
        for live in self.lives:
            await live.connect()
        return self


async def test_two_workers_share_the_queue(scene: Scene, db: Database) -> None:
    """Workers at once take different tasks, and each text is embedded once."""
    await scene.post(count=7)
    two = await Two(db).connect()
    for embedder in two.embedders:
        embedder.go.set()

    async def until_empty(worker: Worker) -> int:
        done = 0
        while (outcome := await worker.step()).claimed:
            done += outcome.stored
        return done

    done = await asyncio.gather(*map(until_empty, two.workers))
    asked = [text for embedder in two.embedders for text in embedder.documents]
    assert (sum(done), len(asked), len(set(asked))) == (7, 7, 7)
    assert await scene.tasks() == []


async def test_a_held_task_is_not_claimed(scene: Scene, db: Database) -> None:
    """While one worker embeds a task the other finds nothing."""
    await scene.post()
    two = await Two(db).connect()
    step = asyncio.create_task(two.workers[0].step())
    await two.embedders[0].reached.acquire()
    (task,) = await scene.tasks()
    assert (task["leased"], task["attempts"]) == (True, 1)
    lease_s = await scene.value("select extract(epoch from leased_until - now())::float from embedding_task")
    assert 25 < lease_s <= 30
    assert (await two.workers[1].step()).claimed == 0
    two.embedders[0].go.set()
    assert (await step).stored == 1


async def test_a_lapsed_lease_is_taken_over(scene: Scene, db: Database) -> None:
    """A worker that hangs past its lease loses the task to another; what it brings later is not stored."""
    (job_id,) = await scene.post()
    two = await Two(db).connect()
    slow = asyncio.create_task(two.workers[0].step())
    await two.embedders[0].reached.acquire()
    await scene.age_leases()
    two.embedders[1].go.set()
    outcome = await two.workers[1].step()
    assert (outcome.claimed, outcome.stored) == (1, 1)
    stored = await scene.value("select embedded_at from embedded where job_id = $1", job_id)
    two.embedders[0].go.set()
    late = await slow
    assert (late.stored, late.superseded) == (0, 1)
    assert await scene.value("select embedded_at from embedded where job_id = $1", job_id) == stored


async def test_a_lapsed_lease_held_by_both(scene: Scene, db: Database) -> None:
    """The late worker does not give back what is another's by now."""
    await scene.post()
    two = await Two(db).connect()
    steps = []
    for worker, embedder in zip(two.workers, two.embedders, strict=True):
        await scene.age_leases()
        steps.append(asyncio.create_task(worker.step()))
        await embedder.reached.acquire()
    two.embedders[0].go.set()
    assert (await steps[0]).superseded == 1
    (task,) = await scene.tasks()
    assert (task["leased"], task["attempts"]) == (True, 2)
    two.embedders[1].go.set()
    assert (await steps[1]).stored == 1


async def test_renewal(scene: Scene, db: Database) -> None:
    """A step that takes long keeps its lease."""
    await scene.post()
    two = await Two(db, renew_every_s=0.01).connect()
    step = asyncio.create_task(two.workers[0].step())
    await two.embedders[0].reached.acquire()
    await scene.age_leases()
    await scene.until("select leased_until > now() from embedding_task", bool)
    assert (await two.workers[1].step()).claimed == 0
    two.embedders[0].go.set()
    assert (await step).stored == 1


async def test_cancellation_gives_back_at_once(scene: Scene, db: Database) -> None:
    """A cancelled step leaves its tasks due, unleased and without an attempt counted."""
    await scene.post(count=2)
    two = await Two(db).connect()
    step = asyncio.create_task(two.workers[0].step())
    await two.embedders[0].reached.acquire()
    step.cancel()
    await asyncio.wait({step})
    assert step.cancelled()
    assert [(row["lease"], row["attempts"], row["reason"]) for row in await scene.tasks()] == [(None, 0, None)] * 2
    two.embedders[1].go.set()
    assert (await two.workers[1].step()).stored == 2


async def test_stopping_the_loop(scene: Scene, db: Database) -> None:
    """A stopped loop lets a step end when it can, and gives the tasks back when it cannot."""
    await scene.post(count=2)
    two = await Two(db).connect()
    for embedder, patience_s in zip(two.embedders, (0.0, 30.0), strict=True):
        worker = two.workers[two.embedders.index(embedder)]
        loop = Loop("worker", worker.run_once)
        loop.start()
        await embedder.reached.acquire()
        stopping = asyncio.create_task(loop.stop(timeout_s=patience_s))
        if patience_s:
            embedder.go.set()
        await stopping
        left = 0 if patience_s else 2
        assert [row["lease"] for row in await scene.tasks()] == [None] * left


async def test_cancelled_while_claiming(scene: Scene, db: Database) -> None:
    """A step cancelled while its claim is on the way leaves no lease behind."""
    await scene.post()
    two = await Two(db).connect()
    async with db.transaction() as connection:
        await connection.execute("lock table embedding_task in access exclusive mode")
        step = asyncio.create_task(two.workers[0].step())
        waiting = "select count(*) from pg_locks where not granted and relation = 'embedding_task'::regclass"
        await scene.until(waiting, lambda count: count > 0)
        step.cancel()
    await asyncio.wait({step})
    assert [(row["lease"], row["attempts"]) for row in await scene.tasks()] == [(None, 0)]


async def test_storing_and_a_batch_of_writes_do_not_deadlock(scene: Scene, db: Database) -> None:
    """Postings are locked in the order in which writers lock them, whatever their ids."""
    (later,) = await scene.post(external_id="b")
    (sooner,) = await scene.post(external_id="a")
    two = await Two(db).connect()
    step = asyncio.create_task(two.workers[0].step())
    await two.embedders[0].reached.acquire()
    async with db.transaction() as connection:
        await connection.execute("select from job where id = $1 for update", sooner)
        two.embedders[0].go.set()
        await scene.until("select count(*) from pg_locks where not granted", lambda count: count > 0)
        await connection.execute("select from job where id = $1 for update", later)
    assert (await step).stored == 2


async def test_returning_tasks_waits_for_no_writer(scene: Scene, db: Database) -> None:
    """Renewing, returning, setting aside and dropping skip a row that a writer holds, so that none can deadlock."""
    held, free = await scene.post(count=2)
    lease = uuid4()
    await scene.rows("update embedding_task set lease = $1 returning 1", lease)
    async with db.transaction() as connection:
        await connection.execute("select from embedding_task where job_id = $1 for update", held)
        await queries.renew_lease(db, lease=lease, lease_s=1.0)
        both = [held, free]
        assert await queries.drop_settled(db, generation=1, lease=lease, job_ids=both) == []
        assert await queries.discard_tasks(db, lease=lease, job_ids=both, reasons=["one", "two"]) == [free]
        assert await queries.retry_tasks(db, lease=lease, wait_s=0.0, reason=None) == []
    assert [row["reason"] for row in await scene.tasks()] == [None, "two"]


def start_worker(dsn: str, fake: FakeOllama) -> subprocess.Popen[bytes]:
    """A real worker process on this database, with the fake as its embedder."""
    environment = {
        "JOBSENSE_DATABASE_URL": dsn,
        "JOBSENSE_EMBEDDER": "ollama",
        "JOBSENSE_OLLAMA_URL": fake.url,
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "service", "worker"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


async def test_a_killed_worker(scene: Scene, dsn: str) -> None:
    """A worker process killed in a batch leaves tasks that the next finishes once their lease has lapsed."""
    with FakeOllama(dimensions=32, loaded=True) as fake:
        victim = start_worker(dsn, fake)
        try:
            await scene.until("select count(*) from live_generation", bool, timeout_s=20)
            fake.set(hold=True)
            ids = await scene.post(count=3)
            await scene.until("select count(*) from embedding_task where leased_until > now()", lambda held: held == 3)
            await fake.wait_until(lambda counts: counts.in_flight > 0)
        finally:
            victim.kill()
        assert await asyncio.to_thread(victim.wait) == -signal.SIGKILL
        assert [row["leased"] for row in await scene.tasks()] == [True] * 3
        fake.set(hold=False)
        await scene.age_leases()
        heir = start_worker(dsn, fake)
        try:
            await scene.until("select count(*) from embedding_task", lambda left: left == 0, timeout_s=20)
        finally:
            heir.terminate()
        assert await asyncio.to_thread(heir.wait) == 0, "it stops cleanly"
    assert [(await scene.state(job_id))[0] for job_id in ids] == ["done"] * 3
