"""Settings: what each may hold, what a wrong one says, where they come from, and that secrets stay hidden."""

import os
from pathlib import Path

import pytest
from rich.pretty import pretty_repr

from service.config import SECRETS, Settings, read, shown, variable
from service.errors import SettingError

SECRET = "s3cret-" * 6
PRODUCTION = {
    "JOBSENSE_ENVIRONMENT": "production",
    "JOBSENSE_DATABASE_URL": f"postgresql://jobs:{SECRET}@db.example/jobs",
    "JOBSENSE_JWT_SECRET": SECRET,
    "JOBSENSE_ALLOWED_HOSTS": "jobs.example, *.jobs.example",
}
DEFAULTS = {
    "environment": "development",
    "database_url": "(unset)",
    "migrate_on_start": "on",
    "embed_in_serve": "on",
    "embedder": "auto",
    "ollama_url": "http://127.0.0.1:11434",
    "embedding_model": "nomic-embed-text",
    "ollama_headers": "(unset)",
    "sources": "brightermonday,linkedin,jobwebkenya",
    "search_deadline": "1s",
    "max_concurrent_requests": "16",
    "host": "127.0.0.1",
    "port": "8000",
    "workers": "1",
    "store_url": "(unset)",
    "auth": "open",
    "jwt_secret": "(unset)",
    "cors_origins": "(unset)",
    "allowed_hosts": "(unset)",
    "trusted_proxies": "(unset)",
    "rate_limit_search": "(unset)",
    "rate_limit_write": "(unset)",
    "rate_limit_read": "(unset)",
    "rate_limit_auth": "(unset)",
    "rates_url": "(unset)",
    "rates_interval": "24h",
    "log_level": "info",
}


def test_without_variables_every_setting_has_its_documented_default() -> None:
    """An empty environment gives the table of defaults; the data folder is one of the user's."""
    found = shown(read({}, on_terminal=False))
    assert found.pop("log_format") == "json"
    assert Path(found.pop("data_dir")).name == "jobsense"
    assert found == DEFAULTS


def test_lines_are_for_people_only_on_a_terminal() -> None:
    """The form of the log follows where it goes, unless it is set."""
    assert read({}, on_terminal=True).log_format == "console"
    assert read({"JOBSENSE_LOG_FORMAT": "json"}, on_terminal=True).log_format == "json"


def test_an_own_database_is_neither_migrated_nor_embedded_by_serving_unless_asked() -> None:
    """With DATABASE_URL the two conveniences of the embedded database are off, and can be put on."""
    own = {"JOBSENSE_DATABASE_URL": "postgresql://db.example/jobs"}
    assert (read(own).migrate_on_start, read(own).embed_in_serve) == (False, False)
    assert read(own | {"JOBSENSE_MIGRATE_ON_START": "on"}).migrate_on_start is True


def test_outside_development_callers_need_keys_and_have_limits() -> None:
    """Staging requires credentials and limits rates; a limit can be lifted by name."""
    staging = read({"JOBSENSE_ENVIRONMENT": "staging", "JOBSENSE_RATE_LIMIT_WRITE": "none"})
    assert staging.auth == "required"
    limits = (staging.rate_limit_search, staging.rate_limit_write, staging.rate_limit_read, staging.rate_limit_auth)
    assert limits == ("600/minute", None, "1200/minute", "10/minute")


@pytest.mark.parametrize(
    ("name", "text", "allowed"),
    [
        ("ENVIRONMENT", "prod", "development, staging, production"),
        ("EMBEDDER", "openai", "auto, ollama, local"),
        ("PORT", "65536", "a whole number from 0 to 65535"),
        ("PORT", "٨٠", "a whole number from 0 to 65535"),
        ("WORKERS", "0", "a whole number from 1 to 64"),
        ("MIGRATE_ON_START", "maybe", "on or off"),
        ("OLLAMA_URL", "127.0.0.1:11434", "a URL that starts with http:// or https://"),
        ("OLLAMA_URL", "http://127.0.0.1:99999", "a URL that starts with http:// or https://"),
        ("OLLAMA_URL", "http://with space/", "a URL that starts with http:// or https://"),
        ("EMBEDDING_MODEL", "no spaces", "a model name"),
        ("SOURCES", "LinkedIn", "names like"),
        ("SOURCES", ",", "names like"),
        ("HOST", "not a host", "an address or a host name"),
        ("AUTH", "off", "open, required"),
        ("CORS_ORIGINS", "*", "exact origins"),
        ("CORS_ORIGINS", "https://app.example/path", "exact origins"),
        ("ALLOWED_HOSTS", "*", "host names separated by commas"),
        ("TRUSTED_PROXIES", "10.0.0.0/99", "addresses or networks"),
        ("TRUSTED_PROXIES", "*", "addresses or networks"),
        ("RATE_LIMIT_SEARCH", "600", "such as 600/minute"),
        ("RATES_URL", "ftp://rates.example", "a URL that starts with http:// or https://"),
        ("RATES_INTERVAL", "24", "such as 90s, 30m, 24h or 7d"),
        ("LOG_FORMAT", "xml", "console, json"),
        ("LOG_LEVEL", "trace", "debug, info, warning, error"),
        ("DATA_DIR", "~nobody-of-this-name/x", "a folder"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(name: str, text: str, allowed: str) -> None:
    """The message names the variable, the value as given, and what it may be."""
    with pytest.raises(SettingError) as caught:
        read({f"JOBSENSE_{name}": text})
    assert caught.value.detail.startswith(f"JOBSENSE_{name}={text!r} is not valid; allowed: ")
    assert allowed in caught.value.detail
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("DATABASE_URL", f"mysql://jobs:{SECRET}@db/jobs"),
        ("JWT_SECRET", "short s3cret-"),
        ("OLLAMA_HEADERS", f"Authorization Bearer {SECRET}"),
        ("OLLAMA_HEADERS", f"X-Key: {SECRET}é"),
        ("STORE_URL", f"http://:{SECRET}@store"),
        ("OLLAMA_URL", f"ftp://me:{SECRET}@ollama"),
        ("RATES_URL", f"ftp://rates.example/?key={SECRET}"),
    ],
)
def test_a_wrong_secret_is_refused_without_being_shown(name: str, text: str) -> None:
    """What is hidden stays hidden in the message that refuses it."""
    with pytest.raises(SettingError, match=f"JOBSENSE_{name}=.*allowed: ") as caught:
        read({f"JOBSENSE_{name}": text})
    assert "s3cret" not in str(caught.value)


def test_values_are_read_as_people_write_them() -> None:
    """Spaces, several forms of on and off, several headers, lists with gaps, units of time."""
    found = read(
        {
            "JOBSENSE_PORT": " 0 ",
            "JOBSENSE_EMBED_IN_SERVE": "No",
            "JOBSENSE_OLLAMA_HEADERS": "Authorization: Bearer a:b; X-Team: jobs",
            "JOBSENSE_SOURCES": "a, b-2 ,c.d,",
            "JOBSENSE_RATES_INTERVAL": "7d",
            "JOBSENSE_TRUSTED_PROXIES": "127.0.0.1, fd00::/8",
            "JOBSENSE_HOST": "::1",
            "JOBSENSE_DATA_DIR": "~/jobs",
        }
    )
    assert (found.port, found.embed_in_serve, found.rates_interval, found.host) == (0, False, 604800, "::1")
    assert found.ollama_headers == (("Authorization", "Bearer a:b"), ("X-Team", "jobs"))
    assert found.sources == ("a", "b-2", "c.d")
    assert found.trusted_proxies == ("127.0.0.1", "fd00::/8")
    assert found.data_dir == Path.home() / "jobs"
    assert shown(found)["rates_interval"] == "168h"
    assert shown(found)["embed_in_serve"] == "off"


def test_an_empty_variable_counts_as_unset() -> None:
    """Compose files pass empty variables; they choose the default."""
    assert read({"JOBSENSE_PORT": "", "JOBSENSE_DATABASE_URL": " "}) == read({})


def test_every_source_is_taken_with_a_star() -> None:
    """`*` takes any source, a list only its own."""
    assert read({"JOBSENSE_SOURCES": "*"}).accepts_source("anything")
    assert not read({}).accepts_source("anything")
    assert read({}).accepts_source("linkedin")


def test_production_starts_with_all_that_it_needs() -> None:
    """The four settings together are enough."""
    assert read(PRODUCTION).auth == "required"


def test_production_names_everything_that_is_missing_at_once() -> None:
    """One message lists all that production refuses to start without."""
    with pytest.raises(SettingError) as caught:
        read({"JOBSENSE_ENVIRONMENT": "production", "JOBSENSE_AUTH": "open"})
    for name in ("JOBSENSE_DATABASE_URL", "JOBSENSE_JWT_SECRET", "JOBSENSE_ALLOWED_HOSTS", "JOBSENSE_AUTH=open"):
        assert name in caught.value.detail


@pytest.mark.parametrize("name", ["DATABASE_URL", "JWT_SECRET", "ALLOWED_HOSTS"])
def test_production_refuses_without_each_of_its_settings(name: str) -> None:
    """Each is needed by itself."""
    given = {key: value for key, value in PRODUCTION.items() if key != f"JOBSENSE_{name}"}
    with pytest.raises(SettingError, match=f"production refuses to start: JOBSENSE_{name} is not set$"):
        read(given)


def test_an_unknown_name_is_refused_with_the_nearest_one() -> None:
    """A slip in a name does not pass unnoticed; variables of the tests and of others do."""
    with pytest.raises(SettingError, match=r"JOBSENSE_PROT is not a setting \(did you mean JOBSENSE_PORT\?\)"):
        read({"JOBSENSE_PROT": "1"})
    with pytest.raises(SettingError, match="JOBSENSE_QQQQ is not a setting; `jobsense settings` lists"):
        read({"JOBSENSE_QQQQ": "1"})
    assert read({"JOBSENSE_TEST_DATA": "/data", "PORT": "x", "OTEL_SERVICE_NAME": "x"}) == read({})


def test_a_secret_is_read_from_a_file(tmp_path: Path) -> None:
    """NAME_FILE names the file; the line break at its end is no part of the secret."""
    (tmp_path / "jwt").write_text(SECRET + "\n")
    assert read({"JOBSENSE_JWT_SECRET_FILE": str(tmp_path / "jwt")}).jwt_secret == SECRET
    assert read({"JOBSENSE_JWT_SECRET_FILE": " "}).jwt_secret is None


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "No such file"), (b"\xff\xfe\xff", "not UTF-8"), (b"\n", "empty")]
)
def test_a_secret_file_that_gives_no_secret_is_named(tmp_path: Path, content: bytes | None, reason: str) -> None:
    """The message names the variable, the path and what is wrong with the file."""
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingError, match=f"JOBSENSE_JWT_SECRET_FILE={path}.*{reason}"):
        read({"JOBSENSE_JWT_SECRET_FILE": str(path)})


def test_a_secret_given_twice_is_refused(tmp_path: Path) -> None:
    """Which of two would count is not guessed."""
    (tmp_path / "jwt").write_text(SECRET)
    given = {"JOBSENSE_JWT_SECRET_FILE": str(tmp_path / "jwt"), "JOBSENSE_JWT_SECRET": SECRET}
    with pytest.raises(SettingError, match="JOBSENSE_JWT_SECRET and JOBSENSE_JWT_SECRET_FILE are both set"):
        read(given)


def test_only_secrets_have_a_file_form() -> None:
    """PORT_FILE is a slip, and named as one."""
    with pytest.raises(SettingError, match="JOBSENSE_PORT_FILE is not a setting"):
        read({"JOBSENSE_PORT_FILE": "/run/port"})


@pytest.fixture
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder to stand in, and no settings in the environment."""
    for name in [name for name in os.environ if name.startswith("JOBSENSE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_dotenv_file_is_read_and_the_environment_wins(own_environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Comments, quotes, `export` and a byte order mark are understood; a real variable wins, even an empty one."""
    (own_environment / ".env").write_text(
        "\ufeff# settings\nexport JOBSENSE_PORT=8080\nJOBSENSE_HOST='10.0.0.1' # all\n\nJOBSENSE_WORKERS=2 # two\n"
        'JOBSENSE_LOG_LEVEL="debug"\nJOBSENSE_EMBEDDER=local\nUNRELATED=1\n',
        encoding="utf-8",
    )
    monkeypatch.setenv("JOBSENSE_PORT", "9000")
    monkeypatch.setenv("JOBSENSE_EMBEDDER", "")
    found = read()
    assert (found.port, found.host, found.workers, found.log_level) == (9000, "10.0.0.1", 2, "debug")
    assert found.embedder == "auto"
    assert read(dotenv=None).workers == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"JOBSENSE_PORT\n", r"\.env, line 1: expected NAME=value"),
        (b"JOBSENSE_PROT=1\n", r"JOBSENSE_PROT in \.env is not a setting"),
        (b"\xff\xfe\x00", r"\.env cannot be read \(it is not UTF-8 text\)"),
    ],
)
def test_a_broken_dotenv_file_is_told_by_name(own_environment: Path, content: bytes, message: str) -> None:
    """What is wrong in the file names the file."""
    (own_environment / ".env").write_bytes(content)
    with pytest.raises(SettingError, match=message):
        read()


def test_secrets_are_hidden_wherever_settings_are_shown() -> None:
    """repr, pretty printing and the listing say that there is a secret, not which."""
    settings = read(
        PRODUCTION
        | {
            "JOBSENSE_STORE_URL": f"valkey://:{SECRET}@store",
            "JOBSENSE_OLLAMA_HEADERS": f"Authorization: Bearer {SECRET}",
            "JOBSENSE_OLLAMA_URL": f"https://me:{SECRET}@ollama.example/path",
            "JOBSENSE_RATES_URL": f"https://rates.example/latest?key={SECRET}",
        }
    )
    assert settings.jwt_secret == SECRET
    for text in (repr(settings), f"{settings}", pretty_repr(settings), str(shown(settings))):
        assert "s3cret" not in text
    assert {shown(settings)[name] for name in SECRETS} == {"(hidden)"}
    assert shown(settings)["ollama_url"] == "https://(hidden)@ollama.example/path"
    assert shown(settings)["rates_url"] == "https://rates.example/latest?(hidden)"


def test_every_field_has_a_variable_and_every_variable_a_field() -> None:
    """`shown` lists what `read` knows."""
    assert [variable(name) for name in shown(Settings())] == [f"JOBSENSE_{name.upper()}" for name in shown(read({}))]
