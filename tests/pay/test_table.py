"""Which pay passes which filter: every case through the real statements, with the exchange rates of the database."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec
import pytest

from service.config import Settings
from service.db import Database
from service.ingest.cleaning import clean
from service.jobs.domain import Jobs
from service.jobs.model import Filters, JobInput, NewJob
from service.jobs.pay import monthly
from service.jobs.prepare import prepare
from service.pay.domain import ExchangeRates
from service.pay.model import Rate
from tests.conftest import Server
from tests.factories import new_job

TENANT = 1
OLD, NEW = datetime(2020, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
RATES = [
    Rate("USD", "KES", 100.0, OLD, "bank"),
    Rate("USD", "KES", 130.0, NEW, "bank"),
    Rate("EUR", "KES", 150.0, NEW, "bank"),
    Rate("KES", "UGX", 28.0, NEW, "bank"),
    Rate("CHF", "SEK", 12.0, NEW, "bank"),
    Rate("USD", "TZS", 2500.0, datetime(2999, 1, 1, tzinfo=UTC), "tomorrow"),
]


class Case(NamedTuple):
    """The pay of a posting, a filter, and whether it passes."""

    name: str
    pay: dict[str, Any]
    filters: dict[str, Any]
    passes: bool
    at: datetime | None = None


def pay(low: float | None, high: float | None, period: str | None = "month", currency: str | None = "KES") -> Any:
    """What a posting says."""
    return {"salary_min": low, "salary_max": high, "salary_period": period, "currency": currency}


def want(low: float | None = None, high: float | None = None, period: str | None = None, **more: Any) -> dict[str, Any]:
    """A filter, of shillings unless told otherwise."""
    return {"salary_min": low, "salary_max": high, "salary_period": period, "currency": "KES"} | more


CASES = [
    # One period against another: 2,080 hours, 260 days, 52 weeks, 12 months are a year.
    Case("hour-reaches-month", pay(300, 300, "hour"), want(52_000), True),
    Case("hour-is-below-month", pay(300, 300, "hour"), want(52_001), False),
    Case("day-reaches-month", pay(1_200, 1_200, "day"), want(26_000), True),
    Case("day-is-below-month", pay(1_200, 1_200, "day"), want(26_001), False),
    Case("week-reaches-month", pay(12_000, 12_000, "week"), want(52_000), True),
    Case("week-is-below-month", pay(12_000, 12_000, "week"), want(52_001), False),
    Case("year-reaches-month", pay(600_000, 600_000, "year"), want(50_000), True),
    Case("year-is-below-month", pay(600_000, 600_000, "year"), want(50_001), False),
    Case("month-reaches-hour", pay(52_000, 52_000), want(300, period="hour"), True),
    Case("month-is-below-hour", pay(51_999, 51_999), want(300, period="hour"), False),
    Case("month-reaches-day", pay(26_000, 26_000), want(1_200, period="day"), True),
    Case("month-is-below-day", pay(25_999, 25_999), want(1_200, period="day"), False),
    Case("month-reaches-week", pay(52_000, 52_000), want(12_000, period="week"), True),
    Case("month-is-below-week", pay(51_999, 51_999), want(12_000, period="week"), False),
    Case("month-reaches-year", pay(50_000, 50_000), want(600_000, period="year"), True),
    Case("month-is-below-year", pay(49_999, 49_999), want(600_000, period="year"), False),
    Case("hour-equals-hour", pay(17.3, 17.3, "hour"), want(17.3, 17.3, "hour"), True),
    Case("hour-equals-year", pay(7, 7, "hour"), want(14_560, 14_560, "year"), True),
    Case("period-defaults-to-month", pay(50_000, 50_000, "month"), want(50_000, 50_000), True),
    # Bands overlap, ends included; one that is open goes on for ever.
    Case("equal-bounds", pay(40_000, 60_000), want(40_000, 60_000), True),
    Case("touch-below", pay(40_000, 50_000), want(50_000, 60_000), True),
    Case("touch-above", pay(60_000, 70_000), want(50_000, 60_000), True),
    Case("within", pay(52_000, 53_000), want(50_000, 60_000), True),
    Case("around", pay(10_000, 90_000), want(50_000, 60_000), True),
    Case("all-below", pay(40_000, 49_999), want(50_000, 60_000), False),
    Case("all-above", pay(60_001, 70_000), want(50_000, 60_000), False),
    Case("open-above", pay(900_000, 900_000), want(50_000), True),
    Case("open-below", pay(1, 1), want(high=50_000), True),
    Case("open-below-misses", pay(50_001, 60_000), want(high=50_000), False),
    Case("nothing-asked-for", pay(0, 0), want(0, 0), True),
    # A missing end is the one that is given, never more and never less.
    Case("only-low-is-no-more", pay(45_000, None), want(50_000), False),
    Case("only-low-reaches", pay(50_000, None), want(50_000), True),
    Case("only-high-is-no-less", pay(None, 60_000), want(high=50_000), False),
    Case("only-high-reaches", pay(None, 60_000), want(55_000), True),
    # Pay in another currency, by the rates there are, and never by any other.
    Case("dollars-reach-shillings", pay(400, 400, currency="USD"), want(52_000), True),
    Case("dollars-are-below", pay(399, 399, currency="USD"), want(52_000), False),
    Case("shillings-reach-dollars", pay(130_000, 130_000), want(1_000, currency="USD"), True),
    Case("shillings-are-below-dollars", pay(129_000, 129_000), want(1_000, currency="USD"), False),
    Case("both-differ", pay(30_000, 30_000, "year", "USD"), want(2_000, period="hour"), False),
    Case("both-differ-and-reach", pay(48_000, 48_000, "year", "USD"), want(3_000, period="hour"), True),
    Case("cross-by-shillings", pay(1_300, 1_300, currency="EUR"), want(1_499, currency="USD"), True),
    Case("cross-by-shillings-misses", pay(1_300, 1_300, currency="EUR"), want(1_501, currency="USD"), False),
    Case("inverse-pair", pay(2_800_000, 2_800_000, currency="UGX"), want(99_999), True),
    Case("inverse-pair-misses", pay(2_800_000, 2_800_000, currency="UGX"), want(100_001), False),
    Case("two-crossings", pay(3_000_000, 3_000_000, currency="UGX"), want(700, currency="EUR"), True),
    Case("older-rate", pay(500, 500, currency="USD"), want(52_000), False, at=OLD + timedelta(days=1)),
    Case("newer-rate", pay(500, 500, currency="USD"), want(52_000), True, at=NEW + timedelta(days=1)),
    Case("before-any-rate", pay(5_000, 5_000, currency="USD"), want(1), False, at=OLD - timedelta(days=1)),
    # What cannot be compared passes only where that is asked for.
    Case("no-rate", pay(5_000, 5_000, currency="JPY"), want(1), False),
    Case("no-rate-included", pay(5_000, 5_000, currency="JPY"), want(1, include_unpriced=True), True),
    Case("rate-of-tomorrow", pay(5_000, 5_000, currency="TZS"), want(1), False),
    Case("no-way-between", pay(5_000, 5_000, currency="CHF"), want(1), False),
    Case("no-way-included", pay(5_000, 5_000, currency="SEK"), want(1, include_unpriced=True), True),
    Case("no-currency", pay(50_000, 50_000, currency=None), want(1), False),
    Case("no-currency-included", pay(50_000, 50_000, currency=None), want(1, include_unpriced=True), True),
    Case("no-period", pay(50_000, 50_000, None), want(1), False),
    Case("no-period-included", pay(50_000, 50_000, None), want(1, include_unpriced=True), True),
    Case("no-amount", pay(None, None), want(1), False),
    Case("no-amount-included", pay(None, None), want(1, include_unpriced=True), True),
    Case("priced-too-low-stays-out", pay(1, 1), want(50_000, include_unpriced=True), False),
    Case("priced-dollars-stay-out", pay(1, 1, currency="USD"), want(50_000, include_unpriced=True), False),
    # A currency alone asks for pay that is stated in it.
    Case("currency-alone", pay(1, 1), want(), True),
    Case("currency-alone-of-another", pay(500, 500, currency="USD"), want(), False),
    Case("currency-alone-without-rate", pay(5, 5, currency="JPY"), want(include_unpriced=True), False),
    Case("currency-alone-unpriced", pay(None, None, None, None), want(), False),
    Case("currency-alone-unpriced-included", pay(None, None, None, None), want(include_unpriced=True), True),
    Case("no-filter", pay(None, None, None, None), {"include_unpriced": False}, True),
]


@pytest.fixture(scope="module")
async def priced(server: Server, template: str) -> AsyncIterator[Database]:
    """A database with the rates."""
    dsn = await server.create_database(template)
    opened = await Database.open(dsn, max_size=4)
    await ExchangeRates(opened).store(RATES)
    yield opened
    await opened.close()
    await server.drop_database(dsn)


async def passes(db: Database, job: NewJob, filters: dict[str, Any], at: datetime | None = None) -> bool:
    """Whether a list with these filters has the posting."""
    rates = ExchangeRates(db)

    async def conversions(currency: str) -> Any:
        return (await rates.at(at or datetime.now(UTC))).conversions(currency)

    jobs = Jobs(db, Settings(), conversions=conversions)
    await jobs.store(TENANT, [job])
    page = await jobs.list(TENANT, Filters(source=(job.source,), **filters), keyword=None, after=None, limit=2)
    return len(page.items) == 1


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_pay_passes_or_not(priced: Database, case: Case) -> None:
    """The posting passes exactly if its band for a month meets the filter's, in the same money."""
    job = new_job(source=f"case-{case.name}", external_id="1", **case.pay)
    assert await passes(priced, job, case.filters, case.at) is case.passes


@pytest.mark.parametrize("said", ["KSh 50,000", "Kshs. 50,000/=", "KES 50k"])
async def test_shillings_however_they_are_written(priced: Database, said: str) -> None:
    """Three ways to write fifty thousand shillings a month are one band, through the cleaning of `jobsense ingest`."""
    source = "said-" + "".join(char for char in said.lower() if char.isalnum())
    row = {"title": "Driver", "company": "Jua", "source": source, "salary_text": said, "salary_period": "Monthly"}
    job = prepare(msgspec.convert(clean(row, today=NEW.date()).posting, JobInput))
    assert await passes(priced, job, want(50_000, 50_000))
    assert not await passes(priced, job, want(50_001))
    assert not await passes(priced, job, want(high=49_999))


@pytest.mark.parametrize("period", ["hour", "day", "week", "month", "year"])
async def test_the_service_and_the_database_agree_to_the_last_bit(priced: Database, period: Any) -> None:
    """A month's pay is the same number on both sides, so that equal pay is equal."""
    amounts = [0.0, 0.01, 17.3, 1_234.56, 99_999.99, 1e12]
    async with priced.connection() as connection:
        found = await connection.fetch(
            "select monthly_pay(a, $2) from unnest($1::double precision[]) a", amounts, period
        )
    assert [row[0] for row in found] == [monthly(amount, period) for amount in amounts]
