"""The embedded Postgres: processes that share a server, start it, crash and leave, each with its own account."""

import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from service.embedded import socket as embedded_socket
from service.embedded.server import EmbeddedPostgres
from service.embedded.tuning import GIB, MIB

ROOT = Path(__file__).parents[2]
SMALL = 512 * MIB  # what the servers of these tests are tuned for
NOBODY = 65534
MEMORY = Path("/dev/shm")  # noqa: S108 - the folder below it is made under a random name, mode 0700
NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can switch to other accounts")

# A process that starts or joins, says where, and leaves when its input ends.
CHILD = """
import asyncio, os, sys
from pathlib import Path
from service.embedded.server import EmbeddedPostgres
from service.errors import EmbeddedError
async def main():
    try:
        async with EmbeddedPostgres(Path(sys.argv[1]), memory=512 * 2**20) as server:
            print("DSN", server.dsn, flush=True)
            await asyncio.to_thread(sys.stdin.read)
    except EmbeddedError as error:
        print("ERROR", error.detail, flush=True)
if len(sys.argv) > 2:  # Only now, since the account may be unable to read this Python's own files.
    import concurrent.futures.thread
    os.setgroups([])
    os.setgid(int(sys.argv[2]))
    os.setuid(int(sys.argv[2]))
asyncio.run(main())
"""


class Child:
    """Another process that uses a data folder."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    @classmethod
    async def start(cls, data_dir: Path, *account: str) -> "Child":
        """Start the process, as another account if one is given, without waiting for its database."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            CHILD,
            str(data_dir),
            *account,
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        return cls(process)

    async def answer(self) -> str:
        """Wait for the DSN or the error."""
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            word, _, rest = line.decode().strip().partition(" ")
            if word in {"DSN", "ERROR"}:
                return rest
        raise AssertionError("the child ended without an answer")

    async def leave(self) -> None:
        """Let the process leave and end."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        await self.process.communicate()

    async def kill(self) -> None:
        """End the process as the kernel does when memory runs out."""
        self.process.kill()
        await self.process.communicate()


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder that the account of the server can reach; pytest's own are closed to everyone but root.

    In memory where there is room: Postgres syncs as always, and the disk is spared.
    """
    roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 2 * GIB
    with tempfile.TemporaryDirectory(
        prefix="jobsense-test-", dir=MEMORY if roomy else None, ignore_cleanup_errors=True
    ) as name:
        yield Path(name)


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty data folder."""
    with temporary_folder() as path:
        yield path


@pytest.fixture(scope="module")
def kept() -> Iterator[Path]:
    """A data folder that several tests start servers in, one after the other, to save them the initdb."""
    with temporary_folder() as path:
        yield path


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[EmbeddedPostgres]:
    """A running server that no test stops."""
    with temporary_folder() as path:
        async with EmbeddedPostgres(path, memory=SMALL) as running:
            yield running


def embedded(data_dir: Path) -> EmbeddedPostgres:
    """A small server of the default version."""
    return EmbeddedPostgres(data_dir, memory=SMALL)


async def fetch(dsn: str, statement: str) -> object:
    """One value from one connection."""
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def started_at(dsn: str) -> object:
    """What tells one run of a server from another."""
    return await fetch(dsn, "select pg_postmaster_start_time()")


def cluster_of(data_dir: Path) -> Path:
    """Where the default version keeps its data."""
    return data_dir / "postgres-18"


def pid_of(data_dir: Path) -> int:
    """The process number of the running server."""
    return int(embedded_socket.read_pid_file(cluster_of(data_dir))[0])


async def wait_for_end(data_dir: Path) -> None:
    """Wait until no process of the server is left: its lock is free then."""
    with (data_dir / "postgres-18.locks" / "server").open("r+") as file:
        await asyncio.wait_for(asyncio.to_thread(fcntl.flock, file, fcntl.LOCK_EX), 20)


async def wait_for_file(data_dir: Path, pattern: str) -> None:
    """Wait until a file appears, looking at each turn of the event loop."""
    async with asyncio.timeout(20):
        while not found(data_dir, pattern):  # noqa: ASYNC110 - another process makes the file, no event tells of it
            await asyncio.sleep(0)


def found(folder: Path, pattern: str) -> list[Path]:
    """The files in a folder whose names fit."""
    return list(folder.glob(pattern))


# Several processes


async def test_second_process_joins_and_leaves(server: EmbeddedPostgres) -> None:
    """A second process gets the same server, and the server lives on when that process leaves."""
    before = await started_at(server.dsn)
    child = await Child.start(Path(str(await fetch(server.dsn, "show data_directory"))).parent)
    assert await child.answer() == server.dsn
    await child.leave()
    assert await started_at(server.dsn) == before


async def test_last_one_out_stops_the_server(kept: Path) -> None:
    """The server outlives the process that started it, and stops with the last process that uses it."""
    child = await Child.start(kept)
    dsn = await child.answer()
    before = await started_at(dsn)
    ours = embedded(kept)
    await ours.start()
    await child.leave()
    assert await started_at(dsn) == before
    await ours.stop()
    await wait_for_end(kept)
    assert not (cluster_of(kept) / "postmaster.pid").exists()
    with pytest.raises((FileNotFoundError, ConnectionError)):
        await fetch(dsn, "select 1")


async def test_killed_starter_leaves_a_server_that_is_joined_and_stopped(kept: Path) -> None:
    """A server orphaned by SIGKILL is joined as it runs, and a killed process does not count as a user."""
    child = await Child.start(kept)
    dsn = await child.answer()
    before = await started_at(dsn)
    await child.kill()
    async with embedded(kept) as running:
        assert await started_at(running.dsn) == before
    await wait_for_end(kept)


async def test_crashed_server_is_revived_with_its_data(kept: Path) -> None:
    """After a SIGKILL of the server a repeated start recovers it, with every committed row."""
    async with embedded(kept) as running:
        await fetch(running.dsn, "create table if not exists kept_row as select 7 as value")
        os.kill(pid_of(kept), signal.SIGKILL)
        await wait_for_end(kept)
        assert await running.start() == running.dsn
        assert await fetch(running.dsn, "select value from kept_row") == 7
    await wait_for_end(kept)


async def test_stale_pid_file_with_a_reused_number_does_not_hinder(kept: Path) -> None:
    """A pid file that names a living process of another kind is seen through, as in a restarted container."""
    async with embedded(kept) as running:
        lines = embedded_socket.read_pid_file(cluster_of(kept))
        os.kill(pid_of(kept), signal.SIGKILL)
        await wait_for_end(kept)
        lines[0] = str(os.getpid())
        (cluster_of(kept) / "postmaster.pid").write_text("\n".join(lines) + "\n")
        await running.start()
        assert pid_of(kept) != os.getpid()


async def test_simultaneous_starts_make_one_cluster(folder: Path) -> None:
    """Two processes that start at once on an empty folder end up on one server with one initdb behind it."""
    children = [await Child.start(folder) for _ in range(2)]
    answers = [await child.answer() for child in children]
    assert answers[0] == answers[1]
    assert await fetch(answers[0], "select 1") == 1
    assert not found(folder, "*.new-*")
    for child in children:
        await child.leave()
    await wait_for_end(folder)


async def test_killed_initdb_is_redone(folder: Path) -> None:
    """A process killed in the middle of initdb leaves a half-made cluster that the next start replaces."""
    child = await Child.start(folder)
    await wait_for_file(folder, "postgres-18.new-*/PG_VERSION")
    await child.kill()
    assert not cluster_of(folder).exists()
    async with embedded(folder) as running:
        assert await fetch(running.dsn, "select 1") == 1


async def test_cancelled_start_leaves_no_server(folder: Path) -> None:
    """A start cancelled half-way (Ctrl-C) stops what it started."""
    starting = asyncio.create_task(embedded(folder).start())
    await wait_for_file(folder, "postgres-18.new-*")
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    await wait_for_end(folder)
    assert not (cluster_of(folder) / "postmaster.pid").exists()


# Other accounts


@NEEDS_ROOT
async def test_ordinary_user_runs_a_server_that_root_can_join(folder: Path) -> None:
    """The service works as an ordinary user, and root joins that user's server without taking it over."""
    os.chown(folder, NOBODY, NOBODY)
    child = await Child.start(folder, str(NOBODY))
    dsn = await child.answer()
    assert dsn.startswith("postgresql://")
    assert cluster_of(folder).stat().st_uid == NOBODY
    async with embedded(folder) as running:
        assert running.dsn == dsn
        assert await fetch(dsn, "select 1") == 1
        await child.leave()


@NEEDS_ROOT
async def test_folder_of_another_user_is_refused(folder: Path) -> None:
    """An ordinary user is told whose the data is, and what to do instead."""
    cluster_of(folder).mkdir()
    os.chown(folder, NOBODY, NOBODY)
    child = await Child.start(folder, str(NOBODY))
    answer = await child.answer()
    assert "belongs to user root" in answer
    assert "JOBSENSE_DATA_DIR" in answer
    await child.leave()
