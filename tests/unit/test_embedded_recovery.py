"""The embedded Postgres when things go wrong: a server that is left too early, and one that cannot be started again."""

import asyncio
import fcntl
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from service.embedded import cluster
from service.embedded import server as embedded_server
from service.embedded.server import EmbeddedPostgres
from service.embedded.tuning import GIB, MIB
from service.errors import EmbeddedError

SMALL = 512 * MIB  # what the servers of these tests are tuned for
MEMORY = Path("/dev/shm")  # noqa: S108 - the folder below it is made under a random name, mode 0700


@pytest.fixture(scope="module")
def kept() -> Iterator[Path]:
    """A data folder that both tests start their server in, to save them one initdb."""
    roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 2 * GIB
    with tempfile.TemporaryDirectory(
        prefix="jobsense-test-", dir=MEMORY if roomy else None, ignore_cleanup_errors=True
    ) as name:
        yield Path(name)


async def test_a_server_whose_starter_was_killed_early_is_stopped(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It lives and has not written its pid file yet: whoever leaves waits for the file, and stops it."""
    running = EmbeddedPostgres(kept, memory=SMALL)
    await running.start()
    mark = (kept / "postgres-18") / "postmaster.pid"
    aside = mark.rename(mark.with_suffix(".aside"))

    def write(_seconds: float) -> None:
        if aside.exists():
            aside.rename(mark)

    monkeypatch.setattr(cluster, "time", SimpleNamespace(monotonic=time.monotonic, sleep=write))
    await running.stop()
    assert await lives(kept) is False
    assert not mark.exists()


async def test_a_server_that_says_nothing_is_waited_for_in_time_only(kept: Path) -> None:
    """Without a pid file it cannot be told to stop; the log says that it was not."""
    running = EmbeddedPostgres(kept, memory=SMALL)
    await running.start()
    mark = (kept / "postgres-18") / "postmaster.pid"
    aside = mark.rename(mark.with_suffix(".aside"))
    with capture_logs() as lines:
        await running.stop(within_s=0.05)
    assert [line["event"] for line in lines] == ["embedded.stop_failed"]
    assert await lives(kept) is True
    aside.rename(mark)
    async with EmbeddedPostgres(kept, memory=SMALL):
        pass
    assert await lives(kept) is False


async def lives(data_dir: Path) -> bool:
    """Whether any process of the server does."""
    with (data_dir / "postgres-18.locks" / "server").open("r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


async def test_whatever_goes_wrong_a_dead_server_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Faults of any kind are logged, with pauses that grow up to the longest; then it is up again."""
    faults = iter([RuntimeError("can't start new thread"), EmbeddedError("the disk is full"), ValueError("odd")])

    loop, up, started = asyncio.get_running_loop(), asyncio.Event(), list[bool]()

    def lives() -> bool:
        if started:
            loop.call_soon_threadsafe(up.set)
        return bool(started)

    def enter() -> tuple[str, Path]:
        for fault in faults:
            raise fault
        started.append(True)
        return "started", tmp_path

    monkeypatch.setattr(embedded_server, "LOOK_EVERY_S", 0.001)
    monkeypatch.setattr(embedded_server, "LONGEST_PAUSE_S", 0.003)
    running = EmbeddedPostgres(tmp_path)
    monkeypatch.setattr(running, "_cluster", SimpleNamespace(enter=enter, lives=lives, path=tmp_path))
    with capture_logs() as lines:
        keeping = asyncio.create_task(running.keep_up())
        await asyncio.wait({keeping, asyncio.create_task(up.wait())}, timeout=10, return_when=asyncio.FIRST_COMPLETED)
        keeping.cancel()
        await asyncio.wait({keeping})
    assert [line["wait_s"] for line in lines if line["event"] == "embedded.not_started"] == [0.002, 0.003, 0.003]
    assert keeping.cancelled()


async def test_a_start_that_is_cancelled_ends_although_it_cannot_be_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever keeps the server up is told to end while it starts; that leaving fails then does not keep it going."""
    loop, entered, abandoned = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def enter() -> None:
        loop.call_soon_threadsafe(entered.set)
        abandoned.wait(10)

    def leave(_within_s: float) -> None:
        raise EmbeddedError("it is still being started")

    monkeypatch.setattr(embedded_server, "LOOK_EVERY_S", 0.001)
    running = EmbeddedPostgres(tmp_path)
    calls = SimpleNamespace(
        enter=enter, lives=lambda: False, path=tmp_path, leave=leave, abandon=lambda _within_s: abandoned.set()
    )
    monkeypatch.setattr(running, "_cluster", calls)
    keeping = asyncio.create_task(running.keep_up())
    await asyncio.wait_for(entered.wait(), 10)
    keeping.cancel()
    await asyncio.wait({keeping}, timeout=5)
    assert keeping.cancelled()
