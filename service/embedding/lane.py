"""The lane that processes of one database share at a model server: queries are announced, bulk work takes turns.

A server computes one text after the other, in order of arrival, and cannot tell a query from a backlog. Within a
process its client sees to that; between processes the table model_lane does, with one row a server. It is never in the
way: when the database does not answer in time, a process goes on as if it were alone.
"""

import asyncio
import contextvars
import hashlib
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import Any, TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

from service.db import Database
from service.embedder import QUIET_AFTER_S
from service.embedding import queries
from service.errors import DatabaseUnavailable
from service.telemetry.logs import get_logger
from service.telemetry.redact import tell_error

log = get_logger(__name__)

Result = TypeVar("Result")

ANNOUNCE_EVERY_S = 1.0
"""Well under QUIET_AFTER_S, so that a steady flow of queries never looks like none."""
READ_EVERY_S = 0.2
LEASE_S = 5.0
"""A process that died leaves the turn to others after so long."""
FIRST_POLL_S, MOST_POLL_S = 0.1, 0.5
PATIENCE_S = 1.0
"""The database answers within this time or does not count."""
FAIR_S = 5.0
"""After so much bulk work in a row a process pauses, if there are others that embed; a poll falls into the pause."""
FAIR_PAUSE_S = MOST_POLL_S + 0.1
_PORTS = {"http": 80, "https": 443}


class Lane:
    """One process's view of the lane at one server; `server` is its key, as `server_key` makes it."""

    def __init__(self, db: Database, server: str) -> None:
        self._db = db
        self._server = server
        self._lease = uuid4()
        self._announced_at = self._busy_until = float("-inf")
        self._announcing: asyncio.Task[None] | None = None
        self._worked_s = 0.0
        self._failing = False

    def note_query(self) -> None:
        """Tell other processes that there are queries: in the background, at most once a second."""
        now = time.monotonic()
        if now - self._announced_at < ANNOUNCE_EVERY_S or (self._announcing and not self._announcing.done()):
            return
        self._announced_at = now
        self._announcing = _apart(self._announce())

    def queries_elsewhere(self) -> bool:
        """Whether queries are about, as last read; read only while this process does bulk work.

        Queries of this very process count too. That changes nothing: it gives way to them by itself, for as long.
        """
        return time.monotonic() < self._busy_until

    @asynccontextmanager
    async def bulk(self) -> AsyncIterator[None]:
        """Wait until no other process does bulk work here, and keep the others waiting until the end.

        May be cancelled at any time; a turn that could not be given up lapses.
        """
        await self._be_fair()
        try:
            await _apart(self._take_turn())
            keeping, began = _apart(self._keep_turn()), time.monotonic()
            try:
                yield
            finally:
                self._worked_s += time.monotonic() - began
                keeping.cancel()
                await asyncio.wait({keeping})
        finally:
            await _apart(self._ask(queries.give_up_bulk_turn, server=self._server, lease=self._lease))

    async def close(self) -> None:
        """End what runs in the background."""
        if self._announcing is not None:
            self._announcing.cancel()
            await asyncio.wait({self._announcing})

    async def _announce(self) -> None:
        await self._ask(queries.announce_queries, server=self._server)

    async def _take_turn(self) -> None:
        pause_s = FIRST_POLL_S
        while await self._turn_is_taken():
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 1.5, MOST_POLL_S)
        await self._look_for_queries()

    async def _keep_turn(self) -> None:
        reads = 0
        while True:
            await asyncio.sleep(READ_EVERY_S)
            await self._look_for_queries()
            reads += 1
            if reads * READ_EVERY_S >= LEASE_S / 4:
                reads = 0
                await self._turn_is_taken()  # if it is, both work for this once

    async def _turn_is_taken(self) -> bool:
        """Take the turn, or keep it; whether another process has it."""
        mine = await self._ask(queries.take_bulk_turn, server=self._server, lease=self._lease, seconds=LEASE_S)
        return mine is False

    async def _look_for_queries(self) -> None:
        age_s = await self._ask(queries.fetch_query_age, server=self._server)
        if age_s is not None:
            self._busy_until = time.monotonic() + QUIET_AFTER_S - age_s

    async def _be_fair(self) -> None:
        """Let others have a turn after a while, since who has just given it up would always be the first to ask."""
        if self._worked_s < FAIR_S:
            return
        self._worked_s = 0.0
        others = await _apart(self._ask(queries.count_workers))
        if others is not None and others > 1:
            await asyncio.sleep(FAIR_PAUSE_S)

    async def _ask(self, statement: Callable[..., Awaitable[Result]], **given: Any) -> Result | None:
        """What the database says; None when it does not, or is asked wrongly, which is told once."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                answer = await statement(self._db, **given)
        except (DatabaseUnavailable, TimeoutError):
            return None
        except Exception as error:
            if not self._failing:
                log.warning("lane.failed", error=tell_error(error), exc_info=True)
            self._failing = True
            return None
        self._failing = False
        return answer


class Lanes:
    """The lanes at one model server, by model."""

    def __init__(self, db: Database, url: str) -> None:
        self._db = db
        self._url = url
        self._lanes: dict[str, Lane] = {}

    def of(self, provider: str, model: str) -> Lane:
        """The lane of a model at the server."""
        key = server_key(provider, self._url, model)
        if key not in self._lanes:
            self._lanes[key] = Lane(self._db, key)
        return self._lanes[key]

    def at(self, provider: str, model: str) -> Lane | None:
        """The same; None for a model in this process's own memory, which nobody shares."""
        return None if provider == "local" else self.of(provider, model)


def server_key(provider: str, url: str, model: str) -> str:
    """The name of a model at a server: the same for all spellings of its address, and free of credentials.

    `localhost` is another server on each machine, so there the machine's name stands for it.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    if _is_this_machine(host):
        host = socket.gethostname().lower()
    port = parts.port or _PORTS.get(parts.scheme, 0)
    tagged = model if ":" in model.rpartition("/")[2] else f"{model}:latest"
    written = "\n".join((provider, parts.scheme, host, str(port), parts.path.rstrip("/"), tagged))
    return hashlib.sha256(written.encode()).hexdigest()


def _is_this_machine(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return address.is_loopback or address.is_unspecified


def _apart(work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
    """Run apart from the request or task that caused it, whose record is to hold what it did itself."""
    return asyncio.create_task(work, context=contextvars.Context())
