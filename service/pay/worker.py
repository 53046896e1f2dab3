"""Keeps the rates of the feed up to date: one process at a time, more and more seldom while the feed fails."""

import random
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from service.db import Database
from service.pay import queries
from service.pay.checks import sift
from service.pay.domain import ExchangeRates, store_rates
from service.pay.feed import FeedFault, RatesFeed
from service.pay.model import Rate, Refusal
from service.pay.rates import Rates
from service.telemetry.logs import get_logger
from service.telemetry.stages import count

log = get_logger(__name__)

LOOK_EVERY_S = 600.0
"""How often it is looked whether rates are due; cheap, and right again soon after a clock was set or another failed."""
BUSY_S = 60.0
"""When to look again while another process reads the feed."""
BACK_OFF_S = (60.0, 3600.0)
SHOWN = 10
"""Refused rates that are named in the log."""


class RatesWorker:
    """Reads the feed when the newest rates from there are older than the interval; old rates stay in use meanwhile."""

    def __init__(self, db: Database, rates: ExchangeRates, feed: RatesFeed, *, interval_s: float) -> None:
        self._db = db
        self._rates = rates
        self._feed = feed
        self._interval = timedelta(seconds=interval_s)
        self._failures = 0

    async def run_once(self) -> float:
        """Read the feed if it is due and nobody else does; answers after how many seconds to look again."""
        now = datetime.now(UTC)
        known = await self._rates.current()
        # The lock holds as long as its transaction, and a process that dies gives it back: worth a connection for the
        # time of a fetch, which is bounded.
        async with self._db.transaction() as connection:
            if not await queries.lock_feed(connection):
                return BUSY_S
            newest = await queries.fetch_feed_time(connection, source=self._feed.source)
            if newest is not None and newest + self._interval > now:
                return min((newest + self._interval - now).total_seconds(), LOOK_EVERY_S)
            try:
                kept, refused = await self._fetch(known, now)
            except FeedFault as fault:
                return self._put_off(fault)
            stored = await store_rates(connection, kept, now)
        self._rates.forget()
        self._failures = 0
        count("jobsense_rates_fetches_total", "ok")
        log.info("rates.fetched", source=self._feed.source, rates=stored)
        if refused:
            log.warning("rates.refused", count=len(refused), reasons=_summary(refused), some=_some(refused))
        return min(self._interval.total_seconds(), LOOK_EVERY_S)

    async def _fetch(self, known: Rates, now: datetime) -> tuple[list[Rate], list[Refusal]]:
        """The rates that can be kept, and the others; raises FeedFault where none can."""
        told = await self._feed.fetch()
        kept, refused = sift(told.rates, known, now)
        refused = [*told.unread, *refused]
        if not kept:
            raise FeedFault("nothing_kept", _summary(refused) or "the feed has no rates")
        return kept, refused

    def _put_off(self, fault: FeedFault) -> float:
        first_s, most_s = BACK_OFF_S
        back_off_s = min(first_s * 2.0 ** min(self._failures, 10), most_s) * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        wait_s = max(back_off_s, fault.retry_after_s)
        self._failures += 1
        count("jobsense_rates_fetches_total", fault.reason)
        log.warning(
            "rates.failed",
            source=self._feed.source,
            reason=fault.reason,
            detail=fault.detail,
            failures=self._failures,
            wait_s=round(wait_s, 1),
        )
        return wait_s


def _summary(refused: Sequence[Refusal]) -> str:
    """How many were refused for which reason: `jump 2, unknown_currency 1`."""
    return ", ".join(f"{code} {number}" for code, number in Counter(one.code for one in refused).most_common())


def _some(refused: Sequence[Refusal]) -> str:
    return ", ".join(f"{one.of} ({one.code})" for one in refused[:SHOWN])
