"""The limit: the statements of JobSense in a bare asyncpg loop, with nothing before and nothing behind them."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import asyncpg
from pgvector import HalfVector

from service.db import STATEMENTS
from service.embedding.model import COVERAGE_WEIGHT, FLOOR_OF_OTHERS
from service.search import queries as search_queries
from service.search.domain import BUDGET
from tests.bench.corpus import vectors_of
from tests.bench.turn import Turn

TOP_K = 10
GENERATION = TENANT = 1
if TYPE_CHECKING:  # the driver's classes take parameters in its stubs only
    Bare: TypeAlias = asyncpg.Connection[asyncpg.Record]
else:
    Bare: TypeAlias = asyncpg.Connection
Call = Callable[[Bare], Awaitable[object]]


def bound(run: Callable[..., Any], **given: Any) -> tuple[str, list[Any]]:
    """The text of a statement and its arguments in their order; what is not given is null."""
    declared = STATEMENTS[f"{run.__module__.split('.')[-2]}.{run.__name__}"]
    names = [name for name, _ in declared.parameters]
    assert given.keys() <= set(names), given.keys() - set(names)
    return _text(declared.path), [given.get(name) for name in names]


@cache
def _text(path: Path) -> str:
    return path.read_text()


async def loop(opened: Sequence[Bare], calls: Iterator[Call], *, seconds: float, most: int = 10**9) -> Turn:
    """Every connection runs one call after the other until the time is over, or so many were run."""
    latencies: list[float] = []
    began, left = time.perf_counter(), iter(range(most))

    async def one(connection: Bare) -> None:
        while time.perf_counter() - began < seconds and next(left, None) is not None:
            call, at = next(calls), time.perf_counter()
            await call(connection)
            latencies.append(time.perf_counter() - at)

    await asyncio.gather(*(one(connection) for connection in opened))
    return Turn.of(latencies, time.perf_counter() - began)


def _fetching(text: str, arguments: list[Any]) -> Call:
    return lambda connection: connection.fetch(text, *arguments)


def searches(texts: Sequence[str], ef: int, now: datetime) -> Iterator[Call]:
    """Semantic searches as JobSense runs them for these texts, whose vectors are there beforehand."""
    statement, arguments = bound(search_queries.search_semantic, **_search(ef, now))
    vectors = [HalfVector(vector) for vector in vectors_of(texts)]
    calls = [_fetching(statement, [vector, *arguments[1:]]) for vector in vectors]
    return _again(calls)


def hybrid_searches(
    texts: Sequence[str], ef: int, now: datetime, *, filters: dict[str, Any], facets: tuple[str, ...], exact: bool
) -> Iterator[Call]:
    """Hybrid searches behind filters, with facets."""
    more = {
        "weight": COVERAGE_WEIGHT,
        "word_budget": BUDGET,
        "unembedded": FLOOR_OF_OTHERS,
        "facets": facets,
        "joined": True,
        "exact": exact,
        **filters,
    }
    calls = []
    for text, vector in zip(texts, vectors_of(texts), strict=True):
        statement, arguments = bound(
            search_queries.search_hybrid, **_search(ef, now) | more | {"text": text, "vector": HalfVector(vector)}
        )
        calls.append(_fetching(statement, arguments))
    return _again(calls)


def _search(ef: int, now: datetime) -> dict[str, Any]:
    """What a search of ten postings gives its statement beside the vector."""
    return {
        "generation": GENERATION,
        "tenant_id": TENANT,
        "now": now,
        "joined": False,
        "exact": False,
        "ef": ef,
        "budget": BUDGET,
        "floor": FLOOR_OF_OTHERS,
        "count": TOP_K + 1,
        "explained": False,
        "unpriced": False,
    }


def _again(calls: Sequence[Call]) -> Iterator[Call]:
    """The calls, and again from the first should they run out."""
    while True:
        yield from calls


def repeated(run: Callable[..., Any], given: Iterator[dict[str, Any]]) -> Iterator[Call]:
    """One statement with one set of arguments after the other."""
    for one in given:
        text, arguments = bound(run, **one)
        yield _fetching(text, arguments)
