"""Who may talk to the one-slot embedding model now: queries first, bulk one request at a time between them."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from service.embedder import QUIET_AFTER_S

QUERIES_IN_FLIGHT = 4
"""Those behind the first stand in the server's own line, and so before whatever bulk request comes next."""
QUERIES_PER_YIELD = 16
"""Queries that may pass one waiting bulk request; bounded, so that a steady stream of them cannot starve indexing."""


class Lanes:
    """At most one bulk request and a few queries in flight; order of arrival within each lane.

    A model serves strictly one text after the other, so more bulk requests in flight would only move the queue to where
    nobody can order it. Queries are short, so that a few may wait there: sent one by one, each would come to stand
    behind the next bulk request of another process.

    `busy_elsewhere` says whether other processes have queries for the same server; it is asked before every bulk
    request, so it answers from memory. `clock` gives seconds that never go back.
    """

    def __init__(
        self,
        busy_elsewhere: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
        *,
        queries_in_flight: int = QUERIES_IN_FLIGHT,
    ) -> None:
        self._query_lane = asyncio.Semaphore(queries_in_flight)
        self._queries = 0
        self._bulk_lane = asyncio.Lock()
        self._waiting_queries = 0
        self._started_queries = 0
        self._query_moved = asyncio.Event()
        self._busy_elsewhere = busy_elsewhere
        self._clock = clock
        self._quiet_from = clock()

    @property
    def busy(self) -> bool:
        """Whether queries are about: one is on its way, came a moment ago, or was seen by another process."""
        return self._queries > 0 or self._clock() < self._quiet_from or self._busy_elsewhere()

    @asynccontextmanager
    async def query(self, texts: int = 1) -> AsyncIterator[Callable[[], None]]:
        """Hold a place in the query lane; gives a function that gives it back before the end, called once or more.

        `texts` share the place, and each of them passes the bulk request that waits.
        """
        self._quiet_from = self._clock() + QUIET_AFTER_S
        self._waiting_queries += 1
        try:
            await self._query_lane.acquire()
        finally:
            self._waiting_queries -= 1
            self._started_queries += texts
            self._query_moved.set()
        self._queries += 1
        held = True

        def give_back() -> None:
            nonlocal held
            if held:
                held = False
                self._queries -= 1
                self._query_lane.release()

        try:
            yield give_back
        finally:
            give_back()

    @asynccontextmanager
    async def bulk(self) -> AsyncIterator[None]:
        """Hold the bulk lane, once no query waits or enough of them have passed."""
        async with self._bulk_lane:
            last_to_pass = self._started_queries + QUERIES_PER_YIELD
            while self._waiting_queries and self._started_queries < last_to_pass:
                self._query_moved.clear()
                await self._query_moved.wait()
            yield
