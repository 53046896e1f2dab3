"""Keeping rates up to date: when the feed is read, by whom, and what is said when it fails."""

import asyncio
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from service.db import Database
from service.pay import queries
from service.pay.domain import ExchangeRates
from service.pay.feed import RatesFeed
from service.pay.model import Rate
from service.pay.worker import BACK_OFF_S, BUSY_S, LOOK_EVERY_S, RatesWorker
from service.telemetry.lifecycle import Telemetry
from tests.pay.feed_server import Answer, FeedServer, rates

HOUR_S = 3600.0


def worker(db: Database, feed: FeedServer, interval_s: float = HOUR_S) -> RatesWorker:
    """A worker that repeats without pauses."""
    client = RatesFeed(feed.url, attempt_s=2.0, sleep=lambda _seconds: asyncio.sleep(0))
    return RatesWorker(db, ExchangeRates(db), client, interval_s=interval_s)


def events(log: io.BytesIO, name: str) -> list[dict[str, Any]]:
    """The log lines of one event."""
    lines = [msgspec.json.decode(line) for line in log.getvalue().splitlines()]
    return [line for line in lines if line["event"] == name]


async def known(db: Database, base: str, quote: str) -> float | None:
    """The rate that a search would use."""
    return (await ExchangeRates(db).current()).between(base, quote)


@pytest.fixture(autouse=True)
def logged(telemetry: Telemetry) -> Telemetry:
    """Log lines and metrics go to memory."""
    return telemetry


async def test_the_feed_is_read_once_an_interval(db: Database, feed: FeedServer, log: io.BytesIO) -> None:
    """The first look reads it; later ones, of this process or another, only once the interval is over."""
    one, other = worker(db, feed), worker(db, feed)
    assert await one.run_once() == LOOK_EVERY_S
    assert await known(db, "USD", "KES") == 129.5
    assert await one.run_once() == LOOK_EVERY_S
    assert await other.run_once() == LOOK_EVERY_S
    assert len(feed.requests) == 1
    async with db.connection() as connection:
        await connection.execute("update exchange_rate set fetched_at = fetched_at - interval '59 minutes'")
    assert 50 < await other.run_once() <= 60
    async with db.connection() as connection:
        await connection.execute("update exchange_rate set fetched_at = fetched_at - interval '59 minutes'")
    feed.answer(rates(USD_KES=130))
    await other.run_once()
    assert await known(db, "USD", "KES") == 130
    assert len(feed.requests) == 2
    assert [line["rates"] for line in events(log, "rates.fetched")] == [1, 1]


async def test_rates_by_hand_do_not_put_the_feed_off(db: Database, feed: FeedServer) -> None:
    """Only what came from the feed counts for the interval."""
    await ExchangeRates(db).store([Rate("USD", "KES", 100, datetime(2026, 1, 1, tzinfo=UTC), "import")])
    await worker(db, feed).run_once()
    assert len(feed.requests) == 1


async def test_one_process_reads_at_a_time(db: Database, feed: FeedServer) -> None:
    """While another holds the lock nothing is fetched."""
    async with db.transaction() as connection:
        assert await queries.lock_feed(connection)
        assert await worker(db, feed).run_once() == BUSY_S
    assert feed.requests == []
    await worker(db, feed).run_once()
    assert len(feed.requests) == 1


async def test_a_failing_feed_is_asked_more_and_more_seldom(
    db: Database, feed: FeedServer, log: io.BytesIO, telemetry: Telemetry
) -> None:
    """Old rates stay in use, the reason is told each time, and success starts anew."""
    await worker(db, feed, interval_s=1e-6).run_once()
    feed.answer(Answer(b"<html>", headers={"Content-Type": "text/html"}))
    failing = worker(db, feed, interval_s=1e-6)
    waits = [await failing.run_once() for _ in range(12)]
    first_s, most_s = BACK_OFF_S
    assert all(first_s / 2 * 2**turn <= wait <= first_s * 2**turn for turn, wait in enumerate(waits[:6]))
    assert all(most_s / 2 <= wait <= most_s for wait in waits[6:])
    assert await known(db, "USD", "KES") == 129.5
    told = events(log, "rates.failed")
    assert [(line["reason"], line["failures"]) for line in told[:2]] == [("html", 1), ("html", 2)]
    assert b"s3cret" not in log.getvalue()
    sample = telemetry.metrics.registry.get_sample_value
    assert sample("jobsense_rates_fetches_total", {"outcome": "html"}) == 12
    feed.answer(rates(USD_KES=131))
    await failing.run_once()
    assert await known(db, "USD", "KES") == 131
    feed.answer(Answer(b"{}"))
    assert await failing.run_once() <= first_s
    assert sample("jobsense_rates_fetches_total", {"outcome": "ok"}) == 2


async def test_a_feed_that_names_a_time_gets_it(db: Database, feed: FeedServer) -> None:
    """A Retry-After longer than the own pause is kept to."""
    feed.answer(Answer(b"", 429, {"Retry-After": "7200"}))
    assert await worker(db, feed).run_once() == 7200


async def test_refused_rates_are_told_in_one_event(db: Database, feed: FeedServer, log: io.BytesIO) -> None:
    """What jumps or cannot be is left out and counted by reason; the rest is stored."""
    day = datetime.now(UTC) - timedelta(days=1)
    await ExchangeRates(db).store([Rate("USD", "KES", 129.0, day, "import"), Rate("EUR", "KES", 150.0, day, "import")])
    feed.answer(rates(USD_KES=1295, EUR_KES=151, USD_QQQ=1, USD_AAA=1, USD_UGX="x"))
    await worker(db, feed).run_once()
    assert await known(db, "USD", "KES") == 129.0
    assert await known(db, "EUR", "KES") == 151
    (told,) = events(log, "rates.refused")
    assert (told["count"], told["reasons"]) == (4, "unknown_currency 2, unreadable 1, jump 1")
    assert "USD/KES (jump)" in told["some"]


@pytest.mark.parametrize(("answer", "detail"), [(rates(), "no rates"), (rates(USD_QQQ=1), "unknown_currency 1")])
async def test_nothing_of_use_is_a_failure(
    db: Database, feed: FeedServer, log: io.BytesIO, answer: Answer, detail: str
) -> None:
    """A feed without any rate that can be kept counts as failed, so that it is read again soon."""
    feed.answer(answer)
    assert await worker(db, feed).run_once() <= BACK_OFF_S[0]
    (told,) = events(log, "rates.failed")
    assert told["reason"] == "nothing_kept"
    assert detail in told["detail"]
