"""Searches while text cannot be embedded: by words, said so, counted, and whole again afterwards."""

import asyncio
import io
import itertools
import json
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from service.config import Settings
from service.embedding.breaker import THRESHOLD
from service.errors import TextRefused
from service.telemetry.lifecycle import Telemetry
from tests.api.calls import SEARCH, create, found_ids, problem, sample, search
from tests.conftest import Service, running
from tests.fake_ollama.clients import quick
from tests.fake_ollama.serve import FakeOllama
from tests.fakes import REFUSED, WordEmbedder

DEADLINE_S = 0.5
MARGIN_S = 1.0
"""For a machine that does something else; what the servers here do would take for ever, or a minute."""
_NUMBER = itertools.count(1)


def fresh(word: str) -> str:
    """A search for a word that nobody has made before, so that its vector is not remembered."""
    return f"{word} {next(_NUMBER)}"


@pytest.mark.parametrize("mode", ["semantic", "hybrid"])
async def test_without_vectors_words_serve(api: Service, embedder: WordEmbedder, mode: str) -> None:
    """With the embedder down a search is served by words and says so, with a reason and since when."""
    job = await create(api, title="Beekeeper")
    await api.embed()
    before, embedder.down = datetime.now(UTC), "unreachable"
    first = await search(api, "beekeeper", mode=mode)
    assert found_ids(first) == [job["id"]]
    assert first["mode"] == {"asked": mode, "served": "lexical"}
    assert first["degraded"]["reason"] == "unreachable"
    assert before <= datetime.fromisoformat(first["degraded"]["since"]) <= datetime.now(UTC)
    assert (first["model"], first["generation"]) == (None, None)
    later = await search(api, "beekeeper", mode=mode)
    assert later["degraded"] == first["degraded"]


async def test_recovery_is_seen_by_the_next_search(api: Service, embedder: WordEmbedder) -> None:
    """Once the embedder is back the next search has vectors and is not degraded; a second outage begins anew."""
    await create(api)
    await api.embed()
    embedder.down = "unreachable"
    first = await search(api, "accountant")
    embedder.down = None
    whole = await search(api, fresh("accountant"))
    assert (whole["degraded"], whole["mode"]["served"]) == (None, "hybrid")
    embedder.down = "overloaded"
    second = await search(api, fresh("accountant"))
    assert second["degraded"]["reason"] == "overloaded"
    assert second["degraded"]["since"] > first["degraded"]["since"]


async def test_a_lexical_search_is_never_degraded(api: Service, embedder: WordEmbedder) -> None:
    """A search by words needs no embedder: it is whole while that is down, and does not ask it."""
    job = await create(api, title="Beekeeper")
    embedder.down = "unreachable"
    answer = await search(api, "beekeeper", mode="lexical", on_degraded="fail")
    assert found_ids(answer) == [job["id"]]
    assert answer["degraded"] is None
    assert answer["mode"] == {"asked": "lexical", "served": "lexical"}


async def test_whoever_wants_no_less_gets_503(api: Service, embedder: WordEmbedder) -> None:
    """on_degraded=fail answers 503 with Retry-After instead, by body and by URL; recovery ends it."""
    embedder.down = "unreachable"
    by_body = await api.client.post(SEARCH, json={"text": "x", "on_degraded": "fail"})
    by_url = await api.client.get(SEARCH, params={"q": "x", "on_degraded": "fail", "mode": "semantic"})
    for answer in (by_body, by_url):
        problem(answer, 503, "embedder_unavailable")
        assert int(answer.headers["retry-after"]) >= 1
    embedder.down = None
    assert (await search(api, "x", on_degraded="fail"))["degraded"] is None


async def test_a_text_that_the_model_refuses_is_searched_by_words(
    api: Service, embedder: WordEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A query that yields no vector is served by words, and named as such."""

    async def refuse(_text: str) -> list[float]:
        raise TextRefused("the model yields no number")

    job = await create(api, title=f"Posting {REFUSED}")
    monkeypatch.setattr(embedder, "embed_query", refuse)
    answer = await search(api, REFUSED)
    assert found_ids(answer) == [job["id"]]
    assert (answer["mode"]["served"], answer["degraded"]["reason"]) == ("lexical", "text_refused")


async def test_searches_are_sample(api: Service, embedder: WordEmbedder, log: io.BytesIO) -> None:
    """Searches count by mode served and outcome, degraded ones by reason; the log line says the same."""
    await search(api, "x")
    await search(api, "x", mode="lexical")
    await api.client.get(SEARCH, params={"q": "x", "mode": "semantic"})
    embedder.down = "unreachable"
    await search(api, fresh("x"))
    await api.client.post(SEARCH, json={"text": fresh("x"), "mode": "semantic", "on_degraded": "fail"})
    await api.client.post(SEARCH, json={"text": ""})
    expected = {("hybrid", "ok"): 1, ("lexical", "ok"): 1, ("semantic", "ok"): 1}
    expected |= {("lexical", "degraded"): 1, ("semantic", "failed"): 1, ("hybrid", "failed"): 0}
    got = {key: sample(api, "jobsense_search_total", mode=key[0], outcome=key[1]) for key in expected}
    assert got == expected
    assert sample(api, "jobsense_degraded_total", reason="unreachable") == 1
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [line["jobsense.search.degraded_reason"] for line in lines if "jobsense.search.degraded_reason" in line] == [
        "unreachable"
    ]


async def test_writes_are_sample(api: Service) -> None:
    """Postings taken in or changed count by outcome, whichever way they come."""
    job = await create(api, external_id="counted")
    row = {name: job[name] for name in ("title", "company", "source", "external_id", "description", "location")}
    await api.client.post("/api/v1/jobs/batch", json=[row, {**row, "external_id": "b"}, {}, {**row, "title": "T2"}])
    await api.client.patch(f"/api/v1/jobs/{job['id']}", json={"title": "T3"})
    await api.client.patch(f"/api/v1/jobs/{job['id']}", json={"title": "T3"})
    outcomes = ("created", "updated", "unchanged", "rejected")
    got = {one: sample(api, "jobsense_ingest_jobs_total", outcome=one) for one in outcomes}
    assert got == {"created": 2, "updated": 3, "unchanged": 1, "rejected": 1}


@pytest.fixture
async def fake() -> AsyncIterator[FakeOllama]:
    """An Ollama of this test alone, since some of the tests end it."""
    with FakeOllama(dimensions=32, loaded=True) as fake:
        yield fake


@pytest.fixture
async def served(
    dsn: str, telemetry: Telemetry, fake: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Service]:
    """The application with that Ollama, and searches that have little time; one posting is embedded."""
    settings = Settings(embed_in_serve=False, migrate_on_start=False, search_deadline=DEADLINE_S)
    client = cast("WordEmbedder", quick(fake.url))  # any embedder will do
    async with running(settings, dsn, telemetry, client, monkeypatch) as made:
        await create(made, title="Beekeeper")
        await made.embed()
        yield made


async def bounded(api: Service, **more: Any) -> dict[str, Any]:
    """A search of another text each time that finds the posting, in time."""
    began = time.perf_counter()
    answer = await search(api, fresh("beekeeper"), **more)
    assert time.perf_counter() - began < DEADLINE_S + MARGIN_S
    assert len(found_ids(answer)) == 1
    return answer


def hang(fake: FakeOllama) -> None:
    """Take every request, and answer none."""
    fake.set(hang=True)


def crawl(fake: FakeOllama) -> None:
    """Send answers a quarter of a body at a time."""
    fake.set(slow_s=DEADLINE_S)


def talk_rubbish(fake: FakeOllama) -> None:
    """Give zeros for every text."""
    fake.set(zero_for="")


def lose_the_model(fake: FakeOllama) -> None:
    """No longer have the model."""
    fake.set(missing_model=True)


def break_off(fake: FakeOllama) -> None:
    """Close every connection without an answer."""
    fake.set(drop="before")


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (hang, "timeout"),
        (crawl, "timeout"),
        (talk_rubbish, "bad_vectors"),
        (lose_the_model, "model_missing"),
        (break_off, "dropped"),
        (FakeOllama.stop, "refused"),
    ],
)
async def test_every_fault_has_its_label(
    served: Service, fake: FakeOllama, fault: Callable[[FakeOllama], None], reason: str
) -> None:
    """Whatever is wrong with Ollama, every search is answered in time, by words, with the reason and since when.

    The breaker opens after a few failures; the service stays ready throughout.
    """
    assert (await bounded(served))["degraded"] is None
    before = datetime.now(UTC)
    fault(fake)
    first = await bounded(served)
    assert first["degraded"]["reason"] == reason
    assert before <= datetime.fromisoformat(first["degraded"]["since"]) <= datetime.now(UTC)
    for _ in range(THRESHOLD + 1):
        answer = await bounded(served, mode="semantic")
        assert answer["degraded"] == first["degraded"]
        assert answer["mode"] == {"asked": "semantic", "served": "lexical"}
    assert sample(served, "jobsense_breaker_state", dependency="embedder") in {1, 2}
    detail = (await served.client.get("/health")).json()["parts"]["embedder"]["detail"]
    assert detail["breaker"] in {"open", "half_open"}, "half open while a probe is out"
    assert detail["reason"] == reason
    assert (await served.client.get("/health/ready")).status_code == 200


async def test_many_searches_at_a_hanging_server(served: Service, fake: FakeOllama) -> None:
    """Searches that come together do not wait for one another while Ollama hangs; whoever wants no less gets 503."""
    hang(fake)
    began = time.perf_counter()
    answers = await asyncio.gather(*(bounded(served) for _ in range(8)))
    assert time.perf_counter() - began < DEADLINE_S + MARGIN_S
    assert {answer["degraded"]["reason"] for answer in answers} == {"timeout"}
    began = time.perf_counter()
    refused = await served.client.post(SEARCH, json={"text": fresh("beekeeper"), "on_degraded": "fail"})
    assert time.perf_counter() - began < DEADLINE_S + MARGIN_S
    problem(refused, 503, "embedder_unavailable")
    assert int(refused.headers["retry-after"]) >= 1


@pytest.mark.parametrize("fault", [hang, talk_rubbish, lose_the_model, break_off])
async def test_it_recovers_without_a_restart(
    served: Service, fake: FakeOllama, fault: Callable[[FakeOllama], None]
) -> None:
    """Once Ollama works again the next probe closes the breaker, and searches have vectors; a new outage is new."""
    fault(fake)
    first, *_ = [await bounded(served) for _ in range(THRESHOLD)]
    await served.parts.live.connect()
    assert (await bounded(served))["degraded"]["since"] == first["degraded"]["since"]
    fake.set(hang=False, zero_for=None, missing_model=False, drop=None)
    async with asyncio.timeout(10):  # a model that gave rubbish may just be loading anew
        while (whole := await bounded(served))["degraded"] is not None:
            await served.parts.live.connect()
    assert whole["mode"]["served"] == "hybrid"
    assert sample(served, "jobsense_breaker_state", dependency="embedder") == 0
    fault(fake)
    assert (await bounded(served))["degraded"]["since"] > first["degraded"]["since"]
