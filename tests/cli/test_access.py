"""Keys that end and are rotated, and people, from the command line."""

import io
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from service.access.passwords import LEAST_CHARS
from tests.cli.conftest import Call, Result, Start, environment

PASSWORD = "correct horse battery"  # noqa: S105 - of people that only tests know


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """What the next command reads from standard input."""
    return lambda text: monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def test_a_key_may_end_and_have_its_own_rate(call: Call, on_terminal: Callable[[Callable[[], Result]], str]) -> None:
    """Both are shown in the list, as JSON and as a table."""
    call("keys", "create", "--name", "crawler", "--expires", "90d", "--rate", "100/minute")
    (listed,) = call("keys", "list").json()
    life = datetime.fromisoformat(listed["expires_at"]) - datetime.fromisoformat(listed["created_at"])
    assert abs(life - timedelta(days=90)) < timedelta(seconds=1)
    assert (listed["rate"], listed["last_used_at"], listed["replaced_by"]) == ("100/minute", None, None)
    shown = on_terminal(lambda: call("keys", "list"))
    assert "100/minu" in shown.replace("\n", "")


@pytest.mark.parametrize(("overlap", "seconds"), [(("--overlap", "2h"), 7200), ((), 86400), (("--overlap", "0"), 0)])
def test_a_key_is_rotated_with_an_overlap(call: Call, overlap: tuple[str, ...], seconds: int) -> None:
    """The new key is printed, the old one ends after the overlap (a day unless told), and a second time is refused."""
    key_id = call("keys", "create", "--name", "crawler", "--tenant", "acme", "--scope", "search").out.split("_")[1]
    made = call("keys", "rotate", key_id, *overlap)
    assert made.code == 0
    new_id = re.fullmatch(r"js_([0-9a-f]{12})_[\w-]{43}\n", made.out)
    assert new_id
    keys = {key["id"]: key for key in call("keys", "list").json()}
    assert keys[key_id]["replaced_by"] == new_id[1]
    ends = datetime.fromisoformat(keys[key_id]["expires_at"]) - datetime.now(UTC)
    assert abs(ends.total_seconds() - seconds) < 30
    assert (keys[new_id[1]]["tenant"], keys[new_id[1]]["scopes"], keys[new_id[1]]["expires_at"]) == (
        "acme",
        ["search"],
        None,
    )
    again = call("keys", "rotate", key_id)
    assert (again.code, again.out) == (1, "")
    assert "not rotated before" in again.err


def test_people_are_let_in_listed_and_disabled(
    call: Call, say: Callable[[str], None], on_terminal: Callable[[Callable[[], Result]], str]
) -> None:
    """The list never shows a password or its hash; a name is taken once, in whatever case."""
    say(f"{PASSWORD}\n")
    made = call("users", "create", "Amina", "--tenant", "acme", "--role", "writer", "--password-stdin")
    assert (made.code, made.out) == (0, "created amina\n")
    say(f"{PASSWORD}\n")
    taken = call("users", "create", "AMINA", "--role", "reader", "--password-stdin")
    assert (taken.code, taken.err) == (1, "jobsense: There is a user of this name already\n")
    listed = call("users", "list")
    (one,) = listed.json()
    assert (one["name"], one["tenant"], one["role"], one["signed_in_at"]) == ("amina", "acme", "writer", None)
    assert "argon2" not in listed.out
    assert "amina" in on_terminal(lambda: call("users", "list"))
    ended = call("users", "disable", "AMINA")
    assert (ended.code, ended.out) == (0, "disabled amina\n")
    assert call("users", "list").json()[0]["disabled_at"] is not None
    again = call("users", "disable", "amina")
    assert (again.code, again.err) == (1, "jobsense: There is no user amina who could be disabled\n")


def test_a_password_is_replaced(call: Call, say: Callable[[str], None]) -> None:
    """It is held to the same rules as the first; who is unknown or disabled gets none."""
    say(f"{PASSWORD}\n")
    call("users", "create", "amina", "--role", "reader", "--password-stdin")
    say("short\n")
    assert call("users", "passwd", "amina", "--password-stdin").code == 2
    say("staple battery horse\n")
    changed = call("users", "passwd", "AMINA", "--password-stdin")
    assert (changed.code, changed.out) == (0, "changed the password of amina\n")
    call("users", "disable", "amina")
    for name in ("amina", "nobody"):
        say(f"{PASSWORD}\n")
        refused = call("users", "passwd", name, "--password-stdin")
        assert (refused.code, refused.err) == (1, f"jobsense: There is no user {name} who may sign in\n")


def test_short_passwords_are_refused(call: Call, say: Callable[[str], None]) -> None:
    """White space at the ends counts for nothing."""
    say("  short  pass   \n")
    refused = call("users", "create", "amina", "--role", "reader", "--password-stdin")
    assert (refused.code, refused.out) == (2, "")
    assert f"a password has {LEAST_CHARS} to 200 characters" in refused.err


def test_the_password_is_asked_for_on_a_terminal(start: Start, dsn: str, call: Call, tmp_path: Path) -> None:
    """Without --password-stdin it is typed twice, and not shown."""
    env = environment(tmp_path, database_url=dsn)
    running = start("users", "create", "amina", "--role", "reader", env=env, on_pty=True)
    running.wait_for("Password: ")
    running.type(f"{PASSWORD}\n")
    running.wait_for("Repeat")
    running.type(f"{PASSWORD}\n")
    ended = running.end()
    assert ended.code == 0
    assert "created amina" in ended.out
    assert PASSWORD not in ended.out
    assert [one["name"] for one in call("users", "list").json()] == ["amina"]
