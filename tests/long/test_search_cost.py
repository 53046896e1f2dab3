"""What hybrid searches, filters and facets cost beside a plain search by meaning, on real postings and many more."""

import statistics
from collections.abc import Mapping
from typing import Any

import pytest

from service.embedding.model import QueryVector
from service.jobs.model import Filters
from service.search.domain import Searcher
from service.search.model import SearchRequest
from tests.load.verdict import best_of, objections_to, sayer
from tests.long.corpus import Corpus

pytestmark = pytest.mark.long

TWO_FILTERS: dict[str, Filters] = {
    "wide": Filters(source=("myjobmag.co.ke", "afriworket.com", "jobberman.com", "indeed.com"), active=True),
    "narrow": Filters(source=("ng.indeed.com",), active=True),
}
MOST_UNFILTERED, MOST_FILTERED = 3.0, 2.0
ROUNDS = 2

Kind = Mapping[str, Any]


async def medians(corpus: Corpus, kinds: Mapping[str, Kind]) -> dict[str, float]:
    """Milliseconds of each kind of search, its query embedded beforehand; kinds take turns, so that noise hits all."""
    embedded = {text: await corpus.live.embed_query(text) for text in corpus.texts}

    async def known(text: str) -> QueryVector:
        return embedded[text]

    searcher = Searcher(corpus.db, known, lambda: None)
    times: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(ROUNDS):
        for text in corpus.texts:
            for name, fields in kinds.items():
                answer = await searcher.search(1, SearchRequest(text=text, **fields))
                times[name].append(answer.took_ms)
    return {name: statistics.median(found) for name, found in times.items()}


async def test_hybrid_costs_little_more_than_semantic(corpus: Corpus, capfd: pytest.CaptureFixture[str]) -> None:
    """Hybrid takes three times plain semantic at most, with two filters and two facets twice that with the filters."""
    say = sayer(capfd)
    async with corpus.db.connection() as connection:
        postings = await connection.fetchval("select count(*) from job")
    say(f"{postings:,} postings")

    async def once() -> list[str]:
        kinds: dict[str, Kind] = {"semantic": {"mode": "semantic"}, "hybrid": {}, "lexical": {"mode": "lexical"}}
        for name, filters in TWO_FILTERS.items():
            kinds[f"semantic, {name}"] = {"mode": "semantic", "filters": filters}
            kinds[f"hybrid, {name}"] = {"filters": filters, "facets": ("source", "company")}
        found = await medians(corpus, kinds)
        say("medians: " + ", ".join(f"{name} {median:.2f} ms" for name, median in found.items()))
        unfiltered = found["hybrid"] / found["semantic"]
        filtered = {name: found[f"hybrid, {name}"] / found[f"semantic, {name}"] for name in TWO_FILTERS}
        say(f"hybrid / semantic: {unfiltered:.2f} without filters, {filtered} with two filters and two facets")
        return objections_to(
            without_filters=unfiltered <= MOST_UNFILTERED, with_filters=max(filtered.values()) <= MOST_FILTERED
        )

    await best_of(once, say)
