"""The client of the exchange-rate feed against a real socket: what it repeats, what it refuses, and what it reads."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from service.errors import SettingError
from service.pay.feed import ATTEMPTS, MAX_BYTES, FeedFault, RatesFeed, read_feed
from service.pay.model import Rate
from tests.pay.feed_server import Answer, FeedServer, rates

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
DAY = datetime(2026, 11, 27, tzinfo=UTC)


class Pauses:
    """Stands in for sleeping: remembers for how long."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def sleep(self, seconds: float) -> None:
        """Go on at once."""
        self.seconds.append(seconds)


async def fault_of(feed: FeedServer, pauses: Pauses | None = None) -> FeedFault:
    """How a fetch fails."""
    client = RatesFeed(feed.url, attempt_s=0.5, sleep=(pauses or Pauses()).sleep)
    with pytest.raises(FeedFault) as caught:
        await client.fetch()
    assert "s3cret" not in caught.value.detail
    return caught.value


async def test_rates_are_read_with_their_source_and_moment(feed: FeedServer) -> None:
    """Each pair comes with the host it was told by; what tells no date is of now."""
    feed.answer(rates(USD_KES=129.5, EUR_KES=150))
    before = datetime.now(UTC)
    told = await RatesFeed(feed.url).fetch()
    assert [(one.pair, one.rate, one.source) for one in told.rates] == [
        ("USD/KES", 129.5, "127.0.0.1"),
        ("EUR/KES", 150.0, "127.0.0.1"),
    ]
    assert all(before <= one.valid_at <= datetime.now(UTC) for one in told.rates)
    assert told.unread == []
    assert feed.requests[0].startswith("GET /latest?key=s3cret HTTP/1.1")


async def test_a_feed_that_is_asked_too_often_says_when_to_come_back(feed: FeedServer) -> None:
    """429 with Retry-After is repeated after that time, not before."""
    feed.answer(Answer(b"", 429, {"Retry-After": "7"}), rates(USD_KES=129.5))
    pauses = Pauses()
    told = await RatesFeed(feed.url, sleep=pauses.sleep).fetch()
    assert len(told.rates) == 1
    assert [round(pause) for pause in pauses.seconds] == [7]


async def test_a_retry_after_may_be_a_date(feed: FeedServer) -> None:
    """A date counts as the time until then."""
    feed.answer(Answer(b"", 503, {"Retry-After": format_datetime(datetime.now(UTC) + timedelta(seconds=20))}), rates())
    pauses = Pauses()
    await RatesFeed(feed.url, sleep=pauses.sleep).fetch()
    assert 15 < pauses.seconds[0] <= 20


@pytest.mark.parametrize(("told", "wait_s"), [("3600", 3600), ("9999999999", 86400), ("soon", 0), ("-5", 0)])
async def test_a_long_retry_after_is_left_to_the_caller(feed: FeedServer, told: str, wait_s: float) -> None:
    """What is longer than the patience of one fetch ends it, with the time as the feed told it, a day at most."""
    feed.answer(Answer(b"", 429, {"Retry-After": told}))
    fault = await fault_of(feed)
    assert (fault.reason, fault.retry_after_s) == ("refused", wait_s)
    assert len(feed.requests) == (1 if wait_s else ATTEMPTS)


async def test_a_fault_that_passes_is_repeated(feed: FeedServer) -> None:
    """500 and then 200 is a success; the pauses are random up to a bound that doubles."""
    feed.answer(Answer(b"", 500), Answer(b"", 502), rates(USD_KES=129.5))
    pauses = Pauses()
    told = await RatesFeed(feed.url, back_off_s=(2.0, 3.0), sleep=pauses.sleep).fetch()
    assert len(told.rates) == 1
    assert len(pauses.seconds) == 2
    assert 0 <= pauses.seconds[0] <= 2
    assert 0 <= pauses.seconds[1] <= 3


@pytest.mark.parametrize("status", [301, 400, 401, 404])
async def test_a_fault_that_does_not_pass_is_not_repeated(feed: FeedServer, status: int) -> None:
    """What repeating cannot mend is told at once; no redirection is followed."""
    feed.answer(Answer(b"no", status, {"Location": "/elsewhere"}))
    fault = await fault_of(feed)
    assert (fault.reason, fault.detail, len(feed.requests)) == ("refused", f"HTTP status {status}", 1)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(b"<!doctype html><title>Sign in</title>", headers={"Content-Type": "text/html"}), "html"),
        (Answer(b"\n <html>", headers={"Content-Type": "application/json"}), "html"),
        (Answer(b"Service is being maintained"), "not_json"),
        (Answer(b'{"rates": [{"pair": "USD/KES", "rate": NaN}]}'), "not_json"),
        (Answer(b'{"rates": [\xff]}'), "not_json"),
        (Answer(b""), "not_json"),
        (Answer(b'{"base": "USD", "quotes": {"KES": 129.5}}'), "schema"),
        (Answer(b"[]"), "schema"),
        (Answer(b'{"rates": {"USD/KES": 129.5}}'), "schema"),
        (Answer(b'{"rates": ["' + b"x" * MAX_BYTES + b'"]}'), "too_large"),
    ],
)
async def test_an_answer_of_another_kind_is_told(feed: FeedServer, answer: Answer, reason: str) -> None:
    """A page for people, no JSON, JSON of another shape, too much: each has its reason, and none is repeated."""
    feed.answer(answer)
    assert (await fault_of(feed)).reason == reason
    assert len(feed.requests) == 1


async def test_a_slow_feed_is_given_up(feed: FeedServer) -> None:
    """An answer that does not end in time is a fault that may pass, also when half of it came."""
    feed.answer(Answer(b'{"rates": []}', stalls=True))
    pauses = Pauses()
    client = RatesFeed(feed.url, attempt_s=0.05, sleep=pauses.sleep)
    with pytest.raises(FeedFault) as caught:
        await client.fetch()
    assert (caught.value.reason, len(pauses.seconds)) == ("timeout", ATTEMPTS - 1)


async def test_nobody_listens(feed: FeedServer) -> None:
    """A feed that is not there is a fault that may pass, and its address is not told."""
    feed.port = 1
    pauses = Pauses()
    fault = await fault_of(feed, pauses)
    assert (fault.reason, fault.detail, len(pauses.seconds)) == ("unreachable", "ConnectError", ATTEMPTS - 1)


def test_an_address_that_is_none_is_a_wrong_setting() -> None:
    """It is told by the name of the setting."""
    with pytest.raises(SettingError, match="JOBSENSE_RATES_URL"):
        RatesFeed("http://[::zz]")


def test_dates_are_taken_from_the_entry_or_from_the_feed() -> None:
    """The nearest counts: a moment or a day, of the entry or of all."""
    body = (
        b'{"date": "2026-11-27", "rates": [{"pair": "USD/KES", "rate": 1},'
        b' {"pair": "usdtzs", "rate": 2, "valid_at": "2026-11-26T15:00:00+03:00"},'
        b' {"pair": "USD/UGX", "rate": 3, "date": "2026-11-25"}]}'
    )
    assert read_feed(body, "bank", NOW).rates == [
        Rate("USD", "KES", 1.0, DAY, "bank"),
        Rate("USD", "TZS", 2.0, datetime(2026, 11, 26, 12, tzinfo=UTC), "bank"),
        Rate("USD", "UGX", 3.0, DAY - timedelta(days=2), "bank"),
    ]


def test_an_entry_that_cannot_be_read_does_not_sink_the_others() -> None:
    """Each such entry is named with its reason; the rest is taken."""
    body = (
        b'{"rates": [{"pair": "USD/KES", "rate": 129.5}, {"pair": "USD/UGX"}, {"pair": "USD/TZS", "rate": "x"},'
        b' {"pair": "dollars", "rate": 1}, {"pair": "USD/RWF", "rate": 1, "date": "yesterday"}, 7,'
        b' {"pair": "USD/ETB", "rate": 1e999}]}'
    )
    told = read_feed(body, "bank", NOW)
    assert [one.pair for one in told.rates] == ["USD/KES"]
    assert [one.code for one in told.unread] == [
        "unreadable", "unreadable", "unreadable_pair", "unreadable_date", "unreadable", "unreadable",
    ]  # fmt: skip
