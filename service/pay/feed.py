"""The only client of the exchange-rate feed: fetches it, patiently and within bounds, and reads what it tells.

The feed answers `{"rates": [{"pair": "USD/KES", "rate": 129.5}]}`; `date` or `valid_at` may stand beside `rates`, or in
each of them, and is the moment of the fetch where it is missing.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import httpx
import msgspec
import tenacity

from service.errors import SettingError
from service.pay.checks import read_moment, read_pair
from service.pay.model import Rate, Refusal

MAX_BYTES = 1_048_576
ATTEMPT_S = 10.0
ATTEMPTS = 4
PATIENCE_S = 25.0
"""No attempt begins later than this after the first, so that a transaction may wait for all of them."""
BACK_OFF_S = (0.5, 8.0)
MOST_RETRY_AFTER_S = 86400.0
_PASSING = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})

Sleep = Callable[[float], Awaitable[None]]


class FeedFault(Exception):
    """The feed gave nothing that can be used; `reason` is from a closed set, `passing` says whether it may go away."""

    def __init__(self, reason: str, detail: str, *, passing: bool = False, retry_after_s: float = 0.0) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.passing = passing
        self.retry_after_s = retry_after_s


class Told(msgspec.Struct, frozen=True):
    """What the feed told, as far as each entry could be read."""

    rates: list[Rate]
    unread: list[Refusal]


class _Feed(msgspec.Struct):
    rates: list[msgspec.Raw]
    date: str | None = None
    valid_at: str | None = None


class _Entry(msgspec.Struct):
    pair: str
    rate: float
    date: str | None = None
    valid_at: str | None = None


class RatesFeed:
    """The feed at one address; `source` is the host that rates are said to come from."""

    def __init__(
        self,
        url: str,
        *,
        attempt_s: float = ATTEMPT_S,
        back_off_s: tuple[float, float] = BACK_OFF_S,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        try:
            self._url = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise SettingError(f"JOBSENSE_RATES_URL is not a URL: {error}") from None
        self.source = self._url.host
        self._attempt_s = attempt_s
        self._jitter = tenacity.wait_random_exponential(multiplier=back_off_s[0], max=back_off_s[1])
        self._sleep = sleep

    async def fetch(self) -> Told:
        """Fetch and read the feed; repeats what may pass with growing, random pauses. Raises the last FeedFault."""
        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(lambda error: isinstance(error, FeedFault) and error.passing),
            wait=self._pause_s,
            stop=tenacity.stop_any(tenacity.stop_after_attempt(ATTEMPTS), tenacity.stop_before_delay(PATIENCE_S)),
            sleep=self._sleep,
            reraise=True,
        )
        return read_feed(await retrying(self._attempt), self.source, datetime.now(UTC))

    def _pause_s(self, state: tenacity.RetryCallState) -> float:
        """Anything up to a bound that doubles, or as long as the feed asks for."""
        error = state.outcome.exception() if state.outcome is not None else None
        asked_s = error.retry_after_s if isinstance(error, FeedFault) else 0.0
        return max(self._jitter(state), asked_s)

    async def _attempt(self) -> bytes:
        """One request; its whole time is bounded, and so is what is read of the answer."""
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "jobsense"}
        try:
            async with (
                asyncio.timeout(self._attempt_s),
                httpx.AsyncClient(headers=headers, timeout=self._attempt_s, follow_redirects=False) as client,
                client.stream("GET", self._url) as response,
            ):
                return await _body_of(response)
        except (TimeoutError, httpx.TimeoutException):
            raise FeedFault("timeout", f"no answer within {self._attempt_s:g} s", passing=True) from None
        except httpx.HTTPError as error:
            # Its text may hold the address, which may hold a key.
            raise FeedFault("unreachable", type(error).__name__, passing=True) from None


def read_feed(body: bytes, source: str, now: datetime) -> Told:
    """Read the answer of a feed; an entry that cannot be read does not sink the others. Raises FeedFault."""
    try:
        feed = msgspec.json.decode(body, type=_Feed)
    except msgspec.ValidationError as error:
        raise FeedFault("schema", f"the answer is not a list of rates: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FeedFault("not_json", f"the answer is not JSON: {error}") from None
    rates, unread = list[Rate](), list[Refusal]()
    for raw in feed.rates:
        try:
            entry = msgspec.json.decode(raw, type=_Entry)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            unread.append(Refusal("unreadable", bytes(raw)[:40].decode(errors="replace")))
            continue
        pair = read_pair(entry.pair)
        told = entry.valid_at or entry.date or feed.valid_at or feed.date
        moment = now if told is None else read_moment(told)
        if pair is None or moment is None:
            unread.append(Refusal("unreadable_pair" if pair is None else "unreadable_date", entry.pair[:40]))
        else:
            rates.append(Rate(*pair, entry.rate, moment, source))
    return Told(rates, unread)


async def _body_of(response: httpx.Response) -> bytes:
    """The body of a 200 that is not a page for people; raises FeedFault."""
    if response.status_code != HTTPStatus.OK:
        passing = response.is_server_error or response.status_code in _PASSING
        raise FeedFault(
            "refused",
            f"HTTP status {response.status_code}",
            passing=passing,
            retry_after_s=_retry_after_s(response.headers.get("retry-after", "")),
        )
    body = b""
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > MAX_BYTES:
            raise FeedFault("too_large", f"the answer is over {MAX_BYTES} bytes")
    if response.headers.get("content-type", "").startswith("text/html") or body.lstrip()[:1] == b"<":
        raise FeedFault("html", "the answer is a web page")
    return body


def _retry_after_s(text: str) -> float:
    """Seconds of a Retry-After header (a number or a date), within bounds; 0 where it says nothing."""
    try:
        asked_s = float(text) if text.strip().isdecimal() else _until_s(text)
    except (ValueError, OverflowError):
        return 0.0
    return min(max(asked_s, 0.0), MOST_RETRY_AFTER_S) if math.isfinite(asked_s) else MOST_RETRY_AFTER_S


def _until_s(text: str) -> float:
    moment = parsedate_to_datetime(text)
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return (aware - datetime.now(UTC)).total_seconds()
