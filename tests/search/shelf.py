"""Postings of few words, so that many match and many score alike, and whoever pages through them."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from typing import Any

from service.config import Settings
from service.db import Database
from service.embedding.domain import LiveEmbedder
from service.embedding.query_cache import KnownQueries
from service.embedding.worker import Worker
from service.jobs.domain import Jobs
from service.search.domain import Searcher
from service.search.model import SearchAnswer, SearchRequest
from tests.factories import new_job

TENANT = 1
KINDS = ("nurse", "driver", "cook", "clerk", "welder")
PLACES = ("ward", "lorry", "kitchen", "office", "harbour", "night", "senior", "assistant")
SOURCES = ("linkedin", "jobwebkenya")
COMPANIES = ("Tumaini Traders", "Baraka Bakers", "Zawadi Works")

AT_ONCE = 8
"""Searches that run at the same time; the others wait, as at the gate of the service."""


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
        self._places = asyncio.Semaphore(AT_ONCE)
        self.jobs = Jobs(db, Settings(sources=("*",)))
        self.worker = Worker(db, live)
        self.searcher = Searcher(db, KnownQueries(live).embed_query, lambda: datetime(2026, 1, 1, tzinfo=UTC))

    async def store(self, numbers: range) -> list[int]:
        """Store postings; their ids."""
        stored = await self.jobs.store(TENANT, [new_job(number, **posting(number)) for number in numbers])
        return [one.job_id for one in stored]

    async def embed(self, *, count: bool = True) -> None:
        """Embed whatever waits, and count the words anew."""
        while (await self.worker.step()).claimed:
            pass
        if count:
            await self.worker.keep_term_stat()

    async def pages(self, request: SearchRequest) -> list[SearchAnswer]:
        """All pages of a search."""
        found = [await self._search(request)]
        while (after := found[-1].next_cursor) is not None:
            request.cursor = after
            found.append(await self._search(request))
        return found

    async def _search(self, request: SearchRequest) -> SearchAnswer:
        async with self._places:
            return await self.searcher.search(TENANT, request)


def ids_of(pages: list[SearchAnswer]) -> list[int]:
    """The postings found, in the order of the pages."""
    return [hit.job.id for page in pages for hit in page.results]


def copied(request: SearchRequest) -> SearchRequest:
    """The same search from its first page."""
    fields = {name: getattr(request, name) for name in SearchRequest.__struct_fields__}
    return SearchRequest(**fields | {"cursor": None})
