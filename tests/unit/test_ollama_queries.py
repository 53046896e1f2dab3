"""Several search texts in one request to Ollama: one that is to blame fails alone, and a fault of the server all."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from service.embedder import QueryOutcome
from service.errors import EmbedderUnavailable, TextRefused
from service.ollama.client import OllamaEmbedder
from service.ollama.lanes import QUERIES_PER_YIELD, Lanes
from tests.fake_ollama.clients import started
from tests.fake_ollama.serve import FakeOllama

TEXTS = ["nurse", "poison cook", "clerk"]


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


def kinds(outcomes: list[QueryOutcome]) -> list[type]:
    """What came of each text."""
    return [type(outcome) for outcome in outcomes]


async def test_several_share_a_request(embedder: OllamaEmbedder, fake: FakeOllama) -> None:
    """Texts go in one request with the model's prefix, and have the vectors that they have alone."""
    together = await embedder.embed_queries(TEXTS)
    assert fake.texts() == [tuple(f"search_query: {text}" for text in TEXTS)]
    assert together == [await embedder.embed_query(text) for text in TEXTS]
    assert await embedder.embed_queries(TEXTS[:1]) == together[:1]


@pytest.mark.parametrize(
    ("knobs", "kind"),
    [
        ({"nan_for": "poison"}, TextRefused),
        ({"nan_for": "poison", "nan_as": "500"}, TextRefused),
        ({"zero_for": "poison"}, TextRefused),
        ({"odd_400_for": "poison"}, TextRefused),
        ({"dies_for": "poison"}, EmbedderUnavailable),
        ({"dies_for": "poison", "era": "A"}, EmbedderUnavailable),
    ],
    ids=lambda one: "-".join(map(str, one.values())) if isinstance(one, dict) else one.__name__,
)
async def test_a_text_that_fails_sinks_nobody(
    embedder: OllamaEmbedder, fake: FakeOllama, knobs: dict[str, object], kind: type
) -> None:
    """Its neighbours in the request have their vectors, and it has the error that it has alone."""
    fake.set(**knobs)
    assert kinds(await embedder.embed_queries(TEXTS)) == [list, kind, list]


async def test_a_text_that_is_too_long_sinks_nobody(embedder: OllamaEmbedder) -> None:
    """The server refuses the whole request for it; the others are embedded."""
    outcomes = await embedder.embed_queries(["nurse", "word " * 3000, "clerk"])
    assert kinds(outcomes) == [list, TextRefused, list]


@pytest.mark.parametrize(
    ("knobs", "reason"),
    [
        ({"missing_model": True}, "model_missing"),
        ({"drop": "before"}, "dropped"),
        ({"queue_full": True, "loaded": False}, "busy"),
        ({"runner_deaths": 1000}, "runner_died"),
        ({"fail_next": 1000}, "server_fault"),
        ({"nan_for": "", "nan_as": "500"}, "bad_vectors"),
    ],
    ids=lambda one: next(iter(one)) if isinstance(one, dict) else one,
)
async def test_a_fault_of_the_server_is_told_once(
    embedder: OllamaEmbedder, fake: FakeOllama, knobs: dict[str, object], reason: str
) -> None:
    """When the server is to blame the request fails as it would for one text, and nothing is asked text by text."""
    fake.set(**knobs)
    with pytest.raises(EmbedderUnavailable) as caught:
        await embedder.embed_queries(TEXTS)
    assert caught.value.reason == reason
    assert all(len(texts) == len(TEXTS) or "software engineer" in texts[0] for texts in fake.texts())


async def test_a_request_goes_on_when_all_have_left(embedder: OllamaEmbedder, fake: FakeOllama) -> None:
    """As with one text: the server does not see its client leave, and a load that was begun is finished."""
    fake.set(loaded=False, load_delay_s=0.1)
    call = asyncio.create_task(embedder.embed_queries(TEXTS))
    await fake.wait_until(lambda counts: counts.in_flight == 1)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    await fake.wait_until(lambda counts: counts.loads == 1 and counts.in_flight == 0)
    assert (fake.counts.aborted_loads, fake.counts.disconnects) == (0, 0)


async def test_texts_that_share_a_request_count_one_by_one() -> None:
    """Bulk work that gives way to queries lets a number of texts pass, however few requests hold them."""
    lanes, passed = Lanes(queries_in_flight=1), list[str]()

    async def query() -> None:
        async with lanes.query(QUERIES_PER_YIELD):
            passed.append("query")
            await asyncio.sleep(0)

    async def bulk() -> None:
        async with lanes.bulk():
            passed.append("bulk")

    async with asyncio.TaskGroup() as tasks:
        for work in (query, query, bulk, query, query):
            tasks.create_task(work())
    assert passed.index("bulk") <= 2
