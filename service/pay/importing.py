"""Reads exchange rates from CSV with a header: `date,base,quote,rate` or `date,pair,rate`, in any order."""

import csv
import re
from collections.abc import Iterable, Iterator
from datetime import datetime

import msgspec

from service.errors import OperatorError
from service.pay.checks import fault_of, read_moment, read_pair
from service.pay.model import Rate

_NUMBER = re.compile(r"\d{1,15}(\.\d{1,15})?([eE][+-]?\d{1,3})?")
_REASONS = {
    "unknown_currency": "a currency is not an ISO 4217 code",
    "same_currency": "both currencies are the same",
    "not_a_rate": "the rate is not a number that a rate can be",
    "date_to_come": "the date is still to come",
}


class BadRow(msgspec.Struct, frozen=True):
    """A row that is skipped: where it is, and why."""

    line: int
    reason: str


def read_csv(lines: Iterable[str], source: str, now: datetime) -> Iterator[Rate | BadRow]:
    """Each row as a rate or as what is wrong with it; raises OperatorError where the header does not fit."""
    rows = _rows(lines)
    _, header = next(rows, (0, []))
    names = [name.strip().lower() for name in header]
    if not ({"date", "rate"} <= set(names) and ("pair" in names or {"base", "quote"} <= set(names))):
        raise OperatorError("the first line has to name the columns: date,base,quote,rate or date,pair,rate")
    for line, cells in rows:
        found = _read_row(dict(zip(names, cells, strict=False)), source, now)
        yield found if isinstance(found, Rate) else BadRow(line, found)


def _rows(lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    """The rows that hold anything, each with the number of its (last) line."""
    rows = csv.reader(lines, skipinitialspace=True)
    try:
        for cells in rows:
            if any(cell.strip() for cell in cells):
                yield rows.line_num, cells
    except csv.Error as error:
        raise OperatorError(f"line {rows.line_num} is not CSV: {error}") from None


def _read_row(row: dict[str, str], source: str, now: datetime) -> Rate | str:
    """One rate, or why the row is none."""
    pair = read_pair(row.get("pair") or f"{row.get('base', '').strip()}/{row.get('quote', '').strip()}")
    moment, number = read_moment(row.get("date", "")), row.get("rate", "").strip()
    if moment is None:
        return "the date cannot be read; write 2026-01-31, or a moment such as 2026-01-31T12:00:00Z"
    if pair is None:
        return "the currencies cannot be read; write codes such as USD and KES, or a pair such as USD/KES"
    rate = Rate(*pair, float(number) if _NUMBER.fullmatch(number) else 0.0, moment, source)
    fault = fault_of(rate, now)
    return rate if fault is None else _REASONS[fault]
