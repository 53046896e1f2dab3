"""Reads the text of one setting: each parser gives the value, or raises NotAllowed with what would be."""

import re
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

_DURATION = re.compile(r"([1-9][0-9]{0,5})\s*(s|m|h|d)")
_SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]*")
_LEAST_SHORT_S, _MOST_SHORT_S = 0.05, 60.0
_SECRET_BYTES = 32
RATE_PATTERN = r"[1-9][0-9]{0,8}/(second|minute|hour|day)"
"""So many requests in a unit of time."""


class NotAllowed(ValueError):
    """The text is no value of this setting; `allowed` says what is, for people."""

    def __init__(self, allowed: str) -> None:
        super().__init__(allowed)
        self.allowed = allowed


def one_of(kind: Any) -> Callable[[str], str]:
    """One of the words of a Literal."""

    def parse(text: str) -> str:
        if text.strip() not in get_args(kind):
            raise NotAllowed(", ".join(get_args(kind)))
        return text.strip()

    return parse


def whole(low: int, high: int) -> Callable[[str], int]:
    """A whole number between two bounds, both included."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,10}", text.strip()) or not low <= int(text) <= high:
            raise NotAllowed(f"a whole number from {low} to {high}")
        return int(text)

    return parse


def switch(text: str) -> bool:
    """On or off."""
    word = text.strip().lower()
    if word in {"1", "true", "yes", "on"}:
        return True
    if word in {"0", "false", "no", "off"}:
        return False
    raise NotAllowed("on or off (also true, false, yes, no, 1, 0)")


def items(pattern: str, allowed: str) -> Callable[[str], tuple[str, ...]]:
    """Texts separated by commas, all of which match the pattern; one at least."""

    def parse(text: str) -> tuple[str, ...]:
        found = tuple(item.strip() for item in text.split(",") if item.strip())
        if not found or not all(re.fullmatch(pattern, item) for item in found):
            raise NotAllowed(allowed)
        return found

    return parse


def networks(text: str) -> tuple[str, ...]:
    """Addresses and networks, separated by commas."""
    found = tuple(item.strip() for item in text.split(",") if item.strip())
    try:
        for item in found:
            ip_network(item)
    except ValueError:
        found = ()
    if not found:
        raise NotAllowed("addresses or networks such as 10.0.0.0/8 or fd00::/8, separated by commas")
    return found


def rate(text: str) -> str | None:
    """So many requests in a unit of time, or no limit at all."""
    if text.strip() == "none":
        return None
    if not re.fullmatch(RATE_PATTERN, text.strip()):
        raise NotAllowed("a count for each second, minute, hour or day, such as 600/minute, or none")
    return text.strip()


def url(*schemes: str) -> Callable[[str], str]:
    """An address of one of the schemes, with a host (a database may be named by its socket's folder instead)."""

    def parse(text: str) -> str:
        try:
            parts = urlsplit(text.strip())
            good = parts.scheme in schemes and (parts.hostname or parts.scheme.startswith("postgres"))
            _ = parts.port
        except ValueError:
            good = False
        if not good or re.search(r"\s", text.strip()):
            raise NotAllowed("a URL that starts with " + " or ".join(f"{scheme}://" for scheme in schemes))
        return text.strip()

    return parse


def matching(pattern: str, allowed: str) -> Callable[[str], str]:
    """A text that matches the pattern."""

    def parse(text: str) -> str:
        if not re.fullmatch(pattern, text.strip()):
            raise NotAllowed(allowed)
        return text.strip()

    return parse


def duration_s(text: str) -> int:
    """A length of time, in seconds."""
    found = _DURATION.fullmatch(text.strip())
    if not found:
        raise NotAllowed("a whole number with a unit, such as 90s, 30m, 24h or 7d")
    return int(found[1]) * _SECONDS[found[2]]


def short_duration_s(text: str) -> float:
    """A short length of time, in seconds."""
    found = re.fullmatch(r"([0-9]{1,6})(ms|s)", text.strip())
    seconds = int(found[1]) / (1000 if found[2] == "ms" else 1) if found else 0.0
    if not _LEAST_SHORT_S <= seconds <= _MOST_SHORT_S:
        raise NotAllowed("a time from 50ms to 60s, such as 800ms or 2s")
    return seconds


def headers(text: str) -> tuple[tuple[str, str], ...]:
    """HTTP header fields, `Name: value`, separated by `;` or line breaks."""
    pairs = [line.partition(":") for line in re.split(r"[\r\n;]", text) if line.strip()]
    found = tuple((name.strip(), value.strip()) for name, _, value in pairs)
    if not all(separator for _, separator, _ in pairs) or not all(
        _HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value) for name, value in found
    ):
        raise NotAllowed("`Name: value`, several separated by `;`")
    return found


def secret(text: str) -> str:
    """A secret that is long enough to sign with."""
    if len(text.encode("utf-8", "surrogateescape")) < _SECRET_BYTES:
        raise NotAllowed(f"{_SECRET_BYTES} bytes or more")
    return text


def folder(text: str) -> Path:
    """A folder, made absolute; `~` is the home folder."""
    try:
        return Path(text.strip()).expanduser().absolute()
    except RuntimeError:
        raise NotAllowed("a folder; the home folder of that user is not known") from None


def write_duration(seconds: int) -> str:
    """A length of time as one would set it: 86400 -> 24h, 90 -> 90s."""
    unit = next(unit for unit in ("h", "m", "s") if seconds % _SECONDS[unit] == 0)
    return f"{seconds // _SECONDS[unit]}{unit}"


def write_short_duration(seconds: float) -> str:
    """A short length of time as one would set it: 1.0 -> 1s, 0.8 -> 800ms."""
    return f"{round(seconds * 1000)}ms" if seconds % 1 else f"{seconds:.0f}s"


def without_credentials(address: str) -> str:
    """A URL as it may be shown: user, password and query hidden."""
    shown = re.sub(r"//[^/?#]*@", "//(hidden)@", address, count=1)
    return re.sub(r"\?.*", "?(hidden)", shown, count=1, flags=re.DOTALL)
