"""What passes between reading, mapping and cleaning: a source row, a cleaned posting, its warnings and refusals."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Literal, TypedDict

import msgspec

TITLE_CHARS = (2, 200)
COMPANY_CHARS = (1, 200)
EXTERNAL_ID_CHARS = (1, 200)
DESCRIPTION_CHARS = (1, 100_000)
LOCATION_CHARS = (1, 500)
EMPLOYMENT_TYPE_CHARS = (1, 100)
URL_CHARS = (1, 2_000)
LARGEST_SALARY = Decimal(10) ** 12

Field = Literal[
    "title",
    "company",
    "source",
    "external_id",
    "description",
    "location",
    "remote",
    "employment_type",
    "salary_min",
    "salary_max",
    "currency",
    "salary_period",
    "url",
    "posted_at",
    "expires_at",
]
Period = Literal["hour", "day", "week", "month", "year"]
DateOrder = Literal["mdy", "dmy"]


class Posting(TypedDict, total=False):
    """The fields of a posting as the API names them; a field without a value is not there. Moments are in UTC."""

    title: str
    company: str
    source: str
    external_id: str
    description: str
    location: str
    remote: bool
    employment_type: str
    salary_min: Decimal
    salary_max: Decimal
    currency: str
    salary_period: Period
    url: str
    posted_at: datetime
    expires_at: datetime


class SourceRow(msgspec.Struct, frozen=True):
    """One row of an input file.

    `line` counts from 1: the line on which the row starts (JSONL, CSV) or the element of the array (JSON).
    `position` is how many bytes of the file, compressed as it is, were consumed when the row was read. A row that could
    not be read has an `error`, a sentence for people, and no values; with `rest_lost` nothing after it could be read.
    """

    line: int
    values: Mapping[str, object]
    position: int
    error: str | None = None
    rest_lost: bool = False


class RowWarning(msgspec.Struct, frozen=True):
    """A value that was dropped or changed in a way that loses something; `raw` is the value as it was given."""

    field: str
    code: str
    raw: str


class Refusal(msgspec.Struct, frozen=True):
    """Why a row is no posting: the field, a stable code, and a sentence for people."""

    field: str
    code: str
    detail: str


class Cleaned(msgspec.Struct, frozen=True):
    """What cleaning made of a row; after any refusal `posting` holds what could be read, and must not be stored."""

    posting: Posting
    warnings: list[RowWarning]
    refusals: list[Refusal]


class UnreadableError(ValueError):
    """A value is there and its meaning is not certain; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code
