"""Repeats of requests: full jitter within growing bounds, three at most, under a deadline, and only what may pass."""

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from service.ollama.faults import BadText, Permanent, Reason, TimedOut, Transient, Verdict, WireFault
from service.ollama.reloads import Reloads
from service.ollama.wire import Wire
from tests.fake_ollama.clients import MODEL, TLS


class Pauses:
    """Stands in for chance and time: the bounds of each random pause, of which the most is taken and none is slept."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bounds: list[tuple[float, float]] = []
        self.slept: list[float] = []
        monkeypatch.setattr(random, "uniform", self._choose)
        monkeypatch.setattr(asyncio, "sleep", self._sleep)

    def _choose(self, low: float, high: float) -> float:
        self.bounds.append((low, high))
        return high

    async def _sleep(self, delay_s: float) -> None:
        self.slept.append(delay_s)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> Pauses:
    """The pauses between attempts, without their time."""
    return Pauses(monkeypatch)


@pytest.fixture
async def wire(request: pytest.FixtureRequest) -> AsyncIterator[Wire]:
    """A wire that is never used for a request, with the bounds that the client has by default."""
    backoff_s = getattr(request, "param", (0.5, 10.0))
    made = Wire("http://127.0.0.1:1", MODEL, headers={}, verify=TLS, backoff_s=backoff_s, reloads=Reloads())
    yield made
    await made.close()


class Failing:
    """A request that always ends in one verdict, and counts its attempts."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        self.attempts = 0

    async def __call__(self) -> None:
        """Fail."""
        self.attempts += 1
        raise WireFault(self.verdict)


async def attempts(wire: Wire, verdict: Verdict, *, deadline_s: float = 60.0) -> int:
    """How often a request is made that ends in `verdict`, which is raised in the end."""
    call = Failing(verdict)
    with pytest.raises(WireFault) as caught:
        await wire.retrying(call, deadline_s=deadline_s)
    assert caught.value.verdict is verdict
    return call.attempts


async def test_full_jitter(wire: Wire, pauses: Pauses) -> None:
    """Three repeats, each after a pause between nothing and a bound that doubles from half a second."""
    assert await attempts(wire, Transient("busy", "")) == 4
    assert pauses.bounds[:3] == [(0, 0.5), (0, 1.0), (0, 2.0)]
    assert pauses.slept == [0.5, 1.0, 2.0]


@pytest.mark.parametrize("wire", [(4.0, 10.0)], indirect=True)
async def test_the_bound_has_a_bound(wire: Wire, pauses: Pauses) -> None:
    """No pause is longer than the largest bound."""
    await attempts(wire, Transient("busy", ""))
    assert pauses.slept == [4.0, 8.0, 10.0]


@pytest.mark.parametrize(("deadline_s", "made"), [(0.4, 1), (1.2, 2), (2.9, 3), (3.7, 4)])
async def test_no_attempt_starts_after_the_deadline(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, deadline_s: float, made: int
) -> None:
    """A pause that would end after the deadline is not begun: the fault is reported at once."""
    now_s = [0.0]
    pauses = Pauses(monkeypatch)

    async def pass_time(delay_s: float) -> None:
        now_s[0] += delay_s

    monkeypatch.setattr(asyncio, "sleep", pass_time)
    monkeypatch.setattr("tenacity.time.monotonic", lambda: now_s[0])
    assert await attempts(wire, Transient("busy", ""), deadline_s=deadline_s) == made
    assert len(pauses.bounds) >= made - 1


FINAL: list[Reason] = ["closed", "model_missing", "unsupported_model", "forbidden", "wrong_dimensions", "protocol"]
NEVER_REPEATED: list[Verdict] = [
    *(Permanent(reason, "") for reason in FINAL),
    TimedOut(1.0, ""),
    BadText("too long"),
    BadText("NaN", certain=False, reason="bad_vectors"),
]


@pytest.mark.parametrize("verdict", NEVER_REPEATED)
async def test_what_cannot_pass_is_never_repeated(wire: Wire, pauses: Pauses, verdict: Verdict) -> None:
    """A permanent fault, a text to blame and a time-out end at the first attempt, without a pause."""
    assert await attempts(wire, verdict) == 1
    assert pauses.slept == []


async def test_a_fault_that_turns_permanent_ends_the_repeats(wire: Wire, pauses: Pauses) -> None:
    """Each attempt is judged by itself."""
    verdicts: list[Verdict] = [Transient("busy", ""), Permanent("model_missing", "")]

    async def call() -> None:
        raise WireFault(verdicts.pop(0))

    with pytest.raises(WireFault) as caught:
        await wire.retrying(call, deadline_s=60)
    assert caught.value.verdict.reason == "model_missing"
    assert pauses.slept == [0.5]


async def test_other_errors_are_not_repeated(wire: Wire, pauses: Pauses) -> None:
    """A fault of our own is neither repeated nor hidden."""

    async def call() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await wire.retrying(call, deadline_s=60)
    assert pauses.slept == []
