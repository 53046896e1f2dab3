"""What follows from rates: inverses, ways over other currencies, what is refused; and how the database keeps them."""

import csv
from datetime import UTC, datetime, timedelta

import pytest

from service.db import Database
from service.errors import OperatorError
from service.pay.checks import read_moment, read_pair, sift
from service.pay.domain import MAX_AGE_S, ExchangeRates
from service.pay.importing import read_csv
from service.pay.model import Rate
from service.pay.rates import Rates
from tests.sql.plans import explain

DAY = datetime(2026, 11, 27, tzinfo=UTC)


def rate(pair: str, worth: float, *, age: int = 0, source: str = "bank") -> Rate:
    """A rate some days old."""
    base, quote = pair.split("/")
    return Rate(base, quote, worth, DAY - timedelta(days=age), source)


def test_a_pair_counts_both_ways() -> None:
    """The inverse of what was told is known too, and is marked as derived."""
    rates = Rates([rate("USD/KES", 125)])
    told, inverse = rates.conversions("USD")["KES"], rates.conversions("KES")["USD"]
    assert (told.rate, told.derived) == (125, False)
    assert (inverse.rate, inverse.derived) == (1 / 125, True)
    assert rates.conversions("EUR") == {}


def test_currencies_are_reached_over_others() -> None:
    """Rates multiply along the way; the dates are those of the oldest and the newest, the sources all of them."""
    rates = Rates([rate("USD/KES", 125), rate("EUR/KES", 150, age=2, source="other"), rate("EUR/CHF", 2, age=1)])
    link = rates.conversions("USD")["CHF"]
    assert link.rate == pytest.approx(125 / 150 * 2)
    assert (link.oldest, link.newest) == (DAY - timedelta(days=2), DAY)
    assert (link.sources, link.derived) == (("bank", "other"), True)
    assert set(rates.conversions("USD")) == {"KES", "EUR", "CHF"}


def test_what_was_told_wins_over_what_follows() -> None:
    """A pair that was told is used as told, however old, before one over two others."""
    rates = Rates([rate("USD/EUR", 0.5, age=900), rate("USD/KES", 125), rate("EUR/KES", 150)])
    assert rates.conversions("USD")["EUR"].rate == 0.5


def test_of_two_ways_the_newer_is_gone() -> None:
    """Of ways of one length, that whose oldest rate is the newest."""
    old = [rate("USD/KES", 100, age=9), rate("KES/RWF", 10)]
    new = [rate("USD/UGX", 3500, age=1), rate("UGX/RWF", 0.5, age=1)]
    for told in (old + new, new + old):
        assert Rates(told).conversions("USD")["RWF"].rate == 1750


def test_the_newer_of_both_directions_is_used() -> None:
    """Where a pair was told in both directions, the newer says; at one moment each says for itself."""
    assert Rates([rate("USD/KES", 100, age=5), rate("KES/USD", 0.008)]).conversions("USD")["KES"].rate == 125
    assert Rates([rate("KES/USD", 0.5), rate("USD/KES", 100)]).conversions("USD")["KES"].rate == 100
    assert Rates([rate("USD/KES", 100), rate("KES/USD", 0.5)]).conversions("KES")["USD"].rate == 0.5


def test_what_cannot_be_a_rate_is_refused_with_its_reason() -> None:
    """Unknown codes, one currency twice, numbers that are none, dates to come, and jumps; the rest is kept."""
    known = Rates([rate("USD/KES", 100), rate("TZS/USD", 0.0004)])
    told = [
        rate("USD/KES", 999), rate("USD/KES", 1001), rate("USD/KES", 10), rate("USD/KES", 9.9), rate("USD/TZS", 25_001),
        rate("USD/TZS", 2_600), rate("USD/XXX", 1), rate("USD/USD", 1), rate("USD/UGX", 0), rate("USD/UGX", -1),
        rate("USD/UGX", float("inf")), rate("USD/UGX", float("nan")), rate("USD/UGX", 3_700, age=-3),
    ]  # fmt: skip
    kept, refused = sift(told, known, DAY)
    assert [one.rate for one in kept] == [999, 10, 2_600]
    assert [one.code for one in refused] == [
        "jump", "jump", "jump", "unknown_currency", "same_currency", *["not_a_rate"] * 4, "date_to_come",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "pair"),
    [("USD/KES", ("USD", "KES")), (" usdkes ", ("USD", "KES")), ("USD-KES", None), ("US/KES", None), ("", None)],
)
def test_pairs_are_read(text: str, pair: tuple[str, str] | None) -> None:
    """Two codes, with or without a stroke between."""
    assert read_pair(text) == pair


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-27", DAY),
        ("2026-11-27T03:00:00+03:00", DAY),
        ("2026-11-27T00:00:00Z", DAY),
        ("2026-11-27 00:00", DAY),
        ("27/11/2026", None),
        ("0001-01-01T00:00:00+03:00", None),
        ("", None),
    ],
)
def test_moments_are_read(text: str, moment: datetime | None) -> None:
    """A day, or a moment with or without an offset; nothing is guessed."""
    assert read_moment(text) == moment


async def test_the_last_rate_before_a_moment_is_found(db: Database) -> None:
    """A moment has the rates that were the last by then; one told again for its moment is replaced."""
    rates = ExchangeRates(db)
    assert await rates.store([rate("USD/KES", 1, age=2), rate("USD/KES", 2), rate("EUR/KES", 9, age=1)]) == 3
    assert await rates.store([rate("USD/KES", 4, age=2), rate("USD/KES", 3, age=2, source="second")]) == 1
    for age, worth in ((3, None), (2, 3), (1, 3), (0, 2)):
        assert (await rates.at(DAY - timedelta(days=age))).between("USD", "KES") == worth
    assert (await rates.at(DAY)).between("KES", "EUR") == 1 / 9
    assert (await rates.at(DAY - timedelta(days=2))).conversions("KES")["USD"].sources == ("second",)


async def test_a_snapshot_is_used_for_a_while(db: Database) -> None:
    """What another process stores is seen after that while, what this one stores at once."""
    now = [0.0]
    rates, elsewhere = ExchangeRates(db, clock=lambda: now[0]), ExchangeRates(db)
    assert (await rates.current()).newest is None
    assert rates.newest_s() == 0
    await elsewhere.store([rate("USD/KES", 1, age=9)])
    assert (await rates.conversions("USD")) == {}
    now[0] += MAX_AGE_S
    assert (await rates.conversions("USD"))["KES"].rate == 1
    await rates.store([rate("USD/KES", 2, age=8)])
    assert (await rates.conversions("USD"))["KES"].rate == 2
    assert rates.newest_s() == (DAY - timedelta(days=8)).timestamp()


async def test_years_of_history_are_stepped_over(db: Database) -> None:
    """The latest rates of all pairs are read off the primary key, a few rows a pair, however many lie before them."""
    async with db.connection() as connection:
        await connection.execute(
            "insert into exchange_rate (base, quote, valid_at, rate, source, fetched_at)"
            " select 'USD', 'A' || chr(65 + p / 26) || chr(65 + p % 26), '2020-01-01'::date + d,"
            " 1, 'x', now() from generate_series(0, 49) p, generate_series(0, 999) d"
        )
        await connection.execute("analyze exchange_rate")
        plan = await explain(connection, "pay.list_rates", at=DAY)
    assert plan.indexes() == {"exchange_rate_pkey"}
    assert "exchange_rate" not in plan.scanned()
    read = [node for node in plan.executed if node.get("Relation Name") == "exchange_rate"]
    assert all(node["Actual Rows"] <= 1 for node in read)


async def test_rates_that_come_while_others_are_read_are_not_missed(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A snapshot that was being read when new rates were stored is used for that look alone."""
    rates = ExchangeRates(db)
    read = rates.at

    async def overtaken(moment: datetime) -> Rates:
        found = await read(moment)
        await rates.store([rate("USD/KES", 1)])
        return found

    with monkeypatch.context() as patched:
        patched.setattr(rates, "at", overtaken)
        assert await rates.conversions("USD") == {}
    assert (await rates.conversions("USD"))["KES"].rate == 1


def test_what_is_not_csv_is_told_with_its_line() -> None:
    """A cell over the reader's limit, as an open quote makes it, ends the file."""
    usual = csv.field_size_limit(50)
    try:
        with pytest.raises(OperatorError, match="line 2 is not CSV"):
            list(read_csv(["date,pair,rate\n", '"' + "x" * 60 + '"\n'], "bank", DAY))
    finally:
        csv.field_size_limit(usual)
