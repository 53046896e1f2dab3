"""Keeps secrets out of everything that telemetry writes: by the name of a field, and by their look inside text."""

import re
from functools import lru_cache
from typing import Any

HIDDEN = "***"
_PLAIN = frozenset({int, float, bool, type(None)})

_WORDS = r"authorization|api[-_]?key|password|passwd|secret|token|cookie|credentials?|private[-_]?key"
# The word must end the name: `access_token` is a secret, `gen_ai.usage.input_tokens` is a number of tokens.
_SECRET_NAME = re.compile(rf"(?:^|[-_.])(?:{_WORDS})$", re.IGNORECASE)
_URL_PASSWORD = re.compile(r"(://[^\s:/@]*):[^\s/]+@")
_ASSIGNED = re.compile(
    rf"((?:{_WORDS})[\"']?\s*[=:]\s*)(?:(?:b?[\"'])?(?:bearer|basic)\s+)?(\"[^\"]*\"|'[^']*'|[^\s&,;\"')}}\]]+)",
    re.IGNORECASE,
)
_BEARER = re.compile(r"\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE)


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
