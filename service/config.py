"""Settings: every name, default and rule in one frozen struct; the only reader of the environment."""

import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

import msgspec
import platformdirs

from service.errors import SettingError

Environment = Literal["development", "staging", "production"]
EmbedderChoice = Literal["auto", "ollama", "local"]

PREFIX = "JOBSENSE_"
SECRETS = frozenset({"database_url", "jwt_secret", "ollama_headers", "store_url"})
SOURCE_PATTERN = r"[a-z0-9][a-z0-9.-]{0,63}"
_RATE = re.compile(r"[1-9][0-9]{0,8}/(second|minute|hour|day)")
_DURATION = re.compile(r"([1-9][0-9]{0,5})(s|m|h|d)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Every setting with its default; the environment spells a field `JOBSENSE_<NAME>`.

    Fields that are None by default and not optional in meaning (`auth`, `migrate_on_start`, ...) are filled by `read`.
    """

    environment: Environment = "development"
    database_url: str | None = None
    data_dir: Path = Path()
    migrate_on_start: bool = True
    embed_in_serve: bool = True
    embedder: EmbedderChoice = "auto"
    ollama_url: str = "http://127.0.0.1:11434"
    embedding_model: str = "nomic-embed-text"
    ollama_headers: tuple[tuple[str, str], ...] = ()
    sources: tuple[str, ...] = ("brightermonday", "linkedin", "jobwebkenya")
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    store_url: str | None = None
    auth: Literal["open", "required"] = "open"
    jwt_secret: str | None = None
    cors_origins: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    rate_limit_search: str | None = None
    rate_limit_write: str | None = None
    rate_limit_read: str | None = None
    rate_limit_auth: str | None = None
    rates_url: str | None = None
    rates_interval: int = 86400
    log_format: Literal["console", "json"] = "json"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    def accepts_source(self, source: str) -> bool:
        """Whether postings of this (well-formed) source are taken."""
        return "*" in self.sources or source in self.sources

    def __repr__(self) -> str:
        """Like a struct's, with secrets hidden."""
        return f"Settings({', '.join(f'{name}={value}' for name, value in shown(self).items())})"


def shown(settings: Settings) -> dict[str, str]:
    """Every setting as text in its order, secrets hidden."""
    return {name: _show(name, getattr(settings, name)) for name in Settings.__struct_fields__}


def variable(name: str) -> str:
    """The environment variable of a field: `database_url` -> `JOBSENSE_DATABASE_URL`."""
    return PREFIX + name.upper()


def read(environ: Mapping[str, str] | None = None, *, dotenv: Path | None = Path(".env")) -> Settings:
    """Settings from a mapping (default: the process environment over `.env`).

    Raises SettingError that names the variable, the value given (secrets hidden) and what is allowed.
    """
    given = dict(os.environ if environ is None else environ)
    if environ is None and dotenv is not None and dotenv.is_file():
        given = _read_dotenv(dotenv) | given
    raw = _own_variables(given)
    values: dict[str, Any] = {name: _PARSERS[name](text) for name, text in raw.items()}
    settings = Settings(**(_defaults(values) | values))
    _check_together(settings, set(values))
    return settings


def _read_dotenv(path: Path) -> dict[str, str]:
    found = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        text = line.strip().removeprefix("export ")
        if not text or text.startswith("#"):
            continue
        name, separator, value = text.partition("=")
        if not separator:
            raise SettingError(f"{path}, line {number}: expected NAME=value")
        value = value.strip()
        quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
        found[name.strip()] = value[1:-1] if quoted else value
    return found


def _own_variables(given: Mapping[str, str]) -> dict[str, str]:
    raw: dict[str, str] = {}
    for name, text in given.items():
        if not name.startswith(PREFIX) or name.startswith(PREFIX + "TEST_"):
            continue
        field = name.removeprefix(PREFIX).lower()
        if field in _PARSERS:
            raw[field] = text
        elif field.endswith("_file") and field.removesuffix("_file") in _PARSERS:
            raw.setdefault(field.removesuffix("_file"), _read_secret(name, text))
        else:
            raise SettingError(f"{name} is not a setting; `jobsense settings` lists all of them")
    return {field: text for field, text in raw.items() if text.strip()}


def _read_secret(name: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"{name}={path}: the file cannot be read ({type(error).__name__})") from None


def _defaults(values: Mapping[str, Any]) -> dict[str, Any]:
    """Defaults that depend on other settings or on the machine."""
    embedded = not values.get("database_url")
    developing = values.get("environment", "development") == "development"
    limits: dict[str, str | None] = {
        "search": "600/minute",
        "write": "600/minute",
        "read": "1200/minute",
        "auth": "10/minute",
    }
    return {
        "data_dir": _data_dir(),
        "migrate_on_start": embedded,
        "embed_in_serve": embedded,
        "auth": "open" if developing else "required",
        "log_format": "console" if sys.stderr.isatty() else "json",
    } | {f"rate_limit_{name}": None if developing else limit for name, limit in limits.items()}


def _data_dir() -> Path:
    """The user's data folder; for root a place that the database's own account can enter, which /root is not."""
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        return Path("/var/lib/jobsense")
    return Path(platformdirs.user_data_dir("jobsense"))


def _check_together(settings: Settings, given: set[str]) -> None:
    if settings.environment == "production":
        for name in ("database_url", "jwt_secret", "allowed_hosts"):
            if name not in given:
                raise SettingError(f"{variable(name)} is not set; JOBSENSE_ENVIRONMENT=production needs it")
        if settings.auth != "required":
            raise SettingError("JOBSENSE_AUTH=open is not allowed; JOBSENSE_ENVIRONMENT=production needs `required`")


def _wrong(name: str, text: str, allowed: str) -> SettingError:
    value = "(hidden)" if name in SECRETS else repr(text)
    return SettingError(f"{variable(name)}={value} is not valid; allowed: {allowed}")


def _one_of(name: str, kind: Any) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in get_args(kind):
            raise _wrong(name, text, ", ".join(get_args(kind)))
        return text

    return parse


def _whole(name: str, low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,10}", text.strip()) or not low <= int(text) <= high:
            raise _wrong(name, text, f"a whole number from {low} to {high}")
        return int(text)

    return parse


def _switch(name: str) -> Callable[[str], bool]:
    def parse(text: str) -> bool:
        word = text.strip().lower()
        if word in {"1", "true", "yes", "on"}:
            return True
        if word in {"0", "false", "no", "off"}:
            return False
        raise _wrong(name, text, "on or off (also true, false, yes, no, 1, 0)")

    return parse


def _items(name: str, pattern: str, allowed: str) -> Callable[[str], tuple[str, ...]]:
    def parse(text: str) -> tuple[str, ...]:
        items = tuple(item.strip() for item in text.split(",") if item.strip())
        if not items or not all(re.fullmatch(pattern, item) for item in items):
            raise _wrong(name, text, allowed)
        return items

    return parse


def _url(name: str, *schemes: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        try:
            parts = urlsplit(text.strip())
            good = parts.scheme in schemes and (parts.hostname or parts.scheme.startswith("postgres"))
            _ = parts.port
        except ValueError:
            good = False
        if not good:
            raise _wrong(name, text, "a URL that starts with " + " or ".join(f"{scheme}://" for scheme in schemes))
        return text.strip()

    return parse


def _matching(name: str, pattern: re.Pattern[str], allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not pattern.fullmatch(text.strip()):
            raise _wrong(name, text, allowed)
        return text.strip()

    return parse


def _duration_s(name: str) -> Callable[[str], int]:
    def parse(text: str) -> int:
        found = _DURATION.fullmatch(text.strip())
        if not found:
            raise _wrong(name, text, "a whole number with a unit, such as 90s, 30m, 24h or 7d")
        return int(found[1]) * _SECONDS[found[2]]

    return parse


def _headers(name: str) -> Callable[[str], tuple[tuple[str, str], ...]]:
    def parse(text: str) -> tuple[tuple[str, str], ...]:
        pairs = [line.partition(":") for line in re.split(r"[\n;]", text) if line.strip()]
        if not all(separator and re.fullmatch(r"[A-Za-z0-9-]+", key.strip()) for key, separator, _ in pairs):
            raise _wrong(name, text, "`Name: value`, several separated by `;`")
        return tuple((key.strip(), value.strip()) for key, _, value in pairs)

    return parse


def _secret(name: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if len(text.encode()) < 32:  # noqa: PLR2004 - the contract's own figure, used once
            raise _wrong(name, text, "32 bytes or more")
        return text

    return parse


def _show(name: str, value: Any) -> str:
    if value is None or value == ():
        return "(unset)"
    if name in SECRETS:
        return "(hidden)"
    if isinstance(value, bool):
        return "on" if value else "off"
    return ",".join(value) if isinstance(value, tuple) else str(value)


_ORIGIN = r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?"
_HOST = r"(\*\.)?[A-Za-z0-9._-]+(:[0-9]{1,5})?|\[[0-9a-fA-F:]+\](:[0-9]{1,5})?"
_PARSERS: dict[str, Callable[[str], Any]] = {
    "environment": _one_of("environment", Environment),
    "database_url": _url("database_url", "postgresql", "postgres"),
    "data_dir": lambda text: Path(text).expanduser().absolute(),
    "migrate_on_start": _switch("migrate_on_start"),
    "embed_in_serve": _switch("embed_in_serve"),
    "embedder": _one_of("embedder", EmbedderChoice),
    "ollama_url": _url("ollama_url", "http", "https"),
    "embedding_model": _matching(
        "embedding_model", re.compile(r"[A-Za-z0-9._:/-]{1,200}"), "a model name such as nomic-embed-text"
    ),
    "ollama_headers": _headers("ollama_headers"),
    "sources": _items("sources", SOURCE_PATTERN + r"|\*", f"`*`, or names like {SOURCE_PATTERN} separated by commas"),
    "host": _matching("host", re.compile(r"[A-Za-z0-9.:_-]+"), "an address or a host name"),
    "port": _whole("port", 0, 65535),
    "workers": _whole("workers", 1, 64),
    "store_url": _url("store_url", "valkey", "valkeys", "redis", "rediss"),
    "auth": _one_of("auth", Literal["open", "required"]),
    "jwt_secret": _secret("jwt_secret"),
    "cors_origins": _items(
        "cors_origins", _ORIGIN, "exact origins such as https://app.example, separated by commas (never `*`)"
    ),
    "allowed_hosts": _items("allowed_hosts", _HOST, "host names separated by commas"),
    "trusted_proxies": _items(
        "trusted_proxies", r"[0-9a-fA-F.:]+(/[0-9]{1,3})?", "addresses or networks separated by commas"
    ),
    **{
        f"rate_limit_{name}": _matching(
            f"rate_limit_{name}", _RATE, "a count for each second, minute, hour or day, such as 600/minute"
        )
        for name in ("search", "write", "read", "auth")
    },
    "rates_url": _url("rates_url", "http", "https"),
    "rates_interval": _duration_s("rates_interval"),
    "log_format": _one_of("log_format", Literal["console", "json"]),
    "log_level": _one_of("log_level", Literal["debug", "info", "warning", "error"]),
}
