"""The service with its own database, killed at any moment: the next start recovers by itself, and nothing is lost."""

import os
import random
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.cli.conftest import PATIENCE_S, Running, Start, environment, is_alive, wait_until_ready
from tests.conftest import _SHARED_MEMORY

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
    return lambda: start("serve", env=environment(home, data_dir=str(home), embedder="local", port="0"))


def address_of(running: Running) -> str:
    """Where it is, once it is ready."""
    address = running.wait_for(r'"service.starting".*"address":"(http://[^"]+)"')[1]
    wait_until_ready(running, address)
    return address


def database_pid(home: Path) -> int | None:
    """The database's process, if there is one."""
    mark = home / "postgres-18" / "postmaster.pid"
    return int(mark.read_text().split()[0]) if mark.exists() and mark.read_text() else None


def wait_until(happened: Callable[[], object], running: Running) -> None:
    """Wait for something in the file system."""
    for _ in range(int(PATIENCE_S / 0.002)):
        if happened():
            return
        assert running.process.poll() is None, running.err
        NOW.wait(0.002)
    raise AssertionError("it did not happen")


def write_for(address: str, seconds: float, acknowledged: list[int]) -> threading.Thread:
    """Store postings until the service is gone; those that it acknowledged."""

    def write() -> None:
        with httpx.Client(base_url=address, timeout=10) as client:
            try:
                while (answer := client.post("/api/v1/jobs", json=JOB)).status_code in {201, 503}:
                    acknowledged.extend([answer.json()["id"]] if answer.status_code == 201 else [])
            except httpx.TransportError:
                return

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    NOW.wait(seconds)
    return thread


def test_killed_at_any_moment(serve: Callable[[], Running], home: Path) -> None:
    """While it makes the database, migrates, serves, stops; the service, its database, or both."""
    chance = random.Random(SEED)  # noqa: S311 - a test's chance
    acknowledged: list[int] = []
    for moment in ("initdb", "migrate", "serve", "database", "stop", "both"):
        running = serve()
        writing = None
        if moment == "initdb":
            wait_until(lambda: list(home.glob("postgres-18.new-*")), running)
            NOW.wait(chance.uniform(0, 0.4))
        elif moment == "migrate":
            running.wait_for('"embedded.ready"')
            NOW.wait(chance.uniform(0, 0.2))
        else:
            writing = write_for(address_of(running), chance.uniform(0.05, 0.4), acknowledged)
        if moment == "stop":
            running.signal(signal.SIGTERM)
            NOW.wait(chance.uniform(0, 0.5))
        if moment in {"database", "both"} and (pid := database_pid(home)) is not None:
            os.kill(pid, signal.SIGKILL)
        running.signal(signal.SIGKILL)
        running.end()
        if writing is not None:
            writing.join(20)
    running = serve()
    address = address_of(running)
    assert len(acknowledged) > 3, f"seed {SEED}"
    lost = [one for one in acknowledged if httpx.get(f"{address}/api/v1/jobs/{one}").status_code != 200]
    assert lost == [], f"seed {SEED}"
    pid = database_pid(home)
    running.signal(signal.SIGTERM)
    assert running.end().code == 0
    assert pid is not None
    assert not is_alive(pid)
    assert [one.name for one in home.glob("postgres-18.new-*")] == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
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
    pid = database_pid(home)
    assert pid is None or not is_alive(pid)


def test_a_database_that_dies_is_started_again(serve: Callable[[], Running], home: Path) -> None:
    """Its own database killed, the service answers 503 and goes on as soon as it is up again, without a restart."""
    running = serve()
    address = address_of(running)
    made = httpx.post(f"{address}/api/v1/jobs", json=JOB).json()
    pid = database_pid(home)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    running.wait_for('(?s)"embedded.died".*"embedded.ready"')
    wait_until_ready(running, address)
    assert httpx.get(f"{address}/api/v1/jobs/{made['id']}").json()["title"] == "Nurse"
    running.signal(signal.SIGTERM)
    assert running.end().code == 0
    assert database_pid(home) is None
