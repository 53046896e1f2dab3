"""Bring single values to text: repair broken encoding, tidy one-line texts, and know the marks of "no value"."""

import math
import re
from decimal import Decimal

from ftfy import TextFixerConfig, fix_encoding

from service.ingest.model import UnreadableError
from service.plaintext import to_plain_text

# Only repairs that lose nothing: lossy ones put U+FFFD where they guess.
_CERTAIN_REPAIRS = TextFixerConfig(replace_lossy_sequences=False, explain=False)

_NO_NAMES = "-1|-1.0|n/a|#n/a|nan|null|-|--|---|\u2013|\u2014|?|."
_NO_VALUES = (
    "na|n.a.|none|nil|nat|not specified|not available|not provided|not stated|not applicable|not given|not disclosed|"
    "undisclosed|unspecified|unknown|confidential|tbd|tba"
)
# "None", "NA", "Confidential" or "Unknown" can be what a board shows as the name of an employer.
_ABSENT_NAME = frozenset(_NO_NAMES.split("|"))
_ABSENT = _ABSENT_NAME | frozenset(_NO_VALUES.split("|"))
_TO_REMOVE_FROM_RAW = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def is_absent(text: str) -> bool:
    """Whether an optional value says that there is none."""
    return not text or text.casefold() in _ABSENT


def is_absent_name(text: str) -> bool:
    """Whether a title or company says that there is none, stricter than `is_absent`."""
    return not text or text.casefold() in _ABSENT_NAME


def read_text(value: object) -> str:
    """Turn a scalar, or a list of scalars, into text; raises UnreadableError for anything nested deeper."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.15g}"
    if isinstance(value, int | Decimal):
        return str(value)
    if isinstance(value, list | tuple) and all(isinstance(part, str | int | float | Decimal) for part in value):
        return ", ".join(part for part in map(read_text, value) if part)
    raise UnreadableError("not_text")


def repair_encoding(text: str) -> str:
    """Undo UTF-8 that was read as a one-byte encoding, where the result proves the repair; else hand `text` back."""
    return text if text.isascii() else fix_encoding(text, _CERTAIN_REPAIRS)


def read_line(value: object) -> str:
    """Read a one-line text: encoding repaired, tags and entities resolved, white space in single file."""
    text = read_text(value)
    if not text:
        return text
    return " ".join(to_plain_text(repair_encoding(text)).split())


def read_raw(value: object) -> str:
    """Read a long text that is kept as written (HTML and all), but for broken encoding and what a database refuses."""
    if isinstance(value, list | tuple):
        value = "\n".join(read_text(part) for part in value)
    return _TO_REMOVE_FROM_RAW.sub("", repair_encoding(read_text(value))).strip()
