"""Queries by their deadline, whatever the embedder does; the breaker, and the probes that close it."""

import asyncio
import io
import json
import time
from collections.abc import AsyncIterator

import pytest

from service.db import Database, half_vector
from service.embedding import domain, queries
from service.embedding.breaker import MOST_PAUSE_S, THRESHOLD
from service.embedding.deadline import all_within
from service.embedding.domain import LiveEmbedder
from service.embedding.worker import Worker
from service.errors import DatabaseUnavailable, EmbedderUnavailable, TextRefused
from service.ollama.client import OllamaEmbedder
from tests.fake_ollama.clients import MODEL
from tests.fake_ollama.serve import FakeOllama
from tests.fakes import StuckEmbedder
from tests.worker.scene import Scene, reason

DEADLINE_S = 0.15
MARGIN_S = 1.0
"""For a machine that does something else; far below what the embedders here would take."""


@pytest.fixture
async def stuck() -> AsyncIterator[StuckEmbedder]:
    """An embedder whose queries hang when told to; let go at the end."""
    made = StuckEmbedder(max_tokens=8)
    yield made
    made.free.set()


@pytest.fixture
async def live(db: Database, stuck: StuckEmbedder) -> AsyncIterator[LiveEmbedder]:
    """It, connected."""
    made = LiveEmbedder(db, lambda _generation: [stuck], deadline_s=DEADLINE_S)
    await made.connect()
    yield made
    await made.close()


async def failure(live: LiveEmbedder, text: str = "accountant") -> str:
    """Why a query fails, which it does in time."""
    began = time.perf_counter()
    with pytest.raises(EmbedderUnavailable) as caught:
        await live.embed_query(text)
    assert time.perf_counter() - began < DEADLINE_S + MARGIN_S
    assert caught.value.retry_after_s >= 1
    return caught.value.reason


async def opened(live: LiveEmbedder, stuck: StuckEmbedder, why: str = "refused") -> None:
    """Let queries fail until the breaker is open."""
    stuck.down = why
    for _ in range(THRESHOLD):
        assert live.breaker.state == "closed"
        assert await failure(live) == why
    assert live.breaker.state == "open"


@pytest.mark.parametrize("deaf", [False, True], ids=["cancelled", "deaf to it"])
async def test_a_hanging_query_is_answered(live: LiveEmbedder, stuck: StuckEmbedder, deaf: bool) -> None:
    """Past the deadline a query fails by `timeout`, also where the embedder ignores that it is cancelled."""
    stuck.free.clear()
    stuck.deaf = deaf
    assert await failure(live) == "timeout"
    assert live.absence is not None
    assert (live.absence.reason, "deadline" in live.absence.detail) == ("timeout", True)
    stuck.free.set()
    assert (await live.embed_query("accountant")).vector == half_vector(stuck.vector("accountant"))
    assert reason(live) is None


async def test_a_long_query_has_the_same_deadline(live: LiveEmbedder, stuck: StuckEmbedder) -> None:
    """All pieces of a long query are embedded at once and share the deadline."""
    text = " ".join(f"word{number}" for number in range(40))
    whole = (await live.embed_query(text)).vector.to_list()
    pieces = len(stuck.queries)
    assert pieces > 3
    assert sum(value * value for value in whole) == pytest.approx(1, abs=1e-2)
    stuck.free.clear()
    assert await failure(live, text) == "timeout"
    assert stuck.most_waiting == pieces


async def test_whoever_leaves_counts_for_nothing(live: LiveEmbedder, stuck: StuckEmbedder) -> None:
    """A caller that leaves cancels its query; that is no failure."""
    stuck.free.clear()
    query = asyncio.create_task(live.embed_query("accountant"))
    await stuck.reached.wait()
    query.cancel()
    with pytest.raises(asyncio.CancelledError):
        await query
    assert (reason(live), live.breaker.state) == (None, "closed")


async def test_the_first_failure_ends_all() -> None:
    """The first failure is raised without waiting for the rest, which is cancelled; what those raise is nobody's."""
    cancelled = asyncio.Event()

    async def fail() -> None:
        raise EmbedderUnavailable("away", reason="refused")

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
            await fail()

    with pytest.raises(EmbedderUnavailable):
        await all_within(10, hang(), fail())
    await cancelled.wait()


async def test_failures_open_the_breaker(live: LiveEmbedder, stuck: StuckEmbedder) -> None:
    """After three failures in a row queries no longer reach the embedder; they fail by the last reason, at once."""
    await opened(live, stuck)
    first = live.absence
    stuck.down = None
    before = len(stuck.queries)
    assert await failure(live) == "refused"
    assert len(stuck.queries) == before
    assert live.absence == first


async def test_a_success_in_between_keeps_it_closed(live: LiveEmbedder, stuck: StuckEmbedder) -> None:
    """Failures that are not in a row do not open it, and a text that the model refuses is an answer."""
    for number in range(2 * THRESHOLD):
        for _ in range(THRESHOLD - 1):
            stuck.down = "dropped"
            assert await failure(live) == "dropped"
        stuck.down = None
        if number % 2:
            await live.embed_query("accountant")
        else:
            with pytest.raises(TextRefused):
                await live.embed_query("unembeddable")
        assert (reason(live), live.breaker.state) == (None, "closed")


@pytest.mark.usefixtures("telemetry")
async def test_a_probe_closes_it(live: LiveEmbedder, stuck: StuckEmbedder, log: io.BytesIO) -> None:
    """The background loop probes: in vain at first, later it closes the breaker, without a restart; both are logged."""
    await opened(live, stuck)
    since = live.absence.since if live.absence else None
    assert await live.connect() < 3
    assert (live.breaker.state, live.absence and live.absence.since) == ("open", since)
    stuck.down = None
    assert await live.connect() == domain.RECONNECT_S
    assert (live.breaker.state, reason(live)) == ("closed", None)
    assert (await live.embed_query("accountant")).vector.dimensions()
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    changes = [(line["level"], line["state"]) for line in lines if line["event"] == "breaker.changed"]
    assert changes == [("warning", "open"), ("info", "closed")]


async def test_a_probe_has_the_deadline_of_a_query(live: LiveEmbedder, stuck: StuckEmbedder) -> None:
    """A probe that hangs fails in time and leaves the breaker open; so does the question what model it is."""
    await opened(live, stuck)
    stuck.down = None
    for hanging in (stuck.free, stuck.known):
        hanging.clear()
        probing = asyncio.create_task(live.connect())
        await asyncio.wait_for(probing, MARGIN_S)
        assert (live.breaker.state, reason(live)) == ("open", "timeout")
        hanging.set()
    await live.connect()
    assert live.breaker.state == "closed"


async def test_queries_fail_while_a_probe_is_out(live: LiveEmbedder, stuck: StuckEmbedder) -> None:
    """Half open, only the probe reaches the embedder."""
    await opened(live, stuck)
    stuck.down = None
    stuck.free.clear()
    probing = asyncio.create_task(live.connect())
    await stuck.reached.wait()
    assert live.breaker.state == "half_open"
    assert await failure(live) == "refused"
    stuck.free.set()
    await probing
    assert live.breaker.number == 0


async def test_an_embedder_started_anew_is_probed(live: LiveEmbedder, stuck: StuckEmbedder) -> None:
    """When the breaker is open, an embedder that starts has to answer a query before queries are sent to it."""
    await opened(live, stuck)
    stuck.down = None
    stuck.swapped = True
    assert await live.connect() == MOST_PAUSE_S
    assert (live.breaker.state, reason(live)) == ("open", "model_differs")
    stuck.swapped = False
    stuck.free.clear()
    await live.connect()
    assert (live.breaker.state, reason(live)) == ("open", "timeout")
    stuck.free.set()
    await live.connect()
    assert (live.breaker.state, reason(live)) == ("closed", None)


async def test_too_many_queries_are_no_outage(live: LiveEmbedder, stuck: StuckEmbedder) -> None:
    """A query that would wait too long fails at once by `overloaded`; that makes no absence and opens no breaker."""
    live._line._mean_s = 0.4 * DEADLINE_S  # two at once are served in time, three are not
    stuck.free.clear()
    waiting = [asyncio.create_task(live.embed_query(text)) for text in ("accountant", "nurse")]
    await stuck.reached.wait()
    for _ in range(2 * THRESHOLD):
        assert await failure(live, "cook") == "overloaded"
    assert (reason(live), live.breaker.state) == (None, "closed")
    stuck.free.set()
    assert len(await asyncio.gather(*waiting)) == 2


async def test_late_queries_do_not_stop_the_worker(scene: Scene, db: Database, stuck: StuckEmbedder) -> None:
    """Where only queries are too slow postings are embedded all the same; any other failure makes the worker wait."""
    await scene.post()
    live = LiveEmbedder(db, lambda _generation: [stuck], deadline_s=DEADLINE_S)
    await live.connect()
    worker = Worker(db, live)
    stuck.free.clear()
    for _ in range(THRESHOLD):
        assert await failure(live) == "timeout"
    assert live.breaker.state == "open"
    await worker.run_once()
    assert await scene.tasks() == []
    stuck.free.set()
    await live.connect()
    stuck.down = "refused"
    assert await failure(live) == "refused"
    stuck.down = None
    await scene.post(title="Another")
    assert await worker.run_once() > 0
    assert len(await scene.tasks()) == 1
    await live.connect()
    await worker.run_once()
    assert await scene.tasks() == []


async def test_a_hanging_database_is_its_own_fault(live: LiveEmbedder, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the generation cannot be read in time that is the database's failure, and says nothing of the embedder."""

    async def hang(_db: Database) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(domain, "GENERATION_MAX_AGE_S", -1.0)
    monkeypatch.setattr(queries, "fetch_live_generation", hang)
    with pytest.raises(DatabaseUnavailable):
        await asyncio.wait_for(live.embed_query("accountant"), MARGIN_S)
    assert (reason(live), live.breaker.state) == (None, "closed")


async def test_closed_while_the_generation_is_read(live: LiveEmbedder, monkeypatch: pytest.MonkeyPatch) -> None:
    """An embedder that is released between two steps of a query is unavailable, not a fault."""
    read = queries.fetch_live_generation

    async def close_and_read(asked: Database) -> object:
        await live.close()
        return await read(asked)

    monkeypatch.setattr(domain, "GENERATION_MAX_AGE_S", -1.0)
    monkeypatch.setattr(queries, "fetch_live_generation", close_and_read)
    assert await failure(live) == "closed"


async def test_repeats_leave_time_for_the_true_reason(db: Database) -> None:
    """A server that refuses connections is named as such, not as late: its client's pauses fit into the deadline."""
    with FakeOllama(dimensions=32, loaded=True) as fake:
        live = LiveEmbedder(db, lambda _generation: [OllamaEmbedder(fake.url, MODEL)], deadline_s=2.0)
        await live.connect()
        assert reason(live) is None
        fake.stop()
        with pytest.raises(EmbedderUnavailable) as caught:
            await live.embed_query("accountant")
        assert caught.value.reason == "refused"
        await live.close()
