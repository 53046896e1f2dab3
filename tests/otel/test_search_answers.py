"""What one search trace alone tells a reader who asks why: each answer is read from spans that a collector got."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from litestar.serialization import encode_json

from service.config import Settings
from service.db import Database
from tests.fake_ollama.clients import quick
from tests.fake_ollama.serve import FakeOllama
from tests.otel.conftest import Trace, Traced, tracing
from tests.otel.test_trees import create

HELD_S = 0.3
Cause = Callable[[Traced, pytest.MonkeyPatch], Awaitable[Trace]]


def longest(trace: Trace) -> str:
    """The name of the child of the root that took longest."""
    inner = [span for span in trace.spans if span.parent_span_id == trace.root.span_id]
    return max(inner, key=lambda span: span.end_time_unix_nano - span.start_time_unix_nano).name


def accounted_for(trace: Trace) -> float:
    """The share of the root's time that its children cover."""
    inner = [span for span in trace.spans if span.parent_span_id == trace.root.span_id]
    covered, until = 0, trace.root.start_time_unix_nano
    for span in inner:  # in the order in which they began
        covered += max(0, span.end_time_unix_nano - max(until, span.start_time_unix_nano))
        until = max(until, span.end_time_unix_nano)
    return covered / (trace.root.end_time_unix_nano - trace.root.start_time_unix_nano)


def later(do: Callable[[], object]) -> None:
    """Do it while the search waits."""
    asyncio.get_running_loop().call_later(HELD_S, do)


async def slow_model(traced: Traced, _: pytest.MonkeyPatch) -> Trace:
    """A search whose vector takes its time."""
    traced.embedder.free.clear()
    later(traced.embedder.free.set)
    return await traced.search("nurse")


async def slow_pool(traced: Traced, _: pytest.MonkeyPatch) -> Trace:
    """A search that finds all connections in use."""
    db: Database = traced.service.parts.db
    free = asyncio.Event()

    async def hold(held: asyncio.Barrier) -> None:
        async with db.connection():
            await held.wait()
            await free.wait()

    most = db.sizes()[2]
    held = asyncio.Barrier(most + 1)
    holding = [asyncio.create_task(hold(held)) for _ in range(most)]
    await held.wait()
    later(free.set)
    trace = await traced.search("accountant")
    await asyncio.gather(*holding)
    return trace


async def slow_statement(traced: Traced, _: pytest.MonkeyPatch) -> Trace:
    """A search whose statement waits for a lock."""
    free = asyncio.Event()
    async with traced.service.parts.db.transaction() as connection:
        await connection.execute("lock table job in access exclusive mode")
        later(free.set)
        asking = asyncio.create_task(traced.search("accountant"))
        await free.wait()
    return await asking


async def slow_encoding(traced: Traced, monkeypatch: pytest.MonkeyPatch) -> Trace:
    """A search whose answer takes long to write."""

    def encode(*given: Any, **more: Any) -> bytes:
        until = time.monotonic() + HELD_S
        while time.monotonic() < until:
            pass
        return encode_json(*given, **more)

    monkeypatch.setattr("litestar.response.base.encode_json", encode)
    return await traced.search("accountant")


@pytest.mark.parametrize(
    ("cause", "stage", "span"),
    [
        (slow_model, "embed", "embeddings words"),
        (slow_pool, "pool_wait", "pool.acquire"),
        (slow_statement, "query", "search.search_hybrid"),
        (slow_encoding, "encode", "response.encode"),
    ],
)
async def test_why_was_it_slow(
    traced: Traced, monkeypatch: pytest.MonkeyPatch, cause: Cause, stage: str, span: str
) -> None:
    """The longest child and the largest stage name the cause; together the stages are all of the time but a tenth."""
    await create(traced)
    await traced.search("accountant")
    trace = await cause(traced, monkeypatch)
    assert longest(trace) == span
    stages = {key: value for key, value in trace.on_root.items() if key.startswith("jobsense.stage.")}
    assert max(stages, key=lambda key: float(stages[key])) == f"jobsense.stage.{stage}_ms"
    assert float(stages[f"jobsense.stage.{stage}_ms"]) == pytest.approx(1000 * trace.seconds(span), rel=0.02)
    assert trace.seconds(span) > 0.9 * HELD_S
    assert accounted_for(trace) > 0.9


async def test_a_cold_model_is_told_from_a_slow_one(
    settings: Settings, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are long in `embed`; `jobsense.embed.load_ms` says of how much of that the model was being loaded."""
    with FakeOllama(dimensions=32, loaded=True) as fake:
        async with tracing(settings, dsn, monkeypatch, quick(fake.url)) as traced:
            await create(traced)
            fake.set(item_delay_s=HELD_S)
            slow = await traced.search("nurse")
            fake.set(item_delay_s=0.0, loaded=False, load_delay_s=HELD_S)
            cold = await traced.search("midwife")
    span = "embeddings nomic-embed-text"
    for trace in (slow, cold):
        assert longest(trace) == span
        assert trace.on_root["jobsense.search.degraded"] is False
        assert float(trace.on_root["jobsense.stage.embed_ms"]) > 900 * HELD_S
    assert float(slow.on(span)["jobsense.embed.load_ms"]) < 100 * HELD_S
    loading_ms = float(cold.on(span)["jobsense.embed.load_ms"])
    assert 900 * HELD_S < loading_ms <= float(cold.on_root["jobsense.stage.embed_ms"])
    assert cold.on(span)["gen_ai.provider.name"] == "ollama"


async def test_was_its_vector_remembered(traced: Traced) -> None:
    """The root says hit, miss or shared; a hit has no span of the model."""
    await create(traced)
    miss, hit = await traced.search("nurse"), await traced.search("nurse")
    traced.embedder.free.clear()
    first = asyncio.create_task(traced.search("midwife"))
    await traced.embedder.reached.wait()
    second = asyncio.create_task(traced.search("midwife"))
    later(traced.embedder.free.set)
    both = {(await each).on_root["jobsense.embed.cache"] for each in (first, second)}
    assert (miss.on_root["jobsense.embed.cache"], hit.on_root["jobsense.embed.cache"]) == ("miss", "hit")
    assert both == {"miss", "shared"}
    assert "embeddings words" not in {span.name for span in hit.spans}


async def test_was_it_degraded_and_why(traced: Traced) -> None:
    """The root says whether, and the reason; the span of the model has the error."""
    await create(traced)
    whole = await traced.search("nurse")
    traced.embedder.down = "overloaded"
    degraded = await traced.search("midwife")
    assert whole.on_root["jobsense.search.degraded"] is False
    assert "jobsense.search.degraded_reason" not in whole.on_root
    assert degraded.on_root["jobsense.search.degraded"] is True
    assert degraded.on_root["jobsense.search.degraded_reason"] == "overloaded"
    assert degraded.on_root["jobsense.search.mode"] == "lexical"
    assert degraded.on("embeddings words")["error.type"] == "EmbedderUnavailable"


async def test_which_scan_and_how_wide(traced: Traced, monkeypatch: pytest.MonkeyPatch) -> None:
    """The root has the kind of the scan; one by the index also how wide it was."""
    for _ in range(3):
        await create(traced)
    exact = await traced.search("accountant", top_k=1)
    monkeypatch.setattr("service.search.scan.SMALL", -1)
    by_index = await traced.search("accountant", top_k=1)
    assert exact.on_root["jobsense.search.index"] == "exact"
    assert "jobsense.search.ef_search" not in exact.on_root
    assert by_index.on_root["jobsense.search.index"] == "index"
    assert by_index.on_root["jobsense.search.ef_search"] == 200


async def test_how_many_candidates_and_which_model(traced: Traced) -> None:
    """The root counts what was ranked, what the filters refused by the planner's estimate, and what was answered."""
    for number in range(4):
        await create(traced, title=f"Accountant {number}", source="linkedin" if number else "brightermonday")
    async with traced.service.parts.db.connection() as connection:
        await connection.execute("analyze")
    trace = await traced.search("accountant", filters={"source": ["brightermonday"]})
    assert trace.on_root["jobsense.search.results"] == 1
    assert trace.on_root["jobsense.search.candidates"] == 1
    assert trace.on_root["jobsense.search.filtered_out"] in {2, 3}, "of four, one of which passes"
    assert trace.on_root["jobsense.search.k"] == 10
    assert trace.on_root["jobsense.embedding.model"] == "words"
    assert trace.on("embeddings words")["gen_ai.request.model"] == "words"
