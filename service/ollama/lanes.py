"""Who may talk to the one-slot embedding model now: queries first, bulk one request at a time between them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

QUERIES_PER_YIELD = 16
"""Queries that may pass one waiting bulk request; bounded, so that a steady stream of them cannot starve indexing."""


class Lanes:
    """At most one bulk request and one query in flight; order of arrival within each lane.

    A model serves strictly one text after the other, so more requests in flight would only move the queue to where
    nobody can order it.
    """

    def __init__(self) -> None:
        self._query_lane = asyncio.Lock()
        self._bulk_lane = asyncio.Lock()
        self._waiting_queries = 0
        self._started_queries = 0
        self._query_moved = asyncio.Event()

    @asynccontextmanager
    async def query(self) -> AsyncIterator[None]:
        """Hold the query lane."""
        self._waiting_queries += 1
        try:
            await self._query_lane.acquire()
        finally:
            self._waiting_queries -= 1
            self._started_queries += 1
            self._query_moved.set()
        try:
            yield
        finally:
            self._query_lane.release()

    @asynccontextmanager
    async def bulk(self) -> AsyncIterator[None]:
        """Hold the bulk lane, once no query waits or enough of them have passed."""
        async with self._bulk_lane:
            last_to_pass = self._started_queries + QUERIES_PER_YIELD
            while self._waiting_queries and self._started_queries < last_to_pass:
                self._query_moved.clear()
                await self._query_moved.wait()
            yield
