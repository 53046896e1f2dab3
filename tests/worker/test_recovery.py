"""What went wrong once does not stay wrong: texts put back, tasks beside a bad one, rows beside a contended one."""

import asyncio
from collections.abc import Sequence

import asyncpg
import msgspec
import pytest

from service.config import Settings
from service.db import Database
from service.embedder import Vector
from service.embedding.domain import LiveEmbedder
from service.embedding.worker import Worker
from service.errors import TextRefused
from service.jobs.domain import Jobs
from service.jobs.model import JobPatch
from tests.factories import job_input, new_job
from tests.fakes import REFUSED, WordEmbedder
from tests.worker.scene import Scene

TENANT = 1


class Poisoned(WordEmbedder):
    """Fails with a fault of its own on every batch that holds one text."""

    async def embed_documents(self, texts: Sequence[str]) -> list[Vector | TextRefused]:
        """Break on the text `poison`."""
        if any("poison" in text for text in texts):
            raise RuntimeError("a fault of ours")
        return await super().embed_documents(texts)


@pytest.fixture
def jobs(db: Database, settings: Settings) -> Jobs:
    """The postings of this test's database."""
    return Jobs(db, settings)


async def drain(worker: Worker) -> None:
    """Step until nothing is due."""
    while (await worker.step()).claimed:
        pass


async def test_a_text_put_back_after_a_refused_one_is_done(jobs: Jobs, worker: Worker) -> None:
    """A posting whose refused text is replaced by the one that is embedded is done again, with nothing left to do."""
    job = await jobs.create(TENANT, job_input(description="Good text."))
    await drain(worker)
    await jobs.patch(TENANT, job.id, JobPatch(description=f"Bad {REFUSED} text."))
    await drain(worker)
    assert (await jobs.fetch(TENANT, job.id)).embedding.state == "failed"
    await jobs.patch(TENANT, job.id, JobPatch(description="Good text."))
    back = (await jobs.fetch(TENANT, job.id)).embedding
    assert (back.state, back.reason) == ("done", None)
    bad = new_job(0, external_id=job.external_id, title=job.title, description=f"Bad {REFUSED} text.")
    await jobs.store(TENANT, [bad])
    await drain(worker)
    await jobs.store(TENANT, [new_job(0, external_id=job.external_id, title=job.title, description="Good text.")])
    assert (await jobs.fetch(TENANT, job.id)).embedding.state == "done"


async def test_one_bad_task_does_not_starve_the_others(db: Database, jobs: Jobs) -> None:
    """A text on which the whole batch breaks keeps only itself back: the others are embedded around it."""
    embedder = Poisoned()
    live = LiveEmbedder(db, lambda _generation: [embedder])
    await live.connect()
    worker = Worker(db, live)
    texts = ["poison" if index == 7 else f"text {index}" for index in range(20)]
    await jobs.store(TENANT, [new_job(index, description=text) for index, text in enumerate(texts)])
    async with db.connection() as connection:
        for _ in range(60):
            await connection.execute(
                "update embedding_task set due_at = due_at - interval '1 hour' where lease is null"
            )
            try:
                await worker.step()
            except RuntimeError:
                continue
        left = await connection.fetch("select j.description from embedding_task t join job j on j.id = t.job_id")
    await live.close()
    assert [row["description"] for row in left] == ["poison"]


async def test_rows_without_a_key_are_stored_once_beside_a_contended_one(db: Database, dsn: str, jobs: Jobs) -> None:
    """While another transaction holds the insert of one key, the batch waits, and its other rows are created once."""
    held = new_job(0, external_id="held")
    loose = [new_job(index, external_id=...) for index in (1, 2, 3)]
    other = await asyncpg.connect(dsn)
    transaction = other.transaction()
    await transaction.start()
    await other.execute(
        "insert into job (tenant_id, source, external_id, title, company, company_key, content_hash, text_hash,"
        " created_at, updated_at) values (1, $1, 'held', 'Old', 'Old', 'old', '', '', now(), now())",
        held.source,
    )
    storing = asyncio.create_task(jobs.store(TENANT, [msgspec.structs.replace(held, index=0), *loose]))
    async with asyncio.timeout(10):
        while not await other.fetchval("select exists (select from pg_locks where not granted)"):
            pass
    await transaction.commit()
    stored = await storing
    await other.close()
    async with db.connection() as connection:
        rows = await connection.fetch("select id from job where external_id is null order by id")
    assert [one.job_id for one in stored[1:]] == [row["id"] for row in rows]
    assert stored[0].status == "updated"


async def test_a_copy_takes_nothing_away_before_it_has_something(scene: Scene, worker: Worker) -> None:
    """Copying from a posting with another text leaves both as they were; from a shorter one, nothing else is left."""
    (short,) = await scene.post(title="Driver", description="Drive.")
    (long,) = await scene.post(title="Cook", description="Cook and serve. " * 60)
    await drain(worker)
    before = await scene.passages(long)
    copy = "select copy_passages(1::smallint, $1, $2, (select text_hash from job where id = $3))"
    assert await scene.value(copy, short, long, long) == 0, "the twin has another text"
    assert await scene.value(copy, short, long, short) == 0, "the posting has another text"
    assert await scene.passages(long) == before
    assert len(before) > 1
    same = "update job set text_hash = (select text_hash from job where id = $1) where id = $2 returning 1"
    await scene.rows(same, short, long)
    assert await scene.value(copy, short, long, short) == 1
    assert await scene.passages(long) == await scene.passages(short)
