"""Looks for the ten nearest in several ways: recall against a look at every row, and time."""

import time
from collections.abc import Awaitable, Callable, Sequence

from pgvector import HalfVector

from service.db import Connection, Database
from service.embedding import queries
from service.embedding.model import QueryVector
from service.search.domain import Searcher
from service.search.model import SearchRequest
from service.search.scan import ef_search
from tests.bench.corpus import search_text, vectors_of
from tests.load.report import quantile_of
from tests.scale.model import Look

WANTED = 10
TIE = 1e-4
"""Similarities this near are equal: halfvec keeps about three digits."""
EFS = (40, 100, 200, 400, 800)
ROUNDS = 3
"""The first is for recall and to warm up, the others are timed."""

_OUT = "select -(embedding <#> $1) from passage_g1 where tenant_id = 1 order by"
EXACT = f"{_OUT} (embedding <#> $1) + 0 limit 10"
INDEX = f"{_OUT} embedding <#> $1 limit 10"
RERANKED = (
    "select -(embedding <#> $1) from (select embedding from passage_g1 order by"
    " binary_quantize(embedding)::bit(768) <~> binary_quantize($1::halfvec(768))::bit(768) limit $2) near"
    " order by embedding <#> $1 limit 10"
)
"""As many as ef_search by the bits, the best of them by the vectors themselves."""

Ask = Callable[[int], Awaitable[Sequence[float]]]


class Queries:
    """Search texts, their vectors, and the similarities of the true ten nearest of each."""

    def __init__(self, count: int) -> None:
        self.texts = [search_text(number) for number in range(count)]
        self.vectors = [HalfVector(vector) for vector in vectors_of(self.texts)]
        self.truth: list[Sequence[float]] = []


def recall(truth: Sequence[float], found: Sequence[float], *, tie: float = TIE) -> float:
    """The share of the nearest that was found, by similarity, so that an equal one counts."""
    if not truth:
        return 1.0
    return min(sum(similarity >= truth[-1] - tie for similarity in found), len(truth)) / len(truth)


async def timed(name: str, ef: int | None, asked: Queries, ask: Ask, *, rounds: int = ROUNDS) -> Look:
    """Ask for each query, one after the other, round after round."""
    times: list[float] = []
    shares: list[float] = []
    for turn in range(rounds):
        for number, truth in enumerate(asked.truth):
            began = time.perf_counter()
            found = await ask(number)
            if turn or rounds == 1:
                times.append((time.perf_counter() - began) * 1000)
            if not turn:
                shares.append(recall(truth, found))
    return Look(name, ef, sum(shares) / len(shares), quantile_of(times, 0.5), quantile_of(times, 0.99))


async def look_at_all(connection: Connection, asked: Queries) -> Look:
    """The truth: every row, by one process. Its time is that of an exact scan."""
    await connection.execute("set max_parallel_workers_per_gather = 0")
    asked.truth, times = [], []
    for vector in asked.vectors:
        began = time.perf_counter()
        asked.truth.append([row[0] for row in await connection.fetch(EXACT, vector)])
        times.append((time.perf_counter() - began) * 1000)
    return Look("every row", None, 1.0, quantile_of(times, 0.5), quantile_of(times, 0.99))


async def look_by_index(connection: Connection, asked: Queries, ef: int) -> Look:
    """By the index of the vectors."""
    await connection.execute(f"set hnsw.ef_search = {ef}")

    async def ask(number: int) -> Sequence[float]:
        return [row[0] for row in await connection.fetch(INDEX, asked.vectors[number])]

    return await timed("index", ef, asked, ask)


async def look_by_bits(connection: Connection, asked: Queries, ef: int) -> Look:
    """By the index of their bits; what it finds is ranked again by the vectors."""
    await connection.execute(f"set hnsw.ef_search = {ef}")

    async def ask(number: int) -> Sequence[float]:
        return [row[0] for row in await connection.fetch(RERANKED, asked.vectors[number], ef)]

    return await timed("bits, ranked again", ef, asked, ask)


async def look_as_the_service(dsn: str, asked: Queries) -> list[Look]:
    """As searches do, with the ef_search that the service chooses; the query is embedded beforehand."""
    db = await Database.open(dsn, max_size=2)
    try:
        generation = await queries.fetch_live_generation(db)
        assert generation is not None
        known = {text: QueryVector(generation, vector) for text, vector in zip(asked.texts, asked.vectors, strict=True)}

        async def embed(text: str) -> QueryVector:
            return known[text]

        searcher = Searcher(db, embed, lambda: None)
        async with db.connection() as connection:
            ef = ef_search(int(await connection.fetchval("select count(*) from passage_g1")))

        async def semantic(number: int) -> Sequence[float]:
            request = SearchRequest(text=asked.texts[number], mode="semantic", min_score=0.0)
            return [hit.score for hit in (await searcher.search(1, request)).results]

        async def hybrid(number: int) -> Sequence[float]:
            await searcher.search(1, SearchRequest(text=asked.texts[number]))
            return ()

        by_meaning = await timed("semantic search", ef, asked, semantic)
        with_words = await timed("hybrid search", ef, asked, hybrid)
        return [by_meaning, Look("hybrid search", ef, None, with_words.p50_ms, with_words.p99_ms)]
    finally:
        await db.close()
