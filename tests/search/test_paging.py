"""Pages of a search: nothing twice, nothing left out, totals and facets that agree, while postings come and go."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service import cursor
from service.config import Settings
from service.db import Database
from service.embedding.domain import LiveEmbedder
from service.embedding.worker import Worker
from service.errors import EmbedderUnavailable, Invalid, Stale
from service.jobs.domain import Jobs
from service.jobs.model import Filters, Job, JobPatch
from service.search import paging
from service.search.domain import Searcher
from service.search.model import SearchAnswer, SearchRequest
from service.search.paging import Position, bound_to, microseconds
from tests.conftest import Server
from tests.factories import new_job
from tests.fakes import WordEmbedder

TENANT = 1
KINDS = ("nurse", "driver", "cook", "clerk", "welder")
PLACES = ("ward", "lorry", "kitchen", "office", "harbour", "night", "senior", "assistant")
SOURCES = ("linkedin", "jobwebkenya")
COMPANIES = ("Tumaini Traders", "Baraka Bakers", "Zawadi Works")
PAGERS = 50


def posting(number: int) -> dict[str, Any]:
    """The fields of a posting, of few words, so that many match and many score alike."""
    dice = random.Random(number)  # noqa: S311 - words, no secrets
    return {
        "title": f"{dice.choice(KINDS)} {dice.choice(PLACES)} {dice.choice(PLACES)}",
        "company": dice.choice(COMPANIES),
        "source": dice.choice(SOURCES),
        "description": " ".join(dice.choices(KINDS + PLACES, k=6)),
        "remote": dice.random() < 0.5,
        "posted_at": datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=number % 90),
    }


class Shelf:
    """A database with postings, and whoever stores, embeds and searches there."""

    def __init__(self, db: Database, live: LiveEmbedder) -> None:
        self.live = live
        self.jobs = Jobs(db, Settings(sources=("*",)))
        self.worker = Worker(db, live)
        self.searcher = Searcher(db, live.embed_query, lambda: datetime(2026, 1, 1, tzinfo=UTC))

    async def store(self, numbers: range) -> list[int]:
        """Store postings; their ids."""
        stored = await self.jobs.store(TENANT, [new_job(number, **posting(number)) for number in numbers])
        return [one.job_id for one in stored]

    async def embed(self) -> None:
        """Embed whatever waits, and count the words anew."""
        while (await self.worker.step()).claimed:
            pass
        await self.worker.keep_term_stat()

    async def pages(self, request: SearchRequest) -> list[SearchAnswer]:
        """All pages of a search."""
        found = [await self.searcher.search(TENANT, request)]
        while (after := found[-1].next_cursor) is not None:
            request.cursor = after
            found.append(await self.searcher.search(TENANT, request))
        return found


@pytest.fixture(scope="module")
async def shelf(server: Server, template: str) -> AsyncIterator[Shelf]:
    """Four hundred postings, embedded."""
    dsn = await server.create_database(template)
    db = await Database.open(dsn)
    live = LiveEmbedder(db, lambda _generation: [WordEmbedder()])
    await live.connect()
    made = Shelf(db, live)
    await made.store(range(400))
    await made.embed()
    yield made
    await live.close()
    await db.close()
    await server.drop_database(dsn)


def ids_of(pages: list[SearchAnswer]) -> list[int]:
    """The postings found, in the order of the pages."""
    return [hit.job.id for page in pages for hit in page.results]


def passes(job: Job, filters: Filters) -> bool:
    """The filters of these tests, as a rule in Python."""
    return (
        (filters.source is None or job.source in filters.source)
        and (filters.company is None or job.company in filters.company)
        and (filters.remote is None or job.remote is filters.remote)
        and (filters.posted_after is None or (job.posted_at is not None and job.posted_at >= filters.posted_after))
    )


FILTERS = st.builds(
    Filters,
    source=st.sampled_from([None, ("linkedin",), SOURCES]),
    company=st.sampled_from([None, ("Baraka Bakers",), COMPANIES[:2]]),
    remote=st.sampled_from([None, True]),
    posted_after=st.sampled_from([None, datetime(2026, 2, 10, tzinfo=UTC)]),
)
TEXTS = st.lists(st.sampled_from(KINDS + PLACES), min_size=1, max_size=3).map(" ".join)
REQUESTS = st.builds(
    SearchRequest,
    text=TEXTS,
    mode=st.sampled_from(["hybrid", "semantic", "lexical"]),
    top_k=st.integers(5, 60),
    filters=FILTERS,
    facets=st.just(("source", "company")),
    recency_half_life_days=st.sampled_from([None, 30.0]),
)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(request=REQUESTS)
async def test_pages_to_the_end_hold_what_was_counted(shelf: Shelf, request: SearchRequest) -> None:
    """Every match comes once, in falling order; total and facets of every page are those of all matches."""
    pages = await shelf.pages(request)
    found = ids_of(pages)
    assert len(found) == len(set(found))
    assert all(len(page.results) == request.top_k for page in pages[:-1])
    last = pages[-1]
    assert last.total.value == len(found)
    if pages[0].total.relation == "exact":
        scores = [hit.score for page in pages for hit in page.results]
        assert scores == sorted(scores, reverse=True)
        assert {(page.total.value, page.total.relation) for page in pages} == {(len(found), "exact")}
        hits = [hit.job for page in pages for hit in page.results]
        for page in pages:
            assert {one.value: one.count for one in page.facets["source"]} == Counter(job.source for job in hits)
            assert {one.value: one.count for one in page.facets["company"]} == Counter(job.company for job in hits)
    for page in pages:
        assert all(passes(hit.job, request.filters) for hit in page.results)
        assert sum(one.count for one in page.facets["source"]) == page.total.value


async def test_fifty_page_on_while_others_write(shelf: Shelf) -> None:
    """Beside writers nothing comes twice, every filter is true, and nothing that stays is missed."""
    dice = random.Random(7)  # noqa: S311 - a schedule
    requests = [
        SearchRequest(
            text=" ".join(dice.choices(KINDS + PLACES, k=2)),
            mode=dice.choice(["hybrid", "semantic", "lexical"]),
            top_k=dice.randint(5, 25),
            filters=Filters(source=dice.choice([None, ("linkedin",)]), remote=dice.choice([None, True])),
        )
        for _ in range(PAGERS)
    ]
    before = [set(ids_of(await shelf.pages(copied(request)))) for request in requests]
    over = asyncio.Event()

    async def write() -> None:
        number = 10_000
        mine: list[int] = []
        while not over.is_set():
            mine += await shelf.store(range(number, number + 15))
            number += 15
            for job_id in mine[:8]:
                await shelf.jobs.delete(TENANT, job_id, if_match=None)
            mine = mine[8:]
        for job_id in mine:
            await shelf.jobs.delete(TENANT, job_id, if_match=None)

    async def embed() -> None:
        while not over.is_set():
            await shelf.embed()

    writing = [asyncio.create_task(write()), asyncio.create_task(embed())]
    try:
        paged = await asyncio.gather(*(shelf.pages(copied(request)) for request in requests))
    finally:
        over.set()
        await asyncio.gather(*writing)
    for request, expected, pages in zip(requests, before, paged, strict=True):
        found = ids_of(pages)
        assert len(found) == len(set(found))
        assert expected <= set(found)
        assert all(passes(hit.job, request.filters) for page in pages for hit in page.results)


def copied(request: SearchRequest) -> SearchRequest:
    """The same search from its first page."""
    fields = {name: getattr(request, name) for name in SearchRequest.__struct_fields__}
    return SearchRequest(**fields | {"cursor": None})


async def test_a_look_that_was_cut_goes_on_in_rings(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the budget of the first page the next nearest follow: all come, none twice, and the total grows."""
    monkeypatch.setattr("service.search.domain.BUDGET", 20)
    for mode in ("semantic", "hybrid"):
        request = SearchRequest(text="nurse ward", mode=mode, top_k=3, min_score=0.05)
        pages = await shelf.pages(request)
        found = ids_of(pages)
        assert len(found) == len(set(found)) == pages[-1].total.value > 100
        assert pages[0].total.relation == "at_least"
        assert pages[0].total.value < pages[-1].total.value
        assert pages[-1].total.relation == "exact"


async def test_a_change_of_text_shows_a_posting_once_at_most(shelf: Shelf) -> None:
    """A posting whose text is changed between two pages is not shown again where it ranks now."""
    ids = await shelf.store(range(20_000, 20_060))
    await shelf.embed()
    request = SearchRequest(text="cook kitchen", top_k=10, mode="hybrid")
    first = await shelf.searcher.search(TENANT, request)
    for hit in first.results:
        await shelf.jobs.patch(TENANT, hit.job.id, patch_of(description="welder harbour cook"), if_match=None)
    await shelf.embed()
    request.cursor = first.next_cursor
    rest = await shelf.pages(request)
    assert not set(ids_of([first])) & set(ids_of(rest))
    for job_id in ids:
        await shelf.jobs.delete(TENANT, job_id, if_match=None)


def patch_of(**fields: object) -> Any:
    """A change to a posting."""
    return JobPatch(**fields)  # type: ignore[arg-type]


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
    bound = bound_to(TENANT, request)
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


async def test_words_that_are_counted_anew_do_not_move_what_was_shown(shelf: Shelf) -> None:
    """Statistics of words refreshed between two pages change neither order nor matches of the search under way."""
    request = SearchRequest(text="nurse ward senior", top_k=10, mode="lexical")
    expected = ids_of(await shelf.pages(copied(request)))
    first = await shelf.searcher.search(TENANT, request)
    ids = await shelf.store(range(30_000, 30_300))
    await shelf.worker.keep_term_stat()
    request.cursor = first.next_cursor
    assert ids_of([first, *await shelf.pages(request)]) == expected
    for job_id in ids:
        await shelf.jobs.delete(TENANT, job_id, if_match=None)
    await shelf.embed()
