"""The fields of a posting as types: what each may hold, in one place for input, change and document."""

from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from service.errors import FieldError

Title = Annotated[str, Meta(min_length=2, max_length=200, description="Job title.")]
Company = Annotated[str, Meta(min_length=1, max_length=200, description="Hiring company, as the board names it.")]
Source = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9][a-z0-9.-]{0,63}$",
        description="Board or partner the posting comes from; one of the accepted sources.",
    ),
]
ExternalId = Annotated[
    str,
    Meta(min_length=1, max_length=200, description="The source's own identifier; unique for a source within a tenant."),
]
Description = Annotated[
    str, Meta(max_length=100_000, description="Text or HTML; kept as given, embedded and searched as text.")
]
Location = Annotated[str, Meta(min_length=1, max_length=500, description="Place of work.")]
EmploymentType = Annotated[
    str, Meta(min_length=1, max_length=100, description="For example full_time, part_time, contract, internship.")
]
Amount = Annotated[float, Meta(ge=0, le=1e12)]
Currency = Annotated[
    str, Meta(pattern=r"^[A-Z]{3}$", description="ISO 4217 code. Pay without one is kept and counts as unpriced.")
]
Period = Annotated[Literal["hour", "day", "week", "month", "year"], Meta(title="SalaryPeriod")]
Url = Annotated[str, Meta(max_length=2000, pattern=r"^https?://[^\s/]+", description="Address of the posting.")]
Moment = Annotated[datetime, Meta(tz=True, description="RFC 3339 with an offset.")]
At = Annotated[datetime, Meta(tz=True)]
"""A moment in an answer; without the mark msgspec leaves the format out of the document."""


def moment_errors(struct: msgspec.Struct, *names: str) -> list[FieldError]:
    """Fields whose moment lies outside of the years 1 to 9999 once its offset is taken off."""
    return [
        FieldError("out_of_range", "Outside of the years 1 to 9999 in UTC", pointer=f"/{name}")
        for name in names
        if (moment := getattr(struct, name)) is not None and not _has_utc(moment)
    ]


def _has_utc(moment: datetime) -> bool:
    try:
        moment.astimezone(UTC)
    except OverflowError:
        return False
    return True
