"""What tests of the worker share: postings in the database, embedders that wait, and looks at the queue."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import asyncpg

from service.access.queries import ensure_tenant
from service.config import Settings
from service.db import Database
from service.embedder import Vector
from service.embedding.domain import LiveEmbedder
from service.errors import TextRefused
from service.jobs.domain import Jobs
from service.jobs.model import JobPatch
from service.search.domain import Searcher
from service.search.model import SearchRequest
from tests.factories import new_job
from tests.fakes import WordEmbedder
from tests.looking import until_next_look_async


class HeldEmbedder(WordEmbedder):
    """Waits within `embed_documents` until it is let go; tells how many calls have reached it."""

    def __init__(self, **how: Any) -> None:
        super().__init__(**how)
        self.reached = asyncio.Semaphore(0)
        self.go = asyncio.Event()

    async def embed_documents(self, texts: Sequence[str]) -> list[Vector | TextRefused]:
        """Say that the call is there, wait, answer."""
        self.reached.release()
        await self.go.wait()
        return await super().embed_documents(texts)


class Scene:
    """A database with a tenant, seen from the side of the queue."""

    def __init__(self, db: Database, tenant_id: int) -> None:
        self.db = db
        self.tenant_id = tenant_id
        self.jobs = Jobs(db, Settings())

    @classmethod
    async def of(cls, db: Database) -> "Scene":
        """The scene on a database."""
        return cls(db, await ensure_tenant(db, name="public"))

    async def post(self, *, count: int = 1, **fields: Any) -> list[int]:
        """Store postings; their ids."""
        stored = await self.jobs.store(self.tenant_id, [new_job(index, **fields) for index in range(count)])
        return [one.job_id for one in stored]

    async def patch(self, job_id: int, **fields: Any) -> None:
        """Change a posting."""
        await self.jobs.patch(self.tenant_id, job_id, JobPatch(**fields))

    async def state(self, job_id: int) -> tuple[str, str | None]:
        """State and reason as callers see them."""
        embedding = (await self.jobs.fetch(self.tenant_id, job_id)).embedding
        return embedding.state, embedding.reason or None

    async def found(self, text: str, *, by: str = "semantic") -> list[int]:
        """The postings that a search finds, best first."""

        async def embed(query: str) -> Any:
            raise AssertionError(f"{query!r} is not for the model")

        searcher = Searcher(self.db, embed, lambda: None)
        answer = await searcher.search(self.tenant_id, SearchRequest(text=text, mode=by))  # type: ignore[arg-type] # a Literal by another name
        return [hit.job.id for hit in answer.results]

    async def rows(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        """What a query gives."""
        async with self.db.connection() as connection:
            return await connection.fetch(query, *arguments)

    async def value(self, query: str, *arguments: object) -> Any:
        """The one value that a query gives."""
        return (await self.rows(query, *arguments))[0][0]

    async def tasks(self) -> list[asyncpg.Record]:
        """The queue."""
        return await self.rows("select *, leased_until > now() as leased from embedding_task order by job_id")

    async def passages(self, job_id: int) -> list[list[float]]:
        """The vectors of a posting, in order."""
        query = "select embedding::vector::real[] from passage where job_id = $1 order by passage_no"
        return [list(row[0]) for row in await self.rows(query, job_id)]

    async def age_leases(self) -> None:
        """Let a minute pass for all leases."""
        await self.rows("update embedding_task set leased_until = leased_until - interval '1 minute' returning 1")

    async def make_due(self) -> None:
        """Let the pauses before the next attempt pass."""
        await self.rows("update embedding_task set due_at = due_at - interval '10 minutes' returning 1")

    async def until(self, query: str, holds: Callable[[Any], bool], *, timeout_s: float = 10) -> Any:
        """Ask the database again and again until the answer is the one waited for."""
        async with asyncio.timeout(timeout_s):
            while not holds(answer := await self.value(query)):
                await until_next_look_async()
        return answer


def reason(live: LiveEmbedder) -> str | None:
    """Why queries cannot be embedded now."""
    return live.absence.reason if live.absence else None


def unit(vector: Sequence[float], other: Sequence[float]) -> float:
    """The cosine of two unit vectors."""
    return sum(one * two for one, two in zip(vector, other, strict=True))


def due_in_s(row: asyncpg.Record, now: datetime) -> float:
    """Seconds until a task is due."""
    due: datetime = row["due_at"]
    return (due - now).total_seconds()
