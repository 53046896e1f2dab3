"""The background loop: at once while there is work, woken early, patient with faults, and stopped in time."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from io import BytesIO

import pytest

from service import loop as loop_module
from service.loop import Loop

FOREVER_S = 3600.0


class Steps:
    """A step whose every call is announced and whose answers are given one by one."""

    def __init__(self) -> None:
        self.calls = 0
        self.running = asyncio.Semaphore(0)
        self.answers: asyncio.Queue[float | Exception] = asyncio.Queue()
        self.cancelled = False

    async def __call__(self) -> float:
        """Announce the call, and answer what the test says."""
        self.calls += 1
        self.running.release()
        try:
            answer = await self.answers.get()
            asyncio.get_running_loop().call_soon(self.answers.task_done)
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def taken(self) -> None:
        """Wait until the answer has been taken and the loop has done with it what it does."""
        await self.answers.join()

    async def reached(self) -> None:
        """Wait until the next call runs."""
        await asyncio.wait_for(self.running.acquire(), 5)


@pytest.fixture
def steps() -> Steps:
    """Steps under control."""
    return Steps()


@pytest.fixture
async def loop(steps: Steps) -> AsyncIterator[Loop]:
    """A loop that is started, and stopped at the end."""
    made = Loop("test", steps)
    made.start()
    await steps.reached()
    yield made
    await made.stop(timeout_s=0)


@pytest.mark.usefixtures("loop")
async def test_at_once_while_there_is_work(steps: Steps) -> None:
    """A step that answers 0 is called again at once."""
    for _ in range(3):
        steps.answers.put_nowait(0.0)
        await steps.reached()
    assert steps.calls == 4


async def test_woken_from_its_wait(loop: Loop, steps: Steps) -> None:
    """A wake-up ends the idle wait."""
    steps.answers.put_nowait(FOREVER_S)
    await steps.taken()
    assert steps.calls == 1
    loop.wake()
    await steps.reached()
    assert steps.calls == 2


async def test_woken_during_a_step(loop: Loop, steps: Steps) -> None:
    """A wake-up while a step runs is not lost: the next follows at once."""
    loop.wake()
    steps.answers.put_nowait(FOREVER_S)
    await steps.reached()
    assert steps.calls == 2


@pytest.mark.usefixtures("loop")
async def test_the_wait_ends_by_itself(steps: Steps) -> None:
    """Without a wake-up the next step follows after the wait."""
    steps.answers.put_nowait(0.001)
    await steps.reached()
    assert steps.calls == 2


@pytest.mark.usefixtures("telemetry")
async def test_faults_back_off(loop: Loop, steps: Steps, log: BytesIO, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failing step is tried again after longer and longer pauses, told with its stack once; a success starts anew."""
    monkeypatch.setattr(loop_module, "BACK_OFF_S", (0.01, 2.0, 5.0, 10.0, 30.0))
    for _ in range(7):
        steps.answers.put_nowait(ZeroDivisionError("no"))
        await steps.taken()
        loop.wake()
        await steps.reached()
    steps.answers.put_nowait(0.0)
    await steps.reached()
    steps.answers.put_nowait(ZeroDivisionError("again"))
    await steps.taken()
    told = [json.loads(line) for line in log.getvalue().splitlines()]
    longest = [*loop_module.BACK_OFF_S, 30.0, 30.0, 0.01]
    assert all(most / 2 <= line["wait_s"] <= most for line, most in zip(told, longest, strict=True))
    assert any(line["wait_s"] != most for line, most in zip(told, longest, strict=True))
    assert [("exception" in line) for line in told] == [True, *[False] * 6, True]
    assert {(line["event"], line["loop"]) for line in told} == {("loop.failed", "test")}


async def test_a_wake_up_does_not_end_the_first_pause(loop: Loop, steps: Steps) -> None:
    """However often it is woken, a failing step runs at the rate of the first pause and not at that of wake-ups."""
    steps.answers.put_nowait(ZeroDivisionError("no"))
    await steps.taken()
    for _ in range(100):
        loop.wake()
        await asyncio.sleep(0)
    assert steps.calls == 1
    await loop.stop(timeout_s=FOREVER_S)
    assert (steps.calls, steps.cancelled) == (1, False)


async def test_stop_lets_the_step_end(loop: Loop, steps: Steps) -> None:
    """A stop waits for the step that runs, and none follows."""
    stopping = asyncio.create_task(loop.stop())
    await asyncio.wait({stopping}, timeout=0)
    assert not stopping.done()
    steps.answers.put_nowait(0.0)
    await stopping
    assert (steps.calls, steps.cancelled) == (1, False)


async def test_stop_cancels_a_step_that_takes_too_long(loop: Loop, steps: Steps) -> None:
    """A step that does not end in time is cancelled, and the stop is over when it has cleaned up."""
    await loop.stop(timeout_s=0)
    assert (steps.calls, steps.cancelled) == (1, True)


@pytest.mark.usefixtures("telemetry")
async def test_stop_leaves_a_step_that_does_not_end(log: BytesIO) -> None:
    """A step that goes on although it is cancelled delays the stop by its share and no more, and that is told."""
    entered, free = asyncio.Event(), asyncio.Event()

    async def hang() -> float:
        entered.set()
        while not free.is_set():
            with suppress(asyncio.CancelledError):
                await free.wait()
        return FOREVER_S

    made = Loop("stubborn", hang)
    made.start()
    await entered.wait()
    began = time.monotonic()
    await made.stop(timeout_s=0.01, clean_up_s=0.01)
    assert time.monotonic() - began < 1
    assert json.loads(log.getvalue())["error"] == "the step does not end"
    free.set()
    await made.stop()


async def test_stop_ends_the_wait(loop: Loop, steps: Steps) -> None:
    """A stop during the idle wait is immediate."""
    steps.answers.put_nowait(FOREVER_S)
    await steps.taken()
    await loop.stop(timeout_s=FOREVER_S)
    await loop.stop(timeout_s=FOREVER_S)
    assert (steps.calls, steps.cancelled) == (1, False)


async def test_stop_during_a_fault(loop: Loop, steps: Steps) -> None:
    """A step that fails while the loop is stopped ends it, without the pause."""
    stopping = asyncio.create_task(loop.stop(timeout_s=FOREVER_S))
    await asyncio.wait({stopping}, timeout=0)
    steps.answers.put_nowait(ZeroDivisionError("no"))
    await stopping
    assert steps.calls == 1


async def test_stop_before_start(steps: Steps) -> None:
    """A loop that was never started stops at once."""
    await Loop("idle", steps).stop()
    assert steps.calls == 0
