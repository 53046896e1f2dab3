"""The moving window of one process: exact, never more than the rate in any window, honest about what is left."""

import random
from collections import deque

import pytest

from service.quota.memory import MemoryWindows
from service.quota.model import BUCKETS, Rate, read_rate
from tests.api.calls import Clock

RATE = read_rate("100/minute")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Time as the test says."""
    made = Clock()
    monkeypatch.setattr("service.quota.memory.time", made)
    return made


def test_exactly_the_rate_is_allowed(clock: Clock) -> None:
    """A hundred calls pass and tell what is left, the next does not; another caller is not concerned."""
    windows = MemoryWindows()
    left = [windows.take("a", RATE).remaining for _ in range(100)]
    assert left == list(range(99, -1, -1))
    refused = windows.take("a", RATE)
    assert (refused.allowed, refused.remaining) == (False, 0)
    assert 60 < refused.retry_s <= 61
    assert refused.retry_s == refused.reset_s
    assert windows.take("b", RATE).remaining == 99
    clock.now += refused.retry_s - 0.001
    assert not windows.take("a", RATE).allowed
    clock.now += 0.002
    assert windows.take("a", RATE).remaining == 99


def test_a_cost_is_taken_whole_or_not_at_all(clock: Clock) -> None:
    """A call that costs more than is left takes nothing, and is told when so much will be back."""
    windows = MemoryWindows()
    assert windows.take("a", RATE, 40).remaining == 60
    clock.now += 10
    assert windows.take("a", RATE, 40).remaining == 20
    refused = windows.take("a", RATE, 50)
    assert (refused.allowed, refused.remaining) == (False, 20)
    assert 50 < refused.retry_s <= 51
    much = windows.take("a", RATE, 100)
    assert 60 < much.retry_s <= 61
    assert much.reset_s == refused.reset_s
    clock.now += refused.retry_s + 0.001
    assert windows.take("a", RATE, 50).allowed


@pytest.mark.parametrize("text", ["7/second", "100/minute", "1000/hour", "50/day"])
@pytest.mark.parametrize("seed", range(5))
def test_no_window_sees_more_than_the_rate(clock: Clock, text: str, seed: int) -> None:
    """Whatever the times of calls: no window of any beginning has more, and no refusal lasts a bucket too long."""
    rate, chance, windows = read_rate(text), random.Random(seed), MemoryWindows()  # noqa: S311 - no secret
    passed: deque[float] = deque()
    for _ in range(4000):
        clock.now += chance.choice([0, 0, chance.expovariate(1.5 * rate.amount / rate.window_s)])
        verdict = windows.take("a", rate)
        while passed and passed[0] <= clock.now - rate.window_s:
            passed.popleft()
        if verdict.allowed:
            passed.append(clock.now)
            assert len(passed) <= rate.amount
        else:
            assert verdict.retry_s > 0
            clock.now += verdict.retry_s + 1e-6
            assert windows.take("a", rate).allowed
            passed = deque(at for at in passed if at > clock.now - rate.window_s)
            passed.append(clock.now)
            assert len(passed) <= rate.amount


def test_a_caller_takes_little_memory_whatever_the_rate(clock: Clock) -> None:
    """A window holds a pair of numbers for each bucket at most."""
    windows, rate = MemoryWindows(), Rate(10**9, 60)
    for _ in range(10_000):
        clock.now += 0.05
        windows.take("a", rate)
    assert len(windows._windows["a"]) <= 1 + 2 * (BUCKETS + 1)


def test_callers_are_forgotten_past_a_number(clock: Clock) -> None:
    """However many addresses come, so many are kept; who is forgotten is who has not called for longest."""
    windows = MemoryWindows(most=3)
    clock.now += 1
    for name in ("a", "b", "c", "a", "d"):
        windows.take(name, RATE)
    assert len(windows) == 3
    assert windows.take("a", RATE).remaining == 97
    assert windows.take("b", RATE).remaining == 99
