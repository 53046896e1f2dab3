"""Exchange rates: as they are kept, asked for and told."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from service.errors import FieldError, Invalid
from service.jobs.currencies import CURRENCIES
from service.jobs.fields import At, moment_errors


class Rate(msgspec.Struct, frozen=True):
    """What one unit of `base` is worth in `quote`, from a moment on, as a source told it."""

    base: str
    quote: str
    rate: float
    valid_at: datetime
    source: str

    @property
    def pair(self) -> str:
        """As people write it: `USD/KES`."""
        return f"{self.base}/{self.quote}"


class Refusal(msgspec.Struct, frozen=True):
    """Why a rate was not taken: a stable code, and what it was of."""

    code: str
    of: str


class RatesQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The parameters of the list of exchange rates."""

    base: Annotated[str, Meta(pattern=r"^[A-Z]{3}$", description="ISO 4217 code: one unit of it is worth so much.")] = (
        "USD"
    )
    at: Annotated[datetime, Meta(tz=True, description="The rates of this moment; unset: of now.")] | None = None

    def __post_init__(self) -> None:
        """Refuse currencies that there are not, and moments that no calendar has in UTC."""
        errors = moment_errors(self, "at")
        if self.base not in CURRENCIES:
            errors.append(FieldError("unknown_currency", f"{self.base} is not an ISO 4217 code", pointer="/base"))
        if errors:
            raise Invalid(errors)


class RateEntry(msgspec.Struct, frozen=True):
    """What one unit of the base is worth in a currency.

    `valid_at` is that of the oldest rate behind it. `derived`: not told so by a source, but the inverse of a rate that
    was, or got through other currencies.
    """

    currency: str
    rate: float
    valid_at: At
    source: str
    derived: bool


class RateList(msgspec.Struct, frozen=True):
    """Exchange rates of one currency at one moment, by currency; empty where none is known."""

    base: str
    at: At
    rates: list[RateEntry]
