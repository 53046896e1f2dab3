"""The lane that processes share at a model server: two of them on one database, and the server between them."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from uuid import uuid4

import pytest

from service.db import Database
from service.embedder import QUIET_AFTER_S, Embedder
from service.embedding import lane as lane_module
from service.embedding import queries
from service.embedding.domain import LiveEmbedder
from service.embedding.lane import LEASE_S, Lane, Lanes
from service.embedding.model import Generation
from service.embedding.worker import Worker
from service.errors import DatabaseUnavailable
from service.loop import Loop
from tests.fake_ollama.clients import MODEL, quick
from tests.fake_ollama.serve import FakeOllama
from tests.worker.scene import Scene

KEY = "the server"


@pytest.fixture
async def other_db(dsn: str) -> AsyncIterator[Database]:
    """The pool of another process on the same database."""
    opened = await Database.open(dsn, max_size=4)
    yield opened
    await opened.close()


@pytest.fixture
def lane(db: Database) -> Lane:
    """One process's view."""
    return Lane(db, KEY)


@pytest.fixture
def other(other_db: Database) -> Lane:
    """That of another."""
    return Lane(other_db, KEY)


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


async def until_announced(scene: Scene) -> datetime:
    """When queries were announced last."""
    asked = "select coalesce(max(queried_at), '-infinity') > '-infinity' from model_lane"
    await scene.until(asked, lambda announced: announced is True)
    at: datetime = await scene.value("select max(queried_at) from model_lane")
    return at


async def age_lane(scene: Scene, seconds: float) -> None:
    """Let time pass in the lane's row."""
    await scene.rows(
        "update model_lane set queried_at = queried_at - $1::interval, bulk_until = bulk_until - $1::interval"
        " returning 1",
        timedelta(seconds=seconds),
    )


async def test_queries_are_seen_by_bulk_work_elsewhere(scene: Scene, lane: Lane, other: Lane) -> None:
    """A query announced in one process is seen in another when it begins bulk work, and forgotten after a while."""
    async with other.bulk():
        assert not other.queries_elsewhere(), "there never was one"
    lane.note_query()
    await until_announced(scene)
    assert not other.queries_elsewhere(), "nobody reads without bulk work"
    async with other.bulk():
        assert other.queries_elsewhere()
    await age_lane(scene, QUIET_AFTER_S)
    async with other.bulk():
        assert not other.queries_elsewhere()


async def test_queries_are_seen_during_bulk_work(scene: Scene, lane: Lane, other: Lane) -> None:
    """A query that comes while another process does bulk work is seen there within a moment."""
    async with other.bulk():
        lane.note_query()
        await scene.until("select 1", lambda _: other.queries_elsewhere())


async def test_announcements_are_few(scene: Scene, lane: Lane, other: Lane) -> None:
    """However many queries come, one process announces once a second, and a fresh note of another is left alone."""
    lane.note_query()
    first = await until_announced(scene)
    for _ in range(100):
        lane.note_query()
        other.note_query()
    assert lane._announcing is not None
    assert other._announcing is not None
    await asyncio.wait({lane._announcing, other._announcing})
    assert await scene.value("select queried_at from model_lane") == first
    await age_lane(scene, 2)
    other._announced_at -= 2
    other.note_query()
    await asyncio.wait({other._announcing})
    assert await scene.value("select queried_at from model_lane") >= first


async def test_one_process_at_a_time(scene: Scene, lane: Lane, other: Lane) -> None:
    """While one does bulk work another waits; it is let in when the first has ended."""
    order = []

    async def work() -> None:
        async with other.bulk():
            order.append("other")

    async with lane.bulk():
        waiting = asyncio.create_task(work())
        polls = "select count(*) from model_lane where bulk_lease is not null"
        for _ in range(20):
            assert await scene.value(polls) == 1
        order.append("one")
    await asyncio.wait_for(waiting, 5)
    assert order == ["one", "other"]
    assert await scene.value("select bulk_lease from model_lane") is None


async def test_a_turn_is_renewed_and_lapses(scene: Scene, db: Database, lane: Lane) -> None:
    """A process that works keeps its turn; that of one that died is free after some seconds."""
    async with lane.bulk():
        before = await scene.value("select bulk_until from model_lane")
        await scene.until("select bulk_until from model_lane", lambda until: until > before)
    dead = uuid4()
    assert await queries.take_bulk_turn(db, server=KEY, lease=dead, seconds=LEASE_S)
    assert not await queries.take_bulk_turn(db, server=KEY, lease=uuid4(), seconds=LEASE_S)
    await age_lane(scene, LEASE_S + 1)
    async with asyncio.timeout(1), lane.bulk():
        await queries.give_up_bulk_turn(db, server=KEY, lease=dead)
        assert await scene.value("select bulk_lease from model_lane") == lane._lease


async def test_a_stop_ends_the_wait(lane: Lane, other: Lane) -> None:
    """A process that waits for its turn can be cancelled at once, and takes no turn afterwards."""
    waiting = asyncio.Event()

    async def work() -> float:
        waiting.set()
        async with other.bulk():
            raise AssertionError("it had its turn")

    loop = Loop("worker", work)
    async with lane.bulk():
        loop.start()
        await waiting.wait()
        began = time.perf_counter()
        await loop.stop(timeout_s=0)
        assert time.perf_counter() - began < 1
        assert other._worked_s == 0


async def test_a_hog_lets_others_in(scene: Scene, lane: Lane, other: Lane, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process with much to do pauses now and then, if there are others that embed, so that they get their turn."""

    async def two(_db: Database) -> int:
        return 2

    monkeypatch.setattr(queries, "count_workers", two)
    monkeypatch.setattr(lane_module, "FAIR_S", 0.0)
    done = asyncio.Event()

    async def work() -> None:
        async with other.bulk():
            done.set()

    async with lane.bulk():
        waiting = asyncio.create_task(work())
        await scene.until("select count(*) from model_lane", lambda count: count == 1)
    turns = 0
    async with asyncio.timeout(5):
        while not done.is_set():
            async with lane.bulk():
                turns += 1
    await waiting
    assert turns <= 2


async def test_without_the_database_it_is_as_if_alone(lane: Lane, other: Lane, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the database fails or hangs, bulk work goes on, and no query is disturbed."""

    async def fail(_db: Database, **_given: object) -> bool:
        raise DatabaseUnavailable("away", reason="unreachable")

    async def hang(_db: Database, **_given: object) -> bool:
        await asyncio.Event().wait()
        return False

    monkeypatch.setattr(lane_module, "PATIENCE_S", 0.01)
    for fault in (fail, hang):
        for name in ("take_bulk_turn", "announce_queries", "fetch_query_age", "give_up_bulk_turn", "count_workers"):
            monkeypatch.setattr(queries, name, fault)
        other.note_query()
        async with asyncio.timeout(5), lane.bulk():
            assert not lane.queries_elsewhere()
        await other.close()
        lane._worked_s = other._announced_at = -1.0


def test_a_local_model_has_no_lane(db: Database) -> None:
    """A model in the process's own memory is shared with nobody; a server's model has one lane a process."""
    lanes = Lanes(db, "http://localhost:11434")
    assert lanes.at("local", "all-MiniLM-L6-v2") is None
    assert lanes.at("ollama", MODEL) is lanes.of("ollama", MODEL)


@contextlib.asynccontextmanager
async def process(db: Database, fake: FakeOllama) -> AsyncIterator[LiveEmbedder]:
    """An embedder wired as the application wires it."""
    lanes = Lanes(db, fake.url)

    def choose(_generation: Generation | None) -> list[Embedder]:
        return [quick(fake.url, busy_elsewhere=lanes.of("ollama", MODEL).queries_elsewhere)]

    live = LiveEmbedder(db, choose, deadline_s=5.0, lane_of=lanes.at)
    await live.connect()
    assert live.absence is None, live.absence
    try:
        yield live
    finally:
        await live.close()


async def test_two_workers_take_turns_at_a_server(
    scene: Scene, db: Database, other_db: Database, fake: FakeOllama
) -> None:
    """Of two processes only one has bulk requests in flight; a query of the other goes between, all is embedded."""
    async with process(db, fake) as one, process(other_db, fake) as two:
        await scene.post(count=4)
        workers = [Worker(scene.db, one, batch=2), Worker(other_db, two, batch=2)]
        before = fake.counts.embed_requests
        fake.set(hold=True)
        steps = [asyncio.create_task(worker.step()) for worker in workers]
        await fake.wait_until(lambda counts: counts.in_flight == 1)
        claimed = "select count(*) from embedding_task where leased_until > now()"
        await scene.until(claimed, lambda count: count == 4)
        query = asyncio.create_task(two.embed_query("accountant"))
        await fake.wait_until(lambda counts: counts.in_flight == 2)
        await until_announced(scene)
        assert fake.counts.embed_requests == before + 2, "one of a worker, one query"
        fake.set(hold=False)
        await query
        outcomes = await asyncio.gather(*steps)
        assert [outcome.stored for outcome in outcomes] == [2, 2]
        assert await scene.tasks() == []


async def test_bulk_work_gives_way_to_another_process(
    scene: Scene, db: Database, other_db: Database, fake: FakeOllama
) -> None:
    """While queries come to one process, the bulk requests of another are short."""
    async with process(db, fake) as serving, process(other_db, fake) as embedding:
        worker = Worker(other_db, embedding)
        fake.set(item_delay_s=0.02)

        async def longest_request(title: str) -> int:
            fake.calls.clear()
            await scene.post(count=12, title=title)
            await worker.step()
            return max(len(texts) for texts in fake.texts())

        await longest_request("So that it learns how long a text takes")
        quiet = await longest_request("Without queries")
        await serving.embed_query("accountant")
        await until_announced(scene)
        await age_lane(scene, -60)  # and another query comes again and again
        assert await longest_request("With queries") == 1 < quiet
