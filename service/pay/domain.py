"""Exchange rates as others use them: a snapshot in memory, of any moment, and what is kept of new ones."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from service.db import Database, Db
from service.jobs.pay import Conversion
from service.pay import queries
from service.pay.model import Rate, RateEntry, RateList
from service.pay.rates import Rates

MAX_AGE_S = 10.0
"""How long a snapshot is used before the database is asked again; another process may have stored new rates."""


class ExchangeRates:
    """The rates of the database; the same for all tenants."""

    def __init__(self, db: Database, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._db = db
        self._clock = clock
        self._kept = Rates()
        self._good_until = float("-inf")
        self._forgotten = 0
        self._reading = asyncio.Lock()

    async def current(self) -> Rates:
        """The rates of now, up to `MAX_AGE_S` old; those who ask at once share one look at the database."""
        if self._clock() >= self._good_until:
            async with self._reading:
                if self._clock() >= self._good_until:
                    before = self._forgotten
                    self._kept = await self.at(datetime.now(UTC))
                    if before == self._forgotten:  # else new rates came while these were read
                        self._good_until = self._clock() + MAX_AGE_S
        return self._kept

    async def at(self, moment: datetime) -> Rates:
        """The rates that were the last ones at a moment."""
        return Rates(await queries.list_rates(self._db, at=moment))

    async def conversions(self, currency: str) -> Mapping[str, Conversion]:
        """How a currency converts into every other whose rate is known."""
        return (await self.current()).conversions(currency)

    async def table(self, base: str, at: datetime | None) -> RateList:
        """What one unit of a currency was worth in others at a moment (None: now)."""
        rates = await self.current() if at is None else await self.at(at)
        entries = [
            RateEntry(currency, link.rate, link.oldest, ", ".join(link.sources), link.derived)
            for currency, link in sorted(rates.conversions(base).items())
        ]
        return RateList(base, at or datetime.now(UTC), entries)

    async def store(self, rates: Sequence[Rate]) -> int:
        """Keep rates, of those for one pair and moment the last; how many that were."""
        stored = await store_rates(self._db, rates, datetime.now(UTC))
        self.forget()
        return stored

    def forget(self) -> None:
        """Ask the database at the next look, since there are new rates."""
        self._forgotten += 1
        self._good_until = float("-inf")

    def newest_s(self) -> float:
        """The moment of the newest rate in the snapshot, in seconds since 1970; 0 without any."""
        newest = self._kept.newest
        return 0.0 if newest is None else newest.timestamp()


async def store_rates(db: Db, rates: Sequence[Rate], now: datetime) -> int:
    """Keep rates, of those for one pair and moment the last; how many that were."""
    distinct = list({(one.base, one.quote, one.valid_at): one for one in rates}.values())
    await queries.store_rates(
        db,
        base=[one.base for one in distinct],
        quote=[one.quote for one in distinct],
        rate=[one.rate for one in distinct],
        valid_at=[one.valid_at for one in distinct],
        source=[one.source for one in distinct],
        now=now,
    )
    return len(distinct)
