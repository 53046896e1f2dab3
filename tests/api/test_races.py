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


@pytest.mark.parametrize("seed", range(3))
async def test_writers_readers_and_the_worker_at_once(api: Service, db: Database, seed: int) -> None:
    """Batches, changes, moves, deletions, searches and embedding steps interleave without a fault or a deadlock.

    Afterwards every posting has its words, no key is there twice, and once the worker is through every posting is done
    with vectors whose copies say what the posting says.
    """
    chance = random.Random(seed)  # noqa: S311 - a test, not a secret
    keys = [f"race-{number}" for number in range(12)]
    statuses: Counter[tuple[str, int]] = Counter()

    def body() -> dict[str, object]:
        return job_body(
            external_id=chance.choice(keys),
            title=f"Title {chance.randrange(4)}",
            source=chance.choice(SOURCES),
            description=None,
            posted_at=f"2026-0{chance.randint(1, 9)}-01T00:00:00Z",
        )

    async def act() -> None:
        number = chance.randint(1, 30)
        match chance.randrange(6):
            case 0 | 1:
                answer = await api.client.post(f"{JOBS}/batch", json=[body() for _ in range(8)])
            case 2:
                change = {name: value for name, value in body().items() if chance.random() < 0.5}
                answer = await api.client.patch(f"{JOBS}/{number}", json=change)
            case 3:
                answer = await api.client.delete(f"{JOBS}/{number}")
            case 4:
                answer = await api.client.post(SEARCH, json={"text": "title", "top_k": 100})
            case _:
                # A posting that moves has two places in the order of locks: the loop tries again what that undid.
                with contextlib.suppress(DatabaseUnavailable):
                    await api.parts.worker.step()
                return
        statuses[answer.request.method, answer.status_code] += 1

    for _ in range(12):
        await asyncio.gather(*(act() for _ in range(8)))
    assert {status for _, status in statuses} <= {200, 204, 404, 409}, statuses
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
