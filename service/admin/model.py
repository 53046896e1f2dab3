"""What the state of the service holds."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta


class Pool(msgspec.Struct, frozen=True):
    """Database connections of the process that answers."""

    open: int
    idle: int
    max: int


class Backlog(msgspec.Struct, frozen=True):
    """How far the embedding is behind, over all tenants."""

    waiting: int
    failed: int
    oldest_age_s: float


class DeadTask(msgspec.Struct, frozen=True):
    """A posting whose embedding was given up; it is found by its words."""

    job_id: int
    source: str
    external_id: str | None
    title: str
    reason: str
    failed_at: Annotated[datetime, Meta(tz=True)]


class DeadRow(DeadTask, frozen=True):
    """The same with how many there are in all."""

    total: int


class DeadTasks(msgspec.Struct, frozen=True):
    """Those of the caller's tenant: how many, and the latest."""

    total: int
    latest: list[DeadTask]


class AdminStats(msgspec.Struct, frozen=True):
    """The state of the process that answers, and of the work behind it."""

    pool: Pool
    backlog: Backlog
    dead_tasks: DeadTasks
    caches: Annotated[dict[str, int], Meta(description="Entries of each cache of the process that answers")]
