"""What a filter on pay means: its band for a month, in every currency that it can be converted into."""

import math
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from service.errors import FieldError
from service.jobs.currencies import CURRENCIES
from service.jobs.fields import At, Period

if TYPE_CHECKING:
    from service.jobs.model import Filters

HOURS_A_WEEK, DAYS_A_WEEK, WEEKS_A_YEAR = 40, 5, 52
TIMES_A_YEAR: dict[Period, int] = {
    "hour": HOURS_A_WEEK * WEEKS_A_YEAR,
    "day": DAYS_A_WEEK * WEEKS_A_YEAR,
    "week": WEEKS_A_YEAR,
    "year": 1,
}
"""How often a period other than the month is paid for in a year."""


class Conversion(msgspec.Struct, frozen=True):
    """What one unit of a currency is worth in another, and when the rates behind that were valid."""

    rate: float
    oldest: datetime
    newest: datetime


Conversions = Callable[[str], Awaitable[Mapping[str, Conversion]]]
"""Gives, for one currency, its conversion into every other that is known."""


class PayNote(msgspec.Struct, frozen=True, kw_only=True):
    """How pay was compared: the filter's band for a month, and from when the exchange rates are.

    The dates are null where pay in other currencies was not compared. Hours and days a week are assumed of pay by the
    hour and by the day.
    """

    currency: str
    monthly_min: float | None
    monthly_max: float | None
    rates_from: At | None
    rates_to: At | None
    hours_per_week: int = HOURS_A_WEEK
    days_per_week: int = DAYS_A_WEEK


class PayBands(msgspec.Struct, frozen=True):
    """The filter as the statements take it: parallel arrays, one element a currency; None: no filter on pay."""

    currency: tuple[str, ...] | None = None
    low: tuple[float, ...] | None = None
    high: tuple[float, ...] | None = None
    unpriced: bool = False
    note: PayNote | None = None

    def parameters(self) -> dict[str, Any]:
        """The parameters of every statement that applies the filters."""
        return {
            "pay_currency": self.currency,
            "pay_low": self.low,
            "pay_high": self.high,
            "unpriced": self.unpriced,
        }

    def asked(self) -> tuple[object, ...]:
        """What was asked for, whatever the rates: equal filters are equal here. Empty without a filter."""
        note = self.note
        return () if note is None else (note.currency, note.monthly_min, note.monthly_max, self.unpriced)


NO_FILTER = PayBands()


async def no_conversions(_currency: str) -> Mapping[str, Conversion]:
    """Where no exchange rates are at hand, pay in its own currency can be compared all the same."""
    return {}


async def pay_bands(filters: "Filters", conversions: Conversions) -> PayBands:
    """The band of the filters in every currency; asks for exchange rates only where amounts are to be compared."""
    if filters.currency is None:
        return NO_FILTER
    period = filters.salary_period or "month"
    low, high = (None if end is None else monthly(end, period) for end in (filters.salary_min, filters.salary_max))
    own = {filters.currency: (-math.inf if low is None else low, math.inf if high is None else high)}
    known: Mapping[str, Conversion] = {}
    if low is None and high is None:
        # Pay in any other currency is known not to be in this one, whatever it is worth: a band that nothing is in.
        others = dict.fromkeys(sorted(CURRENCIES), (math.inf, -math.inf))
    else:
        known = await conversions(filters.currency)
        others = {code: _converted(own[filters.currency], conversion.rate) for code, conversion in known.items()}
    # The own currency first: most postings have it, and the statement looks from the front.
    bands = own | {code: band for code, band in others.items() if code != filters.currency}
    return PayBands(
        currency=tuple(bands),
        low=tuple(band[0] for band in bands.values()),
        high=tuple(band[1] for band in bands.values()),
        unpriced=filters.include_unpriced,
        note=PayNote(
            currency=filters.currency,
            monthly_min=low,
            monthly_max=high,
            rates_from=min((conversion.oldest for conversion in known.values()), default=None),
            rates_to=max((conversion.newest for conversion in known.values()), default=None),
        ),
    )


def monthly(amount: float, period: Period) -> float:
    """An amount for a month, to the last bit as the function `monthly_pay` of the database has it."""
    return amount if period == "month" else amount * TIMES_A_YEAR[period] / 12


def filter_errors(filters: "Filters") -> list[FieldError]:
    """What the types of a filter on pay cannot say: amounts have a currency and are in order, a period has amounts."""
    errors = []
    amounts = [amount for amount in (filters.salary_min, filters.salary_max) if amount is not None]
    if filters.currency is None and amounts:
        errors.append(FieldError("missing", "Amounts need a currency", pointer="/currency"))
    if filters.currency is not None and filters.currency not in CURRENCIES:
        detail = f"{filters.currency} is not an ISO 4217 code"
        errors.append(FieldError("unknown_currency", detail, pointer="/currency"))
    if filters.salary_period is not None and not amounts:
        detail = "A period needs salary_min or salary_max"
        errors.append(FieldError("missing_amount", detail, pointer="/salary_period"))
    if amounts != sorted(amounts):
        errors.append(FieldError("salary_out_of_order", "salary_min is above salary_max", pointer="/salary_min"))
    return errors


def _converted(band: tuple[float, float], rate: float) -> tuple[float, float]:
    return band[0] * rate, band[1] * rate
