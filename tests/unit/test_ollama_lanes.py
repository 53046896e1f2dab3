"""Queries go before bulk work, and nobody who leaves blocks a lane."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from service.embedder import QUIET_AFTER_S
from service.ollama.client import OllamaEmbedder
from service.ollama.lanes import QUERIES_IN_FLIGHT, QUERIES_PER_YIELD, Lanes
from tests.fake_ollama.clients import started
from tests.fake_ollama.serve import FakeOllama


@pytest.fixture(scope="module")
def running_fake() -> Iterator[FakeOllama]:
    """One fake for the module."""
    with FakeOllama() as fake:
        yield fake


@pytest.fixture
def fake(running_fake: FakeOllama) -> FakeOllama:
    """The fake as new, with short vectors."""
    running_fake.reset()
    running_fake.set(dimensions=32)
    return running_fake


@pytest.fixture
async def embedder(fake: FakeOllama) -> AsyncIterator[OllamaEmbedder]:
    """A started client of the fake; the counts begin after its start."""
    async with started(fake) as client:
        yield client


async def test_waiting_queries_go_before_the_next_bulk_request() -> None:
    """Bulk work that arrived first still gives way to a query that waits."""
    lanes, started, finish = Lanes(queries_in_flight=1), asyncio.Queue[str](), asyncio.Semaphore(0)

    async def use(name: str) -> None:
        async with lanes.query() if name.startswith("query") else lanes.bulk():
            started.put_nowait(name)
            await finish.acquire()

    async with asyncio.TaskGroup() as tasks:
        for name in ("bulk 1", "query 1", "bulk 2", "query 2"):
            tasks.create_task(use(name))
        assert [await started.get(), await started.get()] == ["bulk 1", "query 1"]
        finish.release()  # bulk 1 ends; bulk 2 may not start while query 2 waits
        finish.release()  # query 1 ends
        assert [await started.get(), await started.get()] == ["query 2", "bulk 2"]
        finish.release()
        finish.release()


async def test_queries_cannot_starve_bulk_work() -> None:
    """After a bounded number of queries a waiting bulk request takes its turn."""
    lanes, order = Lanes(queries_in_flight=1), list[str]()
    first, finish = asyncio.Event(), asyncio.Semaphore(0)

    async def use(name: str) -> None:
        async with lanes.query() if name == "query" else lanes.bulk():
            order.append(name)
            first.set()
            await finish.acquire()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(use("query"))
        await first.wait()
        for name in (*["query"] * 3 * QUERIES_PER_YIELD, "bulk"):
            tasks.create_task(use(name))
        # Each query that ends lets the next one start; the bulk request may not wait for the last of them.
        for _ in range(3 * QUERIES_PER_YIELD + 2):
            finish.release()
    assert QUERIES_PER_YIELD <= order.index("bulk") <= QUERIES_PER_YIELD + 2


async def test_a_waiter_that_leaves_lets_bulk_work_go_on() -> None:
    """Bulk work that gave way to a waiting query goes on when that query leaves instead of moving up."""
    lanes, have_bulk = Lanes(queries_in_flight=1), asyncio.Event()

    async def wait_in_line() -> None:
        async with lanes.query():
            raise AssertionError

    async def bulk() -> None:
        async with lanes.bulk():
            have_bulk.set()

    async with asyncio.TaskGroup() as tasks, lanes.query():
        waiting = tasks.create_task(wait_in_line())
        tasks.create_task(bulk())
        await asyncio.sleep(0)
        assert not have_bulk.is_set()
        waiting.cancel()
        await have_bulk.wait()


async def test_busy_while_queries_are_about() -> None:
    """A query makes the lanes busy while it is on its way and for a while after; another process makes them so too."""
    now, elsewhere = [100.0], list[str]()
    lanes = Lanes(lambda: bool(elsewhere), clock=lambda: now[0])
    seen = [lanes.busy]
    async with lanes.query():
        now[0] += 10 * QUIET_AFTER_S
        seen.append(lanes.busy)
    seen.append(lanes.busy)
    assert seen == [False, True, False]
    async with lanes.query():
        pass
    now[0] += 0.9 * QUIET_AFTER_S
    seen = [lanes.busy]
    now[0] += 0.2 * QUIET_AFTER_S
    seen.append(lanes.busy)
    elsewhere.append("a query")
    seen.append(lanes.busy)
    assert seen == [True, False, True]


async def test_one_bulk_request_and_a_few_queries_at_most(embedder: OllamaEmbedder, fake: FakeOllama) -> None:
    """Queries go beside the bulk request in flight; what is more waits in the client, where order can be kept."""
    fake.set(hold=True)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(embedder.embed_documents([f"job {n}" for n in range(64)]))
        tasks.create_task(embedder.embed_documents([f"post {n}" for n in range(64)]))
        await fake.wait_until(lambda counts: counts.in_flight == 1)
        for n in range(QUERIES_IN_FLIGHT + 2):
            tasks.create_task(embedder.embed_query(f"query {n}"))
        await fake.wait_until(lambda counts: counts.in_flight == 1 + QUERIES_IN_FLIGHT)
        fake.set(hold=False)
    assert fake.counts.most_in_flight == 1 + QUERIES_IN_FLIGHT
    order = ["query" in texts[0] for texts in fake.texts()]
    assert sum(order) == QUERIES_IN_FLIGHT + 2
    assert order[-3:] == [False] * 3


async def test_cancelled_requests_free_their_lane(embedder: OllamaEmbedder, fake: FakeOllama) -> None:
    """A caller of bulk work that leaves, in flight or in the queue, blocks nobody behind it, and the server notices."""
    fake.set(hold=True)
    bulk = [asyncio.create_task(embedder.embed_documents([f"job {n}" for n in range(40)])) for _ in range(2)]
    await fake.wait_until(lambda counts: counts.in_flight == 1)
    for call in bulk:
        call.cancel()
    await asyncio.gather(*bulk, return_exceptions=True)
    await fake.wait_until(lambda counts: counts.disconnects == 1 and counts.in_flight == 0)
    fake.set(hold=False)
    assert len(await embedder.embed_query("nurse")) == 32
    assert len(await embedder.embed_documents(["nurse"])) == 1
