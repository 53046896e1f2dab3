"""How the parts of the service are: each asked by itself, within a short time, once for all who ask at once."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, TypeVar

from service.db import Database
from service.errors import JobSenseError
from service.health import queries
from service.health.model import Part, Ready, Report

PROBE_TIMEOUT_S = 2.0
WATCHED_S = 15.0
"""Whoever asks for readiness twice within this time is taken for a proxy that sends requests by the answer."""

T = TypeVar("T")

Probe = Callable[[], Awaitable[Part]]


class Health:
    """Reports on the parts it is given; only the database decides readiness: without others, searches degrade."""

    def __init__(self, db: Database, version: str, probes: Mapping[str, Probe]) -> None:
        self._db = db
        self._version = version
        self._probes = probes
        self._asked: dict[str, asyncio.Task[Any]] = {}
        self._looks: deque[float] = deque([-WATCHED_S], maxlen=2)
        self._leaving = False

    def leave(self) -> bool:
        """Be not ready from now on; whether somebody watches, who will send requests elsewhere."""
        self._leaving = True
        return time.monotonic() - self._looks[0] < WATCHED_S

    async def ready(self) -> Ready:
        """Whether requests can be served."""
        self._looks.append(time.monotonic())
        if self._leaving:
            return Ready("stopping", ["process"])
        database = await self._once("ready", lambda: _ask(self._database))
        return Ready("ready", []) if database.status == "up" else Ready("unavailable", ["database"])

    async def report(self) -> Report:
        """Every part, asked at once."""
        return await self._once("report", self._report)

    async def _once(self, what: str, ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Ask, or share the answer to the same question that still runs, so that many who ask cost no more than one."""
        running: asyncio.Task[T] | None = self._asked.get(what)
        if running is None or running.done():
            running = self._asked[what] = asyncio.create_task(ask())
        return await asyncio.shield(running)

    async def _report(self) -> Report:
        probes = {"database": self._database, "pool": self._pool, **self._probes}
        async with asyncio.TaskGroup() as group:
            asked = {name: group.create_task(_ask(probe)) for name, probe in probes.items()}
        parts = {name: task.result() for name, task in asked.items()}
        worst = "up" if all(part.status == "up" for part in parts.values()) else "degraded"
        return Report("down" if parts["database"].status == "down" else worst, self._version, parts)

    async def _database(self) -> Part:
        versions = await queries.check_database(self._db)
        if versions is None:
            return Part("down", {"reason": "no pgvector extension"})
        return Part("up", {"postgres": versions.postgres, "pgvector": versions.pgvector})

    async def _pool(self) -> Part:
        opened, idle, most = self._db.sizes()
        return Part("up", {"open": opened, "idle": idle, "max": most})


async def _ask(probe: Probe) -> Part:
    try:
        return await asyncio.wait_for(probe(), PROBE_TIMEOUT_S)
    except (JobSenseError, TimeoutError) as error:
        reason = error.detail if isinstance(error, JobSenseError) else f"no answer within {PROBE_TIMEOUT_S:g} s"
        return Part("down", {"reason": reason})
