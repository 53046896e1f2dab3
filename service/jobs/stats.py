"""Counts over a tenant's postings, kept for a minute."""

import asyncio
import time
from typing import cast

from service.db import Database
from service.jobs import queries
from service.jobs.model import State, Stats

LOCATIONS = 50
SOURCES = 1000
MAX_AGE_S = 60.0


class JobStats:
    """Counts for every tenant that asks."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._kept: dict[int, tuple[float, Stats]] = {}
        self._counting: dict[int, asyncio.Lock] = {}

    async def fetch(self, tenant_id: int) -> Stats:
        """Counts over a tenant's postings, up to a minute old."""
        # One count at a time for a tenant: whoever waited for another's finds it fresh.
        async with self._counting.setdefault(tenant_id, asyncio.Lock()):
            kept = self._kept.get(tenant_id)
            if kept is None or kept[0] <= time.monotonic():
                kept = (time.monotonic() + MAX_AGE_S, await self.count(tenant_id))
                self._kept[tenant_id] = kept
        return kept[1]

    async def count(self, tenant_id: int) -> Stats:
        """Counts over a tenant's postings, made now."""
        sources = await queries.count_by_source(self._db, tenant_id=tenant_id, most=SOURCES)
        locations = await queries.count_by_location(self._db, tenant_id=tenant_id, most=LOCATIONS)
        states = await queries.count_by_state(self._db, tenant_id=tenant_id)
        embedding: dict[State, int] = {"pending": 0, "done": 0, "failed": 0}
        embedding |= {cast("State", state.value): state.jobs for state in states}
        return Stats(sum(embedding.values()), sources, locations, embedding)
