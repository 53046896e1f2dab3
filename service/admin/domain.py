"""Gathers the state of the service: pool, backlog, dead tasks, caches."""

from collections.abc import Awaitable, Callable, Mapping

import msgspec

from service.admin import queries
from service.admin.model import AdminStats, Backlog, DeadTask, DeadTasks, Pool
from service.db import Database

SHOWN = 20
"""Dead tasks that are shown; `jobsense tasks list` has all."""


class Administration:
    """Tells how the service is; what belongs to other features is handed in."""

    def __init__(
        self, db: Database, backlog: Callable[[], Awaitable[Backlog]], caches: Mapping[str, Callable[[], int]]
    ) -> None:
        self._db = db
        self._backlog = backlog
        self._caches = caches

    async def stats(self, tenant_id: int) -> AdminStats:
        """The state now; of dead tasks those of one tenant."""
        backlog = await self._backlog()
        dead = await queries.list_dead_tasks(self._db, tenant_id=tenant_id, most=SHOWN)
        latest = [DeadTask(*msgspec.structs.astuple(row)[:-1]) for row in dead]
        return AdminStats(
            pool=Pool(*self._db.sizes()),
            backlog=backlog,
            dead_tasks=DeadTasks(dead[0].total if dead else 0, latest),
            caches={name: size() for name, size in self._caches.items()},
        )
