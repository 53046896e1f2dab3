"""What a managed PostgreSQL gives: a role without superuser, and at times a server that only reads."""

import asyncpg
import pytest

from service.config import Settings
from service.errors import SchemaError
from service.migrate import migrate_down, migrate_up, read_migrations, status
from service.telemetry.lifecycle import Telemetry
from tests.conftest import running
from tests.factories import job_body
from tests.fakes import WordEmbedder
from tests.operations.ordinary import Ordinary

JOBS, SEARCH = "/api/v1/jobs", "/api/v1/search"
READING = (
    ("GET", f"{SEARCH}?q=solar&mode=hybrid", None),
    ("GET", f"{SEARCH}?q=solar&mode=semantic", None),
    ("GET", f"{SEARCH}?q=solar&mode=lexical", None),
    ("POST", f"{SEARCH}/batch", {"searches": [{"text": "solar"}, {"text": "roofs"}]}),
    ("POST", "/api/v1/match", {"text": "I install solar panels on roofs."}),
    ("GET", f"{JOBS}/1/similar", None),
    ("GET", f"{JOBS}/1", None),
    ("GET", JOBS, None),
    ("GET", "/api/v1/rates", None),
    ("GET", "/api/v1/stats", None),
    ("GET", "/api/v1/export/jobs.csv", None),
    ("GET", "/api/v1/export/jobs.ndjson", None),
    ("GET", "/health/ready", None),
)
"""What a standby has to answer."""


async def read_only(ordinary: Ordinary) -> None:
    """Let every new connection of the role read and write nothing, as a standby does."""
    connection = await asyncpg.connect(ordinary.admin_dsn)
    await connection.execute(f'alter role "{ordinary.role}" set default_transaction_read_only = on')
    await connection.close()


@pytest.fixture
async def owned(ordinary: Ordinary) -> str:
    """A migrated database of an ordinary role."""
    dsn = await ordinary.create_database()
    await migrate_up(dsn)
    return dsn


async def test_the_owner_of_a_database_needs_no_superuser(
    owned: str, settings: Settings, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where an administrator made the extension, the owner migrates, makes generations and serves every request."""
    async with running(settings, owned, telemetry, WordEmbedder(), monkeypatch) as api:
        made = await api.client.post(JOBS, json=job_body(title="Solar technician"), headers={"Idempotency-Key": "k"})
        assert made.status_code == 201, made.text
        assert await api.embed() == 1
        for method, path, body in READING:
            answer = await api.client.request(method, path, json=body)
            assert answer.status_code == 200, (path, answer.text)
        assert (await api.client.delete(f"{JOBS}/1")).status_code == 204


async def test_without_the_extension_the_migration_says_so(ordinary: Ordinary) -> None:
    """An owner who may not make pgvector is told by name, and nothing is half done; once it is made, it goes on."""
    dsn = await ordinary.create_database(extension=False)
    with pytest.raises(SchemaError, match=r'0001_postings\.up\.sql was refused .*extension "vector"'):
        await migrate_up(dsn)
    assert not any(one.applied for one in await status(dsn))


async def test_the_owner_takes_all_but_the_first_migration_back(owned: str) -> None:
    """What the owner's migrations made, the owner can take back; the extension is the administrator's."""
    await migrate_down(owned, 1)
    assert await migrate_up(owned) == read_migrations()[1:]
    with pytest.raises(SchemaError, match=r"0001_postings\.down\.sql was refused .*must be owner of extension vector"):
        await migrate_down(owned, 0)


async def test_a_database_that_only_reads_serves_whoever_reads(
    owned: str, ordinary: Ordinary, settings: Settings, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a standby, searches by meaning, lists and exports are answered, and a write is 503 with its reason logged."""
    async with running(settings, owned, telemetry, WordEmbedder(), monkeypatch) as api:
        made = await api.client.post(JOBS, json=job_body(title="Solar technician", description="Solar roofs."))
        assert made.status_code == 201
        assert await api.embed() == 1
    await read_only(ordinary)
    async with running(settings, owned, telemetry, WordEmbedder(), monkeypatch) as api:
        for method, path, body in READING:
            answer = await api.client.request(method, path, json=body)
            assert answer.status_code == 200, (path, answer.text)
            assert "degraded" not in answer.text or answer.json().get("degraded") is None, (path, answer.text)
        refused = await api.client.post(JOBS, json=job_body())
        assert (refused.status_code, refused.json()["code"]) == (503, "database_unavailable")
        assert (await api.client.delete(f"{JOBS}/1")).status_code == 503
        assert (await api.client.get(f"{JOBS}/1")).status_code == 200
