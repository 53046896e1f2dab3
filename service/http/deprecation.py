"""Tells callers that they use something old: `Deprecation` (RFC 9745), `Sunset` (RFC 8594), and the flag in OpenAPI.

What a handler says: `opt=deprecates(Deprecation(header="X-Old", since=..., sunset=..., instead="New"))`, for a header,
a query parameter, or, with neither, for the whole operation. Answers to requests that use it then carry the headers,
refusals too, and every use is counted and named in the access line. The policy is in README.md, "Versions".
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time
from email.utils import format_datetime
from typing import Any

import msgspec

from service.telemetry.stages import annotate, answer_header, count


class Deprecation(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that callers should leave: since when, until when it is served at least, and what takes its place."""

    since: date
    sunset: date
    instead: str
    header: str | None = None
    parameter: str | None = None

    def __post_init__(self) -> None:
        """Refuse an end before the beginning (RFC 9745, section 4)."""
        if self.sunset < self.since:
            raise ValueError("the sunset is before the deprecation")

    @property
    def name(self) -> str:
        """The header or parameter; empty for the whole operation."""
        return self.header or self.parameter or ""

    @property
    def sentence(self) -> str:
        """What the OpenAPI document says of it."""
        return f"Deprecated since {self.since}, served until {self.sunset} at least; use {self.instead} instead."


def deprecates(*old: Deprecation) -> dict[str, Any]:
    """Declare for a handler's `opt` what of it is deprecated."""
    return {"deprecated": old}


def note_deprecated(scope: Mapping[str, Any], operation: str, declared: Iterable[Deprecation]) -> None:
    """Put the headers on the answer, and count the use, if the request uses something that its operation deprecates."""
    used = [old for old in declared if _uses(scope, old)]
    if not used:
        return
    for old in used:
        count("jobsense_deprecated_total", operation, old.name)
    annotate(jobsense_deprecated=",".join(old.name or operation for old in used))
    since, sunset = min(old.since for old in used), min(old.sunset for old in used)
    answer_header("deprecation", f"@{int(datetime.combine(since, time(), UTC).timestamp())}")
    answer_header("sunset", format_datetime(datetime.combine(sunset, time(), UTC), usegmt=True))


def _uses(scope: Mapping[str, Any], old: Deprecation) -> bool:
    if old.header is not None:
        wanted = old.header.lower().encode()
        return any(name == wanted for name, _ in scope["headers"])
    if old.parameter is None:
        return True
    # The names alone: whether the values can be read is for others to say.
    names = (pair.partition(b"=")[0] for pair in scope["query_string"].split(b"&"))
    return old.parameter.encode() in names
