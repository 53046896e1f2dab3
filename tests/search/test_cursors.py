"""What a cursor is bound to, and what becomes of one that no longer fits."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from service import cursor
from service.errors import EmbedderUnavailable, Invalid, Stale
from service.jobs.model import Filters
from service.jobs.pay import NO_FILTER
from service.search import paging
from service.search.asked import _bound
from service.search.domain import Searcher
from service.search.model import SearchRequest
from service.search.paging import Position, microseconds
from tests.search.shelf import TENANT, Shelf, ids_of


async def first_cursor(shelf: Shelf, **fields: Any) -> str:
    """The cursor of the first page of a search."""
    answer = await shelf.searcher.search(TENANT, SearchRequest(text="nurse ward", top_k=5, **fields))
    assert answer.next_cursor is not None
    return answer.next_cursor


@pytest.mark.parametrize(
    "other",
    [
        {"text": "nurse"},
        {"mode": "semantic"},
        {"filters": Filters(remote=True)},
        {"min_score": 0.5},
        {"recency_half_life_days": 3.0},
    ],
)
async def test_a_cursor_of_another_search_is_stale(shelf: Shelf, other: dict[str, Any]) -> None:
    """Another text, mode, filter, floor or half-life is another search; the size of a page and what is told are not."""
    after = await first_cursor(shelf)
    with pytest.raises(Stale):
        await shelf.searcher.search(TENANT, SearchRequest(**{"text": "nurse ward", "cursor": after} | other))
    same = SearchRequest(text="nurse ward", cursor=after, top_k=9, explain=True, facets=("source",), highlight=True)
    assert len((await shelf.searcher.search(TENANT, same)).results) == 9


async def test_a_cursor_of_another_tenant_or_generation_or_time_is_stale(shelf: Shelf) -> None:
    """It says so instead of going on somewhere else."""
    after = await first_cursor(shelf)
    request = SearchRequest(text="nurse ward", cursor=after)
    with pytest.raises(Stale):
        await shelf.searcher.search(2, request)
    now = datetime.now(UTC)
    bound = _bound(TENANT, request, NO_FILTER)
    position = cursor.decode(after, bound, Position)
    for wrong in (
        {"generation": 99},
        {"since": microseconds(now - paging.CURSOR_MAX_AGE - timedelta(seconds=1))},
        {"since": microseconds(now + timedelta(hours=1))},
        {"id": None},
        {"served": "lexical", "generation": None},
    ):
        fields = {name: getattr(position, name) for name in Position.__struct_fields__}
        made = cursor.encode(bound, Position(**fields | wrong))
        with pytest.raises(Stale):
            await shelf.searcher.search(TENANT, SearchRequest(text="nurse ward", cursor=made))
    for rubbish in ("x", "AAAA", cursor.encode(bound, ["a", 1]), cursor.encode(bound, [2**60, "hybrid"])):
        with pytest.raises(Invalid):
            await shelf.searcher.search(TENANT, SearchRequest(text="nurse ward", cursor=rubbish))


async def test_pages_of_a_degraded_search_stay_with_the_words(shelf: Shelf) -> None:
    """Begun by words it goes on by words and says so, also when the embedder is back; begun by meaning it is stale."""

    async def away(_text: str) -> Any:
        raise EmbedderUnavailable("away", reason="timeout")

    since = datetime(2026, 5, 1, tzinfo=UTC)
    without = Searcher(shelf.jobs._db, away, lambda: since)
    request = SearchRequest(text="nurse ward", top_k=5)
    first = await without.search(TENANT, request)
    request.cursor = first.next_cursor
    second = await shelf.searcher.search(TENANT, request)
    for answer in (first, second):
        assert answer.mode.served == "lexical"
        assert answer.degraded is not None
        assert (answer.degraded.reason, answer.degraded.since) == ("timeout", since)
    assert not set(ids_of([first])) & set(ids_of([second]))
    with pytest.raises(EmbedderUnavailable):
        await shelf.searcher.search(
            TENANT, SearchRequest(text="nurse ward", cursor=first.next_cursor, on_degraded="fail")
        )
    with pytest.raises(Stale):
        await without.search(TENANT, SearchRequest(text="nurse ward", cursor=await first_cursor(shelf)))


async def test_a_moment_of_overload_leaves_the_cursor_good(shelf: Shelf) -> None:
    """Too many queries at once are no outage: the page is refused for now, and the same cursor goes on after it."""
    after = await first_cursor(shelf)

    async def crowded(_text: str) -> Any:
        raise EmbedderUnavailable("too many", reason="overloaded", retry_after_s=1)

    request = SearchRequest(text="nurse ward", top_k=5, cursor=after)
    with pytest.raises(EmbedderUnavailable):
        await Searcher(shelf.jobs._db, crowded, lambda: None).search(TENANT, request)
    assert len((await shelf.searcher.search(TENANT, request)).results) == 5


async def test_a_cursor_that_a_caller_has_written_is_no_fault_of_ours(shelf: Shelf) -> None:
    """Whatever stands in one, it is answered like a search, or refused: extreme counts, edges, sizes, other reasons."""
    request = SearchRequest(text="nurse ward kitchen", top_k=5)
    bound = _bound(TENANT, request, NO_FILTER)
    fields = {name: getattr(own(await made_cursor(shelf, request), bound), name) for name in Position.__struct_fields__}
    extremes: tuple[dict[str, Any], ...] = (
        {"jobs": 2**31 - 1},
        {"jobs": 0},
        {"ndocs": []},
        {"ndocs": [2**31 - 1] * 3},
        {"ndocs": [0] * 400},
        {"inner": -1e308},
        {"outer": 1e308, "inner": 1e308},
        {"score": -1e308},
        {"shown": 2**31 - 1},
        {"budget": 1},
        {"budget": 16_000},
    )
    for wrong in extremes:
        request.cursor = cursor.encode(bound, Position(**fields | wrong))
        assert (await shelf.searcher.search(TENANT, request)).took_ms > 0
    for refused in ({"reason": "no such thing"}, {"budget": 10**9}, {"jobs": -1}, {"served": "both"}):
        request.cursor = cursor.encode(bound, Position(**fields | refused))
        with pytest.raises(Invalid):
            await shelf.searcher.search(TENANT, request)


async def made_cursor(shelf: Shelf, request: SearchRequest) -> str:
    """The cursor of the first page of a search."""
    answer = await shelf.searcher.search(TENANT, request)
    assert answer.next_cursor is not None
    return answer.next_cursor


def own(text: str, bound: object) -> Position:
    """What stands in a cursor."""
    return cursor.decode(text, bound, Position)


async def test_ranks_go_on_from_page_to_page(shelf: Shelf) -> None:
    """The first hit of a page follows the last of the page before; an explained score is that of all pages alike."""
    for mode in ("hybrid", "semantic", "lexical"):
        pages = await shelf.pages(SearchRequest(text="nurse ward", top_k=7, mode=mode))
        ranks = [hit.rank for page in pages for hit in page.results]
        assert ranks == list(range(1, len(ranks) + 1))
