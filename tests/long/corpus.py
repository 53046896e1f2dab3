"""Real postings with the vectors of the real model, and the same made twelve times as many."""

import asyncio
import gzip
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from service.config import Settings
from service.db import Connection, Database, half_vector
from service.embedding.domain import LiveEmbedder
from service.embedding.worker import Worker
from service.ingest.domain import Ingest, Rejects
from service.ingest.mapping import FieldMap
from service.jobs.domain import Jobs
from service.minilm.embedder import LocalEmbedder
from service.search.domain import Searcher

LEAST_PASSAGES = 20_000
QUERIES = 120
TIMES = 12
"""Real postings are made so many times as many: each vector is mixed with that of another posting of its source.

That makes families of near-copies, which are harder for HNSW than real text: recall there is a lower bound.
"""
MIXED, NOISE = 0.25, 0.012
PARTNERS = 256

Matrix = NDArray[np.float32]


class Corpus(msgspec.Struct):
    """Postings, embedded, whoever searches them, and texts to search with."""

    db: Database
    searcher: Searcher
    live: LiveEmbedder
    texts: list[str]


def texts_of(folder: Path) -> list[str]:
    """Titles with their places, evenly spread over the postings, as people might type them."""
    with gzip.open(folder / "postings.jsonl.gz", "rt") as rows:
        made = [f"{row.get('title', '')} {row.get('location', '')}".strip() for row in map(json.loads, rows)]
    distinct = list(dict.fromkeys(text for text in made if text and len(text) <= 200))
    return distinct[:: max(1, len(distinct) // QUERIES)][:QUERIES]


@asynccontextmanager
async def searching(dsn: str, texts: list[str]) -> AsyncIterator[Corpus]:
    """The service's own way to search a database, with the local model."""
    db = await Database.open(dsn)
    # What is found and what the statements cost is measured, not how soon a query is embedded.
    live = LiveEmbedder(db, lambda _generation: [LocalEmbedder(document_threads=2)], deadline_s=60.0)
    await live.connect()
    try:
        yield Corpus(db, Searcher(db, live.embed_query, lambda: None), live, texts)
    finally:
        await live.close()
        await db.close()


async def fill(corpus: Corpus, folder: Path) -> None:
    """Store and embed every real posting the way `jobsense ingest` does."""
    jobs = Jobs(corpus.db, Settings(sources=("*",)))
    ingest = Ingest(jobs, 1, field_map=FieldMap(), source=None, today=date(2026, 11, 20))
    postings = str(Path(os.environ["JOBSENSE_TEST_DATA"]) / "postings.jsonl.gz")
    await ingest.run(postings, Rejects(folder / "rejects.jsonl"), lambda _report, _position: None)
    worker = Worker(corpus.db, corpus.live)
    while (await worker.step()).claimed:
        pass
    await worker.keep_term_stat()
    async with corpus.db.connection() as connection:
        await connection.execute("vacuum analyze", timeout=300)


async def enlarge(dsn: str) -> None:
    """Make the postings of a database `TIMES` as many, with vectors of their own."""
    db = await Database.open(dsn, max_size=1, statement_timeout_s=3600)
    async with db.connection() as connection:
        await connection.execute("set maintenance_work_mem = '1GB'")
        rows = await connection.fetch(
            "select job_id, passage_no, tenant_id, source, posted_at, body_start, body_end, embedding::text as vector"
            " from passage_g1 order by job_id, passage_no"
        )
        real = np.array([np.array(row["vector"][1:-1].split(","), dtype=np.float32) for row in rows])
        sources = np.array([row["source"] for row in rows])
        await connection.execute("drop index passage_g1_embedding_idx; drop index job_word_words_idx")
        for copy in range(1, TIMES):
            offset = await _copy_postings(connection, copy)
            mixed = await asyncio.to_thread(_mix, real, sources, np.random.default_rng(copy))
            await _store(connection, [(row["job_id"] + offset, *list(row)[1:-1]) for row in rows], mixed)
        await _finish(connection)
    await db.close()


async def _copy_postings(connection: Connection, copy: int) -> int:
    most = await connection.fetchval(
        "select max(id) from job where external_id not like '%~copy' or external_id is null"
    )
    offset = int(most) * copy
    names = await connection.fetchval(
        "select string_agg(column_name, ', ') from information_schema.columns where table_name = 'job'"
        " and is_generated = 'NEVER' and column_name not in ('id', 'external_id')"
    )
    for statement in (
        (
            f"insert into job (id, external_id, {names}) overriding system value"  # noqa: S608 - our own names
            f" select id + {offset}, concat(external_id, '~{copy}~copy'), {names} from job where id <= {most}"
        ),
        f"insert into job_word select job_id + {offset}, words from job_word where job_id <= {most}",  # noqa: S608 - our own names
        (
            f"insert into embedded select job_id + {offset}, generation, text_hash, passages, coverage, embedded_at,"  # noqa: S608 - our own names
            f" trace_id from embedded where job_id <= {most}"
        ),
    ):
        await connection.execute(statement, timeout=300)
    return offset


def _mix(real: Matrix, sources: NDArray[np.str_], dice: np.random.Generator) -> Matrix:
    """A vector of its own for each: mixed with a near one of the same source, with noise."""
    mixed = np.empty_like(real)
    for source in set(sources):
        own = np.flatnonzero(sources == source)
        sample = dice.choice(own, size=min(len(own), PARTNERS), replace=False)
        near = real[own] @ real[sample].T
        near[near > 0.999] = -1  # itself and its copies
        partner = sample[np.argmax(near + dice.uniform(0, 0.1, near.shape), axis=1)]
        mixed[own] = (1 - MIXED) * real[own] + MIXED * real[partner]
    mixed += dice.normal(0, NOISE, mixed.shape).astype(np.float32)
    made: Matrix = mixed / np.linalg.norm(mixed, axis=1, keepdims=True)
    return made


async def _store(connection: Connection, rows: list[tuple[object, ...]], vectors: Matrix) -> None:
    await connection.copy_records_to_table(
        "passage_g1",
        columns=["job_id", "passage_no", "tenant_id", "source", "posted_at", "body_start", "body_end", "embedding"],
        records=[(*row, half_vector(vector.tolist())) for row, vector in zip(rows, vectors, strict=True)],
        timeout=300,
    )


async def _finish(connection: Connection) -> None:
    for statement in (
        (
            "create index passage_g1_embedding_idx on passage_g1 using hnsw (embedding halfvec_ip_ops)"
            " with (m = 16, ef_construction = 200)"
        ),
        "create index job_word_words_idx on job_word using gin (words)",
        "truncate term_stat",
        "insert into term_stat select word, ndoc from ts_stat('select words from job_word')",
        "update term_stat_state set jobs = (select count(*) from job), version = version + 1",
        "vacuum analyze",
    ):
        await connection.execute(statement, timeout=1800)
