"""The audit of the fault suite sees each thing that it is there to see: without that its silence would mean nothing."""

import random
from collections.abc import AsyncIterator

import asyncpg
import pytest

from service.config import Settings
from service.db import Database
from service.embedding.domain import LiveEmbedder
from service.embedding.worker import Worker
from service.jobs.domain import Jobs
from service.jobs.model import JobInput
from service.ollama.client import OllamaEmbedder
from tests.fake_ollama.clients import MODEL
from tests.fake_ollama.serve import FakeOllama
from tests.faults.audit import audit
from tests.faults.ledger import Ledger
from tests.faults.ollama import DIMENSIONS
from tests.faults.postings import write_posting

SOURCE = "client-0"
POSTINGS = 3
DEAD = """
insert into embedding_task (job_id, text_hash, due_at, created_at, failed_at) values (1, '', 'now', 'now', 'now')
"""


@pytest.fixture
async def ledger(dsn: str) -> AsyncIterator[Ledger]:
    """A ledger and a database that agree: some postings with external_id and one without, stored and embedded."""
    made, rng = Ledger(), random.Random(1)  # noqa: S311 - the same postings always
    db = await Database.open(dsn, max_size=4)
    with FakeOllama(dimensions=DIMENSIONS) as fake:
        live = LiveEmbedder(db, lambda _generation: [OllamaEmbedder(fake.url, MODEL)])
        await live.connect()
        jobs = Jobs(db, Settings(sources=("*",)))
        for number in range(POSTINGS + 1):
            content = write_posting(rng, plain=True)
            key = f"key-{number}" if number < POSTINGS else None
            title, company, description = content.title, content.company, content.description
            new = JobInput(source=SOURCE, external_id=key, title=title, company=company, description=description)
            job = await jobs.create(1, new)
            if key is None:
                made.keyless[content.word] = (content, job.id)
            else:
                made.entry((SOURCE, key)).settle(content, job_id=job.id, version=job.version)
        worker = Worker(db, live)
        while (await worker.step()).claimed:
            pass
        await live.close()
    yield made
    await db.close()


async def run(dsn: str, ledger: Ledger, *statements: str) -> set[str]:
    """The kinds of faults that are found after these statements."""
    connection = await asyncpg.connect(dsn)
    try:
        for statement in statements:
            await connection.execute(statement)
        assert await audit(connection, ledger) > 0
    finally:
        await connection.close()
    return set(ledger.counts)


async def test_agreement_is_no_fault(dsn: str, ledger: Ledger) -> None:
    """Where nothing is wrong nothing is found."""
    assert await run(dsn, ledger) == set()


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("delete from job where external_id = 'key-1'", "lost"),
        ("delete from job where external_id is null", "lost"),
        ("update job set salary_min = 5 where external_id = 'key-1'", "lost"),
        ("update job set external_id = null where external_id = 'key-1'", "strange"),
        ("update job set external_id = 'another' where external_id is null", "strange"),
        ("update embedded set text_hash = 'x' where job_id = 1", "unembedded"),
        ("delete from passage_g1 where job_id = 1", "unembedded"),
        ("update passage_g1 set passage_no = 7, body_end = 1 where job_id = 1", "unembedded"),
        ("update passage_g1 set source = 'another' where job_id = 1", "unembedded"),
        (
            "update passage_g1 p set embedding = o.embedding from passage_g1 o where p.job_id = 1 and o.job_id = 2",
            "unembedded",
        ),
        (
            "insert into embedding_task (job_id, text_hash, due_at, created_at) values (1, 'x', now(), now())",
            "unembedded",
        ),
        (DEAD, "dead"),
        ("update job_word set words = '' where job_id = 1", "unembedded"),
        ("begin", "leak"),
    ],
)
async def test_what_is_wrong_is_found(dsn: str, ledger: Ledger, statement: str, kind: str) -> None:
    """One thing that is not as the ledger has it, or not embedded as it should be."""
    if kind == "leak":
        other = await asyncpg.connect(dsn)
        await other.execute(statement)
        assert kind in await run(dsn, ledger)
        await other.close()
    else:
        assert kind in await run(dsn, ledger, statement)


async def test_a_posting_that_came_back_is_found(dsn: str, ledger: Ledger) -> None:
    """Its deletion was acknowledged, and it is there."""
    ledger.note_deleted((SOURCE, "key-0"))
    assert await run(dsn, ledger) == {"resurrected"}


async def test_a_posting_twice_is_found(dsn: str, ledger: Ledger) -> None:
    """A row without external_id that is there once too often, as after a repeat that stored it again."""
    again = (
        "insert into job (tenant_id, source, title, company, description, company_key, content_hash, text_hash,"
        " created_at, updated_at) select tenant_id, source, title, company, description, company_key, content_hash,"
        " text_hash, created_at, updated_at from job where external_id is null"
    )
    assert "duplicated" in await run(dsn, ledger, again)
