"""Pages of a search: nothing twice, nothing left out, totals and facets that agree, while postings come and go."""

import asyncio
import random
from collections import Counter
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.jobs.model import Filters, Job, JobPatch
from service.search.model import SearchRequest
from tests.search.shelf import COMPANIES, KINDS, PLACES, SOURCES, TENANT, Shelf, copied, ids_of

PAGERS = 50


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
                await shelf.jobs.delete(TENANT, job_id)
            mine = mine[8:]
        for job_id in mine:
            await shelf.jobs.delete(TENANT, job_id)

    async def embed() -> None:
        while not over.is_set():
            await shelf.embed(count=False)  # which words are rare stays as it was when the expectation was made

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
        await shelf.jobs.patch(TENANT, hit.job.id, JobPatch(description="welder harbour cook"))
    await shelf.embed()
    request.cursor = first.next_cursor
    rest = await shelf.pages(request)
    assert not set(ids_of([first])) & set(ids_of(rest))
    for job_id in ids:
        await shelf.jobs.delete(TENANT, job_id)


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
        await shelf.jobs.delete(TENANT, job_id)
    await shelf.embed()
