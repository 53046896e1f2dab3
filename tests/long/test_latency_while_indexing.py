"""Searches while ten thousand postings are embedded by a model server that serves one text after the other."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec
import pytest

from tests.load.generator import open_loop
from tests.load.material import searches
from tests.load.report import Report
from tests.load.stack import Stack, passing, running_stack, until
from tests.load.verdict import Say, best_of, described, objections_to, sayer

pytestmark = pytest.mark.long

POSTINGS = 10_000
STORED = 2_000
"""Postings that have their vectors beforehand."""
RATE = 20.0
IDLE_S, BUSY_S, QUIET_S = 10.0, 20.0, 8.0
MOST_SLOWER = 1.5
LEAST_SHARE = 0.25
"""Of what the model server could do in the time that searches leave it, the least that the backlog advances by."""
Who = Literal["worker", "serve"]


class Round(msgspec.Struct):
    """One measurement: searches before, during and after, and how fast the backlog advanced."""

    before: Report
    busy: Report
    after: Report
    busy_rate: float
    quiet_rate: float

    @property
    def slower(self) -> float:
        """How many times as long as without a backlog: p99 over the mean of p99 before and after."""
        return 2 * self.busy.latency_s(0.99) / (self.before.latency_s(0.99) + self.after.latency_s(0.99))


class Bench:
    """The service, with whoever embeds."""

    def __init__(self, stack: Stack, item_delay_s: float) -> None:
        self._stack = stack
        self._delay_s = item_delay_s
        self._searches: Iterator[bytes] = searches(stack.address)
        self._stored = 0

    async def search(self, seconds: float) -> Report:
        """Search at the modest rate."""
        return await open_loop(self._stack.address, self._searches, rate=RATE, seconds=seconds)

    async def store(self, count: int) -> None:
        """Store more postings."""
        await self._stack.store(count, first=self._stored)
        self._stored += count

    async def embed_rest(self) -> None:
        """Embed what waits, as fast as the database takes it."""
        await self._stack.set(item_delay_s=0.0)
        await self._stack.until_embedded()
        await self._stack.analyze()
        await self._stack.set(item_delay_s=self._delay_s)

    async def _advance(self, seconds: float) -> float:
        before = await self._stack.backlog()
        await passing(seconds)
        return (before - await self._stack.backlog()) / seconds

    async def measure(self, say: Say) -> Round:
        """Search while nothing waits, while all postings wait for new vectors, and when they have them."""
        before = await self.search(IDLE_S)
        await self.store(POSTINGS)
        await until(self._has_begun)
        used = await self._stack.cpu_s()
        advancing = asyncio.create_task(self._advance(BUSY_S))
        busy = await self.search(BUSY_S)
        busy_rate = await advancing
        spent = {name: (now - used[name]) / BUSY_S for name, now in (await self._stack.cpu_s()).items()}
        await passing(4.0)  # the searches are over, and the lanes find out
        quiet_rate = await self._advance(QUIET_S)
        assert await self._stack.backlog() > 0
        await self.embed_rest()
        after = await self.search(IDLE_S)
        say(f"cores used meanwhile: {', '.join(f'{name} {share:.2f}' for name, share in spent.items())}")
        return Round(before, busy, after, busy_rate, quiet_rate)

    async def _has_begun(self) -> bool:
        return await self._stack.backlog() < POSTINGS - 50


async def measured(folder: Path, dsn: str, say: Say, *, who: Who, item_delay_s: float, tries: int) -> list[Round]:
    """Measure with one process that serves and embeds, or with a worker beside it; judged unless `tries` is 0."""
    rounds: list[Round] = []
    async with running_stack(folder, dsn, embed_in_serve="on" if who == "serve" else "off") as stack:
        if who == "worker":
            await stack.start_worker()
        bench = Bench(stack, item_delay_s)
        await bench.store(STORED)
        await bench.embed_rest()
        await bench.search(2.0)

        async def once() -> list[str]:
            one = await bench.measure(say)
            rounds.append(one)
            for name, report in (("before", one.before), ("meanwhile", one.busy), ("after", one.after)):
                say(f"{name}: {described(report)}")
            say(
                f"{who} embeds, {item_delay_s * 1000:g} ms a text: p99 {one.slower:.2f} x idle;"
                f" {one.busy_rate:.0f} texts/s with searches, {one.quiet_rate:.0f} without"
            )
            room = 1 / item_delay_s - RATE
            return objections_to(
                all_served={*one.busy.statuses(), *one.before.statuses(), *one.after.statuses()} == {200},
                p99_while_indexing=one.slower <= MOST_SLOWER,
                the_backlog_advances=one.busy_rate >= LEAST_SHARE * min(room, one.quiet_rate),
                faster_without_searches=one.quiet_rate >= 0.9 * one.busy_rate,
            )

        if tries:
            await best_of(once, say, tries=tries)
        else:
            await once()
    return rounds


@pytest.mark.parametrize("who", ["worker", "serve"])
async def test_searches_hardly_notice_the_backlog(
    tmp_path: Path, dsn: str, capfd: pytest.CaptureFixture[str], who: Who
) -> None:
    """p99 while 10,000 postings wait is 1.5 times that of idle at most, and the backlog advances all the while."""
    await measured(tmp_path, dsn, sayer(capfd), who=who, item_delay_s=0.005, tries=3)


async def test_a_slower_model_server(tmp_path: Path, dsn: str, capfd: pytest.CaptureFixture[str]) -> None:
    """At 20 ms a text, where a search waits for one text of the backlog at most, all are served; figures are told."""
    one = (await measured(tmp_path, dsn, sayer(capfd), who="worker", item_delay_s=0.02, tries=0))[0]
    assert one.busy.statuses().keys() == {200}
    assert one.busy_rate > 0
