"""Search texts through memory, shared calls and the breaker, with the real Ollama client against a fake on a socket."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

import pytest

from service.db import Database, half_vector
from service.embedding import domain, queries
from service.embedding.breaker import THRESHOLD
from service.embedding.domain import LiveEmbedder
from service.embedding.model import QueryVector
from service.embedding.query_batch import CALLS_AT_ONCE
from service.embedding.query_cache import KnownQueries
from service.errors import DatabaseUnavailable, EmbedderUnavailable, TextRefused
from service.ollama.client import OllamaEmbedder
from service.telemetry.lifecycle import Telemetry
from tests.fake_ollama.clients import quick
from tests.fake_ollama.serve import FakeOllama
from tests.worker.scene import reason

DEADLINE_S = 5.0
"""Of a query where none is to be late."""
SHORT_S = 0.15


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
def client(fake: FakeOllama) -> OllamaEmbedder:
    """The Ollama client, closed by whoever is connected to it."""
    return quick(fake.url)


@pytest.fixture
async def live(db: Database, fake: FakeOllama, client: OllamaEmbedder) -> AsyncIterator[LiveEmbedder]:
    """It, connected; the fake's calls begin after that."""
    made = LiveEmbedder(db, lambda _generation: [client], deadline_s=DEADLINE_S)
    await made.connect()
    assert made.absence is None, made.absence
    fake.reset()
    fake.set(dimensions=32, loaded=True)
    yield made
    await made.close()


@pytest.fixture
def known(live: LiveEmbedder) -> KnownQueries:
    """A memory of texts before it, empty."""
    return KnownQueries(live)


def asked(known: KnownQueries, *texts: str) -> list[asyncio.Task[QueryVector]]:
    """Searches at the same time."""
    return [asyncio.create_task(known.embed_query(text)) for text in texts]


def sizes(fake: FakeOllama) -> list[int]:
    """How many texts each request held."""
    return [len(texts) for texts in fake.texts()]


async def failure(known: KnownQueries, text: str) -> str:
    """Why a query fails."""
    with pytest.raises(EmbedderUnavailable) as caught:
        await known.embed_query(text)
    return caught.value.reason


async def test_equal_texts_in_flight_are_one_request(known: KnownQueries, fake: FakeOllama) -> None:
    """Whoever asks for a text while the server computes it has the vector from the one request; then from memory."""
    fake.set(hold=True)
    first = asked(known, "nurse")
    await fake.wait_until(lambda counts: counts.in_flight == 1)
    others = asked(known, *["nurse"] * 9)
    others[4].cancel()
    fake.set(hold=False)
    vectors = await asyncio.gather(*first, *others[:4], *others[5:])
    vectors.append(await known.embed_query("nurse"))
    assert all(vector == vectors[0] for vector in vectors)
    assert fake.texts() == [("search_query: nurse",)]


async def test_a_waiter_that_leaves_aborts_nothing(known: KnownQueries, fake: FakeOllama) -> None:
    """The request goes on for the other one; when that leaves too, it goes on in the background as any late one."""
    fake.set(hold=True)
    first, second = asked(known, "nurse", "nurse")
    await fake.wait_until(lambda counts: counts.in_flight == 1)
    for task in (first, second):
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
    assert (fake.counts.disconnects, fake.counts.in_flight) == (0, 1)
    fake.set(hold=False)
    await fake.wait_until(lambda counts: counts.in_flight == 0)
    await known.embed_query("nurse")
    assert fake.counts.disconnects == 0


async def test_fifty_texts_are_a_few_requests(known: KnownQueries, fake: FakeOllama, live: LiveEmbedder) -> None:
    """Distinct searches share requests, each has its own vector, and the server has few requests at a time."""
    texts = [f"nurse {number}" for number in range(50)]
    vectors = await asyncio.gather(*asked(known, *texts))
    assert sum(sizes(fake)) == 50
    assert len(sizes(fake)) <= 10
    assert fake.counts.most_in_flight <= CALLS_AT_ONCE
    embedder, _ = await live.ready()
    alone = [await embedder.embed_queries([text]) for text in texts[:3]]
    assert [half_vector(one) for (one,) in alone if isinstance(one, list)] == [vector.vector for vector in vectors[:3]]


@pytest.mark.parametrize("fault", ["nan_for", "dies_for"])
async def test_a_failing_neighbour(known: KnownQueries, fake: FakeOllama, live: LiveEmbedder, fault: str) -> None:
    """A text that the model refuses, or that kills the runner, fails alone of all that share its request."""
    fake.set(**{fault: "poison"})
    good, bad, other = await asyncio.gather(*asked(known, "nurse", "poison", "cook"), return_exceptions=True)
    assert sizes(fake)[0] == 3
    assert isinstance(good, QueryVector)
    assert isinstance(other, QueryVector)
    assert isinstance(bad, TextRefused | EmbedderUnavailable)
    assert live.breaker.state == "closed"


async def test_many_texts_in_one_call(known: KnownQueries, fake: FakeOllama) -> None:
    """Equal texts are embedded once, known ones not at all, the rest in one request; each failure is its own."""
    await known.embed_query("nurse")
    fake.set(nan_for="poison", nan_as="500")
    outcomes = await known.embed_queries(["cook", "nurse", "poison", "cook", "clerk"])
    kinds = [type(outcome) for outcome in outcomes]
    assert kinds == [QueryVector, QueryVector, TextRefused, QueryVector, QueryVector]
    assert outcomes[0] == outcomes[3]
    assert outcomes[1] == await known.embed_query("nurse")
    assert sizes(fake)[:2] == [1, 3]
    assert await known.embed_queries([]) == []


async def test_many_texts_and_no_embedder(known: KnownQueries, fake: FakeOllama) -> None:
    """While Ollama fails the known texts have their vectors, and the others say why they have none."""
    vector = await known.embed_query("nurse")
    fake.set(missing_model=True)
    outcomes = await known.embed_queries(["nurse", "cook", "clerk"])
    assert outcomes[0] == vector
    reasons = [outcome.reason for outcome in outcomes if isinstance(outcome, EmbedderUnavailable)]
    assert reasons == ["model_missing"] * 2


async def test_no_generation_no_vectors(known: KnownQueries, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the database does not say which generation is live, nothing is served from memory either."""
    await known.embed_query("nurse")

    async def fail(_db: Database) -> None:
        raise DatabaseUnavailable("away", reason="unreachable")

    monkeypatch.setattr(domain, "GENERATION_MAX_AGE_S", -1.0)
    monkeypatch.setattr(queries, "fetch_live_generation", fail)
    for work in (known.embed_query("nurse"), known.embed_queries(["nurse"])):
        with pytest.raises(DatabaseUnavailable):
            await work


async def test_an_outage_is_noticed_by_new_texts(known: KnownQueries, fake: FakeOllama, live: LiveEmbedder) -> None:
    """Known texts are served through an outage and hide it from nobody: new ones fail, and open the breaker."""
    vector = await known.embed_query("nurse")
    fake.set(missing_model=True)
    for number in range(THRESHOLD):
        assert await known.embed_query("nurse") == vector
        assert live.breaker.state == "closed"
        assert await failure(known, f"new {number}") == "model_missing"
    assert (live.breaker.state, reason(live)) == ("open", "model_missing")
    assert await known.embed_query("nurse") == vector
    fake.set(missing_model=False)
    await live.connect()
    assert isinstance(await known.embed_query("new 0"), QueryVector)


async def test_a_shared_failure_counts_once(known: KnownQueries, fake: FakeOllama, live: LiveEmbedder) -> None:
    """However many texts share a request that fails, it is one failure to the breaker, not as many as texts."""
    fake.set(missing_model=True)
    for number in range(THRESHOLD):
        assert live.breaker.state == "closed"
        outcomes = await known.embed_queries([f"{word} {number}" for word in ("nurse", "cook", "clerk", "driver")])
        assert {type(outcome) for outcome in outcomes} == {EmbedderUnavailable}
        assert reason(live) == "model_missing"
    assert live.breaker.state == "open"


async def test_equal_texts_at_a_hanging_server(db: Database, fake: FakeOllama, client: OllamaEmbedder) -> None:
    """One text asked again and again meets its deadline each time, and opens the breaker as different ones do."""
    live = LiveEmbedder(db, lambda _generation: [client], deadline_s=SHORT_S)
    await live.connect()
    known = KnownQueries(live)
    fake.set(hang=True)
    for _ in range(2 * THRESHOLD):
        searches = await asyncio.gather(*asked(known, "nurse", "nurse"), return_exceptions=True)
        assert {type(one) for one in searches} == {EmbedderUnavailable}
        if live.breaker.state == "open":
            break
    assert (live.breaker.state, reason(live)) == ("open", "timeout")
    await live.close()


async def test_another_generation_has_its_own_vectors(
    known: KnownQueries, db: Database, live: LiveEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As soon as another generation is live, no vector of the one before is served; then those are forgotten."""
    before = await known.embed_query("nurse")
    old = before.generation
    monkeypatch.setattr(domain, "GENERATION_MAX_AGE_S", -1.0)
    made = await queries.create_generation(
        db,
        provider=old.provider,
        model=old.model,
        digest="f" * 64,
        dimensions=old.dimensions,
        max_tokens=old.max_tokens,
        query_template=old.query_template,
        document_template=old.document_template,
        passage_tokens=old.passage_tokens,
        passage_overlap=old.passage_overlap,
        similarity_floor=old.similarity_floor,
        coverage_weight=old.coverage_weight,
        now=datetime.now(UTC),
    )
    async with db.connection() as connection:
        await connection.execute("update live_generation set generation = $1", made)
    assert await failure(known, "nurse") == "model_differs"
    assert len(known.cache) == 0
    async with db.connection() as connection:
        await connection.execute("update live_generation set generation = $1", old.id)
    assert await known.embed_query("nurse") == before
    assert live.generation == old


async def test_vectors_of_an_exchanged_model_are_forgotten(
    known: KnownQueries, fake: FakeOllama, live: LiveEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the model turns out to be another, what may be of it is forgotten; older vectors serve on, for they fit."""
    monkeypatch.setattr(domain, "CHECK_EVERY_S", 0.0)
    before = await known.embed_query("before")
    await live.connect()
    fake.set(digest="f" * 64)
    await known.embed_query("after")
    await live.connect()
    assert reason(live) == "model_differs"
    assert await known.embed_query("before") == before
    assert await failure(known, "after") == "model_differs"


async def test_it_is_counted(known: KnownQueries, fake: FakeOllama, telemetry: Telemetry, live: LiveEmbedder) -> None:
    """Each query counts as hit, shared or miss; the texts of each call are counted too, those of probes among them."""
    fake.set(hold=True)
    first = asked(known, "nurse", "cook")
    await fake.wait_until(lambda counts: counts.in_flight == 1)
    others = asked(known, "nurse", "nurse")
    fake.set(hold=False)
    await asyncio.gather(*first, *others)
    await known.embed_queries(["nurse", "clerk"])
    sample = telemetry.metrics.registry.get_sample_value
    counted = {one: sample("jobsense_query_cache_total", {"result": one}) for one in ("hit", "shared", "miss")}
    assert counted == {"hit": 1, "shared": 2, "miss": 3}
    assert sample("jobsense_query_call_texts_sum") == 3
    assert sample("jobsense_query_call_texts_count") == len(fake.texts()) == 2
    assert reason(live) is None
