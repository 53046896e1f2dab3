"""Settings: every name, default and rule in one frozen struct; the only reader of the environment."""

import os
import sys
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

import msgspec
import platformdirs

from service import setting_parsers as parsers
from service.errors import SettingError
from service.setting_files import read_dotenv, read_secret

Environment = Literal["development", "staging", "production"]
EmbedderChoice = Literal["auto", "ollama", "local"]

PREFIX = "JOBSENSE_"
SECRETS = frozenset({"database_url", "jwt_secret", "ollama_headers", "store_url"})
_URLS = frozenset({"ollama_url", "rates_url"})
SOURCE_PATTERN = r"[a-z0-9][a-z0-9.-]{0,63}"


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
    search_deadline: float = 1.0
    max_concurrent_requests: int = 16
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

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """The same for Rich, to which a Struct would show its fields as they are."""
        return list(shown(self).items())


def shown(settings: Settings) -> dict[str, str]:
    """Every setting as text in its order, secrets hidden."""
    return {name: _show(name, getattr(settings, name)) for name in Settings.__struct_fields__}


def variable(name: str) -> str:
    """The environment variable of a field: `database_url` -> `JOBSENSE_DATABASE_URL`."""
    return PREFIX + name.upper()


def read(
    environ: Mapping[str, str] | None = None, *, dotenv: Path | None = Path(".env"), on_terminal: bool | None = None
) -> Settings:
    """Settings from a mapping (default: the process environment over `.env`).

    `on_terminal`: whether log lines go to a terminal; None: they go to standard error, as those of commands do.
    Raises SettingError that names the variable, the value given (secrets hidden) and what is allowed.
    """
    given: dict[str, str] = {}
    if environ is None and dotenv is not None and dotenv.is_file():
        given = _own_variables(read_dotenv(dotenv), where=f" in {dotenv}")
    given |= _own_variables(os.environ if environ is None else environ)
    values = {name: _parse(name, text) for name, text in given.items() if text.strip()}
    on_terminal = sys.stderr.isatty() if on_terminal is None else on_terminal
    defaults = _defaults(values) | {"log_format": "console" if on_terminal else "json"}
    settings = Settings(**(defaults | values))
    _check_together(settings, set(values))
    return settings


def _parse(name: str, text: str) -> Any:
    try:
        return _PARSERS[name](text)
    except parsers.NotAllowed as error:
        value = repr(parsers.without_credentials(text) if name in _URLS else text)
        value = "(hidden)" if name in SECRETS else value
        raise SettingError(f"{variable(name)}={value} is not valid; allowed: {error.allowed}") from None


def _own_variables(given: Mapping[str, str], where: str = "") -> dict[str, str]:
    """The texts of the settings by field; a secret's file is read here. An empty text is kept: it unsets `.env`'s."""
    raw: dict[str, str] = {}
    files: dict[str, str] = {}
    for name, text in given.items():
        if not name.startswith(PREFIX) or name.startswith(PREFIX + "TEST_"):
            continue
        field = name.removeprefix(PREFIX).lower()
        if field in _PARSERS:
            raw[field] = text
        elif field.removesuffix("_file") in SECRETS:
            files[field.removesuffix("_file")] = text
        else:
            raise SettingError(
                f"{name}{where} is not a setting{_nearest(field)}; `jobsense settings` lists all of them"
            )
    for field, path in files.items():
        if not path.strip():
            continue
        if raw.get(field, "").strip():
            raise SettingError(f"{variable(field)} and {variable(field)}_FILE are both set{where}; set one of them")
        raw[field] = read_secret(f"{variable(field)}_FILE", path.strip())
    return raw


def _nearest(field: str) -> str:
    near = get_close_matches(field, _PARSERS, n=1)
    return f" (did you mean {variable(near[0])}?)" if near else ""


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
    } | {f"rate_limit_{name}": None if developing else limit for name, limit in limits.items()}


def _data_dir() -> Path:
    """The user's data folder; for root a place that the database's own account can enter, which /root is not."""
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        return Path("/var/lib/jobsense")
    return Path(platformdirs.user_data_dir("jobsense"))


def _check_together(settings: Settings, given: set[str]) -> None:
    """What production needs, all of it at once."""
    if settings.environment != "production":
        return
    wrong = [f"{variable(name)} is not set" for name in _NEEDED_IN_PRODUCTION if name not in given]
    if settings.auth != "required":
        wrong.append("JOBSENSE_AUTH=open is not allowed (allowed: required)")
    if wrong:
        raise SettingError(f"JOBSENSE_ENVIRONMENT=production refuses to start: {'; '.join(wrong)}")


def _show(name: str, value: Any) -> str:
    if value is None or value == ():
        return "(unset)"
    if name in SECRETS:
        return "(hidden)"
    if name in _WRITERS:
        return _WRITERS[name](value)
    if isinstance(value, bool):
        return "on" if value else "off"
    return ",".join(value) if isinstance(value, tuple) else str(value)


_WRITERS: dict[str, Callable[[Any], str]] = {
    "ollama_url": parsers.without_credentials,
    "rates_url": parsers.without_credentials,
    "rates_interval": parsers.write_duration,
    "search_deadline": parsers.write_short_duration,
}


_NEEDED_IN_PRODUCTION = ("database_url", "jwt_secret", "allowed_hosts")
_ORIGIN = r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?"
_HOST = r"(\*\.)?[A-Za-z0-9._-]+(:[0-9]{1,5})?|\[[0-9a-fA-F:]+\](:[0-9]{1,5})?"
_PARSERS: dict[str, Callable[[str], Any]] = {
    "environment": parsers.one_of(Environment),
    "database_url": parsers.url("postgresql", "postgres"),
    "data_dir": parsers.folder,
    "migrate_on_start": parsers.switch,
    "embed_in_serve": parsers.switch,
    "embedder": parsers.one_of(EmbedderChoice),
    "ollama_url": parsers.url("http", "https"),
    "embedding_model": parsers.matching(r"[A-Za-z0-9._:/-]{1,200}", "a model name such as nomic-embed-text"),
    "ollama_headers": parsers.headers,
    "sources": parsers.items(SOURCE_PATTERN + r"|\*", f"`*`, or names like {SOURCE_PATTERN} separated by commas"),
    "search_deadline": parsers.short_duration_s,
    "max_concurrent_requests": parsers.whole(1, 1000),
    "host": parsers.matching(r"[A-Za-z0-9.:_-]+", "an address or a host name"),
    "port": parsers.whole(0, 65535),
    "workers": parsers.whole(1, 64),
    "store_url": parsers.url("valkey", "valkeys", "redis", "rediss"),
    "auth": parsers.one_of(Literal["open", "required"]),
    "jwt_secret": parsers.secret,
    "cors_origins": parsers.items(
        _ORIGIN, "exact origins such as https://app.example, separated by commas (never `*`)"
    ),
    "allowed_hosts": parsers.items(_HOST, "host names separated by commas (never a bare `*`)"),
    "trusted_proxies": parsers.networks,
    **{f"rate_limit_{name}": parsers.rate for name in ("search", "write", "read", "auth")},
    "rates_url": parsers.url("http", "https"),
    "rates_interval": parsers.duration_s,
    "log_format": parsers.one_of(Literal["console", "json"]),
    "log_level": parsers.one_of(Literal["debug", "info", "warning", "error"]),
}
