"""Keeps secrets and callers' data out of telemetry: by the name of a field, by looks, by what an error quotes."""

import re
import traceback
from functools import lru_cache
from typing import Any

HIDDEN = "***"
_PLAIN = frozenset({int, float, bool, type(None)})

_WORDS = r"authorization|api[-_]?key|password|passwd|secret|token|cookie|credentials?|private[-_]?key"
# The word must end the name: `access_token` is a secret, `gen_ai.usage.input_tokens` is a number of tokens.
_SECRET_NAME = re.compile(rf"(?:^|[-_.])(?:{_WORDS})$", re.IGNORECASE)
_URL_PASSWORD = re.compile(r"(://[^\s:/@]*):[^\s@]+@")
_ASSIGNED = re.compile(
    rf"((?:{_WORDS})[\"']?\s*[=:]\s*)(?:(?:b?[\"'])?(?:bearer|basic)\s+)?(\"[^\"]*\"|'[^']*'|[^\s&,;\"')}}\]]+)",
    re.IGNORECASE,
)
_QUERY = re.compile(r"(\bhttps?://[^\s?\"']*)\?[^\s\"']*")
_BEARER = re.compile(r"\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE)


_CONTRACTED = r"'(?=(?:t|s|re|ll|ve|d)\b)"
_QUOTED = re.compile(rf"(?:\"|(?<![a-z]{{2}}){_CONTRACTED}|(?!{_CONTRACTED})').*(?:[\"']|$)")
"""From the first quote, which is not that of "can't", to the last; to the end of the line where it is the only one."""
_DEEPEST = 6
_MOST_OF_A_GROUP = 4


@lru_cache(maxsize=1024)
def is_secret_name(name: str) -> bool:
    """Tell whether a field of this name holds a secret."""
    return _SECRET_NAME.search(name) is not None


def hide_secrets(text: str) -> str:
    """Replace passwords in URLs, values of `token=`-like pairs and bearer credentials in `text`."""
    if "://" in text and "@" in text:
        text = _URL_PASSWORD.sub(rf"\1:{HIDDEN}@", text)
    if "=" in text or ":" in text:
        text = _ASSIGNED.sub(rf"\1{HIDDEN}", text)
    if " " in text:
        text = _BEARER.sub(rf"\1 {HIDDEN}", text)
    return text


def hide_queries(text: str) -> str:
    """Replace the query of every URL in `text`, which may hold a key under any name."""
    return _QUERY.sub(rf"\1?{HIDDEN}", text) if "?" in text else text


def tell_message(exception: BaseException) -> str:
    """The message of an exception without what it may say of data: secrets, what it quotes, and all but one line.

    The driver quotes the parameter that does not fit, Python the key that is missing: texts of callers, perhaps.
    """
    line = str(exception).partition("\n")[0]
    return _QUOTED.sub(HIDDEN, hide_secrets(line))


def tell_error(exception: BaseException) -> str:
    """The class of an exception, and its message as `tell_message` has it."""
    return f"{type(exception).__qualname__}: {tell_message(exception)}"


def tell_stack(exception: BaseException) -> str:
    """The stack of an exception and of those behind it, with messages as `tell_message` has them."""
    return _stack(exception, _DEEPEST)


def _stack(exception: BaseException, deepest: int) -> str:
    behind = exception.__cause__ or (None if exception.__suppress_context__ else exception.__context__)
    text = "" if behind is None or not deepest else _stack(behind, deepest - 1) + "\nwhich led to\n\n"
    frames = "".join(traceback.format_tb(exception.__traceback__))
    text += f"Traceback (most recent call last):\n{frames}{tell_error(exception)}\n"
    if isinstance(exception, BaseExceptionGroup) and deepest:
        inner = [_stack(one, deepest - 1) for one in exception.exceptions[:_MOST_OF_A_GROUP]]
        text += "".join(f"\nwith\n\n{one}" for one in inner)
    return text


def hide_in_fields(fields: dict[str, Any]) -> dict[str, Any]:
    """Hide secrets in `fields` itself, in nested mappings and lists too, and return it."""
    for name, value in fields.items():
        if is_secret_name(name):
            fields[name] = HIDDEN
        elif type(value) is str:
            # A value that holds none of the three cannot be a pair, a URL or a bearer credential.
            if "=" in value or ":" in value or " " in value:
                fields[name] = hide_secrets(value)
        elif type(value) not in _PLAIN:
            fields[name] = _hide_in_value(value)
    return fields


def _hide_in_value(value: Any) -> Any:
    if isinstance(value, dict):
        return hide_in_fields({str(name): inner for name, inner in value.items()})
    if isinstance(value, list | tuple | set | frozenset):
        return [_hide_in_value(inner) for inner in value]
    return value if type(value) in _PLAIN else hide_secrets(str(value))
