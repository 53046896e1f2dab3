"""What a rate has to be before it is kept, wherever it comes from."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from service.jobs.currencies import CURRENCIES
from service.pay.model import Rate, Refusal
from service.pay.rates import Rates

LEAST, MOST = 1e-9, 1e9
"""Between these lies every rate between two currencies in use, by far."""
MOST_JUMP = 10.0
"""A rate that changes by more than this factor is a mistake of the feed more often than a truth."""
AHEAD = timedelta(days=1)
"""Rates are published in the evening for the day after; later ones are a slip in the date."""

_PAIR = re.compile(r"([A-Z]{3})/?([A-Z]{3})")


def read_pair(text: str) -> tuple[str, str] | None:
    """The two codes of `USD/KES` or `USDKES`."""
    found = _PAIR.fullmatch(text.strip().upper())
    return None if found is None else (found[1], found[2])


def read_moment(text: str) -> datetime | None:
    """A day (its begin in UTC) or a moment (without an offset: in UTC), as ISO 8601 has them."""
    try:
        moment = datetime.fromisoformat(text.strip())
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def fault_of(rate: Rate, now: datetime) -> str | None:
    """Why a rate cannot be one; None where it can."""
    if rate.base not in CURRENCIES or rate.quote not in CURRENCIES:
        return "unknown_currency"
    if rate.base == rate.quote:
        return "same_currency"
    if not LEAST <= rate.rate <= MOST:
        return "not_a_rate"
    return "date_to_come" if rate.valid_at > now + AHEAD else None


def sift(told: Iterable[Rate], known: Rates, now: datetime) -> tuple[list[Rate], list[Refusal]]:
    """Rates that can be kept, and why the others cannot: also those that jump against the last rate of their pair."""
    kept, refused = [], []
    for one in told:
        before = known.between(one.base, one.quote)
        fault = fault_of(one, now)
        if fault is None and before is not None and not before / MOST_JUMP <= one.rate <= before * MOST_JUMP:
            fault = "jump"
        if fault is None:
            kept.append(one)
        else:
            refused.append(Refusal(fault, one.pair))
    return kept, refused
