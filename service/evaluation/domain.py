"""Evaluates the service on relevance sets: a tenant of its own for each, every search asked, all removed again."""

import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from secrets import token_hex

from service.db import Database
from service.evaluation import queries
from service.evaluation.measures import mean_of, measure
from service.evaluation.model import MEASURES, Comparison, Measured, RelevanceSet, Report, Scores, SetReport
from service.evaluation.significance import compare

PREFIX = "eval-"
"""How the names of scratch tenants begin; the time in seconds follows."""
PORTION = 500
_LEFT_AFTER_S = 86_400

Rank = Callable[[str, str], Awaitable[Sequence[str]]]
"""Ask one search, given its text and mode; the ids of the documents found, the best first."""
MakeTenant = Callable[[str], Awaitable[int]]


@asynccontextmanager
async def scratch_tenant(db: Database, make: MakeTenant) -> AsyncIterator[int]:
    """A tenant that is gone afterwards, with all that it holds."""
    tenant_id = await make(f"{PREFIX}{int(time.time())}-{token_hex(3)}")
    try:
        yield tenant_id
    finally:
        await remove_tenant(db, tenant_id)


async def remove_tenant(db: Database, tenant_id: int) -> None:
    """Remove a scratch tenant and its postings."""
    while await queries.delete_some_jobs(db, tenant_id=tenant_id, most=PORTION):
        pass
    await queries.delete_tenant(db, tenant_id=tenant_id)


async def remove_left_over(db: Database) -> int:
    """Remove the scratch tenants that evaluations left when they were killed a day or more ago; how many there were."""
    before = f"{PREFIX}{int(time.time()) - _LEFT_AFTER_S}"
    left = await queries.list_scratch_tenants(db, pattern=f"{PREFIX}%", made_before=before)
    for tenant_id in left:
        await remove_tenant(db, tenant_id)
    return len(left)


async def evaluate(
    relevance: RelevanceSet, modes: Sequence[str], rank: Rank, *, step: Callable[[int], None] = lambda _done: None
) -> dict[str, Scores]:
    """Ask every search in every mode; `step` is told how many were asked."""
    scores: dict[str, Scores] = {}
    done = 0
    for mode in modes:
        measured, times = dict[str, Measured](), []
        for query, text in relevance.queries.items():
            began = time.perf_counter()
            ranking = await rank(text, mode)
            times.append(time.perf_counter() - began)
            measured[query] = measure(ranking, relevance.grades[query])
            done += 1
            step(done)
        scores[mode] = Scores(mean_of(measured.values()), round(1000 * statistics.median(times), 3), measured)
    return scores


def compare_modes(report: Report, a: str, b: str) -> list[Comparison]:
    """Mode B against mode A of the same report, for each set and measure."""
    return [found for one in report.sets for found in _compared(one.name, one.modes.get(a), one.modes.get(b))]


def compare_reports(a: Report, b: Report) -> list[Comparison]:
    """Report B against report A, for each set and mode that both have."""
    others: dict[str, SetReport] = {one.name: one for one in b.sets}
    return [
        found
        for one in a.sets
        if one.name in others
        for mode, scores in one.modes.items()
        for found in _compared(f"{one.name} {mode}", scores, others[one.name].modes.get(mode))
    ]


def _compared(name: str, a: Scores | None, b: Scores | None) -> list[Comparison]:
    if a is None or b is None:
        return []
    return [compare(name, which, _column(a, which), _column(b, which)) for which in MEASURES]


def _column(scores: Scores, which: str) -> dict[str, float]:
    return {query: getattr(measured, which) for query, measured in scores.by_query.items()}
