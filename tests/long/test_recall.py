"""Recall of the semantic leg on real postings with the real model: what the index finds against a look at every row."""

from datetime import datetime

import pytest

from service.db import Database
from service.jobs.model import Filters
from service.search.model import SearchRequest
from service.telemetry.stages import task_record
from tests.long.corpus import LEAST_PASSAGES, Corpus

pytestmark = pytest.mark.long

WANTED_RECALL = 0.98
TIE = 1e-4
"""Similarities this near are equal: halfvec keeps about three digits."""


async def _quantile_date(db: Database, share: float) -> datetime:
    """The date from which on this share of all passages was posted."""
    async with db.connection() as connection:
        found = await connection.fetchval(
            "select posted_at from passage where posted_at is not null order by posted_at desc"
            " offset (select ($1 * count(*))::int from passage) limit 1",
            share,
        )
    assert isinstance(found, datetime)
    return found


async def _nearest(corpus: Corpus, text: str, filters: Filters) -> list[float]:
    """The ten best similarities behind the filters, by a look at every row."""
    embedded = await corpus.live.embed_query(text)
    async with corpus.db.transaction() as connection:
        await connection.execute("set local enable_indexscan = off")
        rows = await connection.fetch(
            "select max(-(p.embedding <#> $1)) as similarity from passage p join job j on j.id = p.job_id"
            " where p.generation = $2 and ($3::timestamptz is null or j.posted_at >= $3)"
            " and ($4::text[] is null or j.source = any ($4)) and ($5::text[] is null or j.company_key = any ($5))"
            " group by p.job_id order by 1 desc limit 10",
            embedded.vector,
            embedded.generation.id,
            filters.posted_after,
            filters.source,
            None if filters.company is None else [name.casefold() for name in filters.company],
        )
    return [row["similarity"] for row in rows]


async def _recall(corpus: Corpus, filters: Filters) -> tuple[float, set[object]]:
    """Mean share of the ten best that a search finds, counted by similarity, and the scans that were chosen."""
    shares, scans = [], set[object]()
    for text in corpus.texts:
        truth = await _nearest(corpus, text, filters)
        request = SearchRequest(text=text, mode="semantic", min_score=0.0, filters=filters)
        with task_record("ingest") as record:
            answer = await corpus.searcher.search(1, request)
        scans.add(record.attributes["jobsense.search.index"])
        positive = [similarity for similarity in truth if similarity > 0]
        if positive:
            good = sum(hit.score >= positive[-1] - TIE for hit in answer.results)
            shares.append(min(good, len(positive)) / len(positive))
    return sum(shares) / len(shares), scans


async def test_unfiltered_recall_by_the_index(corpus: Corpus) -> None:
    """Without filters the HNSW index serves, and finds 98 of 100 of the true nearest."""
    async with corpus.db.connection() as connection:
        passages = await connection.fetchval("select count(*) from passage")
    assert passages >= LEAST_PASSAGES
    recall, scans = await _recall(corpus, Filters())
    print(f"\nrecall@10 over {passages} passages, unfiltered, {scans}: {recall:.4f}")  # noqa: T201 - the figure
    assert scans == {"index"}
    assert recall >= WANTED_RECALL


@pytest.mark.parametrize("share", [0.1, 0.01, 0.001])
async def test_recall_behind_a_date(corpus: Corpus, share: float) -> None:
    """A date that keeps a tenth, a hundredth or a thousandth costs no recall."""
    filters = Filters(posted_after=await _quantile_date(corpus.db, share))
    recall, scans = await _recall(corpus, filters)
    print(f"\nrecall@10 behind a date that keeps {share:.1%}, {scans}: {recall:.4f}")  # noqa: T201 - the figure
    assert recall >= WANTED_RECALL


@pytest.mark.parametrize("filters", [Filters(source=("ng.indeed.com",)), Filters(company=("Safaricom Kenya",))])
async def test_recall_behind_a_related_filter(corpus: Corpus, filters: Filters) -> None:
    """Filters that are related to meaning, one source or one company, cost no recall either."""
    recall, scans = await _recall(corpus, filters)
    print(f"\nrecall@10 behind {filters}, {scans}: {recall:.4f}")  # noqa: T201 - the figure
    assert recall >= WANTED_RECALL


async def test_a_page_of_fifty_is_full(corpus: Corpus) -> None:
    """Whenever fifty postings match, a page of fifty holds fifty, with and without filters."""
    tenth = await _quantile_date(corpus.db, 0.1)
    for filters in (Filters(), Filters(posted_after=tenth), Filters(source=("myjobmag.co.ke",))):
        for text in corpus.texts[::10]:
            request = SearchRequest(text=text, mode="semantic", min_score=0.0, top_k=50, filters=filters)
            answer = await corpus.searcher.search(1, request)
            matching = await _count_matching(corpus, text, filters)
            assert len(answer.results) == min(50, matching)


async def _count_matching(corpus: Corpus, text: str, filters: Filters) -> int:
    embedded = await corpus.live.embed_query(text)
    async with corpus.db.connection() as connection:
        found = await connection.fetchval(
            "select count(distinct j.id) from passage p join job j on j.id = p.job_id"
            " where p.embedding <#> $1 <= 0 and ($2::timestamptz is null or j.posted_at >= $2)"
            " and ($3::text[] is null or j.source = any ($3))",
            embedded.vector,
            filters.posted_after,
            filters.source,
        )
    return int(found)
