"""Read dates as boards write them, and refuse the ones whose meaning is not certain."""

import re
from calendar import monthrange
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from email.utils import parsedate_to_datetime
from typing import Literal

import msgspec

from service.ingest.model import DateOrder, UnreadableError

_MONTHS = {
    name: number
    for number, names in enumerate(
        ["january", "february", "march", "april", "may", "june", "july", "august", "september sept", "october",
         "november", "december"], start=1,
    )
    for full in names.split()
    for name in (full, full[:3])
}  # fmt: skip
_LABEL = re.compile(
    r"(?:date posted|posted|published|deadline|closing date|closes|closing|expires|expiry|valid until"
    r"|apply by|apply before)"
    r"(?: on)?\s*:?\s*",
    re.IGNORECASE,
)
_WEEKDAY = r"(?:(?:mon|tue|tues|wed|wednes|thu|thurs|fri|sat|satur|sun)(?:day)?\.?,?\s+)?"
_DAY_MONTH = re.compile(
    _WEEKDAY + r"(\d{1,2})(?:st|nd|rd|th)?[\s-]+(?:of\s+)?([a-z]{3,9})\.?(?:[\s,-]+(\d{4}|\d{2}))?", re.IGNORECASE
)
_MONTH_DAY = re.compile(_WEEKDAY + r"([a-z]{3,9})\.?\s+(\d{1,2})(?:st|nd|rd|th)?(?:[\s,]+(\d{4}))?", re.IGNORECASE)
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}.*)?")
_YEAR_FIRST = re.compile(r"(\d{4})[/.](\d{1,2})[/.](\d{1,2})")
_NUMBERS = re.compile(r"(\d{1,2})([/.-])(\d{1,2})\2(\d{4}|\d{2})")
_RFC_2822 = re.compile(r"[A-Z][a-z]{2}, \d{1,2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}.*")
_RELATIVE = re.compile(
    r"(?:(?P<word>just now|now|today|yesterday)|(?P<count>\d{1,3}|an?)"
    r"\+?\s*(?P<unit>minute|min|hour|day|week|month|year)s?"
    r"(?:\s+ago)?)",
    re.IGNORECASE,
)
_RANGE = re.compile(r".*\d.*\s(?:-|\u2013|to)\s.*\d{4}.*")
_UNIT_DAYS = {"minute": 0, "min": 0, "hour": 0, "day": 1, "week": 7}
_LONGEST = 60
_FIRST_YEAR = 1990
_YEARS_AHEAD = 20
_EPOCH_S = (10**9, 4 * 10**9)
_MS_FROM = 10**12


class DateContext(msgspec.Struct, frozen=True):
    """What helps to read a date.

    `role` decides the moment of a date without a time: a posting appears at the start of its day, and expires at its
    end (UTC both). `reference` is the day on which the rows were collected; without it "1 week" and "22 January" mean
    nothing certain. `order` is how the source writes 8/9/2023.
    """

    role: Literal["posted", "expires"]
    today: date
    reference: date | None = None
    order: DateOrder | None = None


def read_moment(value: object, context: DateContext) -> datetime:
    """Read a moment in UTC; raises UnreadableError with a code that starts with "date_"."""
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
    elif isinstance(value, date):
        moment = _at(value, context)
    elif isinstance(value, str):
        moment = _read_text(" ".join(value.split()), context)
    elif isinstance(value, int) and not isinstance(value, bool):
        moment = _from_epoch(value)
    else:
        raise UnreadableError("date_unreadable")
    if not _FIRST_YEAR <= moment.year <= context.today.year + _YEARS_AHEAD:
        raise UnreadableError("date_out_of_range")
    return moment.astimezone(UTC)


def _read_text(text: str, context: DateContext) -> datetime:
    """Try the forms one by one; each answers None where it is not its own."""
    if len(text) > _LONGEST:
        raise UnreadableError("date_unreadable")
    label = _LABEL.match(text)
    text = text[label.end() :] if label else text
    try:
        for form in _FORMS:
            found = form(text, context)
            if found is not None:
                return found if isinstance(found, datetime) else _at(found, context)
    except (ValueError, OverflowError) as fault:
        if isinstance(fault, UnreadableError):
            raise
        raise UnreadableError("date_unreadable") from None
    raise UnreadableError("date_range" if _RANGE.fullmatch(text) else "date_unreadable")


def _at(day: date, context: DateContext) -> datetime:
    """Place a date without a time in UTC: a deadline of 18 May holds through that day."""
    return datetime.combine(day, time(23, 59, 59) if context.role == "expires" else time(0), UTC)


def _from_epoch(number: int) -> datetime:
    seconds = number // 1000 if number >= _MS_FROM else number
    if not _EPOCH_S[0] <= seconds < _EPOCH_S[1]:
        raise UnreadableError("date_unreadable")
    return datetime.fromtimestamp(seconds, UTC)


def _iso(text: str, _: DateContext) -> datetime | date | None:
    if not _ISO.fullmatch(text):
        return None
    if len(text) == len("2025-01-01"):
        return date.fromisoformat(text)
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _rfc_2822(text: str, _: DateContext) -> datetime | None:
    if not _RFC_2822.fullmatch(text):
        return None
    moment = parsedate_to_datetime(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _year_first(text: str, _: DateContext) -> date | None:
    match = _YEAR_FIRST.fullmatch(text)
    return date(*map(int, match.groups())) if match else None


def _named_month(text: str, context: DateContext) -> date | None:
    match = _DAY_MONTH.fullmatch(text)
    if match:
        day, name, year = match.groups()
    else:
        match = _MONTH_DAY.fullmatch(text)
        if not match:
            return None
        name, day, year = match.groups()
    month = _MONTHS.get(name.lower())
    if month is None:
        return None
    if year is None:
        return _without_year(month, int(day), context)
    return date(_full_year(year), month, int(day))


def _without_year(month: int, day: int, context: DateContext) -> date:
    """Take the nearest such day not after the reference for a posting, not before it for a deadline."""
    if context.reference is None:
        raise UnreadableError("date_without_year")
    found = date(context.reference.year, month, day)
    if context.role == "posted" and found > context.reference:
        return found.replace(year=found.year - 1)
    if context.role == "expires" and found < context.reference:
        return found.replace(year=found.year + 1)
    return found


def _full_year(digits: str) -> int:
    return int(digits) + (2000 if len(digits) == len("24") else 0)


def _numbers(text: str, context: DateContext) -> date | None:
    """Read 8/18/2023 and 18.8.2023; where both orders make a date, only a hint or the calendar decides."""
    match = _NUMBERS.fullmatch(text)
    if not match:
        return None
    first, separator, second, year_text = match.groups()
    first, second, year = int(first), int(second), _full_year(year_text)
    order = "dmy" if separator == "." else context.order
    readings: list[date] = []
    for month, day, name in ((first, second, "mdy"), (second, first, "dmy")):
        try:
            found = date(year, month, day)
        except ValueError:
            continue
        if order == name:
            return found
        readings.append(found)
    if context.role == "posted" and len(set(readings)) > 1:
        readings = [found for found in readings if found <= context.today + timedelta(days=1)]
    if len(set(readings)) > 1:
        raise UnreadableError("date_ambiguous")
    if not readings:
        raise UnreadableError("date_unreadable")
    return readings[0]


def _relative(text: str, context: DateContext) -> date | None:
    match = _RELATIVE.fullmatch(text)
    if not match:
        return None
    if context.reference is None or context.role == "expires":
        raise UnreadableError("date_relative")
    word, count, unit = match.group("word"), match.group("count"), (match.group("unit") or "").lower()
    if word:
        return context.reference - timedelta(days=1 if word.lower() == "yesterday" else 0)
    number = int(count) if count.isdigit() else 1
    if unit in _UNIT_DAYS:
        return context.reference - timedelta(days=number * _UNIT_DAYS[unit])
    months = context.reference.year * 12 + context.reference.month - 1 - number * (12 if unit == "year" else 1)
    year, month = months // 12, months % 12 + 1
    return date(year, month, min(context.reference.day, monthrange(year, month)[1]))


_FORMS: tuple[Callable[[str, DateContext], datetime | date | None], ...] = (
    _iso, _rfc_2822, _named_month, _numbers, _year_first, _relative,
)  # fmt: skip
