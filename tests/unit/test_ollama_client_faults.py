"""How the Ollama client meets faults, row by row, and time-outs, against a fake on a real socket."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from service.embedder import PartlyEmbedded
from service.errors import EmbedderUnavailable, TextRefused
from service.ollama.client import OllamaEmbedder
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


REFUSED_TEXTS: list[dict[str, object]] = [
    {"era": "A", "nan_for": "poison"},
    {"era": "B", "nan_for": "poison"},
    {"era": "A", "context_length": 10},
    {"era": "B", "context_length": 10},
    {"era": "C", "context_length": 10},
    {"odd_400_for": "poison"},
]
SILENT_CUT: dict[str, object] = {"context_length": 10, "silent_cut": True}


@pytest.mark.parametrize("knobs", REFUSED_TEXTS)
async def test_bad_text_is_refused_and_the_rest_kept(
    embedder: OllamaEmbedder, fake: FakeOllama, knobs: dict[str, object]
) -> None:
    """Bisecting finds the one text that the model will never take, in few requests; the others get their vectors."""
    fake.set(**knobs)
    texts = [f"job {n}" for n in range(15)]
    texts.insert(6, "poison " + "word " * 12)
    results = await embedder.embed_documents(texts)
    assert [n for n, result in enumerate(results) if isinstance(result, TextRefused)] == [6]
    assert all(len(result) == 32 for n, result in enumerate(results) if n != 6 and isinstance(result, list))
    assert fake.counts.embed_requests <= 10


@pytest.mark.parametrize("era", ["A", "B"])
async def test_query_without_a_number_is_not_repeated(embedder: OllamaEmbedder, fake: FakeOllama, era: str) -> None:
    """NaN for a query is no vector now, and one request is enough to know."""
    fake.set(era=era, nan_for="")
    with pytest.raises(EmbedderUnavailable) as caught:
        await embedder.embed_query("nurse")
    assert (caught.value.reason, fake.counts.embed_requests) == ("bad_vectors", 1)


@pytest.mark.parametrize("knobs", [*REFUSED_TEXTS[2:-1], SILENT_CUT])
async def test_bad_query_is_refused(embedder: OllamaEmbedder, fake: FakeOllama, knobs: dict[str, object]) -> None:
    """A query that the model will never take is not repeated."""
    fake.set(**knobs)
    with pytest.raises(TextRefused):
        await embedder.embed_query("poison " + "word " * 12)
    assert fake.counts.embed_requests == 1


async def test_silent_cut_is_noticed_by_the_count(embedder: OllamaEmbedder, fake: FakeOllama) -> None:
    """Where an old server cuts in spite of `truncate: false`, its token count gives it away once enough is missing."""
    fake.set(**SILENT_CUT)
    results = await embedder.embed_documents(["word " * 20, "word " * 25, "job"])
    assert [isinstance(result, TextRefused) for result in results] == [True, True, False]


PERMANENT: list[tuple[dict[str, object], str]] = [
    ({"missing_model": True}, "model_missing"),
    ({"era": "A", "cannot_embed": True}, "unsupported_model"),
    ({"era": "B", "cannot_embed": True}, "unsupported_model"),
    ({"era": "C", "cannot_embed": True}, "unsupported_model"),
    ({"answer_dimensions": 31}, "wrong_dimensions"),
    ({"fail_next": 99, "fail_status": 200, "fail_text": "<html>", "fail_plain": True}, "protocol"),
    ({"fail_next": 99, "fail_status": 404, "fail_text": "404 page not found", "fail_plain": True}, "protocol"),
    ({"fail_next": 99, "fail_status": 405, "fail_plain": True}, "protocol"),
    ({"fail_next": 99, "fail_status": 307, "fail_text": "", "fail_plain": True}, "protocol"),
    ({"fail_next": 99, "fail_status": 403, "fail_text": "", "fail_plain": True}, "forbidden"),
    ({"fail_next": 99, "fail_status": 401, "fail_text": "unauthorized"}, "forbidden"),
    ({"fail_next": 99, "fail_status": 400, "fail_text": "invalid input type"}, "protocol"),
]
TRANSIENT: list[tuple[dict[str, object], str]] = [
    ({"queue_full": True}, "busy"),
    ({"loaded": False, "load_error": "timed out waiting for llama-server to start"}, "load_failed"),
    ({"era": "A", "runner_deaths": 99}, "runner_died"),
    ({"era": "C", "runner_deaths": 99}, "runner_died"),
    ({"fail_next": 99, "fail_text": "something broke"}, "server_fault"),
    ({"fail_next": 99, "fail_status": 502, "fail_plain": True}, "refused"),
    ({"drop": "before"}, "dropped"),
    ({"drop": "middle"}, "dropped"),
    ({"zero_for": ""}, "bad_vectors"),
    ({"nan_for": ""}, "bad_vectors"),
    ({"scale_for": ""}, "bad_vectors"),
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
    assert fake.counts.embed_requests == 2 * requests


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
    await fake.wait_until(lambda counts: counts.items_computed == 16 and counts.embed_requests == 2)
    fake.set(missing_model=True, hold=False)
    with pytest.raises(PartlyEmbedded) as caught:
        await call
    assert caught.value.reason == "model_missing"
    assert sorted(caught.value.finished) == list(range(16))


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
    """After a time-out the lane rests, then two halves go; the smaller size is remembered."""
    async with opened(quick(fake.url, document_timeout_s=0.15)) as client:
        await client.start()
        fake.calls.clear()
        fake.set(hold=True)
        call = asyncio.create_task(client.embed_documents([f"job {n}" for n in range(8)]))
        await fake.wait_until(lambda counts: counts.disconnects == 1)
        fake.set(hold=False)
        assert len(await call) == 8
        assert [len(texts) for texts in fake.texts()] == [8, 4, 4]
        await client.embed_documents([f"job {n}" for n in range(8)])
        assert max(len(texts) for texts in fake.texts()[3:]) < 8


async def test_second_time_out_gives_up(fake: FakeOllama) -> None:
    """Halves that time out again are left for later: a wedged server is not asked on and on."""
    async with opened(quick(fake.url, document_timeout_s=0.1)) as client:
        await client.start()
        fake.calls.clear()
        fake.set(hold=True)
        with pytest.raises(PartlyEmbedded) as caught:
            await client.embed_documents(["nurse", "cook"])
        assert caught.value.reason == "timeout"
        assert [len(texts) for texts in fake.texts()] == [2, 1]
