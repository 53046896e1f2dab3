"""The fields of a filter as types: what each may hold, and what it lets through."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from service.jobs.fields import Period

_FOLDED = "Compared after trimming and case folding."

_Source = Annotated[str, Meta(min_length=1, max_length=64)]
_Company = Annotated[str, Meta(min_length=1, max_length=200)]
_EmploymentType = Annotated[str, Meta(min_length=1, max_length=100)]
SomeSources = Annotated[tuple[_Source, ...], Meta(min_length=1, max_length=50)]
SomeCompanies = Annotated[tuple[_Company, ...], Meta(min_length=1, max_length=50, description=_FOLDED)]
SomeLocation = Annotated[str, Meta(min_length=1, max_length=500, description=_FOLDED)]
SomeEmploymentTypes = Annotated[tuple[_EmploymentType, ...], Meta(min_length=1, max_length=50)]
LeastPay = Annotated[
    float,
    Meta(ge=0, le=1e12, description="Pay reaches this amount of `currency` for each `salary_period`, once converted."),
]
MostPay = Annotated[
    float,
    Meta(ge=0, le=1e12, description="Pay begins at this amount of `currency` for each `salary_period`, or below."),
]
PayCurrency = Annotated[
    str,
    Meta(
        pattern=r"^[A-Z]{3}$",
        description="ISO 4217 code of the amounts, which need one; alone: pay is stated in this currency, with its "
        "period.",
    ),
]
PayPeriod = Annotated[Period, Meta(description="What the amounts are paid for; unset: a month.")]
WithUnpriced = Annotated[
    bool,
    Meta(
        description="Whether a filter on pay lets through postings whose pay cannot be compared: no amount, currency "
        "or period, or a currency whose exchange rate is not known."
    ),
]
FromMoment = Annotated[datetime, Meta(tz=True, description="At or after. A posting without a date does not pass.")]
BeforeMoment = Annotated[datetime, Meta(tz=True, description="Before. A posting without a date does not pass.")]
Words = Annotated[str, Meta(min_length=1, max_length=500, description='Words that must occur; "a phrase", or, -not.')]
Active = Annotated[bool, Meta(description="true: not expired; false: expired; unset: both.")]
