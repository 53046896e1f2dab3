"""How the Ollama client meets faults on the way, bisects, and keeps to its time, against a fake on a real socket."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from service.embedder import PartlyEmbedded
from service.errors import EmbedderUnavailable, TextRefused
from service.ollama.client import OllamaEmbedder
from service.ollama.faults import SUSPICIOUS
from service.ollama.pacing import FIRST_ITEMS
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


@pytest.mark.parametrize(
    "knobs", [{"era": "A", "nan_for": "poison"}, {"context_length": 10}, {"odd_400_for": "poison"}]
)
async def test_bisecting_takes_few_requests(
    embedder: OllamaEmbedder, fake: FakeOllama, knobs: dict[str, object]
) -> None:
    """One text of sixteen that the model will never take is found by halving."""
    fake.set(**knobs)
    texts = [f"job {n}" for n in range(15)]
    texts.insert(6, "poison " + "word " * 12)
    results = await embedder.embed_documents(texts)
    assert [n for n, result in enumerate(results) if isinstance(result, TextRefused)] == [6]
    assert fake.counts.embed_requests <= 12


async def test_silent_cut_of_a_query_is_refused(embedder: OllamaEmbedder, fake: FakeOllama) -> None:
    """A query that a server cuts in spite of `truncate: false` is not repeated."""
    fake.set(context_length=10, silent_cut=True)
    with pytest.raises(TextRefused):
        await embedder.embed_query("poison " + "word " * 12)
    assert fake.counts.embed_requests == 1


# Beside the rows of the contract (test_ollama_rows): what routers, proxies and broken connections answer.
PERMANENT: list[tuple[dict[str, object], str]] = [
    ({"answer_dimensions": 31}, "wrong_dimensions"),
    ({"fail_next": 99, "fail_status": 200, "fail_text": "<html>", "fail_plain": True}, "protocol"),
    ({"fail_next": 99, "fail_status": 404, "fail_text": "404 page not found", "fail_plain": True}, "protocol"),
    ({"fail_next": 99, "fail_status": 405, "fail_plain": True}, "protocol"),
    ({"fail_next": 99, "fail_status": 307, "fail_text": "", "fail_plain": True}, "protocol"),
    ({"fail_next": 99, "fail_status": 403, "fail_text": "", "fail_plain": True}, "forbidden"),
    ({"fail_next": 99, "fail_status": 401, "fail_text": "unauthorized"}, "forbidden"),
]
TRANSIENT: list[tuple[dict[str, object], str]] = [
    ({"fail_next": 99, "fail_status": 502, "fail_plain": True}, "refused"),
    ({"drop": "before"}, "dropped"),
    ({"drop": "middle"}, "dropped"),
]


@pytest.mark.parametrize(
    ("knobs", "reason", "requests"), [(*row, 1) for row in PERMANENT] + [(*row, 4) for row in TRANSIENT]
)
async def test_faults_of_the_server(
    embedder: OllamaEmbedder, fake: FakeOllama, knobs: dict[str, object], reason: str, requests: int
) -> None:
    """What nobody mends in time is asked once, what may pass four times; no text is blamed for it."""
    fake.set(**knobs)
    with pytest.raises(EmbedderUnavailable) as query:
        await embedder.embed_query("nurse")
    assert (query.value.reason, fake.counts.embed_requests) == (reason, requests)
    fake.set(**knobs)
    with pytest.raises(PartlyEmbedded) as documents:
        await embedder.embed_documents(["nurse", "cook"] * 20)
    assert (documents.value.reason, documents.value.finished) == (reason, {})
    # Where a text may be to blame, a harmless one is tried too.
    proofs = 2 if reason in SUSPICIOUS else 1
    assert fake.counts.embed_requests == (1 + proofs) * requests


@pytest.mark.parametrize(
    "knobs",
    [
        {"era": "A", "runner_deaths": 3},
        {"era": "B", "runner_deaths": 3},
        {"fail_next": 2, "fail_status": 503, "fail_text": "server busy"},
        {"drop": "before", "drops": 2},
        {"drop": "middle", "drops": 2},
    ],
)
async def test_passing_faults_are_ridden_out(
    embedder: OllamaEmbedder, fake: FakeOllama, knobs: dict[str, object]
) -> None:
    """Up to three retries hide a fault that passes, for queries and for documents."""
    fake.set(**knobs)
    assert len(await embedder.embed_query("nurse")) == 32
    fake.set(**knobs)
    assert len(await embedder.embed_documents(["nurse", "cook"])) == 2


@pytest.mark.parametrize(
    ("knobs", "reason"),
    [
        ({"odd_400_for": ""}, "protocol"),
        ({"era": "A", "nan_for": ""}, "bad_vectors"),
        ({"era": "B", "nan_for": ""}, "bad_vectors"),
    ],
)
async def test_no_text_is_blamed_when_all_fail(
    embedder: OllamaEmbedder, fake: FakeOllama, knobs: dict[str, object], reason: str
) -> None:
    """A server that refuses even a harmless text is at fault itself: nothing is set aside for good."""
    fake.set(**knobs)
    with pytest.raises(PartlyEmbedded) as caught:
        await embedder.embed_documents(["nurse", "cook", "driver", "teacher"])
    assert (caught.value.reason, caught.value.finished) == (reason, {})


async def test_bad_vectors_of_some_keep_the_others(embedder: OllamaEmbedder, fake: FakeOllama) -> None:
    """Zeros among good vectors are asked for again alone; the good ones are kept and handed over with the error."""
    fake.set(zero_for="poison")
    texts = [f"job {n}" for n in range(20)] + ["poison"]
    with pytest.raises(PartlyEmbedded) as caught:
        await embedder.embed_documents(texts)
    assert caught.value.reason == "bad_vectors"
    assert sorted(caught.value.finished) == list(range(20))


async def test_finished_batches_survive_a_later_fault(embedder: OllamaEmbedder, fake: FakeOllama) -> None:
    """What was embedded before the server went away is not lost."""
    fake.set(hold=True, permits=1)
    call = asyncio.create_task(embedder.embed_documents([f"job {n:02}" for n in range(32)]))
    await fake.wait_until(lambda counts: counts.items_computed == FIRST_ITEMS and counts.embed_requests == 2)
    fake.set(missing_model=True, hold=False)
    with pytest.raises(PartlyEmbedded) as caught:
        await call
    assert caught.value.reason == "model_missing"
    assert sorted(caught.value.finished) == list(range(FIRST_ITEMS))


async def test_lone_surrogate_is_refused(embedder: OllamaEmbedder) -> None:
    """Text that is not Unicode text is refused without a request that could fail."""
    results = await embedder.embed_documents(["nurse", "\ud800"])
    assert isinstance(results[0], list)
    assert isinstance(results[1], TextRefused)


# --- time


async def test_query_has_one_deadline(fake: FakeOllama) -> None:
    """A query that gets no vector in its time fails with the reason timeout, and is not repeated."""
    async with opened(quick(fake.url, query_timeout_s=0.1)) as client:
        await client.start()
        before = fake.counts.embed_requests
        fake.set(hold=True)
        with pytest.raises(EmbedderUnavailable) as caught:
            await client.embed_query("nurse")
        assert caught.value.reason == "timeout"
        assert fake.counts.embed_requests == before + 1


async def test_timed_out_batch_comes_back_at_half_the_size(fake: FakeOllama) -> None:
    """After a time-out the lane rests, then two halves go."""
    async with opened(quick(fake.url, document_timeout_s=0.15)) as client:
        await client.start()
        fake.calls.clear()
        fake.set(hold=True)
        call = asyncio.create_task(client.embed_documents([f"job {n}" for n in range(FIRST_ITEMS)]))
        await fake.wait_until(lambda counts: counts.disconnects == 1)
        fake.set(hold=False)
        assert len(await call) == FIRST_ITEMS
        assert [len(texts) for texts in fake.texts()] == [FIRST_ITEMS, FIRST_ITEMS // 2, FIRST_ITEMS // 2]


async def test_second_time_out_gives_up(fake: FakeOllama) -> None:
    """Where a text alone and a harmless one time out too, the rest is left: a wedged server is not asked on and on."""
    async with opened(quick(fake.url, document_timeout_s=0.1)) as client:
        await client.start()
        fake.calls.clear()
        fake.set(hold=True)
        with pytest.raises(PartlyEmbedded) as caught:
            await client.embed_documents(["nurse", "cook"])
        assert caught.value.reason == "timeout"
        assert caught.value.suspects == {}
        assert [len(texts) for texts in fake.texts()] == [2, 1, 1]
