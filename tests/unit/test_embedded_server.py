"""One running embedded Postgres: what it speaks, how private, durable and tuned it is."""

import asyncio
import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from service.embedded import socket as embedded_socket
from service.embedded.server import EmbeddedPostgres
from service.embedded.tuning import GIB, MIB

SMALL = 512 * MIB  # what the servers of these tests are tuned for
MEMORY = Path("/dev/shm")  # noqa: S108 - the folder below it is made under a random name, mode 0700


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


def mode(path: Path) -> int:
    """The permissions of a file or folder."""
    return stat.S_IMODE(path.stat().st_mode)


async def test_database_is_utf8_with_unicode_words(server: EmbeddedPostgres) -> None:
    """The database speaks UTF-8, folds case beyond ASCII, and takes no dash or quotation mark for part of a word."""
    assert await fetch(server.dsn, "select current_database() || ' ' || current_user") == "jobsense jobsense"
    assert await fetch(server.dsn, "select lower('ÄÉ') || ' ' || current_setting('server_encoding')") == "äé UTF8"
    words = await fetch(server.dsn, "select to_tsvector('simple', '«naïve» Zürich\N{EN DASH}Nairobi')::text")
    assert words == "'nairobi':3 'naïve':1 'zürich':2"


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes", "synchronous_commit"])
async def test_durability_is_on_by_default(server: EmbeddedPostgres, setting: str) -> None:
    """What is committed is on disk: durability keeps the value that Postgres ships with."""
    assert await fetch(server.dsn, f"show {setting}") == "on"
    connection = await asyncpg.connect(server.dsn)
    assert await connection.fetchval("select source from pg_settings where name = $1", setting) == "default"
    await connection.close()


async def test_server_is_private(server: EmbeddedPostgres) -> None:
    """No port is open, and only the owner may enter the folder of the data and the socket."""
    assert await fetch(server.dsn, "show listen_addresses") == ""
    data = Path(str(await fetch(server.dsn, "show data_directory")))
    for folder in (data, Path(str(await fetch(server.dsn, "show unix_socket_directories")))):
        assert mode(folder) == 0o700
    assert (
        await fetch(
            server.dsn, "select count(*) from pg_hba_file_rules where auth_method = 'trust' and type <> 'local'"
        )
        == 0
    )


async def test_server_is_tuned_and_every_setting_explained(server: EmbeddedPostgres) -> None:
    """Each tuned setting is in force, and stands under a comment in jobsense.conf."""
    data = Path(str(await fetch(server.dsn, "show data_directory")))
    lines = (data / "jobsense.conf").read_text().splitlines()
    names = {line.split(" = ")[0]: lines[number - 1] for number, line in enumerate(lines) if " = " in line}
    assert all(comment.startswith("# ") for comment in names.values())
    assert await fetch(server.dsn, "show shared_buffers") == "128MB"
    assert await fetch(server.dsn, "select count(*) from pg_file_settings where error is not null") == 0
    applied = await fetch(
        server.dsn, "select count(*) from pg_file_settings where applied and sourcefile like '%jobsense.conf'"
    )
    assert applied == len(names)


async def test_server_is_out_of_reach_of_ctrl_c(server: EmbeddedPostgres) -> None:
    """The server has a session of its own, so an interrupt in the terminal reaches the service only."""
    data = Path(str(await fetch(server.dsn, "show data_directory")))
    pid = int(embedded_socket.read_pid_file(data)[0])
    assert os.getsid(pid) != os.getsid(0)
    assert os.getpgid(pid) != os.getpgid(0)


async def test_databases_are_copied_from_a_template(server: EmbeddedPostgres) -> None:
    """A database copied from a template holds its tables, creating it again changes nothing, and it can be dropped."""
    template = await server.create_database("t_template")
    await fetch(template, "create table fact as select 42 as value")
    copy = await server.create_database("t_copy", "t_template")
    assert await server.create_database("t_copy", "t_template") == copy
    assert await fetch(copy, "select value from fact") == 42
    await server.drop_database("t_copy")
    await server.drop_database("t_template")
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await fetch(copy, "select 1")


async def test_odd_database_names_are_refused(server: EmbeddedPostgres) -> None:
    """A name that would need quoting is refused before it reaches SQL."""
    with pytest.raises(ValueError, match="not a plain database name"):
        await server.create_database("x'; drop table fact; --")


async def test_start_does_not_block_the_loop(server: EmbeddedPostgres) -> None:
    """Other tasks run while a server is started or joined."""
    data_dir = Path(str(await fetch(server.dsn, "show data_directory"))).parent
    joiner = embedded(data_dir)
    joining = asyncio.create_task(joiner.start())
    turns = 0
    while not joining.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 10
    assert await joining == server.dsn
    await joiner.stop()


async def test_version_18_has_vectors(server: EmbeddedPostgres) -> None:
    """The default version sorts by code point and brings pgvector."""
    await check_version(await server.create_database("t_vectors"), "18")
    await server.drop_database("t_vectors")


async def test_version_16_has_vectors(folder: Path) -> None:
    """The oldest supported version starts, sorts by code point, and brings pgvector."""
    async with EmbeddedPostgres(folder, postgres_version=16, memory=SMALL) as running:
        await check_version(running.dsn, "16")


async def check_version(dsn: str, version: str) -> None:
    """Assert what every version has to bring."""
    await fetch(dsn, "create extension vector")
    assert str(await fetch(dsn, "show server_version")).split(".")[0] == version
    assert await fetch(dsn, "select '[1,0]'::vector <=> '[0,1]'::vector") == 1.0
    assert await fetch(dsn, "select lower('É') || ('Z' < 'a')::text") == "étrue"
    assert await fetch(dsn, "show data_checksums") == "on"
