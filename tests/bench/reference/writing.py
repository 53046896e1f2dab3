"""Writes: a posting with its words and its task in one transaction; batches by INSERT of many rows."""

import hashlib
import html
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from fastapi import HTTPException
from pydantic import ValidationError
from sqlalchemy import func, insert, literal_column, select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from tests.bench.reference.models import TENANT, EmbeddingTask, Job, JobWord
from tests.bench.reference.schemas import BatchOut, JobIn, RowOut
from tests.bench.reference.search import fold

MAX_ROWS = 1000
_TAG = re.compile(r"<[^>]+>")
_KEPT = ("id", "tenant_id", "source", "external_id", "created_at", "version")


def columns_of(job: JobIn, now: datetime) -> dict[str, Any]:
    """A checked posting as it is stored."""
    given = job.model_dump()
    body = html.unescape(_TAG.sub(" ", job.description or "")).strip()
    parts = (job.title, job.company, job.location or "", body)
    content = json.dumps(list(given.values()), default=str)
    return {
        **given,
        "tenant_id": TENANT,
        "body": body or None,
        "company_key": fold(job.company),
        "location_key": fold(job.location) if job.location else None,
        "content_hash": hashlib.sha256(content.encode()).digest(),
        "text_hash": hashlib.sha256("\x1f".join(parts).encode()).digest(),
        "created_at": now,
        "updated_at": now,
    }


def add_words(ids: Sequence[int]) -> Any:
    """Store the words of new postings."""
    words = select(Job.id, func.strip(literal_column("job.words"))).where(Job.id.in_(ids))
    return insert(JobWord).from_select(["job_id", "words"], words)


async def create(session: AsyncSession, job: JobIn) -> Job:
    """Store a posting, its words and its task."""
    now = datetime.now(UTC)
    made = Job(**columns_of(job, now))
    try:
        session.add(made)
        await session.flush()
        session.add(EmbeddingTask(job_id=made.id, text_hash=made.text_hash, due_at=now, created_at=now))
        await session.execute(add_words([made.id]))
        await session.commit()
    except IntegrityError as error:
        await session.rollback()
        raise HTTPException(409, "a posting has this source and external_id") from error
    return made


async def store_batch(session: AsyncSession, rows: Sequence[Any]) -> BatchOut:
    """Create or replace postings; one bad row does not sink the rest."""
    if len(rows) > MAX_ROWS:
        raise HTTPException(422, f"at most {MAX_ROWS} postings")
    now, good, results = datetime.now(UTC), dict[tuple[str, str | None], tuple[int, dict[str, Any]]](), []
    for index, row in enumerate(rows):
        try:
            job = JobIn.model_validate(row)
        except ValidationError as error:
            results.append(RowOut(index=index, status="rejected", errors=[str(one) for one in error.errors()]))
        else:
            good[job.source, job.external_id or f"\0{index}"] = (index, columns_of(job, now))
    if good:
        results += await _upsert(session, good, now)
    return BatchOut(results=sorted(results, key=lambda result: result.index))


async def _upsert(
    session: AsyncSession, good: dict[tuple[str, str | None], tuple[int, dict[str, Any]]], now: datetime
) -> list[RowOut]:
    statement = upsert(Job).values([columns for _, columns in good.values()])
    changed = {name: statement.excluded[name] for name in next(iter(good.values()))[1] if name not in _KEPT}
    written = (
        await session.execute(
            statement.on_conflict_do_update(
                index_elements=["tenant_id", "source", "external_id"],
                index_where=text("external_id is not null"),
                set_={**changed, "version": Job.version + 1},
                where=Job.content_hash != statement.excluded.content_hash,
            ).returning(
                Job.id, Job.source, Job.external_id, Job.text_hash, literal_column("job.xmax = 0").label("created")
            )
        )
    ).all()
    ids = [row.id for row in written]
    words = select(Job.id, func.strip(literal_column("job.words"))).where(Job.id.in_(ids))
    stored = upsert(JobWord).from_select(["job_id", "words"], words)
    await session.execute(
        stored.on_conflict_do_update(constraint="job_word_pkey", set_={"words": stored.excluded.words})
    )
    tasks = [{"job_id": row.id, "text_hash": row.text_hash, "due_at": now, "created_at": now} for row in written]
    queued = upsert(EmbeddingTask).values(tasks)
    await session.execute(
        queued.on_conflict_do_update(
            constraint="embedding_task_pkey", set_={"text_hash": queued.excluded.text_hash, "due_at": now}
        )
    )
    await session.commit()
    by_key = {(row.source, row.external_id): row for row in written}
    return [
        RowOut(index=index, status="unchanged")
        if (row := by_key.get(key)) is None
        else RowOut(index=index, status="created" if row.created else "updated", id=row.id)
        for key, (index, _) in good.items()
    ]
