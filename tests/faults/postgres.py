"""The database server of a run: its own, so that it can be killed whole or in part and started again on its socket."""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import asyncpg

from service.embedded.server import EmbeddedPostgres
from service.migrate import migrate_up
from tests.faults.timeline import Over, Timeline, until

ANSWER_S = 5.0
RECOVER_S = 60.0
LOST = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What the driver may raise while the server goes away."""

_BACKENDS = """
select pid from pg_stat_activity
where datname = current_database() and application_name like 'jobsense%' order by backend_start, pid
"""


class Postgres:
    """An embedded server under `folder`; `timeline` learns when it does not answer ("postgres")."""

    def __init__(self, folder: Path, timeline: Timeline) -> None:
        self._cluster = folder
        self._server = EmbeddedPostgres(self._cluster, memory=256 * 2**20)
        self._timeline = timeline

    @property
    def dsn(self) -> str:
        """Where it is."""
        return self._server.dsn

    async def start(self) -> None:
        """Start it, with a database that is up to date."""
        await self._server.start()
        await migrate_up(self.dsn)

    async def stop(self) -> None:
        """Stop it."""
        await self._server.stop()

    @asynccontextmanager
    async def connected(self) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
        """A plain connection."""
        connection = await asyncpg.connect(
            self.dsn, timeout=ANSWER_S, command_timeout=RECOVER_S, server_settings={"application_name": "audit"}
        )
        try:
            yield connection
        finally:
            connection.terminate()

    async def answers(self) -> bool:
        """Whether it takes connections and statements."""
        try:
            async with self.connected() as connection:
                return bool(await connection.fetchval("select true"))
        except LOST:
            return False

    async def embeds(self, pid: int) -> bool:
        """Whether a worker of this number is connected."""
        statement = "select exists (select from pg_stat_activity where application_name like $1)"
        try:
            async with self.connected() as connection:
                return bool(await connection.fetchval(statement, f"jobsense-worker:%:{pid}"))
        except LOST:
            return False

    async def kill(self, away_s: float, over: Over) -> None:
        """End the whole server by force, and start it again after a while."""
        pid = int((next(self._cluster.glob("postgres-*/postmaster.pid"))).read_text().partition("\n")[0])
        self._timeline.begin("postgres")
        os.kill(pid, signal.SIGKILL)
        await over.within(away_s)
        await self._server.start()
        await self._until_it_answers()

    async def kill_one(self, rng: random.Random) -> bool:
        """End one of its processes that serve JobSense by force: the server ends the others too, and recovers."""
        pid = await self._one(rng)
        if pid is None:
            return False
        self._timeline.begin("postgres")
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        # It answers for a moment longer: until it has seen that one of its own is gone.
        await until(lambda: _gone(pid), "the process is gone", timeout_s=RECOVER_S)
        await self._until_it_answers()
        return True

    async def hold_one(self, rng: random.Random, seconds: float, over: Over) -> bool:
        """Stop one of its processes that serve JobSense for a while: a statement that hangs."""
        pid = await self._one(rng)
        if pid is None:
            return False
        self._timeline.begin("postgres.held")
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
        try:
            await over.within(seconds)
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
            self._timeline.end("postgres.held")
        return True

    async def _one(self, rng: random.Random) -> int | None:
        await self._until_it_answers()
        try:
            async with self.connected() as connection:
                pids = [row["pid"] for row in await connection.fetch(_BACKENDS)]
        except LOST:
            return None
        return rng.choice(pids) if pids else None

    async def _until_it_answers(self) -> None:
        await until(self.answers, "the database answers", timeout_s=RECOVER_S)
        self._timeline.end("postgres")


async def _gone(pid: int) -> bool:
    try:
        state = await asyncio.to_thread(Path(f"/proc/{pid}/stat").read_text)
    except FileNotFoundError:
        return True
    return state.rpartition(")")[2].split()[0] == "Z"
