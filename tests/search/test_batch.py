"""Batches of searches from the inside: how many run at once, what is embedded, and faults that nobody foresaw."""

import asyncio
from collections.abc import Sequence
from typing import cast

import msgspec
import pytest

from service.db import Database
from service.errors import DatabaseUnavailable, EmbedderUnavailable
from service.search.batch import AT_ONCE, BatchSearcher, Outcome
from service.search.batch_model import SearchFailure
from service.search.domain import EmbedQuery, Searcher
from service.search.model import Modes, SearchAnswer, SearchRequest, Total

PATH = "/api/v1/search/batch"


class Meeting(Searcher):
    """Searches that wait until so many are under way as may be, and embed nothing."""

    def __init__(self) -> None:
        self.met = asyncio.Barrier(AT_ONCE)
        self.running = self.most = 0

    async def search(
        self, tenant_id: int, request: SearchRequest, embed_query: EmbedQuery | None = None
    ) -> SearchAnswer:
        """Meet the others; one text is a fault of ours, another asks for its vector."""
        del tenant_id
        self.running += 1
        self.most = max(self.most, self.running)
        await self.met.wait()
        self.running -= 1
        if request.text == "fault":
            raise RuntimeError("a secret of ours")
        if request.text == "embed" and embed_query is not None:
            await embed_query(request.text)
        return SearchAnswer([], Total(0, "exact"), {}, Modes("lexical", "lexical"), None, [], None, None, None, 0.0)


def body(*texts: str, mode: str = "lexical") -> bytes:
    """A batch of searches for these texts."""
    return msgspec.json.encode({"searches": [{"text": text, "mode": mode} for text in texts]})


async def nothing(texts: Sequence[str]) -> list[Outcome]:
    """An embedder that is away."""
    return [EmbedderUnavailable("away", reason="unreachable") for _ in texts]


async def test_a_few_searches_run_at_once_over_all_batches() -> None:
    """Two batches together have as many searches under way as one may, and never more."""
    searcher = Meeting()
    batches = BatchSearcher(searcher, nothing)
    async with asyncio.timeout(10):
        answers = await asyncio.gather(*(batches.search(1, body(*"abcdef"), path=PATH) for _ in range(2)))
    assert [len(answer.results) for answer in answers] == [6, 6]
    assert searcher.most == AT_ONCE


async def test_an_unforeseen_fault_is_its_search_s_alone() -> None:
    """A fault of ours is an internal error of its search, without its text; the others have their answers."""
    answer = await BatchSearcher(Meeting(), nothing).search(1, body("a", "fault", "b", "c"), path=PATH)
    failed = cast("SearchFailure", answer.results[1]).problem
    assert (failed.status, failed.code, failed.instance) == (500, "internal_error", f"{PATH}#/searches/1")
    assert "secret" not in msgspec.json.encode(failed).decode()
    assert [isinstance(result, SearchAnswer) for result in answer.results] == [True, False, True, True]


async def test_a_failure_to_embed_is_passed_on() -> None:
    """Each search gets the outcome of its own text from the one call, and what it makes of that is its own."""
    asked: list[Sequence[str]] = []

    async def embed(texts: Sequence[str]) -> list[Outcome]:
        asked.append(list(texts))
        return await nothing(texts)

    batch = body("embed", "a", "embed", "b", mode="hybrid")
    answer = await BatchSearcher(Meeting(), embed).search(1, batch, path=PATH)
    assert asked == [["embed", "a", "b"]]
    assert [isinstance(result, SearchFailure) for result in answer.results] == [True, False, True, False]


async def test_without_a_database_the_batch_fails(db: Database) -> None:
    """Where not even the live generation can be read, the whole batch may be repeated later."""

    async def away(_texts: Sequence[str]) -> list[Outcome]:
        raise DatabaseUnavailable("the database does not answer", reason="lost")

    searcher = Searcher(db, lambda _text: pytest.fail("asked one by one"), lambda: None)
    with pytest.raises(DatabaseUnavailable):
        await BatchSearcher(searcher, away).search(1, body("a", mode="hybrid"), path=PATH)
