"""The service with its own database, killed at any moment: the next start recovers by itself, and nothing is lost."""

import os
import random
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.cli.conftest import PATIENCE_S, Running, Start, environment, unmeasured, wait_until_ready
from tests.conftest import _SHARED_MEMORY
from tests.fake_ollama.clients import TLS

SEED = int(os.environ.get("JOBSENSE_TEST_SEED", "1"))
JOB = {"title": "Nurse", "company": "Afya", "source": "linkedin"}
NOW = threading.Event()


@pytest.fixture
def home() -> Iterator[Path]:
    """A data folder, in memory if there is room."""
    roomy = _SHARED_MEMORY if _SHARED_MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="jobsense-test-", dir=roomy, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture
def serve(start: Start, home: Path) -> Callable[[], Running]:
    """How to start the service on the folder."""
    env = unmeasured(environment(home, data_dir=str(home), embedder="local", port="0"))
    return lambda: start("serve", env=env)


def address_of(running: Running) -> str:
    """Where it is, once it is ready."""
    address = running.wait_for(r'"service.starting".*"address":"(http://[^"]+)"')[1]
    wait_until_ready(running, address)
    return address


def database_pid(home: Path) -> int | None:
    """The database's process, if there is one."""
    mark = home / "postgres-18" / "postmaster.pid"
    return int(mark.read_text().split()[0]) if mark.exists() and mark.read_text() else None


def processes_of(home: Path) -> list[int]:
    """The processes that live and have to do with the folder by their words, variables or working folder."""
    return [int(one.name) for one in Path("/proc").iterdir() if one.name.isdecimal() and _names(one, home)]


def _names(process: Path, home: Path) -> bool:
    try:
        told = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        return str(home).encode() in told or (process / "cwd").readlink().is_relative_to(home)
    except OSError:  # it has ended meanwhile, or is none of this user's
        return False


def wait_until(happened: Callable[[], object], running: Running) -> None:
    """Wait for something in the file system."""
    for _ in range(int(PATIENCE_S / 0.002)):
        if happened():
            return
        assert running.process.poll() is None, running.err
        NOW.wait(0.002)
    raise AssertionError("it did not happen")


def write_until_gone(address: str, acknowledged: list[int]) -> threading.Thread:
    """Store postings until the service is gone; goes on once some are acknowledged, however long that takes."""
    enough = threading.Event()

    def write() -> None:
        wanted = len(acknowledged) + SOME_POSTINGS
        with httpx.Client(base_url=address, timeout=10, verify=TLS) as client:
            try:
                while (answer := client.post("/api/v1/jobs", json=JOB)).status_code in {201, 503}:
                    acknowledged.extend([answer.json()["id"]] if answer.status_code == 201 else [])
                    if len(acknowledged) >= wanted:
                        enough.set()
            except httpx.TransportError:
                return

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    assert enough.wait(PATIENCE_S), "nothing is acknowledged"
    return thread


SOME_POSTINGS = 2
SOME = ("initdb", "migrate", "serve", "both")


@pytest.mark.parametrize("moments", [SOME, pytest.param((*SOME, "stop", "both", "serve"), marks=pytest.mark.long)])
def test_killed_at_any_moment(serve: Callable[[], Running], home: Path, moments: tuple[str, ...]) -> None:
    """While it makes the database, migrates, serves, stops: the service, or both it and its database.

    When only the database is killed, the service goes on as soon as that is up again, without a restart.
    """
    chance = random.Random(SEED)  # noqa: S311 - a test's chance
    acknowledged: list[int] = []
    for moment in moments:
        running = serve()
        writing = None
        if moment == "initdb":
            wait_until(lambda: list(home.glob("postgres-18.new-*")), running)
            NOW.wait(chance.uniform(0, 0.4))
        elif moment == "migrate":
            running.wait_for('"embedded.ready"')
            NOW.wait(chance.uniform(0, 0.2))
        else:
            writing = write_until_gone(address_of(running), acknowledged)
            NOW.wait(chance.uniform(0, 0.35))
        if moment == "stop":
            running.signal(signal.SIGTERM)
            NOW.wait(chance.uniform(0, 0.5))
        if moment == "both" and (pid := database_pid(home)) is not None:
            os.kill(pid, signal.SIGKILL)
        running.signal(signal.SIGKILL)
        running.end()
        if writing is not None:
            writing.join(20)
    running = serve()
    address = address_of(running)
    kill_database(home)
    running.wait_for('(?s)"embedded.died".*"embedded.ready"')
    wait_until_ready(running, address)
    writers = sum(moment not in {"initdb", "migrate"} for moment in moments)
    assert len(acknowledged) >= SOME_POSTINGS * writers, f"seed {SEED}"
    with httpx.Client(base_url=address, verify=TLS) as client:
        lost = [one for one in acknowledged if client.get(f"/api/v1/jobs/{one}").status_code != 200]
    assert lost == [], f"seed {SEED}"
    assert processes_of(home) != []
    running.signal(signal.SIGTERM)
    assert running.end().code == 0
    assert processes_of(home) == []
    assert database_pid(home) is None
    assert [one.name for one in home.glob("postgres-18.new-*")] == []


def kill_database(home: Path) -> None:
    """As the kernel does when memory runs out."""
    pid = database_pid(home)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.long)])
def test_a_start_that_is_stopped_leaves_nothing(
    serve: Callable[[], Running], home: Path, number: signal.Signals
) -> None:
    """While the database is being made a signal ends it in time, with exit code 0 and no process left."""
    running = serve()
    wait_until(lambda: list(home.glob("postgres-18.new-*")), running)
    running.signal(number)
    result = running.end()
    assert result.code == 0, result.out + result.err
    assert "Traceback" not in result.out + result.err
    deadline = time.monotonic() + 5  # a child of a killed initdb ends when it next reads from it
    while left := processes_of(home):
        assert time.monotonic() < deadline, left
