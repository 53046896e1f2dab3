"""Searches while text cannot be embedded: by words, said so, counted, and whole again afterwards."""

import io
import json
from datetime import UTC, datetime

import pytest

from service.errors import TextRefused
from tests.api.calls import SEARCH, create, found_ids, problem, sample, search
from tests.conftest import Service
from tests.fakes import REFUSED, WordEmbedder


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
    whole = await search(api, "accountant")
    assert (whole["degraded"], whole["mode"]["served"]) == (None, "hybrid")
    embedder.down = "overloaded"
    second = await search(api, "accountant")
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
    await search(api, "x")
    await api.client.post(SEARCH, json={"text": "x", "mode": "semantic", "on_degraded": "fail"})
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
