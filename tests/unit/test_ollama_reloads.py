"""A model that gives bad vectors for everything is unloaded and loaded again: once, in seldom cases, undisturbed."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import msgspec
import pytest
import structlog

from service.embedder import PartlyEmbedded
from service.errors import EmbedderUnavailable, TextRefused
from service.ollama.client import OllamaEmbedder
from service.ollama.faults import Transient, WireFault
from service.ollama.reloads import BAD_IN_A_ROW, HARMLESS_TEXT, Reloader, Reloads
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


def steps(fake: FakeOllama) -> list[str]:
    """What was asked of the server, in order: the texts, `load`, `unload` and `ps`."""
    named = []
    for call in fake.calls:
        if call.path != "/api/embed":
            named.append(call.path.rpartition("/")[2])
        elif call.texts:
            named.append(" + ".join(text.partition(": ")[2] or text for text in call.texts))
        else:
            named.append("unload" if msgspec.json.decode(call.body).get("keep_alive") == 0 else "load")
    return named


CURE = [HARMLESS_TEXT, "unload", "ps", "load"]


async def test_a_query_gets_its_vector_after_a_reload(embedder: OllamaEmbedder, fake: FakeOllama) -> None:
    """After the retries, and a harmless text that fares no better; it is said once."""
    fake.set(zero_until_reload=True)
    with structlog.testing.capture_logs() as lines:
        assert len(await embedder.embed_query("nurse")) == 32
    assert steps(fake) == ["nurse"] * 4 + CURE + ["nurse"]
    assert [(line["event"], line["log_level"]) for line in lines] == [("embed.model_reloaded", "warning")]


async def test_passages_get_their_vectors_after_a_reload(embedder: OllamaEmbedder, fake: FakeOllama) -> None:
    """No text is blamed for what the model did."""
    fake.set(zero_until_reload=True)
    assert len(await embedder.embed_documents(["nurse", "cook"])) == 2
    assert steps(fake) == ["cook + nurse"] * 4 + CURE + ["cook + nurse"]


async def test_a_reload_that_does_not_help_is_the_last(embedder: OllamaEmbedder, fake: FakeOllama) -> None:
    """Vectors that stay bad are reported as before, and the model is left in peace for some minutes."""
    fake.set(zero_for="")
    for attempts in (4 + len(CURE) + 2, 4 + 1):
        fake.calls.clear()
        with pytest.raises(EmbedderUnavailable) as caught:
            await embedder.embed_query("nurse")
        assert caught.value.reason == "bad_vectors"
        assert len(steps(fake)) == attempts
    with pytest.raises(PartlyEmbedded) as partly:
        await embedder.embed_documents(["nurse", "cook"])
    assert (partly.value.reason, partly.value.finished, dict(partly.value.suspects)) == ("bad_vectors", {}, {})
    assert fake.counts.unloads == 1


async def test_it_may_be_reloaded_again_later(fake: FakeOllama) -> None:
    """Once the pause is over, four bad answers are met with a reload again."""
    async with opened(quick(fake.url, reloads=Reloads(every_s=0))) as client:
        await client.start()
        fake.set(zero_for="")
        fake.calls.clear()
        for _ in range(2):
            with pytest.raises(EmbedderUnavailable):
                await client.embed_query("nurse")
    assert steps(fake) == ["nurse"] * 4 + CURE + ["nurse", HARMLESS_TEXT] + ["nurse"] * 3 + CURE + [
        "nurse",
        HARMLESS_TEXT,
    ]


async def test_clients_made_anew_remember(fake: FakeOllama) -> None:
    """Clients that are made anew, after each failed start, share the pause: only the first reloads."""
    reloads = Reloads()
    fake.set(zero_for="")
    for _ in range(3):
        async with opened(quick(fake.url, reloads=reloads)) as client:
            with pytest.raises(EmbedderUnavailable) as caught:
                await client.start()
            assert caught.value.reason == "bad_vectors"
    assert fake.counts.unloads == 1


async def test_a_start_cures_too(fake: FakeOllama) -> None:
    """A process that starts while the model is stuck brings it back."""
    fake.set(zero_until_reload=True, loaded=True)
    async with opened(quick(fake.url)) as client:
        await client.start()
        assert client.identity.dimensions == 32
    assert fake.counts.unloads == 1


async def test_one_bad_text_is_no_reason(embedder: OllamaEmbedder, fake: FakeOllama) -> None:
    """Where a harmless text goes through the text is to blame, and the model stays, for queries and for passages."""
    fake.set(zero_for="poison")
    with pytest.raises(TextRefused):
        await embedder.embed_query("poison")
    with pytest.raises(PartlyEmbedded):
        await embedder.embed_documents(["poison", "nurse", "cook"])
    assert fake.counts.unloads == 0
    assert HARMLESS_TEXT in steps(fake)


async def test_queries_that_give_up_early_count_together(embedder: OllamaEmbedder, fake: FakeOllama) -> None:
    """Four bad answers in a row are enough, whichever calls they belong to: NaN, which is never repeated, as well."""
    fake.set(nan_for="", era="A")
    for _ in range(3):
        with pytest.raises(EmbedderUnavailable):
            await embedder.embed_query("nurse")
    assert fake.counts.unloads == 0
    with pytest.raises(EmbedderUnavailable):
        await embedder.embed_query("nurse")
    assert fake.counts.unloads == 1


async def test_a_control_that_fails_otherwise_is_no_reason(embedder: OllamaEmbedder, fake: FakeOllama) -> None:
    """When the server goes away meanwhile, a reload would mend nothing."""
    fake.set(zero_for="", hold=True, permits=4)
    query = asyncio.create_task(embedder.embed_query("nurse"))
    await fake.wait_until(lambda counts: counts.embed_requests == 5)
    fake.set(missing_model=True, hold=False)
    with pytest.raises(EmbedderUnavailable) as caught:
        await query
    assert (caught.value.reason, fake.counts.unloads) == ("bad_vectors", 0)


async def test_a_load_that_fails_says_so(embedder: OllamaEmbedder, fake: FakeOllama) -> None:
    """What keeps the model from being loaded again is the reason from then on."""
    fake.set(zero_for="", load_error="cudaMalloc failed: out of memory")
    with pytest.raises(EmbedderUnavailable) as caught:
        await embedder.embed_query("nurse")
    assert caught.value.reason == "load_failed"


async def test_it_waits_until_the_server_has_let_go(fake: FakeOllama, monkeypatch: pytest.MonkeyPatch) -> None:
    """A load that comes too early would find the old model; one that never goes is not waited for forever."""
    monkeypatch.setattr("service.ollama.wire._LOOK_EVERY_S", 0.0)
    monkeypatch.setattr("service.ollama.wire._LOOKS_AT_UNLOAD", 5)
    for listed, looks in ((2, 3), (99, 5)):
        fake.set(zero_until_reload=True, lingering=listed, loaded=True)
        fake.calls.clear()
        async with opened(quick(fake.url)) as client:
            await client.start()
        assert steps(fake).count("ps") == looks


async def test_nobody_disturbs_a_reload(embedder: OllamaEmbedder, fake: FakeOllama) -> None:
    """Requests of the other lane wait until the model is there again."""
    fake.set(zero_until_reload=True, load_delay_s=0.1)
    query = asyncio.create_task(embedder.embed_query("nurse"))
    await fake.wait_until(lambda counts: counts.unloads == 1)
    assert len(await embedder.embed_documents(["cook"])) == 1
    assert len(await query) == 32
    after = steps(fake)[steps(fake).index("unload") :]
    assert after[:3] == ["unload", "ps", "load"]
    assert sorted(after[3:]) == ["cook", "nurse"]


async def test_both_lanes_share_a_reload(embedder: OllamaEmbedder, fake: FakeOllama) -> None:
    """A query and a bulk request that fail at the same time are both repeated after one reload."""
    fake.set(zero_until_reload=True, hold=True)
    both = asyncio.gather(embedder.embed_query("nurse"), embedder.embed_documents(["cook"]))
    await fake.wait_until(lambda counts: counts.in_flight == 2)
    fake.set(hold=False)
    vector, vectors = await both
    assert (len(vector), len(vectors)) == (32, 1)
    assert fake.counts.unloads == 1


async def test_callers_at_the_same_time_share_a_reload() -> None:
    """Whoever asks while it runs waits for it, and is told to try again."""
    bad = WireFault(Transient("bad_vectors", "zeros"))
    reloads, go = list[str](), asyncio.Event()

    async def control() -> None:
        raise bad

    async def reload() -> None:
        reloads.append("reload")
        await go.wait()

    reloader = Reloader("model", Reloads(), control=control, reload=reload)
    assert not await reloader.cure()
    for _ in range(BAD_IN_A_ROW):
        reloader.note_fault(bad)
    both = asyncio.gather(reloader.cure(), reloader.cure())
    waiting = asyncio.gather(reloader.settled())
    await asyncio.wait((both, waiting), timeout=0)
    go.set()
    assert list(await both) == [True, True]
    await waiting
    assert (reloads, reloader.wanted) == (["reload"], False)


async def test_a_caller_that_leaves_does_not_stop_it(embedder: OllamaEmbedder, fake: FakeOllama) -> None:
    """The load goes on, because the server would abort it with its client; the next query finds the model there."""
    fake.set(zero_until_reload=True, load_delay_s=0.1)
    query = asyncio.create_task(embedder.embed_query("nurse"))
    await fake.wait_until(lambda counts: counts.unloads == 1)
    query.cancel()
    assert len(await embedder.embed_query("cook")) == 32
    assert (fake.counts.loads, fake.counts.aborted_loads) == (1, 0)


async def test_closing_ends_it(fake: FakeOllama) -> None:
    """A process that stops does not wait for a model to load."""
    async with opened(quick(fake.url)) as client:
        await client.start()
        fake.set(zero_until_reload=True, load_delay_s=30)
        query = asyncio.create_task(client.embed_query("nurse"))
        await fake.wait_until(lambda counts: counts.unloads == 1)
    with pytest.raises(EmbedderUnavailable):
        await query
    await fake.wait_until(lambda counts: counts.in_flight == 0)
