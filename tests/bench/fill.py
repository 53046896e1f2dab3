"""Fills a database with postings and their vectors by COPY, as if the service had stored and embedded them.

What is there stays: a database of 20,000 becomes one of 200,000 by the rest. Indexes that are dear to keep up are
dropped first and built at the end, as in any bulk load.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import asyncpg
import msgspec
from pgvector import HalfVector
from pgvector.asyncpg import register_vector

from service.db import Database
from service.embedding.generations import ensure_generation
from service.embedding.passages import lead_of
from service.jobs.model import JobInput, NewJob
from service.jobs.prepare import prepare
from service.ollama.client import OllamaEmbedder
from tests.bench.corpus import NEWEST, posting, vectors_of

CHUNK = 5_000
TENANT = 1
DEAR = ("job_word_words_idx", "passage_g1_embedding_idx")
TIMEOUT_S = 7200.0
Say = Callable[[str], None]

_DERIVED = ("company_key", "location_key", "body")
JOB_COLUMNS = ("id", "tenant_id", *JobInput.__struct_fields__, *_DERIVED)
"""The columns of `job` that are copied as they are; hashes and times come behind them."""
_PASSAGE_COLUMNS = (
    *("job_id", "passage_no", "tenant_id", "source", "posted_at"),
    *("body_start", "body_end", "embedding"),
)


def stored(number: int, *, source: str | None = None) -> NewJob:
    """A posting of the corpus as the service stores it."""
    return prepare(msgspec.convert(posting(number, source=source), JobInput, strict=False), index=number)


def job_record(new: NewJob, job_id: int) -> tuple[Any, ...]:
    """The row of `job`, in the order of `job_columns`."""
    received = NEWEST - timedelta(days=1) + timedelta(milliseconds=new.index)
    values = tuple(getattr(new, name) for name in JOB_COLUMNS[2:])
    hashes = (bytes.fromhex(new.content_hash), bytes.fromhex(new.text_hash))
    return (job_id, TENANT, *values, *hashes, received, received)


def job_columns() -> tuple[str, ...]:
    """All columns of `job` but those with a default."""
    return (*JOB_COLUMNS, "content_hash", "text_hash", "created_at", "updated_at")


def passage_text(new: NewJob) -> str:
    """The text that is embedded: a posting of the corpus is one passage."""
    return f"{lead_of(new.title, new.company, new.location)}\n{new.body}"


async def fill(dsn: str, embedder_url: str, count: int, say: Say) -> dict[str, float]:
    """Make it `count` postings, embedded; returns the seconds that copying and building the vectors' index took."""
    await _make_generation(dsn, embedder_url)
    connection = await asyncpg.connect(dsn, server_settings={"jit": "off"})
    try:
        await register_vector(connection)
        there = int(await connection.fetchval("select count(*) from job"))
        if there >= count:
            return {}
        say(f"{there} postings are there; {count - there} are made")
        return await _fill(connection, range(there, count), say)
    finally:
        await connection.close()


async def _make_generation(dsn: str, embedder_url: str) -> None:
    """The generation of the model that the embedder says it is, as the service makes it at its first start."""
    db, embedder = await Database.open(dsn, max_size=1), OllamaEmbedder(embedder_url, "nomic-embed-text")
    try:
        await embedder.start()
        await ensure_generation(db, embedder.identity)
    finally:
        await embedder.close()
        await db.close()


async def _fill(connection: "asyncpg.Connection[asyncpg.Record]", numbers: range, say: Say) -> dict[str, float]:
    definitions = {
        name: await connection.fetchval("select indexdef from pg_indexes where indexname = $1", name) for name in DEAR
    }
    for name in DEAR:
        await connection.execute(f"drop index {name}")
    took, began = {}, time.perf_counter()
    for chunk in _chunks(numbers):
        await _copy(connection, chunk)
        say(f"{chunk.stop} copied")
    await connection.execute(
        "insert into job_word select id, strip(words) from job where id > $1", numbers.start, timeout=TIMEOUT_S
    )
    took["copy_s"] = time.perf_counter() - began
    for name, definition in definitions.items():
        began = time.perf_counter()
        await connection.execute(definition, timeout=TIMEOUT_S)
        took[f"{name}_s"] = time.perf_counter() - began
        say(f"{name} built in {took[f'{name}_s']:.1f} s")
    await _finish(connection, numbers.stop)
    return took


def _chunks(numbers: range) -> Iterator[range]:
    for first in range(numbers.start, numbers.stop, CHUNK):
        yield range(first, min(first + CHUNK, numbers.stop))


async def _copy(connection: "asyncpg.Connection[asyncpg.Record]", numbers: range) -> None:
    """Postings with their vectors; ids count from 1 on, so that a number tells its posting."""
    jobs = await asyncio.to_thread(lambda: [stored(number) for number in numbers])
    vectors = await asyncio.to_thread(vectors_of, [passage_text(job) for job in jobs])
    await _records(connection, "job", job_columns(), [job_record(job, job.index + 1) for job in jobs])
    await _records(
        connection,
        "embedded",
        ("job_id", "generation", "text_hash", "passages", "coverage", "embedded_at"),
        [(job.index + 1, 1, bytes.fromhex(job.text_hash), 1, 1.0, NEWEST) for job in jobs],
    )
    rows = [
        (job.index + 1, 0, TENANT, job.source, job.posted_at, 0, len(job.body or ""), HalfVector(vector))
        for job, vector in zip(jobs, vectors, strict=True)
    ]
    await _records(connection, "passage_g1", _PASSAGE_COLUMNS, rows)


async def _records(
    connection: "asyncpg.Connection[asyncpg.Record]",
    table: str,
    columns: Sequence[str],
    rows: Sequence[tuple[Any, ...]],
) -> None:
    await connection.copy_records_to_table(table, columns=list(columns), records=rows, timeout=TIMEOUT_S)


async def _finish(connection: "asyncpg.Connection[asyncpg.Record]", count: int) -> None:
    """Ids go on behind the last, and the statistics of words and tables are as after the service's own upkeep."""
    await connection.fetchval("select setval(pg_get_serial_sequence('job', 'id'), $1)", count)
    for statement in (
        "truncate term_stat",
        "insert into term_stat select word, ndoc from ts_stat('select words from job_word')",
        "update term_stat_state set jobs = (select count(*) from job), version = version + 1, refreshed_at = now()",
        "vacuum analyze",
    ):
        await connection.execute(statement, timeout=TIMEOUT_S)
