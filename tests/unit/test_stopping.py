"""The budget of a stop: what is left of it, what a second signal does, and that a process which hangs is cut."""

import asyncio
import math
import os
import signal
import threading
from types import SimpleNamespace

import pytest

from service import stopping
from service.stopping import Stop


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
    stop = Stop(within_s=5.0, cut=lambda: None)
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
    stop, done = Stop(within_s=60.0, cut=lambda: None), list[str]()
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
    cut = threading.Event()
    stop = Stop(within_s=0.05, cut=cut.set)
    stop.ask()
    assert cut.wait(10)
    other = threading.Event()
    stop = Stop(within_s=60.0, cut=other.set)
    stop.ask()
    assert not other.is_set()
    stop.close()


async def test_signals_are_heard() -> None:
    """SIGTERM begins the stop; one that only waits for it goes on."""
    stop = Stop(cut=lambda: None)
    stop.listen()
    waiting = asyncio.create_task(stop.wait())
    os.kill(os.getpid(), signal.SIGTERM)
    await waiting
    assert stop.asked.is_set()
    stop.close()
    for number in stopping.SIGNALS:
        asyncio.get_running_loop().remove_signal_handler(number)
