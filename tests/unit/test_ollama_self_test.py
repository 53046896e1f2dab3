"""The self-test at start: one text has one vector, alone, in a batch and beside another request, or no start."""

import asyncio
from collections.abc import Iterator, Sequence

import pytest

from service.embedder import Vector
from service.errors import EmbedderUnavailable
from service.ollama.faults import WireFault
from service.ollama.reloads import HARMLESS_TEXT
from service.ollama.self_test import COMPANION_TEXT, require_stable
from tests.fake_ollama.clients import opened, quick
from tests.fake_ollama.serve import FakeOllama

PROBE, COMPANION = f"search_query: {HARMLESS_TEXT}", f"search_query: {COMPANION_TEXT}"


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


async def refusal_of(fake: FakeOllama) -> EmbedderUnavailable:
    """How a client of the fake fails to start."""
    async with opened(quick(fake.url)) as client:
        with pytest.raises(EmbedderUnavailable) as caught:
            await client.start()
    return caught.value


async def test_start_asks_little(fake: FakeOllama) -> None:
    """One warm-up and four requests of five short texts; what the server has and shows is asked at the same time."""
    fake.set(hold=True, permits=3)
    async with opened(quick(fake.url)) as client:
        start = asyncio.create_task(client.start())
        await fake.wait_until(lambda counts: counts.in_flight == 2)
        fake.set(hold=False)
        await start
    assert fake.texts()[:2] == [(PROBE,), (COMPANION, PROBE)]
    assert sorted(fake.texts()[2:]) == [(COMPANION,), (PROBE,)]
    paths = [call.path for call in fake.calls]
    assert (paths[0], set(paths[1:3]), paths[3:]) == ("/api/version", {"/api/tags", "/api/show"}, ["/api/embed"] * 5)
    assert fake.counts.loads == 1


async def test_vectors_that_differ_in_a_batch(fake: FakeOllama) -> None:
    """A server that mixes up the texts of a request is refused by name, and the sentence tells what differed."""
    fake.set(unstable="batch")
    error = await refusal_of(fake)
    assert error.reason == "unstable_vectors"
    assert "another vector in a batch with another text: their cosine is" in error.detail


async def test_vectors_that_differ_beside_a_request(fake: FakeOllama) -> None:
    """So is one that mixes up requests: the fake holds both until they are there together."""
    fake.set(unstable="concurrent", hold=True, permits=3)
    refusal = asyncio.create_task(refusal_of(fake))
    await fake.wait_until(lambda counts: counts.in_flight == 2)
    fake.set(hold=False)
    error = await refusal
    assert error.reason == "unstable_vectors"
    assert "while another request ran" in error.detail


async def test_bad_vectors_are_not_called_unstable(fake: FakeOllama) -> None:
    """A harmless text that has no vector is another fault, which may pass."""
    fake.set(scale_for=COMPANION)
    assert (await refusal_of(fake)).reason == "bad_vectors"


async def test_faults_keep_their_reason(fake: FakeOllama) -> None:
    """What fails beside another request is reported as it is."""
    fake.set(missing_model=True)
    assert (await refusal_of(fake)).reason == "model_missing"


@pytest.mark.parametrize(
    ("in_batch", "reason"),
    [
        (None, "bad_vectors"),
        ([0.0, 1.0], "unstable_vectors"),
        ([1.0, 0.0, 0.0], "unstable_vectors"),
        ([0.998, 0.0632], "unstable_vectors"),
        ([0.9995, 0.0316], None),
    ],
)
async def test_how_near_is_the_same(in_batch: Vector | None, reason: str | None) -> None:
    """The cosine is above 0.999, among vectors of one length; small differences of arithmetic are no fault."""
    good = [1.0, 0.0]

    async def embed(texts: Sequence[str]) -> list[Vector | None]:
        return [good] if len(texts) == 1 else [good, in_batch]

    if reason is None:
        assert await require_stable(embed, "probe", "companion") == good
    else:
        with pytest.raises(WireFault) as caught:
            await require_stable(embed, "probe", "companion")
        assert caught.value.verdict.reason == reason
