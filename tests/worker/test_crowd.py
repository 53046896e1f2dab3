"""Queries that are late because of one another: no failure of the embedder, however many they are."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from service.db import Database
from service.embedder import Vector
from service.embedding import domain, queries
from service.embedding.breaker import THRESHOLD
from service.embedding.domain import PROBE_TEXT, LiveEmbedder
from service.errors import DatabaseUnavailable, EmbedderUnavailable
from tests.fakes import WordEmbedder
from tests.worker.scene import reason

DEADLINE_S = 0.15


class Crowded(WordEmbedder):
    """Answers no query that begins with `held`, and all others at once."""

    def __init__(self) -> None:
        super().__init__()
        self.held = "late"
        self.reached = asyncio.Semaphore(0)

    async def embed_query(self, text: str) -> Vector:
        """Hang, or answer."""
        if text.startswith(self.held):
            self.reached.release()
            await asyncio.Event().wait()
        return await super().embed_query(text)


@pytest.fixture
def crowded() -> Crowded:
    """It."""
    return Crowded()


@pytest.fixture
async def live(db: Database, crowded: Crowded) -> AsyncIterator[LiveEmbedder]:
    """It, connected."""
    made = LiveEmbedder(db, lambda _generation: [crowded], deadline_s=DEADLINE_S)
    await made.connect()
    yield made
    await made.close()


async def late(live: LiveEmbedder, number: int) -> str:
    """Why a query without an answer fails."""
    with pytest.raises(EmbedderUnavailable) as caught:
        await live.embed_query(f"late {number}")
    return caught.value.reason


async def test_lateness_among_others_is_overload(live: LiveEmbedder, crowded: Crowded) -> None:
    """However many of a burst come too late, the breaker stays closed while one of it is answered; else it opens."""
    burst = [asyncio.create_task(late(live, number)) for number in range(2 * THRESHOLD)]
    for _ in burst:
        await crowded.reached.acquire()
    await live.embed_query("nurse")
    assert await asyncio.gather(*burst) == ["overloaded"] * len(burst)
    assert (reason(live), live.breaker.state) == (None, "closed")
    assert [await late(live, number) for number in range(THRESHOLD)] == ["timeout"] * THRESHOLD
    assert (reason(live), live.breaker.state) == ("timeout", "open")


async def test_a_probe_that_others_overtake_makes_no_absence(live: LiveEmbedder, crowded: Crowded) -> None:
    """When a query is answered while a probe waits, the embedder is there, and the probe's lateness changes nothing."""
    live.note_absence(EmbedderUnavailable("away", reason="refused"))
    crowded.held = PROBE_TEXT
    probing = asyncio.create_task(live.connect())
    await crowded.reached.acquire()
    await live.embed_query("nurse")
    assert await probing > 0
    assert (reason(live), live.breaker.state) == (None, "closed")


async def test_a_database_outage_does_not_slow_the_prober_down(
    live: LiveEmbedder, crowded: Crowded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the generation cannot be read the embedder is looked for every two seconds, and is back right after."""
    crowded.down = "refused"
    for _ in range(THRESHOLD):
        with pytest.raises(EmbedderUnavailable):
            await live.embed_query("nurse")
    crowded.down = None
    monkeypatch.setattr(domain, "GENERATION_MAX_AGE_S", -1.0)

    async def fail(_db: Database) -> None:
        raise DatabaseUnavailable("away", reason="unreachable")

    with monkeypatch.context() as away:
        away.setattr(queries, "fetch_live_generation", fail)
        assert [await live.connect() for _ in range(9)] == [domain.RECONNECT_S] * 9
    assert (reason(live), live.breaker.state) == ("refused", "open")
    await live.connect()
    assert (reason(live), live.breaker.state) == (None, "closed")
