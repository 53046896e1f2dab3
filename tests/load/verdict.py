"""How a long measurement is told and judged: a line for each, and the best of a few tries, since machines are noisy."""

import os
import sys
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from tests.load.report import Answer, Report, quantile_of

TRIES = 3
Say = Callable[[str], None]
STAGES = ("admission", "embed", "pool", "db")


def sayer(capture: pytest.CaptureFixture[str]) -> Say:
    """Writes a line to the terminal, past what pytest keeps to itself."""

    def say(line: str) -> None:
        with capture.disabled():
            sys.stdout.write(f"\n  {line}")
            sys.stdout.flush()

    return say


def described(report: Report) -> str:
    """The figures of a run: answers by status, goodput, latency and the time in each stage, in milliseconds."""
    good = report.having(200)
    p50, p99, most = (report.latency_s(quantile) * 1000 for quantile in (0.5, 0.99, 1.0))
    stages = (f"{stage} {quantile_of((one.timing_ms(stage) for one in good), 0.99):.1f}" for stage in STAGES)
    busy = "/".join(f"{value:.1f}" for value in os.getloadavg()[:2])
    return (
        f"{report.statuses()} {report.goodput():.0f}/s, p50 {p50:.1f} p99 {p99:.1f} most {most:.1f} ms"
        f" (p99 of {', '.join(stages)}; load {busy})"
    )


async def best_of(try_once: Callable[[], Awaitable[list[str]]], say: Say, *, tries: int = TRIES) -> None:
    """Try until one try has nothing to object to; fails with the objections of the last."""
    for number in range(1, tries + 1):
        objections = await try_once()
        say(f"try {number}: {'; '.join(objections) or 'good'}")
        if not objections:
            return
    pytest.fail("; ".join(objections))


def objections_to(**checks: bool) -> list[str]:
    """The names of what does not hold, as words."""
    return [name.replace("_", " ") for name, holds in checks.items() if not holds]


class Served(msgspec.Struct, frozen=True):
    """How a search was served: the mode, and why and since when it was less than asked for."""

    mode: str
    reason: str | None
    since: str | None


def served(answer: Answer) -> Served:
    """Read it from the answer to a search."""
    body = msgspec.json.decode(answer.body)
    degraded = body["degraded"] or {}
    return Served(body["mode"]["served"], degraded.get("reason"), degraded.get("since"))
