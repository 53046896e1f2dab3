"""The commands around the service: help, version, settings, openapi, keys, migrate; and how each of them fails."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
import pytest

from service import __main__
from tests.cli.conftest import Call, Result, Start, environment


def all_commands() -> Iterator[tuple[str, click.Command]]:
    """Every command by the words that call it."""

    def walk(words: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
        yield words, command
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                inner = command.get_command(context, name)
                assert inner is not None
                yield from walk(f"{words} {name}", inner)

    return walk("jobsense", __main__.cli)


def test_every_command_has_help_with_an_example_of_itself() -> None:
    """--help ends with an example that calls the command it stands under."""
    for words, command in all_commands():
        assert command.help, words
        assert command.epilog is not None, words
        assert command.epilog.startswith("Example: "), words
        assert words in command.epilog, words


def test_the_overview_says_what_the_commands_say() -> None:
    """The summaries that are shown without importing a command are its own first words."""
    for name, (_, summary) in __main__._SHELL.items():
        command = __main__.cli.get_command(click.Context(__main__.cli), name)
        assert command is not None
        assert command.help is not None
        assert " ".join(command.help.split()).startswith(summary.rstrip(".")), name


def test_help_comes_at_once(tmp_path: Path, start: Start) -> None:
    """The overview takes less than a second of processor time, since it imports no command."""
    before = os.times()
    shown = start("--help", env=environment(tmp_path)).end()
    after = os.times()
    assert shown.code == 0
    assert after.children_user + after.children_system - before.children_user - before.children_system < 1.0
    for name in __main__._SHELL:
        assert f"\n  {name} " in shown.out
    assert "Example: jobsense dev" in shown.out


def test_the_version_is_that_of_the_package(call: Call) -> None:
    """`--version` names the command and a version."""
    assert call("--version").out.startswith("jobsense, version 0.")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nosuch",), "No such command 'nosuch'"),
        (("search",), "Missing argument 'TEXT'"),
        (("search", " "), "give a text of 1 to 2,000 characters"),
        (("search", "x" * 2001), "give a text of 1 to 2,000 characters"),
        (("search", "x", "--top-k", "0"), "0 is not in the range"),
        (("search", "x", "--mode", "magic"), "'magic' is not one of"),
        (("search", "x", "--tenant", "A B"), "use 1 to 63 of a-z"),
        (("ingest", "nowhere.jsonl"), "'nowhere.jsonl' does not exist"),
        (("ingest", "-", "--collected-on", "2999-01-01"), "the day is still to come"),
        (("ingest", "-", "--collected-on", "yesterday"), "does not match the format"),
        (("ingest", "-", "--map", "titel=Job"), "there is no field 'titel'"),
        (("keys", "create"), "Missing option '--name'"),
        (("keys", "create", "--name", "x", "--scope", "all"), "'all' is not one of"),
        (("keys", "create", "--name", "x", "--expires", "soon"), "use a whole number with a unit, such as 90s"),
        (("keys", "create", "--name", "x", "--rate", "5/fortnight"), "use a count for each second, minute, hour"),
        (("keys", "rotate", "0123456789ab", "--overlap", "-1"), "use a whole number with a unit, such as 90s"),
        (("users", "create", "amina"), "Missing option '--role'"),
        (("users", "create", "amina", "--role", "king"), "'king' is not one of"),
        (("users", "create", "A B", "--role", "reader"), "a name has 1 to 100 of a-z"),
        (("users", "create", "amina", "--role", "reader"), "there is no terminal to ask for the password on"),
        (("users", "create", "amina", "--role", "reader", "secret-word-1"), "Got unexpected extra argument"),
        (("migrate", "down"), "Missing option '--to'"),
        (("migrate", "down", "--to", "0"), "nobody is there to be asked: give --yes"),
    ],
)
def test_wrong_use_is_told_and_exits_2(call: Call, arguments: tuple[str, ...], said: str) -> None:
    """What was wrong is said on standard error, and nothing is on standard output."""
    result = call(*arguments)
    assert (result.code, result.out) == (2, "")
    assert said in " ".join(result.err.split())


def test_a_wrong_setting_exits_2_with_one_line(call: Call) -> None:
    """Before anything is done, the setting is named."""
    result = call("settings", port="eighty")
    assert (result.code, result.out) == (2, "")
    assert result.err == "jobsense: JOBSENSE_PORT='eighty' is not valid; allowed: a whole number from 0 to 65535\n"


def test_settings_prints_every_one_with_its_variable(call: Call, dsn: str) -> None:
    """One line a setting, as it would be set; the database's address is a secret."""
    result = call("settings", workers="3")
    lines = dict(line.split("=", 1) for line in result.out.splitlines())
    assert result.code == 0
    assert lines["JOBSENSE_WORKERS"] == "3"
    assert lines["JOBSENSE_DATABASE_URL"] == "(hidden)"
    assert lines["JOBSENSE_STORE_URL"] == "(unset)  # not in effect yet"
    assert dsn not in result.out


def test_openapi_is_written_to_a_file_or_printed(call: Call, tmp_path: Path) -> None:
    """Both give the same document, which depends on no setting; a path that cannot be written is told."""
    printed = call("openapi", sources="*")
    assert call("openapi", "--out", "document.json").code == 0
    document = msgspec.json.decode((tmp_path / "document.json").read_bytes())
    assert document == printed.json()
    assert document["openapi"].startswith("3.1")
    assert "/api/v1/search" in document["paths"]
    refused = call("openapi", "--out", "nowhere/document.json")
    assert refused.code == 1
    assert refused.err == "jobsense: cannot write nowhere/document.json: No such file or directory\n"


def test_a_key_is_made_listed_and_ended(call: Call) -> None:
    """The key is printed once; the list shows what it opens, never its secret, and when it was ended."""
    made = call("keys", "create", "--name", "crawler", "--tenant", "acme", "--scope", "jobs:write", "--scope", "search")
    prefix, key_id, secret = made.out.strip().split("_", 2)
    assert (made.code, prefix) == (0, "js")
    (listed,) = call("keys", "list").json()
    assert (listed["id"], listed["tenant"], listed["name"]) == (key_id, "acme", "crawler")
    assert (listed["scopes"], listed["revoked_at"]) == (["jobs:write", "search"], None)
    assert secret not in call("keys", "list").out
    ended = call("keys", "revoke", key_id)
    assert (ended.code, ended.out) == (0, f"revoked {key_id}\n")
    (listed,) = call("keys", "list").json()
    assert listed["revoked_at"] is not None
    again = call("keys", "revoke", key_id)
    assert (again.code, again.err) == (1, f"jobsense: There is no living key {key_id}\n")


def test_a_key_opens_all_but_administration_unless_told(call: Call) -> None:
    """Without --scope a key reads, writes and searches."""
    call("keys", "create", "--name", "plain")
    assert call("keys", "list").json()[0]["scopes"] == ["jobs:read", "jobs:write", "search"]


def test_the_schema_goes_down_and_up_again(call: Call) -> None:
    """The status tells each migration; down takes back those above a number; up brings them again, once."""
    names = [line.split()[0] for line in call("migrate", "status").out.splitlines()]
    assert names
    assert call("migrate", "up").out == "applied 0: none\n"
    assert call("migrate", "down", "--to", "0", "--yes").out.startswith(f"taken back {len(names)}: {names[-1]}")
    assert call("migrate", "status").out == "".join(f"{name}  missing\n" for name in names)
    refused = call("keys", "list")
    assert refused.code == 1
    assert names[0] in refused.err
    assert "jobsense migrate up" in refused.err
    assert call("migrate", "up").out == f"applied {len(names)}: {', '.join(names)}\n"


def test_a_question_is_asked_on_a_terminal(tmp_path: Path, start: Start, dsn: str) -> None:
    """Taking the schema back asks first; no means that nothing changes, exit code 1."""
    asked = start("migrate", "down", "--to", "0", env=environment(tmp_path, database_url=dsn), on_pty=True)
    asked.wait_for(r"Data in what they made is lost. \[y/N\]")
    asked.type("n\n")
    result = asked.end()
    assert result.code == 1
    assert "nothing was changed" in result.out


def unused_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_an_unreachable_database_is_one_clear_line(call: Call) -> None:
    """Exit code 1, no stack, and nothing of the password."""
    result = call("keys", "list", database_url=f"postgresql://jobs:s3cret@127.0.0.1:{unused_port()}/jobs")
    assert result.code == 1
    assert len(result.err.splitlines()) == 1
    assert result.err.startswith("jobsense: ")
    assert "s3cret" not in result.err


def test_a_reader_that_goes_away_is_no_reason_for_a_stack(tmp_path: Path) -> None:
    """`jobsense openapi | head -1` ends quietly."""
    command = f"{sys.executable} -m service openapi | head -1"
    ended = subprocess.run(
        ["bash", "-c", command], env=environment(tmp_path), capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert Result(ended.returncode, ended.stdout, ended.stderr) == Result(0, "{\n", "")


def test_migrate_dump_writes_the_schema(call: Call) -> None:
    """What it prints of a migrated database is the committed schema."""
    result = call("migrate", "dump")
    assert result.code == 0
    assert result.out == (Path(__file__).parents[2] / "sql" / "schema.sql").read_text(encoding="utf-8")
