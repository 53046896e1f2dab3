"""A query whose caller leaves: what is with the server goes on, what waits goes, and nothing is left behind."""

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator

import pytest

from service.errors import EmbedderUnavailable, TextRefused
from service.ollama import late_queries
from service.ollama.client import OllamaEmbedder
from service.ollama.lanes import QUERIES_IN_FLIGHT
from service.telemetry.stages import stage
from tests.fake_ollama.clients import opened, quick, started
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


async def asked(embedder: OllamaEmbedder, fake: FakeOllama, text: str) -> asyncio.Task[list[float]]:
    """A query whose request has come to the server and waits there."""
    fake.set(hold=True)
    call = asyncio.create_task(embedder.embed_query(text))
    await fake.wait_until(lambda counts: counts.in_flight == 1)
    return call


async def leave(*calls: asyncio.Task[list[float]]) -> None:
    """Cancel the callers, who are gone at once."""
    for call in calls:
        call.cancel()
    async with asyncio.timeout(1.0):
        await asyncio.gather(*calls, return_exceptions=True)
    assert all(call.cancelled() for call in calls)


async def test_a_request_in_flight_goes_on(embedder: OllamaEmbedder, fake: FakeOllama) -> None:
    """The server does not see its client leave, and the next query is served after the late one."""
    await leave(await asked(embedder, fake, "late"))
    following = asyncio.create_task(embedder.embed_query("following"))
    fake.set(permits=1)  # the late one ends
    await fake.wait_until(lambda counts: counts.embed_requests == 2)
    fake.set(hold=False)
    assert len(await following) == 32
    assert fake.counts.disconnects == 0
    assert fake.texts() == [("search_query: late",), ("search_query: following",)]


async def test_a_query_that_waits_just_goes(embedder: OllamaEmbedder, fake: FakeOllama) -> None:
    """Who leaves the line is not sent; the others are."""
    fake.set(hold=True)
    calls = [asyncio.create_task(embedder.embed_query(f"query {n}")) for n in range(QUERIES_IN_FLIGHT + 3)]
    await fake.wait_until(lambda counts: counts.in_flight == QUERIES_IN_FLIGHT)
    await leave(calls.pop(QUERIES_IN_FLIGHT + 1))
    fake.set(hold=False)
    assert [len(vector) for vector in await asyncio.gather(*calls)] == [32] * (QUERIES_IN_FLIGHT + 2)
    sent = [f"search_query: query {n}" for n in (QUERIES_IN_FLIGHT, QUERIES_IN_FLIGHT + 2)]
    assert sorted(text for (text,) in fake.texts()[QUERIES_IN_FLIGHT:]) == sent


async def test_a_model_is_loaded_although_nobody_waits(embedder: OllamaEmbedder, fake: FakeOllama) -> None:
    """A server aborts a load whose client leaves; ours stays, so that the next query finds the model."""
    fake.set(loaded=False, load_delay_s=0.1)
    call = asyncio.create_task(embedder.embed_query("nurse"))
    await fake.wait_until(lambda counts: counts.in_flight == 1)
    await leave(call)
    await fake.wait_until(lambda counts: counts.loads == 1 and counts.in_flight == 0)
    assert fake.counts.aborted_loads == 0


async def test_late_requests_have_a_bound(fake: FakeOllama) -> None:
    """A late request is given up after the time-out of loading."""
    async with opened(quick(fake.url, warm_up_timeout_s=0.3)) as client:
        await client.start()
        await leave(await asked(client, fake, "late"))
        await fake.wait_until(lambda counts: counts.disconnects == 1)
        fake.set(hold=False)
        assert len(await client.embed_query("nurse")) == 32


async def test_a_load_may_take_longer_than_a_query(fake: FakeOllama) -> None:
    """A request whose caller has come to the end of its own time goes on, until the model is loaded."""
    async with opened(quick(fake.url, query_timeout_s=0.05)) as client:
        await client.start()
        fake.set(loaded=False, load_delay_s=0.3)
        before = fake.counts.loads
        with pytest.raises(EmbedderUnavailable) as caught:
            await client.embed_query("nurse")
        assert caught.value.reason == "timeout"
        await fake.wait_until(lambda counts: counts.loads == before + 1 and counts.in_flight == 0)
        assert fake.counts.aborted_loads == 0


async def test_lost_answers_block_nobody(
    embedder: OllamaEmbedder, fake: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests that are never answered give their places back; the first that is answered ends them."""
    monkeypatch.setattr(late_queries, "HOLD_S", 0.0)
    fake.set(hang_for="lost")
    lost = [asyncio.create_task(embedder.embed_query("lost")) for _ in range(QUERIES_IN_FLIGHT)]
    await fake.wait_until(lambda counts: counts.in_flight == QUERIES_IN_FLIGHT)
    await leave(*lost)
    assert fake.counts.disconnects == 0
    async with asyncio.timeout(5.0):
        assert len(await embedder.embed_query("nurse")) == 32
    await fake.wait_until(lambda counts: counts.disconnects == QUERIES_IN_FLIGHT and counts.in_flight == 0)


@pytest.mark.parametrize("other", ["query", "passages"])
async def test_a_loaded_model_needs_no_late_request(embedder: OllamaEmbedder, fake: FakeOllama, other: str) -> None:
    """Who leaves when another was answered in the meantime takes its request along: no load is at stake."""
    fake.set(hang_for="lost")
    lost = asyncio.create_task(embedder.embed_query("lost"))
    await fake.wait_until(lambda counts: counts.in_flight == 1)
    await (embedder.embed_query("nurse") if other == "query" else embedder.embed_documents(["nurse"]))
    assert fake.counts.disconnects == 0
    await leave(lost)
    await fake.wait_until(lambda counts: counts.disconnects == 1 and counts.in_flight == 0)


async def test_late_requests_are_few(
    embedder: OllamaEmbedder, fake: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Past a number of them a request goes with its caller, so that no backlog grows at a server in trouble."""
    monkeypatch.setattr(late_queries, "MOST_LATE", 1)
    fake.set(hold=True)
    calls = [asyncio.create_task(embedder.embed_query(f"query {n}")) for n in range(3)]
    await fake.wait_until(lambda counts: counts.in_flight == 3)
    await leave(*calls)
    await fake.wait_until(lambda counts: counts.disconnects == 2 and counts.in_flight == 1)
    fake.set(hold=False)


@pytest.mark.parametrize(
    "knobs",
    [{"nan_for": "zzz", "nan_as": "500"}, {"zero_for": "zzz"}, {"odd_400_for": "zzz"}],
    ids=lambda one: next(iter(one)),
)
async def test_a_text_of_doubt_is_judged_by_a_harmless_one(
    embedder: OllamaEmbedder, fake: FakeOllama, knobs: dict[str, object]
) -> None:
    """Words or zeros that may be the server's fault are the text's when a harmless one goes through; else they stay."""
    fake.set(**knobs)
    with pytest.raises(TextRefused):
        await embedder.embed_query("zzz")
    fake.set(**{name: "" if name.endswith("_for") else value for name, value in knobs.items()})
    with pytest.raises(EmbedderUnavailable) as caught:
        await embedder.embed_query("zzz")
    assert caught.value.reason in {"bad_vectors", "protocol"}


async def test_a_late_failure_is_not_repeated_and_not_reported(embedder: OllamaEmbedder, fake: FakeOllama) -> None:
    """Nobody waits for another attempt, and the event loop is told of no exception that was never retrieved."""
    reports = list[dict[str, object]]()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: reports.append(context))
    try:
        await leave(await asked(embedder, fake, "late"))
        fake.set(fail_next=1, hold=False)
        assert len(await embedder.embed_query("nurse")) == 32
        gc.collect()
    finally:
        loop.set_exception_handler(None)
    assert reports == []
    assert fake.texts() == [("search_query: late",), ("search_query: nurse",)]


async def test_leaving_between_two_attempts(fake: FakeOllama) -> None:
    """A query that pauses before its next attempt does not keep the lane for the rest of its pause."""
    async with opened(quick(fake.url, backoff_s=(60.0, 60.0))) as client:
        await client.start()
        before = fake.counts.embed_requests
        fake.set(fail_next=1)
        call = asyncio.create_task(client.embed_query("late"))
        await fake.wait_until(lambda counts: counts.embed_requests == before + 1 and counts.in_flight == 0)
        await leave(call)
        async with asyncio.timeout(5.0):
            assert len(await client.embed_query("nurse")) == 32


async def test_close_ends_what_is_late_and_what_waits(embedder: OllamaEmbedder, fake: FakeOllama) -> None:
    """A client that is closed leaves no task behind, and says so to those who still wait."""
    before = asyncio.all_tasks()
    await leave(await asked(embedder, fake, "late"))
    waiting = asyncio.create_task(embedder.embed_query("waiting"))
    await asyncio.sleep(0)
    await embedder.close()
    with pytest.raises(EmbedderUnavailable) as caught:
        await waiting
    assert caught.value.reason == "closed"
    await fake.wait_until(lambda counts: counts.disconnects == 1)
    assert asyncio.all_tasks() <= before


async def test_late_queries_are_marked(embedder: OllamaEmbedder, fake: FakeOllama) -> None:
    """The span of a query that was left says that its request went on."""
    with stage("embed") as noted:
        call = await asked(embedder, fake, "late")
        await leave(call)
    assert noted.attributes["jobsense.embed.late"] is True
    fake.set(hold=False)
