"""Searches: nearest passages through pgvector-python, hybrid by reciprocal rank fusion, facets by GROUP BY."""

import time
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, cast, func, or_, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession
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
    if asked.mode == "semantic":
        match, score = best, (-best.c.distance).label("score")
    else:
        match = fused(best, by_words(asked.text, asked.filters))
        score = match.c.score
    passage = func.substr(Job.body, best.c.body_start + 1, best.c.body_end - best.c.body_start)
    total = select(func.count()).select_from(match).scalar_subquery()
    rows: Select[Any] = select(Job, score, passage, best.c.body_start, best.c.body_end, total).join(
        match, match.c.job_id == Job.id
    )
    if match is not best:
        rows = rows.outerjoin(best, best.c.job_id == Job.id)
    rows = rows.order_by(score.desc(), Job.id).limit(asked.top_k)
    found = (await session.execute(rows)).all()
    facets = {name: await count_values(session, name, match) for name in asked.facets}
    results = [
        HitOut(
            rank=rank,
            score=score,
            job=JobOut.model_validate(job),
            passage=PassageOut(text=text, start=start, end=end) if text is not None else None,
        )
        for rank, (job, score, text, start, end, _) in enumerate(found, 1)
    ]
    value = found[0][-1] if found else 0
    return SearchOut(
        results=results,
        total=TotalOut(value=value, relation="at_least" if value >= CANDIDATES else "exact"),
        facets=facets,
        mode=asked.mode,
        model=MODEL,
        generation=GENERATION,
        took_ms=(time.perf_counter() - start) * 1000,
    )


async def count_values(session: AsyncSession, name: str, matched: Any) -> list[FacetCount]:
    """The commonest values of a field among the matches."""
    column = getattr(Job, name)
    counted = (
        select(column, func.count())
        .join(matched, matched.c.job_id == Job.id)
        .where(column.is_not(None))
        .group_by(column)
        .order_by(func.count().desc(), column)
        .limit(MOST_VALUES)
    )
    return [FacetCount(value=value, count=count) for value, count in (await session.execute(counted)).all()]
