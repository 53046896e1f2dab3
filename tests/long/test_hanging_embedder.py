"""A model server that takes requests and never answers: searches keep their deadline, say so, and get well again."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.load.generator import closed_loop
from tests.load.material import searches
from tests.load.report import Answer, Report
from tests.load.stack import Stack, passing, running_stack, until
from tests.load.verdict import best_of, described, objections_to, sayer, served

pytestmark = pytest.mark.long

POSTINGS = 500
BEFORE_S, HANGING_S, AFTER_S = 1.0, 5.0, 4.0
FAILURES = 3
"""Searches that wait for their deadline before the breaker opens; those that are under way then wait as well."""
QUICK_S = 0.1
WHOLE_AGAIN_S = 4.0
REASONS = {"timeout", "overloaded"}
"""It did not answer in time, or too many queries wait for it already."""


class Outage:
    """One run of searches through an outage."""

    def __init__(self, report: Report, hung: float, healed: float, wall: datetime) -> None:
        self.report = report
        self.wall = wall
        self._hung, self._healed = hung - report.began, healed - report.began

    def during(self) -> list[Answer]:
        """The answers to searches that were asked and answered while the model server hung."""
        return [one for one in self.report.answers if one.due_s > self._hung and one.answered_s < self._healed]

    def after(self) -> list[Answer]:
        """The answers to searches that were asked when it was well for some seconds."""
        return [one for one in self.report.answers if one.due_s > self._healed + WHOLE_AGAIN_S - 1]

    def settled(self, deadline_s: float) -> list[Answer]:
        """The answers of the outage to searches asked after the failures that open the breaker."""
        return [one for one in self.during() if one.due_s > self._hung + (FAILURES + 0.5) * deadline_s]


@contextlib.asynccontextmanager
async def loaded(folder: Path, dsn: str, **settings: str) -> AsyncIterator[Stack]:
    """The service with some postings whose vectors are stored."""
    async with running_stack(folder, dsn, embed_in_serve="on", **settings) as stack:
        await stack.store(POSTINGS)
        await stack.until_embedded()
        await stack.analyze()
        yield stack


async def search_through(stack: Stack, requests: Iterator[bytes], clients: int) -> Outage:
    """Search all the while; the model server begins to hang, and after some seconds answers again."""
    loop = asyncio.get_running_loop()
    seconds = BEFORE_S + HANGING_S + AFTER_S
    searching = asyncio.create_task(closed_loop(stack.address, requests, clients=clients, seconds=seconds))
    await passing(BEFORE_S)
    wall = datetime.now(UTC)
    await stack.set(hang=True)
    hung = loop.time()
    await passing(HANGING_S)
    healed = loop.time()
    await stack.set(hang=False)
    return Outage(await searching, hung, healed, wall)


def objections(outage: Outage, deadline_s: float) -> list[str]:
    """What is wrong with the answers around an outage."""
    during = [served(one) for one in outage.during() if one.status == 200]
    since = {datetime.fromisoformat(one.since) for one in during if one.since}
    return objections_to(
        all_were_200=outage.report.statuses().keys() == {200},
        some_came_in_the_outage=len(during) > FAILURES,
        within_the_deadline=max(one.latency_s for one in outage.report.answers) <= deadline_s,
        by_words_while_it_hung={one.mode for one in during} == {"lexical"},
        labelled_with_a_reason={one.reason for one in during} <= REASONS,
        labelled_since_it_hung=bool(since)
        and all(-0.1 <= (one - outage.wall).total_seconds() <= deadline_s + 0.5 for one in since),
        quick_once_the_breaker_is_open=outage.settled(deadline_s) != []
        and sorted(one.latency_s for one in outage.settled(deadline_s))[len(outage.settled(deadline_s)) // 2]
        <= QUICK_S,
        whole_again={served(one).mode for one in outage.after() if one.status == 200} == {"hybrid"},
    )


@pytest.mark.parametrize(("deadline", "clients"), [("1s", 1), ("1s", 20), ("300ms", 1), ("300ms", 5)])
async def test_searches_keep_their_deadline(
    tmp_path: Path, dsn: str, capfd: pytest.CaptureFixture[str], deadline: str, clients: int
) -> None:
    """All answer 200 within the deadline, by words with reason and time; later ones at once; then whole again."""
    say = sayer(capfd)
    deadline_s = {"1s": 1.0, "300ms": 0.3}[deadline]
    async with loaded(tmp_path, dsn, search_deadline=deadline) as stack:
        requests = searches(stack.address)  # one for all tries: what one has asked is remembered in the next

        async def once() -> list[str]:
            await until(stack.is_whole)
            outage = await search_through(stack, requests, clients)
            slow = sum(one.latency_s > deadline_s / 2 for one in outage.during())
            settled = max((one.latency_s for one in outage.settled(deadline_s)), default=0) * 1000
            told = f"{slow} waited, then {settled:.0f} ms at most"
            say(f"{deadline}, {clients} clients: {described(outage.report)}; {told}")
            return objections(outage, deadline_s)

        await best_of(once, say)
