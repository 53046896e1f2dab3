"""A disk that is really full under Postgres: writes are clean 503s, nothing acknowledged is lost, and room mends it."""

import asyncio
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from service.config import Settings
from service.embedded.server import EmbeddedPostgres
from service.migrate import migrate_up
from service.telemetry.lifecycle import Telemetry
from tests.api.calls import JOBS, SEARCH, create, problem
from tests.conftest import Service, running
from tests.factories import job_body
from tests.fakes import WordEmbedder
from tests.sql.probes import all_idle

DISK_MB = 320
SPARE = 2**20


@pytest.fixture
def disk() -> Iterator[Path]:
    """A small disk of this test's own."""
    with tempfile.TemporaryDirectory(prefix="jobsense-disk-") as made:
        folder = Path(made)
        folder.chmod(0o755)
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "jobsense-test", made], check=False, capture_output=True
        )
        if mounted.returncode != 0:
            pytest.skip(f"a disk cannot be mounted here (needs root): {mounted.stderr.decode().strip()}")
        try:
            yield folder
        finally:
            subprocess.run(["umount", made], check=True)


class Filler:
    """A file that takes all the room but a little."""

    def __init__(self, disk: Path) -> None:
        self._disk = disk
        self._path = disk / "filler"

    def fill(self, spare: int) -> None:
        """Leave so many bytes free."""
        with self._path.open("ab") as file:
            os.posix_fallocate(file.fileno(), file.tell(), max(1, shutil.disk_usage(self._disk).free - spare))

    def empty(self) -> None:
        """Give the room back."""
        self._path.unlink()


@asynccontextmanager
async def serving(
    own: EmbeddedPostgres, settings: Settings, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Service]:
    """The application on a server that is up."""
    await migrate_up(own.dsn)
    async with running(settings, own.dsn, telemetry, WordEmbedder(), monkeypatch) as api:
        yield api


async def write_until_full(api: Service) -> list[dict[str, Any]]:
    """Store postings until one is refused, as it should be: what was acknowledged."""
    stored: list[dict[str, Any]] = []
    while True:
        answer = await api.client.post(JOBS, json=job_body(description=f"{len(stored)} {os.urandom(20_000).hex()}"))
        if answer.status_code != 201:
            problem(answer, 503, "database_unavailable")
            assert int(answer.headers["retry-after"]) >= 1
            return stored
        stored.append(answer.json())


async def all_there(api: Service, stored: list[dict[str, Any]]) -> bool:
    """Whether each posting that was acknowledged is served as it was."""
    answers = await asyncio.gather(*(api.client.get(f"{JOBS}/{job['id']}") for job in stored))
    return [answer.json() for answer in answers] == stored


def reasons(log: BytesIO) -> set[str]:
    """Why requests were refused."""
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    return {line["error.type"] for line in lines if line.get("http.response.status_code") == 503}


async def test_no_room_for_postings(
    disk: Path, settings: Settings, telemetry: Telemetry, log: BytesIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without room for a table writes are 503, reads and searches go on; with room, writes do, without any restart."""
    filler = Filler(disk)
    own = EmbeddedPostgres(disk, memory=256 * 2**20)
    await own.start()
    try:
        async with serving(own, settings, telemetry, monkeypatch) as api:
            kept = [await create(api, title="Nurse") for _ in range(3)]
            filler.fill(SPARE)
            stored = await write_until_full(api)
            assert reasons(log) == {"disk_full"}
            assert await all_there(api, kept + stored)
            found = await api.client.post(SEARCH, json={"text": "nurse", "mode": "lexical"})
            assert (found.status_code, len(found.json()["results"])) == (200, 3)
            assert (await api.client.get("/health/ready")).status_code == 200
            filler.empty()
            await create(api)
            assert await all_idle(api.parts.db)
    finally:
        await own.stop()


async def test_no_room_for_the_log(
    disk: Path, settings: Settings, telemetry: Telemetry, log: BytesIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without room for its log Postgres ends itself; with room it is started again, and the same service goes on."""
    filler = Filler(disk)
    own = EmbeddedPostgres(disk, memory=256 * 2**20)
    await own.start()
    try:
        async with serving(own, settings, telemetry, monkeypatch) as api:
            kept = [await create(api) for _ in range(3)]
            filler.fill(0)
            await use_up_the_log(own.dsn)
            kept += await write_until_full(api)
            assert reasons(log) <= {"disk_full", "unreachable"}
            assert (await api.client.get("/health/live")).status_code == 200
            filler.empty()
            await own.start()
            assert await all_there(api, kept)
            await create(api)
            assert await all_idle(api.parts.db)
    finally:
        await own.stop()


async def use_up_the_log(dsn: str) -> None:
    """Begin one segment of the log after another until there is no room for the next, which ends the server."""
    connection = await asyncpg.connect(dsn)
    while not connection.is_closed():
        with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            await connection.execute("select pg_logical_emit_message(false, 'test', 'full'), pg_switch_wal()")
