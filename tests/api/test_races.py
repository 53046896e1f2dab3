"""Writers of every kind and the embedding worker on the same postings at once: all answered, and the end is sound."""

import asyncio
import contextlib
import random
from collections import Counter

import pytest

from service.db import Database
from service.errors import DatabaseUnavailable
from tests.api.calls import JOBS, SEARCH
from tests.conftest import Service
from tests.factories import job_body

SOURCES = ("linkedin", "jobwebkenya")


class Crowd:
    """Callers of every kind, who all pick at random from the same few postings; counts how they were answered."""

    def __init__(self, api: Service, seed: int) -> None:
        self.statuses: Counter[tuple[str, int]] = Counter()
        self._api = api
        self._chance = random.Random(seed)  # noqa: S311 - a test, not a secret
        self._keys = [f"race-{number}" for number in range(12)]

    def _body(self) -> dict[str, object]:
        return job_body(
            external_id=self._chance.choice(self._keys),
            title=f"Title {self._chance.randrange(4)}",
            source=self._chance.choice(SOURCES),
            description=None,
            posted_at=f"2026-0{self._chance.randint(1, 9)}-01T00:00:00Z",
        )

    async def act(self) -> None:
        """Do one thing."""
        client = self._api.client
        number = self._chance.randint(1, 30)
        match self._chance.randrange(6):
            case 0 | 1:
                answer = await client.post(f"{JOBS}/batch", json=[self._body() for _ in range(8)])
            case 2:
                change = {name: value for name, value in self._body().items() if self._chance.random() < 0.5}
                answer = await client.patch(f"{JOBS}/{number}", json=change)
            case 3:
                answer = await client.delete(f"{JOBS}/{number}")
            case 4:
                answer = await client.post(SEARCH, json={"text": "title", "top_k": 100})
            case _:
                # A posting that moves has two places in the order of locks: the loop tries again what that undid.
                with contextlib.suppress(DatabaseUnavailable):
                    await self._api.parts.worker.step()
                return
        self.statuses[answer.request.method, answer.status_code] += 1


@pytest.mark.parametrize("seed", range(3))
async def test_writers_readers_and_the_worker_at_once(api: Service, db: Database, seed: int) -> None:
    """Batches, changes, moves, deletions, searches and embedding steps interleave without a fault or a deadlock.

    Afterwards every posting has its words, no key is there twice, and once the worker is through every posting is done
    with vectors whose copies say what the posting says.
    """
    crowd = Crowd(api, seed)
    for _ in range(12):
        await asyncio.gather(*(crowd.act() for _ in range(8)))
    assert {status for _, status in crowd.statuses} <= {200, 204, 404, 409}, crowd.statuses
    async with db.connection() as connection:
        # a task whose text was put back while it was worked on keeps its lease, and is dropped when that has lapsed
        await connection.execute("update embedding_task set leased_until = now() - interval '1 second'")
        await api.embed()
        jobs = await connection.fetchval("select count(*) from job")
        assert jobs == await connection.fetchval("select count(*) from job_word")
        assert jobs == await connection.fetchval("select count(distinct (source, external_id)) from job")
        assert await connection.fetchval("select count(*) from embedding_task") == 0
        stale = (
            "select count(*) from job j left join embedded e on e.job_id = j.id"
            " where e.text_hash is distinct from j.text_hash"
        )
        assert await connection.fetchval(stale) == 0
        different = (
            "select count(*) from job j left join passage p on p.job_id = j.id"
            " where p.source is distinct from j.source or p.posted_at is distinct from j.posted_at"
        )
        assert await connection.fetchval(different) == 0
