"""Embedding many passages: which text is to blame, when the server is, and what is kept either way."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence

import pytest

from service.embedder import PartlyEmbedded, Vector
from service.errors import TextRefused
from service.ollama import batches
from service.ollama.batches import BulkRun
from service.ollama.client import OllamaEmbedder
from service.ollama.faults import SUSPICIOUS, BadText, Permanent, Reason, TimedOut, Transient, Verdict, WireFault
from service.ollama.lanes import Lanes
from service.ollama.pacing import FIRST_ITEMS, Pace
from tests.fake_ollama.clients import opened, quick, started
from tests.fake_ollama.serve import FakeOllama

CONTROL = "harmless"


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


class Server:
    """Answers requests in memory: `faults` by a word in a text, or `down` for every text, after `sound` requests."""

    def __init__(self, *, down: Verdict | None = None, sound: int = 0, **faults: Verdict) -> None:
        self.requests: list[tuple[str, ...]] = []
        self.failed = 0
        self._down = down
        self._sound = sound
        self._faults = faults

    def run(self, texts: Sequence[str], pace: Pace | None = None) -> BulkRun:
        """One call of `embed_documents`."""
        pace = pace or _known_pace()
        return BulkRun(texts, lanes=Lanes(), pace=pace, send=self.send, control=lambda: self.send([CONTROL]))

    async def send(self, texts: Sequence[str]) -> list[Vector | None]:
        """Answer one request."""
        await asyncio.sleep(0)
        self.requests.append(tuple(texts))
        down = self._down if len(self.requests) > self._sound else None
        verdict = down or next((self._faults[word] for text in texts for word in self._faults if word in text), None)
        if verdict is not None:
            self.failed += 1
            raise WireFault(verdict)
        return [[1.0] for _ in texts]


def _known_pace() -> Pace:
    """A pace that knows of a fast server: a request takes 64 texts."""
    pace = Pace()
    pace.learn(1, 10, 0.004)
    for _ in range(9):
        pace.learn(pace.fit([10] * 99, 0.5), 640, 1e-6)
    return pace


async def partly(run: BulkRun) -> PartlyEmbedded:
    """The error of a run that does not finish."""
    with pytest.raises(PartlyEmbedded) as caught:
        await run.run()
    return caught.value


# --- against the fake


@pytest.mark.parametrize(
    ("knobs", "reason"),
    [({"dies_for": "poison", "era": "C"}, "runner_died"), ({"zero_for": "poison"}, "bad_vectors")],
)
async def test_a_text_that_fails_alone_is_a_suspect(
    embedder: OllamaEmbedder, fake: FakeOllama, knobs: dict[str, object], reason: str
) -> None:
    """It is found among the others, and left out of the call, since a harmless text goes through; all others go on."""
    fake.set(**knobs)
    texts = [f"job {n:02}" for n in range(30)]
    texts[3:3] = ["poison 1"]
    texts[20:20] = ["poison 2"]
    with pytest.raises(PartlyEmbedded) as caught:
        await embedder.embed_documents(texts)
    assert caught.value.reason == reason
    assert caught.value.suspects == {3: reason, 20: reason}
    assert sorted(caught.value.finished) == [n for n in range(32) if n not in (3, 20)]


async def test_a_text_that_hangs_is_a_suspect(fake: FakeOllama) -> None:
    """A text that times out alone, after it did so with another, is left out when a harmless one goes through."""
    async with opened(quick(fake.url, document_timeout_s=0.3)) as client:
        await client.start()
        fake.set(hang_for="poison")
        with pytest.raises(PartlyEmbedded) as caught:
            await client.embed_documents(["nurse", "poison"])
        assert caught.value.suspects == {1: "timeout"}
        assert list(caught.value.finished) == [0]


async def test_a_part_that_times_out_twice_stops_the_call(fake: FakeOllama) -> None:
    """When halves of several texts time out again, and a harmless text as well, the server is left in peace."""
    async with opened(quick(fake.url, document_timeout_s=0.1)) as client:
        await client.start()
        fake.calls.clear()
        fake.set(hold=True)
        with pytest.raises(PartlyEmbedded) as caught:
            await client.embed_documents([f"job {n}" for n in range(FIRST_ITEMS)])
        assert (caught.value.reason, caught.value.suspects) == ("timeout", {})
        assert [len(texts) for texts in fake.texts()] == [FIRST_ITEMS, FIRST_ITEMS // 2, 1]


async def test_a_text_that_hangs_is_found_among_many() -> None:
    """Parts that time out again and again are halved down to the text to blame, while a harmless one goes through."""
    server = Server(poison=TimedOut(0.0, "slow"))
    texts = [f"job {n:02}" for n in range(64)]
    texts[40] = "poison"
    error = await partly(server.run(texts))
    assert error.suspects == {40: "timeout"}
    assert len(error.finished) == 63
    assert server.failed == 7


async def test_requests_are_short_while_another_process_has_queries(fake: FakeOllama) -> None:
    """Texts that take longer than a query may wait go one by one; without queries about they share a request."""
    busy = True
    async with opened(quick(fake.url, busy_elsewhere=lambda: busy)) as client:
        await client.start()
        fake.calls.clear()
        fake.set(item_delay_s=0.03)
        await client.embed_documents([f"job {n}" for n in range(4)])
        assert [len(texts) for texts in fake.texts()] == [1] * 4
        busy = False
        fake.set(item_delay_s=0.0)
        await client.embed_documents([f"job {n}" for n in range(40)])
        assert len(fake.texts()) < 24


# --- against a server in memory


async def test_one_poison_costs_few_requests() -> None:
    """Bisecting takes about two requests and a proof for each halving."""
    server = Server(poison=Transient("runner_died", "gone"))
    texts = [f"job {n:02}" for n in range(64)]
    texts[37] = "poison"
    error = await partly(server.run(texts))
    assert error.suspects == {37: "runner_died"}
    assert len(error.finished) == 63
    assert server.failed == 7


@pytest.mark.parametrize("reason", sorted(SUSPICIOUS))
async def test_a_server_that_is_down_is_noticed_soon(reason: Reason) -> None:
    """Two parts and a harmless text that fail in a row are enough, however many texts wait."""
    server = Server(down=Transient(reason, "down"))
    error = await partly(server.run([f"job {n}" for n in range(500)]))
    assert (error.reason, error.finished, error.suspects) == (reason, {}, {})
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    "verdict",
    [
        Transient("refused", "nobody"),
        Transient("busy", "queue"),
        Transient("load_failed", "memory"),
        Permanent("model_missing", "pull"),
    ],
)
async def test_what_no_text_can_cause_stops_at_once(verdict: Verdict) -> None:
    """A server that is not there, full, or without the model gets no further request."""
    server = Server(down=verdict)
    error = await partly(server.run([f"job {n}" for n in range(500)]))
    assert (error.reason, error.finished, error.suspects) == (verdict.reason, {}, {})
    assert len(server.requests) == 1


async def test_the_fault_that_stopped_the_call_is_its_reason() -> None:
    """What was found before the server went away is kept; the reason is why the rest is missing."""
    server = Server(down=Transient("refused", "nobody"), sound=3, bad=Transient("bad_vectors", "zeros"))
    error = await partly(server.run(["bad", *(f"job {n:03}" for n in range(200))], Pace(most_items=1)))
    assert (error.reason, error.suspects) == ("refused", {0: "bad_vectors"})
    assert list(error.finished) == [1]


async def test_a_success_between_two_failures_clears_the_server() -> None:
    """While every other part goes through, no harmless text is needed before the one to blame is alone."""
    server = Server(poison=Transient("server_fault", "500"))
    await partly(server.run([*(f"job {n:03}" for n in range(7)), "poison!"]))
    assert [len(texts) for texts in server.requests] == [8, 4, 4, 2, 2, 1, 1, 1]
    assert server.requests[-1] == (CONTROL,)


async def test_a_harmless_text_decides_over_words_that_leave_doubt() -> None:
    """A refusal in unknown words holds only when the server takes a harmless text."""
    refused = await Server(odd=BadText("odd", certain=False)).run(["odd", "job"]).run()
    assert [isinstance(outcome, TextRefused) for outcome in refused] == [True, False]
    error = await partly(Server(down=BadText("odd", certain=False)).run(["odd"]))
    assert (error.reason, error.finished, error.suspects) == ("protocol", {}, {})


async def test_a_refusal_that_passes_sets_no_text_aside(embedder: OllamaEmbedder, fake: FakeOllama) -> None:
    """A 400 in unknown words that ends when the harmless text is tried was not the text's fault: it is embedded."""
    fake.set(fail_next=1, fail_status=400)
    (vector,) = await embedder.embed_documents(["job"])
    assert not isinstance(vector, TextRefused)
    assert fake.counts.embed_requests == 3


async def test_the_rest_after_a_time_out_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that took minutes is not followed by minutes of nothing."""
    monkeypatch.setattr(batches, "MOST_REST_S", 0.0)
    server = Server(slow=TimedOut(600.0, "slow"))
    async with asyncio.timeout(5.0):
        error = await partly(server.run(["slow", "job"]))
    assert error.suspects == {0: "timeout"}
    assert list(error.finished) == [1]
