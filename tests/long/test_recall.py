"""Recall of the semantic leg on real postings with the real model: what the index finds against a look at every row."""

import asyncio
import gzip
import json
import os
import statistics
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec
import pytest

from service.config import Settings
from service.db import STATEMENTS, Database
from service.embedding.domain import LiveEmbedder
from service.embedding.model import QueryVector
from service.embedding.worker import Worker
from service.ingest.domain import Ingest, Rejects
from service.ingest.mapping import FieldMap
from service.jobs.domain import Jobs
from service.jobs.model import Filters
from service.minilm.embedder import LocalEmbedder
from service.search.domain import Searcher
from service.search.model import Mode, SearchRequest
from service.search.scan import ef_search, needs_job
from service.telemetry.stages import task_record
from tests.conftest import Server

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif("JOBSENSE_TEST_DATA" not in os.environ, reason="JOBSENSE_TEST_DATA names no folder of postings"),
]

SHORT = 600
"""Characters: postings up to this length are all taken; they are cheap to embed."""
EVERY = 3
"""Of the longer postings, one in this many is taken."""
LEAST_PASSAGES = 15_000
QUERIES = 120
WANTED_RECALL = 0.98
TIE = 1e-4
"""Similarities this near are equal: halfvec keeps about three digits."""


class Corpus(msgspec.Struct):
    """Real postings, embedded."""

    db: Database
    searcher: Searcher
    live: LiveEmbedder
    texts: list[str]


@pytest.fixture(scope="module")
async def corpus(server: Server, template: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Corpus]:
    """At least fifteen thousand passages of real postings, stored and embedded the way the service does."""
    dsn = await server.create_database(template)
    db = await Database.open(dsn)
    folder = tmp_path_factory.mktemp("recall")
    chosen = await asyncio.to_thread(_choose, folder / "chosen.jsonl")
    jobs = Jobs(db, Settings(sources=("*",)))
    ingest = Ingest(jobs, 1, field_map=FieldMap(), source=None, today=date(2026, 11, 20))
    await ingest.run(str(folder / "chosen.jsonl"), Rejects(folder / "rejects.jsonl"), lambda _report, _position: None)
    live = LiveEmbedder(db, lambda _generation: [LocalEmbedder(document_threads=2)])
    await live.connect()
    worker = Worker(db, live)
    while (await worker.step()).claimed:
        pass
    async with db.connection() as connection:
        await connection.execute("analyze")
    yield Corpus(db, Searcher(db, live.embed_query, lambda: None), live, chosen)
    await live.close()
    await db.close()
    await server.drop_database(dsn)


def _choose(path: Path) -> list[str]:
    """Write the chosen postings to a file; answers texts to search with: titles of postings that were left out."""
    left_out: list[str] = []
    longer = 0
    with gzip.open(Path(os.environ["JOBSENSE_TEST_DATA"]) / "postings.jsonl.gz", "rt") as rows, path.open("w") as file:
        for line in rows:
            row = json.loads(line)
            if len(row.get("description") or "") > SHORT:
                longer += 1
                if longer % EVERY:
                    left_out.append(f"{row.get('title', '')} {row.get('location', '')}".strip())
                    continue
            file.write(line)
    distinct = list(dict.fromkeys(text for text in left_out if text))
    return distinct[:: max(1, len(distinct) // QUERIES)][:QUERIES]


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
        plan = await _plan(corpus, connection_filters=Filters())
    assert passages >= LEAST_PASSAGES
    assert "passage_g1_embedding_idx" in plan
    recall, scans = await _recall(corpus, Filters())
    print(f"\nrecall@10 over {passages} passages, unfiltered, {scans}: {recall:.4f}")  # noqa: T201 - the figure
    assert scans == {"index"}
    assert recall >= WANTED_RECALL


async def _plan(corpus: Corpus, *, connection_filters: Filters) -> str:
    embedded = await corpus.live.embed_query(corpus.texts[0])
    arguments: Sequence[object] = (
        embedded.vector,
        embedded.generation.id,
        1,
        *(None,) * 8,
        datetime.now(UTC),
        needs_job(connection_filters),
        False,
        ef_search(LEAST_PASSAGES),
        100,
        0.0,
        10,
    )
    text = STATEMENTS["search.search_semantic"].path.read_text(encoding="utf-8")
    async with corpus.db.connection() as connection:
        return str(await connection.fetchval("explain (format json) " + text, *arguments))


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


async def test_hybrid_costs_little_more_than_semantic(corpus: Corpus) -> None:
    """With the queries embedded beforehand, a hybrid search takes at most four times a semantic one (medians)."""
    embedded = {text: await corpus.live.embed_query(text) for text in corpus.texts}

    async def known(text: str) -> QueryVector:
        return embedded[text]

    searcher = Searcher(corpus.db, known, lambda: None)
    modes: tuple[Mode, ...] = ("semantic", "hybrid", "lexical")
    times: dict[str, list[float]] = {mode: [] for mode in modes}
    for _ in range(3):
        for text in corpus.texts:
            for mode in modes:
                answer = await searcher.search(1, SearchRequest(text=text, mode=mode))
                times[mode].append(answer.took_ms)
    medians = {mode: statistics.median(found) for mode, found in times.items()}
    shown = ", ".join(f"{mode} {median:.2f} ms" for mode, median in medians.items())
    print(f"\nmedian of a search, ten postings, query embedded beforehand: {shown}")  # noqa: T201 - the figure
    assert medians["hybrid"] <= 4 * medians["semantic"]
