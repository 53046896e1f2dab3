"""The end of a run: the ledger against the database, every vector against its text, and nothing left lying about."""

import math
import operator
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import asyncpg
import msgspec
from pgvector.asyncpg import register_vector

from service.embedding.model import Generation
from service.embedding.passages import split
from service.ollama.client import OllamaEmbedder
from tests.fake_ollama.words import embed
from tests.faults.ledger import Ledger

ALIKE = 0.999
"""Similarity of a vector and the same vector with the precision of half floats."""

Row: TypeAlias = Mapping[str, Any]
Connection: TypeAlias = (
    "asyncpg.Connection[asyncpg.Record]"  # quoted: the driver's class takes parameters in its stubs only
)

_JOBS = """
select
    j.id, j.source, j.external_id, j.title, j.company, j.description, j.body, j.location, j.remote, j.salary_min,
    j.text_hash, e.text_hash as embedded_hash, e.passages, w.words = strip(j.words) as words_agree
from job j
left join live_generation l on true
left join embedded e on e.job_id = j.id and e.generation = l.generation
left join job_word w on w.job_id = j.id
order by j.id
"""
_GENERATION = "select g.* from generation g join live_generation l on l.generation = g.id"
_PASSAGES = (
    "select job_id, passage_no, source, body_start, body_end, embedding from passage order by job_id, passage_no"
)
_TASKS = (
    "select job_id, failed_at is not null as dead, lease is not null as leased, reason, attempts from embedding_task"
)
_OPEN = "select count(*) from pg_stat_activity where datname = current_database() and state like 'idle in transaction%'"
WAITING = "select count(*) from embedding_task where failed_at is null"


async def audit(connection: Connection, ledger: Ledger) -> int:
    """Compare; faults go into the ledger. Answers how many postings there are."""
    await register_vector(connection)
    rows = [dict(row) for row in await connection.fetch(_JOBS)]
    _compare(rows, ledger)
    for task in await connection.fetch(_TASKS):
        kind = "dead" if task["dead"] else "unembedded"
        ledger.fault(kind, f"the task of posting {task['job_id']} is left: {dict(task)}")
    await _check_vectors(connection, rows, ledger)
    if left := await connection.fetchval(_OPEN):
        ledger.fault("leak", f"{left} connections are idle in a transaction")
    if generations := await connection.fetchval("select count(*) - 1 from generation"):
        ledger.fault("strange", f"{generations} generations more than one were made")
    return len(rows)


def _compare(rows: Sequence[Row], ledger: Ledger) -> None:
    keyed = [row for row in rows if row["external_id"] is not None]
    for key, times in Counter((row["source"], row["external_id"]) for row in keyed).items():
        if times > 1:
            ledger.fault("duplicated", f"{key} is there {times} times")
    stored = {(row["source"], row["external_id"]): row for row in keyed}
    for key in stored.keys() - ledger.entries.keys():
        ledger.fault("strange", f"{key} was never sent")
    for key, entry in ledger.entries.items():
        row = stored.get(key)
        if row is None:
            if None not in entry.possible:
                ledger.fault("lost", f"{key} is gone, possible: {entry.possible}")
        elif not entry.contents:
            ledger.fault("resurrected", f"{key} is there as {row['title']!r}")
        elif not any(content.equals(row) for content in entry.contents):
            ledger.fault("lost", f"{key} is {dict(row)}, possible: {entry.possible}")
        elif entry.certain and entry.job_id is not None and entry.job_id != row["id"]:
            ledger.fault("duplicated", f"{key} was number {entry.job_id} and is {row['id']}")
    _compare_keyless([row for row in rows if row["external_id"] is None], ledger)


def _compare_keyless(rows: Sequence[Row], ledger: Ledger) -> None:
    by_word: dict[str, list[Row]] = {}
    for row in rows:
        by_word.setdefault(row["title"].rsplit(" ", 1)[-1], []).append(row)
    for word, (content, job_id) in ledger.keyless.items():
        found = by_word.pop(word, [])
        if len(found) > 1:
            ledger.fault("duplicated", f"the row without external_id {word} is there {len(found)} times")
        if job_id is not None and [row["id"] for row in found] != [job_id]:
            ledger.fault("lost", f"the row without external_id {word} was number {job_id}: {found}")
        if any(not content.equals(row) for row in found):
            ledger.fault("lost", f"the row without external_id {word} is {found}")
    for word in by_word:
        ledger.fault("strange", f"a row without external_id {word} was never sent")


async def _check_vectors(connection: Connection, rows: Sequence[Row], ledger: Ledger) -> None:
    """Every passage is there once, of the text that the posting has now, with the vector of exactly that text."""
    generation = msgspec.convert(dict(await connection.fetchrow(_GENERATION) or {}), Generation, strict=False)
    tokenizer = OllamaEmbedder("http://127.0.0.1:9", generation.model)
    stored: dict[int, list[Row]] = {}
    for passage in await connection.fetch(_PASSAGES):
        stored.setdefault(passage["job_id"], []).append(dict(passage))
    before, _, after = generation.document_template.partition("{text}")
    for row in rows:
        wanted = split(
            row["title"], row["company"], row["location"], row["body"], generation=generation, tokenizer=tokenizer
        )
        found = stored.pop(row["id"], [])
        if row["embedded_hash"] != row["text_hash"] or row["passages"] != len(found) or not row["words_agree"]:
            ledger.fault("unembedded", f"posting {row['id']}: {_summary(row)}, {len(found)} passages")
        elif [(one["body_start"], one["body_end"]) for one in found] != [(one.start, one.end) for one in wanted]:
            ledger.fault("unembedded", f"posting {row['id']} has other passages than its text")
        elif any(one["source"] != row["source"] for one in found):
            ledger.fault("unembedded", f"the passages of posting {row['id']} have another source")
        else:
            for made, one in zip(wanted, found, strict=True):
                vector = embed(f"{before}{made.text}{after}", generation.dimensions)
                if _similarity(vector, one["embedding"].to_list()) < ALIKE:
                    ledger.fault("unembedded", f"posting {row['id']}: the vector of {made.text[:80]!r} is another's")
    await tokenizer.close()
    if stored:
        ledger.fault("strange", f"passages of postings that are not there: {sorted(stored)}")


def _summary(row: Mapping[str, object]) -> dict[str, object]:
    return {name: row[name] for name in ("title", "text_hash", "embedded_hash", "passages", "words_agree")}


def _similarity(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(map(operator.mul, one, other)) / (math.hypot(*one) * math.hypot(*other)) if any(other) else 0.0
