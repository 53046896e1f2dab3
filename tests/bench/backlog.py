"""Searches while a backlog is embedded by a worker beside the service, at a model that serves one text at a time.

The same definition as tests/long/test_latency_while_indexing.py, shorter: searches at a modest rate, whatever becomes
of them, first with nothing to embed and then while postings wait; p99 of the latter over p99 of the former.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from http import HTTPStatus
from itertools import count

import msgspec

from tests.bench.corpus import posting, search_text
from tests.bench.profiling import Profile, look_on
from tests.bench.stand import Stand
from tests.bench.workloads import JOBS, NEW, SEARCH, SERVICES
from tests.load.generator import open_loop, post
from tests.load.report import Report, quantile_of
from tests.load.stack import until

RATE = 20.0
WARM_UP_S, IDLE_S, BUSY_S = 2.5, 6.0, 8.0
"""A worker that starts would disturb the searches that nothing disturbs."""
PATIENCE_S = 10.0
POSTINGS, BATCH = 3_000, 1_000
"""More than are embedded in that time, at 5 ms each."""


class Round(msgspec.Struct):
    """p99 with nothing to embed and with a backlog, in milliseconds, and how much was embedded a second."""

    idle_p99_ms: float
    busy_p99_ms: float
    embedded_rate: float
    refused: float
    """Share of the searches that were turned away beside the backlog."""

    @property
    def slower(self) -> float:
        """How many times as long."""
        return self.busy_p99_ms / self.idle_p99_ms


async def measure(stand: Stand, rounds: int) -> dict[str, list[Round]]:
    """Both services by turns, each with its own worker."""
    numbers, found = count(5 * 10**6), dict[str, list[Round]]({side: [] for side in SERVICES})
    await stand.knobs(one_by_one=True, known=[])
    try:
        for _ in range(rounds):
            for side, made in found.items():
                made.append(await _round(stand, side, numbers))
                stand.say(f"search while a backlog is embedded, {side}: {made[-1]}")
    finally:
        await stand.knobs(one_by_one=False)
    return found


async def profile(stand: Stand) -> Profile | None:
    """What JobSense does while it searches beside a worker that embeds."""
    await stand.knobs(one_by_one=True, known=[])
    try:
        looking = partial(look_on, stand, "backlog", "search while a backlog is embedded", BUSY_S - 1)
        made: list[Profile | None] = []

        async def look() -> None:
            made.append(await looking())

        await _round(stand, "jobsense", count(6 * 10**6), meanwhile=look)
        return made[0]
    finally:
        await stand.knobs(one_by_one=False)


async def _nothing() -> None:
    """Nobody looks on."""


async def _round(
    stand: Stand, side: str, numbers: "count[int]", *, meanwhile: Callable[[], Awaitable[None]] = _nothing
) -> Round:
    texts = (search_text(4 * 10**8 + next(numbers)) for _ in count())
    worker = "worker" if side == "jobsense" else "reference-worker"
    if side == "jobsense":
        stand.begin_jobsense(worker, "worker")
    else:
        stand.begin_reference_worker()
    try:
        await _searches(stand, side, texts, WARM_UP_S)
        idle = await _searches(stand, side, texts, IDLE_S)
        for _ in range(POSTINGS // BATCH):
            rows = [posting(next(numbers), source=NEW) for _ in range(BATCH)]
            await stand.ask(side, "POST", f"{JOBS}/batch", rows)

        async def has_begun() -> bool:
            return await waiting(stand) < POSTINGS - 30

        await until(has_begun)
        before = await waiting(stand)
        busy, _ = await asyncio.gather(_searches(stand, side, texts, BUSY_S), meanwhile())
        after = await waiting(stand)
        assert after > 0, "the backlog was embedded too soon"
    finally:
        await stand.stop_program(worker)
        await stand.forget_new()
        await stand.database.execute("vacuum passage_g1", timeout=600)
    refused = len(busy.answers) - len(busy.having(HTTPStatus.OK))
    return Round(p99_ms(idle), p99_ms(busy), (before - after) / BUSY_S, refused / len(busy.answers))


async def _searches(stand: Stand, side: str, texts: Iterator[str], seconds: float) -> Report:
    address = stand.address[side]
    requests = (post(address, SEARCH, {"text": text, "mode": "semantic"}) for text in texts)
    return await open_loop(address, requests, rate=RATE, seconds=seconds, patience_s=PATIENCE_S)


def p99_ms(report: Report) -> float:
    """Of all answers; whoever was turned away was not served within all patience."""
    took = (answer.latency_s if answer.status == HTTPStatus.OK else PATIENCE_S for answer in report.answers)
    return quantile_of(took, 0.99) * 1000


async def waiting(stand: Stand) -> int:
    """Postings that are not embedded yet."""
    return int(await stand.database.fetchval("select count(*) from embedding_task where failed_at is null"))
