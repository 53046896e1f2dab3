"""The budget of a stop: what is left of it, what a second signal does, and that a process which hangs is cut."""

import asyncio
import math
import os
import queue
import signal
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock

import pytest

from service import stopping
from service.config import Settings
from service.embedded import server
from service.serve import database
from service.shell.running import run, run_service
from service.stopping import Stop, current_stop


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that hangs is cut soon."""
    monkeypatch.setattr(stopping, "CUT_S", 0.05)


async def test_nothing_presses_before_the_signal() -> None:
    """Each part gets what it asks for."""
    assert Stop().left_s(30.0, keep_s=5.0) == 30.0
    assert Stop().left_s(math.inf) == math.inf


async def test_the_parts_share_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part gets its share, less when little is left beside what later ones need, and never below 0."""
    stop = Stop(within_s=5.0, cut=lambda _code: None)
    clock = SimpleNamespace(monotonic=lambda: 100.0)
    monkeypatch.setattr(stopping, "time", clock)
    stop.ask()
    assert stop.left_s(2.0) == 2.0
    assert stop.left_s(30.0, keep_s=1.5) == 3.5
    clock.monotonic = lambda: 104.0
    assert stop.left_s(2.0) == 1.0
    assert stop.left_s(2.0, keep_s=1.5) == 0.0
    stop.close()


async def test_a_second_signal_leaves_little_time() -> None:
    """The first does what was said, the second hurries, and neither lengthens the time."""
    stop, done = Stop(within_s=60.0, cut=lambda _code: None), list[str]()
    stop.on_ask(lambda: done.append("stop"), lambda: done.append("hurry"))
    stop.ask()
    assert stop.left_s(math.inf) > stopping.HURRY_S
    stop.ask()
    assert stop.left_s(math.inf) <= stopping.HURRY_S
    stop.ask()
    assert done == ["stop", "hurry", "hurry"]
    stop.close()


@pytest.mark.usefixtures("quick")
async def test_a_process_that_hangs_is_cut() -> None:
    """Past its deadline it is ended, even while its event loop is blocked; in time it is not."""
    codes: queue.Queue[int] = queue.Queue()
    stop = Stop(within_s=0.05, exit_code=7, cut=codes.put)
    stop.ask()
    assert codes.get(timeout=10) == 7
    stop = Stop(within_s=60.0, cut=codes.put)
    stop.ask()
    assert codes.empty()
    stop.close()


def cut_while_it_hangs(
    monkeypatch: pytest.MonkeyPatch, codes: "queue.Queue[int]"
) -> Callable[[], Coroutine[Any, Any, None]]:
    """Work that is told twice to stop and whose clean-up lasts until its process is cut."""
    monkeypatch.setattr(stopping, "HURRY_S", 0.0)
    monkeypatch.setattr(stopping, "os", SimpleNamespace(_exit=codes.put))

    async def work() -> None:
        try:
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.Event().wait()
        finally:
            await asyncio.to_thread(lambda: codes.put(codes.get(timeout=10)))

    return work


@pytest.mark.usefixtures("quick")
def test_a_command_that_is_cut_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its exit code is that of a command which was stopped, while a service may be cut without failing."""
    codes: queue.Queue[int] = queue.Queue()
    work = cut_while_it_hangs(monkeypatch, codes)
    with pytest.raises(asyncio.CancelledError):
        run(work())
    assert codes.get() == 130
    run_service(lambda _stop: work())
    assert codes.get() == 0


def test_what_a_command_opens_shares_its_budget() -> None:
    """Whoever asks within a command finds the stop that it listens for; elsewhere nothing presses."""
    stop = Stop(cut=lambda _code: None)

    async def find() -> Stop:
        return current_stop()

    assert run(find(), stop=stop) is stop
    assert current_stop() is not stop


@pytest.mark.parametrize("leave_s", [30.0, 4.0])
def test_a_command_leaves_its_own_database_in_time(monkeypatch: pytest.MonkeyPatch, leave_s: float) -> None:
    """Nothing presses without a signal; after one, no more than is left of the budget."""
    given = list[float]()

    class Embedded:
        dsn = "postgresql://"

        def __init__(self, _data_dir: Path) -> None:
            pass

        start = keep_up = AsyncMock()

        async def stop(self, *, within_s: float) -> None:
            given.append(within_s)

    monkeypatch.setattr(server, "EmbeddedPostgres", Embedded)
    stop = Stop(within_s=4.0, cut=lambda _code: None)

    async def work() -> None:
        async with database(Settings()):
            if leave_s < 30.0:
                stop.ask()
                await asyncio.sleep(0)

    with suppress(asyncio.CancelledError):
        run(work(), stop=stop)
    stop.close()
    assert given == [pytest.approx(leave_s, abs=1.0)]


async def test_signals_are_heard() -> None:
    """SIGTERM begins the stop; one that only waits for it goes on."""
    stop = Stop(cut=lambda _code: None)
    stop.listen()
    waiting = asyncio.create_task(stop.wait())
    os.kill(os.getpid(), signal.SIGTERM)
    await waiting
    assert stop.asked.is_set()
    stop.close()
    for number in stopping.SIGNALS:
        asyncio.get_running_loop().remove_signal_handler(number)
