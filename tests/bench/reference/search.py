"""Searches: nearest passages through pgvector-python, hybrid by reciprocal rank fusion, facets by GROUP BY."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, cast, func, or_, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import undefer
from sqlalchemy.types import Double

from tests.bench.reference.embedding import MODEL, embed_query
from tests.bench.reference.models import GENERATION, TENANT, Job, JobWord, Passage
from tests.bench.reference.schemas import (
    FacetCount,
    FiltersIn,
    HitOut,
    JobOut,
    PassageOut,
    SearchIn,
    SearchOut,
    TotalOut,
)

CANDIDATES = 100
FLOOR = 0.25
RRF_K = 60
MOST_VALUES = 50


def fold(text: str) -> str:
    """A name as it is compared."""
    return text.strip().casefold()


def conditions(filters: FiltersIn) -> list[ColumnElement[bool]]:
    """The filters as conditions on the posting."""
    given: list[ColumnElement[bool]] = []
    if filters.source is not None:
        given.append(Job.source.in_(filters.source))
    if filters.company is not None:
        given.append(Job.company_key.in_([fold(name) for name in filters.company]))
    if filters.location is not None:
        given.append(Job.location_key == fold(filters.location))
    if filters.remote is not None:
        given.append(Job.remote.is_(filters.remote))
    if filters.employment_type is not None:
        given.append(Job.employment_type.in_(filters.employment_type))
    if filters.posted_after is not None:
        given.append(Job.posted_at >= filters.posted_after)
    if filters.posted_before is not None:
        given.append(Job.posted_at < filters.posted_before)
    if filters.active is not None:
        active = or_(Job.expires_at.is_(None), Job.expires_at > datetime.now(UTC))
        given.append(active if filters.active else ~active)
    return given


def nearest(vector: list[float], filters: FiltersIn, floor: float) -> Any:
    """The best passage of each of the nearest postings."""
    distance = Passage.embedding.max_inner_product(vector).label("distance")
    near: Select[Any] = select(
        Passage.job_id, Passage.passage_no, Passage.body_start, Passage.body_end, distance
    ).where(Passage.tenant_id == TENANT)
    if given := conditions(filters):
        near = near.join(Job, Job.id == Passage.job_id).where(*given)
    found = near.order_by(distance).limit(CANDIDATES).subquery()
    return (
        select(found)
        .where(found.c.distance <= -floor)
        .distinct(found.c.job_id)
        .order_by(found.c.job_id, found.c.distance, found.c.passage_no)
        .cte("best")
    )


def by_words(text: str, filters: FiltersIn) -> Any:
    """The postings that hold the words, ranked by PostgreSQL."""
    query = func.websearch_to_tsquery("english", text)
    rank = func.ts_rank(JobWord.words, query).label("rank")
    found = (
        select(JobWord.job_id, rank)
        .join(Job, Job.id == JobWord.job_id)
        .where(JobWord.words.op("@@")(query), Job.tenant_id == TENANT, *conditions(filters))
        .order_by(rank.desc())
        .limit(CANDIDATES)
    )
    return found.cte("worded")


def fused(best: Any, worded: Any) -> Any:
    """Reciprocal rank fusion of both."""
    place = func.row_number().over(order_by=best.c.distance)
    word_place = func.row_number().over(order_by=worded.c.rank.desc())
    both = union_all(
        select(best.c.job_id, (1.0 / (RRF_K + place)).label("part")),
        select(worded.c.job_id, (1.0 / (RRF_K + word_place)).label("part")),
    ).subquery()
    score = cast(func.sum(both.c.part), Double).label("score")
    return select(both.c.job_id, score).group_by(both.c.job_id).cte("fused")


async def search(session: AsyncSession, asked: SearchIn) -> SearchOut:
    """Answer a search."""
    start = time.perf_counter()
    vector = await embed_query(asked.text)
    best = nearest(vector, asked.filters, FLOOR if asked.min_score is None else asked.min_score)
    hits, matched = await (_by_meaning if asked.mode == "semantic" else _by_both)(session, asked, best)
    facets = {name: await _count_values(session, name, matched) for name in asked.facets}
    return SearchOut(
        results=[
            HitOut(
                rank=rank,
                score=score,
                job=JobOut.model_validate(job),
                passage=PassageOut(text=text, start=start, end=end) if text is not None else None,
            )
            for rank, (job, score, text, start, end) in enumerate(hits, 1)
        ],
        total=TotalOut(value=len(matched), relation="at_least" if len(matched) >= CANDIDATES else "exact"),
        facets=facets,
        mode=asked.mode,
        model=MODEL,
        generation=GENERATION,
        took_ms=(time.perf_counter() - start) * 1000,
    )


def _passage(best: Any) -> tuple[Any, Any, Any]:
    """The text of the best passage, and its place."""
    length = best.c.body_end - best.c.body_start
    return func.substr(Job.body, best.c.body_start + 1, length), best.c.body_start, best.c.body_end


async def _by_meaning(session: AsyncSession, asked: SearchIn, best: Any) -> tuple[Sequence[Any], Sequence[int]]:
    """The hits in one query, and the ids of all matches."""
    score = (-best.c.distance).label("score")
    ids = select(func.array_agg(best.c.job_id)).scalar_subquery()
    rows = select(Job, score, *_passage(best), ids).join(best, best.c.job_id == Job.id)
    found = (await session.execute(rows.order_by(score.desc(), Job.id).limit(asked.top_k))).all()
    return [row[:-1] for row in found], found[0][-1] if found else []


async def _by_both(session: AsyncSession, asked: SearchIn, best: Any) -> tuple[Sequence[Any], Sequence[int]]:
    """All matches with their scores first, then the postings of the best."""
    match = fused(best, by_words(asked.text, asked.filters))
    scored = (
        select(match.c.job_id, match.c.score, best.c.body_start, best.c.body_end)
        .outerjoin(best, best.c.job_id == match.c.job_id)
        .order_by(match.c.score.desc(), match.c.job_id)
    )
    found = (await session.execute(scored)).all()
    top = found[: asked.top_k]
    wanted = select(Job).where(Job.id.in_([row.job_id for row in top])).options(undefer(Job.body))
    jobs = {job.id: job for job in await session.scalars(wanted)}
    hits = []
    for row in top:
        job, placed = jobs[row.job_id], row.body_start is not None
        text = (job.body or "")[row.body_start : row.body_end] if placed else None
        hits.append((job, row.score, text, row.body_start, row.body_end))
    return hits, [row.job_id for row in found]


async def _count_values(session: AsyncSession, name: str, matched: Sequence[int]) -> list[FacetCount]:
    """The commonest values of a field among the matches."""
    column = getattr(Job, name)
    counted = (
        select(column, func.count())
        .where(Job.id.in_(matched), column.is_not(None))
        .group_by(column)
        .order_by(func.count().desc(), column)
        .limit(MOST_VALUES)
    )
    return [FacetCount(value=value, count=count) for value, count in (await session.execute(counted)).all()]
