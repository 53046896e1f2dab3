"""Searches whose text was embedded of late: no call, the same answer, said in the log line, whole in an outage."""

import io
import json

from tests.api.calls import SEARCH, create, found_ids, problem, sample, search
from tests.conftest import Service
from tests.fakes import WordEmbedder


def sources(log: io.BytesIO) -> list[str]:
    """Where the vector of each search came from, by the log lines."""
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    return [line["jobsense.embed.cache"] for line in lines if "jobsense.embed.cache" in line]


async def test_a_known_text_costs_no_call(api: Service, embedder: WordEmbedder, log: io.BytesIO) -> None:
    """The same text in another mode, or with white space around it, is not embedded again; nor is it timed as such."""
    await create(api, title="Beekeeper")
    await api.embed()
    first = await api.client.post(SEARCH, json={"text": "beekeeper"})
    again = await api.client.post(SEARCH, json={"text": "  beekeeper\n"})
    other = await api.client.get(SEARCH, params={"q": "beekeeper", "mode": "semantic", "min_score": 0})
    assert ["embed;dur=" in one.headers["server-timing"] for one in (first, again, other)] == [True, False, False]
    assert first.json()["results"] == again.json()["results"]
    assert found_ids(other.json()) == found_ids(first.json())
    assert embedder.queries == ["beekeeper"]
    assert sources(log) == ["miss", "hit", "hit"]
    assert sample(api, "jobsense_query_cache_total", result="hit") == 2
    assert sample(api, "jobsense_query_cache_entries") == 1


async def test_a_known_text_is_whole_in_an_outage(api: Service, embedder: WordEmbedder) -> None:
    """While nothing can be embedded a known text is searched by meaning, undegraded; a new one is not."""
    job = await create(api, title="Beekeeper")
    await api.embed()
    await search(api, "beekeeper")
    embedder.down = "unreachable"
    known = await search(api, "beekeeper", on_degraded="fail")
    assert found_ids(known) == [job["id"]]
    assert (known["degraded"], known["mode"]["served"], known["model"]) == (None, "hybrid", "words")
    fresh = await search(api, "beekeeper of the town")
    assert (fresh["degraded"]["reason"], fresh["mode"]["served"]) == ("unreachable", "lexical")
    refused = await api.client.post(SEARCH, json={"text": "another beekeeper", "on_degraded": "fail"})
    problem(refused, 503, "embedder_unavailable")
    assert (await search(api, "beekeeper"))["degraded"] is None
