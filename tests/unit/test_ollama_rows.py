"""The wire contract of Ollama row by row: the fake answers as the row says, and our client does the right thing."""

import asyncio
import math
from collections.abc import AsyncIterator, Iterator
from operator import attrgetter

import httpx
import msgspec
import pytest

from service.embedder import PartlyEmbedded
from service.errors import EmbedderUnavailable, TextRefused
from service.ollama.client import OllamaEmbedder
from service.ollama.faults import BadText, Permanent, Transient, classify
from service.ollama.reloads import HARMLESS_TEXT
from tests.fake_ollama.clients import MODEL, TLS, opened, quick
from tests.fake_ollama.knobs import Knobs
from tests.fake_ollama.serve import FakeOllama
from tests.unit.ollama_rows import POISON, ROWS, SHORT, Row

ROW_NAME = attrgetter("name")
HEALTHY = {name: getattr(Knobs(), name) for name in Knobs.__struct_fields__} | {"dimensions": 32, "loaded": True}
HARMLESS = [f"job {n}" for n in range(7)]


@pytest.fixture(scope="module")
def running_fake() -> Iterator[FakeOllama]:
    """One fake for the module."""
    with FakeOllama() as fake:
        yield fake


@pytest.fixture
def fake(running_fake: FakeOllama) -> FakeOllama:
    """The fake as new, with short vectors and the model loaded."""
    running_fake.reset()
    running_fake.set(**HEALTHY)
    return running_fake


@pytest.fixture
async def http(fake: FakeOllama) -> AsyncIterator[httpx.AsyncClient]:
    """A plain HTTP client of the fake."""
    async with httpx.AsyncClient(base_url=fake.url, trust_env=False, verify=TLS) as client:
        yield client


@pytest.fixture
async def embedder(fake: FakeOllama) -> AsyncIterator[OllamaEmbedder]:
    """A started client of the fake whose templates add nothing; the counts begin after its start."""
    async with opened(quick(fake.url, query_template="{text}", document_template="{text}")) as client:
        await client.start()
        fake.reset()
        fake.set(**HEALTHY)
        yield client


def ids_of(*kinds: type) -> list[Row]:
    """The rows that our client can cause, by what they mean to it."""
    return [row for row in ROWS if row.client and row.kind in kinds]


@pytest.mark.parametrize("row", ROWS, ids=ROW_NAME)
async def test_the_fake_answers_and_the_answer_is_classified(
    http: httpx.AsyncClient, fake: FakeOllama, row: Row
) -> None:
    """Status, exact text and content type are the row's, and the raw answer has the row's verdict."""
    fake.set(**row.knobs)
    asked = row.request
    if asked is None:
        asked = {"model": MODEL, "input": ["harmless", row.poison], "truncate": False}
    answer = await http.post("/api/embed", content=asked if isinstance(asked, bytes) else msgspec.json.encode(asked))
    assert (answer.status_code, answer.json()) == (row.status, {"error": row.text})
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert "retry-after" not in answer.headers
    verdict = classify(answer.status_code, answer.content)
    assert (type(verdict), verdict.reason) == (row.kind, row.reason)
    assert row.text in verdict.detail
    assert not isinstance(verdict, BadText) or verdict.certain == row.certain


@pytest.mark.parametrize("row", ids_of(Permanent), ids=ROW_NAME)
async def test_what_cannot_pass_is_asked_once(embedder: OllamaEmbedder, fake: FakeOllama, row: Row) -> None:
    """One request is enough to know; no text is blamed, and nothing is taken for embedded."""
    fake.set(**row.knobs)
    with pytest.raises(EmbedderUnavailable) as query:
        await embedder.embed_query("nurse")
    with pytest.raises(PartlyEmbedded) as documents:
        await embedder.embed_documents(HARMLESS)
    assert [query.value.reason, documents.value.reason] == [row.reason] * 2
    assert (documents.value.finished, dict(documents.value.suspects)) == ({}, {})
    assert fake.counts.embed_requests == 2


@pytest.mark.parametrize("row", ids_of(BadText), ids=ROW_NAME)
async def test_the_text_is_refused_and_the_others_embedded(
    embedder: OllamaEmbedder, fake: FakeOllama, row: Row
) -> None:
    """Bisecting finds the text that is to blame; the rest of the batch has vectors, and a query of it has none."""
    fake.set(**row.knobs)
    results = await embedder.embed_documents([*HARMLESS[:4], row.poison, *HARMLESS[4:]])
    refused = [result for result in results if isinstance(result, TextRefused)]
    assert [position for position, result in enumerate(results) if result in refused] == [4]
    assert row.text in refused[0].detail
    fake.calls.clear()
    with pytest.raises(TextRefused):
        await embedder.embed_query(row.poison)
    assert fake.texts() == [(row.poison,)] + [(HARMLESS_TEXT,)] * (not row.certain)


@pytest.mark.parametrize("row", ids_of(Transient), ids=ROW_NAME)
async def test_what_may_pass_is_repeated(embedder: OllamaEmbedder, fake: FakeOllama, row: Row) -> None:
    """Three repeats, then the reason is reported, and no text is blamed; a fault that passes in time is not seen."""
    fake.set(**row.knobs)
    with pytest.raises(EmbedderUnavailable) as query:
        await embedder.embed_query("nurse")
    assert (query.value.reason, fake.counts.embed_requests) == (row.reason, 4)
    fake.set(**row.knobs)
    with pytest.raises(PartlyEmbedded) as documents:
        await embedder.embed_documents(HARMLESS)
    assert (documents.value.reason, documents.value.finished) == (row.reason, {})
    assert not documents.value.suspects
    before = fake.counts.embed_requests
    fake.set(**row.knobs, hold=True, permits=2)
    passing = asyncio.create_task(embedder.embed_documents(["nurse"]))
    await fake.wait_until(lambda counts: counts.embed_requests == before + 3)
    fake.set(**HEALTHY)
    assert len(await passing) == 1


# --- rows with status 200


@pytest.mark.parametrize(
    "given", [{}, {"input": None}, {"input": ""}, {"input": []}], ids=["missing", "null", "empty", "none"]
)
async def test_no_input_only_loads(http: httpx.AsyncClient, fake: FakeOllama, given: dict[str, object]) -> None:
    """The warm-up call has no vectors and no durations."""
    fake.set(loaded=False)
    answer = await http.post("/api/embed", json={"model": MODEL, **given})
    assert (answer.status_code, answer.json()) == (200, {"model": MODEL, "embeddings": []})
    assert fake.counts.loads == 1


async def test_empty_text_in_an_array_is_a_vector_of_bert(embedder: OllamaEmbedder) -> None:
    """A model with special tokens embeds them alone."""
    empty, other = await embedder.embed_documents(["", "nurse"])
    assert isinstance(empty, list)
    assert isinstance(other, list)
    assert math.hypot(*empty) == pytest.approx(1)


@pytest.mark.parametrize("era", ["A", "B", "C"])
async def test_a_long_text_is_cut_at_its_end(http: httpx.AsyncClient, fake: FakeOllama, era: str) -> None:
    """With truncation on the server cuts to its window and says so by the token count alone."""
    fake.set(**SHORT, era=era)
    words = "one two three four five six seven eight"
    whole = await http.post("/api/embed", json={"model": MODEL, "input": words})
    cut = await http.post("/api/embed", json={"model": MODEL, "input": words + " nine ten"})
    assert cut.json()["embeddings"] == whole.json()["embeddings"]
    assert cut.json()["prompt_eval_count"] == 10


@pytest.mark.parametrize("era", ["A", "B", "C"])
async def test_a_silent_cut_is_noticed(embedder: OllamaEmbedder, fake: FakeOllama, era: str) -> None:
    """A server that cuts although it may not gives itself away by its count; the text is refused, the rest kept."""
    fake.set(**SHORT, silent_cut=True, era=era)
    results = await embedder.embed_documents([*HARMLESS, POISON * 2])
    assert [isinstance(result, TextRefused) for result in results] == [False] * 7 + [True]


async def test_nan_is_zeros_in_era_c(embedder: OllamaEmbedder, fake: FakeOllama, http: httpx.AsyncClient) -> None:
    """The newest servers answer 200 with zeros: no vector to the client, and the text becomes a suspect."""
    fake.set(nan_for="poison")
    raw = await http.post("/api/embed", json={"model": MODEL, "input": POISON})
    assert (raw.status_code, raw.json()["embeddings"]) == (200, [[0.0] * 32])
    with pytest.raises(PartlyEmbedded) as caught:
        await embedder.embed_documents([*HARMLESS, POISON])
    assert sorted(caught.value.finished) == list(range(7))
    assert dict(caught.value.suspects) == {7: "bad_vectors"}
    with pytest.raises(TextRefused):
        await embedder.embed_query(POISON)


# --- traps


async def test_all_requests_are_alike_but_for_the_input(fake: FakeOllama) -> None:
    """Options that change reload the model, and keep_alive sticks: both are never sent, byte for byte, by nobody."""
    async with opened(quick(fake.url)) as client:
        await client.start()
        await client.embed_query("nurse")
        await client.embed_documents([*HARMLESS, "cook"])
    bodies = [call.body for call in fake.calls if call.path == "/api/embed"]
    around = set()
    for body in bodies:
        given = msgspec.json.encode(msgspec.json.decode(body)["input"])
        around.add(body.replace(given, b"..."))
    assert around == {b'{"model":"nomic-embed-text","input":...,"truncate":false}'}
    assert len(bodies) >= 7
    assert fake.counts.loads == 0  # it was there, and stayed


async def test_a_load_outlives_the_query_that_caused_it(embedder: OllamaEmbedder, fake: FakeOllama) -> None:
    """A client that leaves aborts the load; so a query that is cancelled leaves its request with the server."""
    fake.set(loaded=False, load_delay_s=0.1)
    query = asyncio.create_task(embedder.embed_query("nurse"))
    await fake.wait_until(lambda counts: counts.in_flight == 1)
    query.cancel()
    await fake.wait_until(lambda counts: counts.loads == 1)
    assert (fake.counts.aborted_loads, fake.counts.disconnects) == (0, 0)
