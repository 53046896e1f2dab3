"""Embedding gives way to searches: small claims while they are about, and a deadline that counts all waits."""

import asyncio
import contextvars
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from service import arrival
from service.db import Database
from service.embedder import QUIET_AFTER_S
from service.embedding.domain import LiveEmbedder
from service.embedding.lane import Lanes
from service.embedding.portions import MOST_REST_S
from service.embedding.worker import GENTLE, IDLE_S, Worker
from service.errors import EmbedderUnavailable
from tests.fakes import StuckEmbedder, WordEmbedder
from tests.worker.scene import Scene, reason

URL = "http://model.example"


async def claims(worker: Worker, scene: Scene) -> tuple[int, float]:
    """How many tasks one step takes, and for how long the worker rests afterwards."""
    before = len(await scene.tasks())
    pause_s = await worker.run_once()
    return before - len(await scene.tasks()), pause_s


def searched(live: LiveEmbedder) -> bool:
    """Whether searches are about, as a type checker cannot foresee it."""
    return live.queries_about


async def test_claims_are_small_while_searches_are_about(
    scene: Scene, worker: Worker, live: LiveEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a query the worker takes a few postings and rests; when it has been quiet for a while it takes all."""
    await scene.post(count=3 * GENTLE)
    assert not searched(live)
    await live.embed_query("nurse")
    assert searched(live)
    taken, pause_s = await claims(worker, scene)
    assert taken == GENTLE
    assert 0 < pause_s <= MOST_REST_S
    loop = asyncio.get_running_loop()
    later = loop.time() + QUIET_AFTER_S
    monkeypatch.setattr(loop, "time", lambda: later)
    assert not searched(live)
    assert await claims(worker, scene) == (2 * GENTLE, 0.0)
    assert await worker.run_once() == IDLE_S


async def test_probes_are_no_searches(live: LiveEmbedder) -> None:
    """Looking whether the embedder is back does not slow down what it is to embed."""
    live.note_absence(EmbedderUnavailable("gone", reason="refused"))
    await live.connect()
    assert live.absence is None
    assert not live.queries_about


async def test_searches_elsewhere_count_too(scene: Scene, db: Database, embedder: WordEmbedder) -> None:
    """A query that another process announces at the same model server makes this one gentle."""
    server = {"ollama": Lanes(db, URL), "elsewhere": Lanes(db, URL)}
    here = LiveEmbedder(db, lambda _: [embedder], lane_of=lambda *_: server["ollama"].of("ollama", "words"))
    try:
        await here.connect()
        lane, other = server["ollama"].of("ollama", "words"), server["elsewhere"].of("ollama", "words")
        other.note_query()
        assert not here.queries_about, "nothing is read while there is no bulk work"
        async with asyncio.timeout(10), lane.bulk():
            await scene.until("select 1", lambda _: here.queries_about)
        await other.close()
    finally:
        await here.close()


async def served(work: Callable[[], Awaitable[Any]], *, waited_s: float, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Work for a request that has waited for so long already."""

    async def run() -> Any:
        arrival.note_arrival()
        now = time.monotonic
        monkeypatch.setattr("service.arrival.time.monotonic", lambda: now() + waited_s)
        try:
            return await work()
        finally:
            monkeypatch.undo()

    return await asyncio.get_running_loop().create_task(run(), context=contextvars.copy_context())


@pytest.fixture
def stuck() -> StuckEmbedder:
    """An embedder whose queries hang while they are told to."""
    return StuckEmbedder()


async def test_a_wait_for_a_place_is_part_of_the_deadline(
    db: Database, stuck: StuckEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that has waited for longer than the deadline is not kept any longer: overloaded, and no outage."""
    live = LiveEmbedder(db, lambda _: [stuck], deadline_s=0.5)
    await live.connect()
    try:
        asked = len(stuck.queries)
        with pytest.raises(EmbedderUnavailable) as refused:
            await served(lambda: live.embed_query("late"), waited_s=0.6, monkeypatch=monkeypatch)
        assert refused.value.reason == "overloaded"
        assert (len(stuck.queries), reason(live)) == (asked, None)
        await served(lambda: live.embed_query("in time"), waited_s=0.3, monkeypatch=monkeypatch)
        assert stuck.queries[-1] == "in time"
    finally:
        await live.close()


async def test_too_little_time_is_not_the_embedders_failure(
    db: Database, stuck: StuckEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A query that was given less than half of its time and came too late says nothing about the embedder."""
    live = LiveEmbedder(db, lambda _: [stuck], deadline_s=0.2)
    await live.connect()
    stuck.free.clear()
    try:
        for _ in range(4):
            with pytest.raises(EmbedderUnavailable) as late:
                await served(lambda: live.embed_query("x"), waited_s=0.15, monkeypatch=monkeypatch)
            assert late.value.reason == "timeout"
        assert (live.breaker.state, live.absence) == ("closed", None)
        with pytest.raises(EmbedderUnavailable):
            await live.embed_query("x")
        assert reason(live) == "timeout"
    finally:
        stuck.free.set()
        await live.close()


def test_outside_a_request_nothing_has_been_waited() -> None:
    """Commands and background work have their whole deadline."""
    assert contextvars.Context().run(arrival.waited_s) == 0.0
