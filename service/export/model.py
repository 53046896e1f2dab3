"""What an export is: what can be asked for, the columns of the table, and what no cell of it may begin with."""

from typing import Literal

import msgspec

from service.jobs.filter_fields import Words
from service.jobs.model import Filters

Form = Literal["csv", "ndjson"]


class ExportQuery(Filters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The parameters of an export: those of the list, without its pages."""

    keyword: Words | None = None


class Cells(msgspec.Struct):
    """A posting as a row of the table: the columns of the CSV, in this order. Further ones come behind the last."""

    id: int
    title: str
    company: str
    source: str
    external_id: str | None
    description: str | None
    location: str | None
    remote: str | None
    employment_type: str | None
    salary_min: float | None
    salary_max: float | None
    currency: str | None
    salary_period: str | None
    url: str | None
    posted_at: str | None
    expires_at: str | None
    version: int
    created_at: str
    updated_at: str
    embedding_state: str
    embedding_reason: str | None
    embedding_generation: int | None
    embedding_coverage: float


_SIGNS = "2B 2D 3D 40 2010 2013-2014 207A 207C 208A 208C 2212 2A75-2A76 FB29 FE62-FE63 FE66 FE6B FF0B FF0D FF1D FF20"
_QUOTES = "22 27 60 AB B4 BB 2018-201F 2039-203A 2E02-2E05 2E09-2E0A 2E0C-2E0D 2E1C-2E1D 2E20-2E21 FF02 FF07 FF40"
_PASSED_OVER = (
    "1-20 7F-A0 AD 600-605 61C 6DD 70F 890-891 8E2 1680 180E 2000-200F 2028-202F 205F-206F 3000 FEFF FFF9-FFFB"
    " 110BD 110CD 13430-1343F 1BCA0-1BCA3 1D173-1D17A E0001 E0020-E007F"
)


def _between(ranges: str) -> str:
    """Write out the characters of ranges of hexadecimal code points."""
    ends = [part.partition("-") for part in ranges.split()]
    return "".join(chr(code) for low, _, high in ends for code in range(int(low, 16), int(high or low, 16) + 1))


OPENINGS = _between(f"{_SIGNS} {_QUOTES} {_PASSED_OVER}")
"""The characters that no cell begins with, since a program might take what follows for a formula.

These are `=`, `+`, `-` and `@` in all their forms, full-width ones too, and what such programs may pass over before
they look for one: quotes, white space, control and format characters. With the apostrophe among them, whoever takes
one apostrophe off every cell that begins with it has the text as it was stored.
"""
OPENING_CODES = tuple(map(ord, OPENINGS))
"""The same as code points, which PostgreSQL finds in a hash: 0.6 of the time that looking through text takes."""
