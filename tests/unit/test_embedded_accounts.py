"""Whom the embedded Postgres runs as where no account is at hand, and how its programs are called: stand-ins tell."""

import os
import pwd
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from service.embedded import program
from service.embedded.program import Account, Call, Programs
from service.errors import EmbeddedError

NAMELESS = 54321
NOBODY = Account("nobody", 65534, 65534, switch=True)
MYSELF = Account("me", os.geteuid(), os.getegid(), switch=False)
NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can switch to other accounts")


def write_program(path: Path, *lines: str) -> None:
    """A program for the shell, which anybody may run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(("#!/bin/sh", *lines, "")))
    path.chmod(0o755)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every account can enter; pytest's own are closed to everyone but their owner."""
    with TemporaryDirectory(prefix="jobsense-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The package with a stand-in for PostgreSQL 18, which says what it was asked."""
    package = folder / "site" / program.PACKAGE
    write_program(package / "pginstall18" / "bin" / "postgres", 'echo "$@"')
    (package / "pginstall18" / "lib").mkdir()
    (package / "pginstall18" / "lib" / "libpq.so").symlink_to("libpq.so.5")
    monkeypatch.setattr(program, "_package_folder", lambda: package)
    return package / "pginstall18"


@pytest.fixture
def accounts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine on which this process is root, and `pgserver` is an account once a file of that name is there."""
    nobody = pwd.getpwnam("nobody")

    def look_up(name: str) -> pwd.struct_passwd:
        if not (folder / "etc" / name).exists():
            raise KeyError(name)
        return nobody

    (folder / "etc").mkdir()
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("pwd.getpwnam", look_up)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:/usr/bin:/bin")
    if folder.stat().st_uid != 0:
        monkeypatch.setattr(program, "_has_name", lambda _uid: False)
    return folder


def test_a_user_without_a_name_is_told_before_initdb_fails(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a container runs as a bare number, the message says what is missing and how to do without."""
    monkeypatch.setattr("os.geteuid", lambda: NAMELESS)
    with pytest.raises(EmbeddedError, match=rf"User {NAMELESS} has no name.*JOBSENSE_DATABASE_URL"):
        program.choose_account(folder, folder / "postgres-18")


@pytest.mark.parametrize("code", [0, 9])
def test_root_makes_the_account_that_postgres_needs(accounts: Path, code: int) -> None:
    """As root a system account without a login is made; that another process was faster (code 9) is no failure."""
    made = accounts / "etc" / "pgserver"
    write_program(accounts / "bin" / "useradd", f'echo "$@" > {made}', f"exit {code}")
    account = program.choose_account(accounts, accounts / "postgres-18")
    entry = pwd.getpwnam("pgserver")
    assert account == (entry.pw_name, entry.pw_uid, entry.pw_gid, True)
    asked = made.read_text().split()
    assert asked[-1] == "pgserver"
    assert {"--system", "--no-create-home", "/usr/sbin/nologin"} <= {*asked}
    made.write_text("kept")
    assert program.choose_account(accounts, accounts / "postgres-18") == account
    assert made.read_text() == "kept"


@pytest.mark.parametrize(
    ("lines", "reason"),
    [(("echo cannot lock /etc/passwd >&2", "exit 1"), "cannot lock /etc/passwd"), (None, "useradd")],
)
def test_an_account_that_cannot_be_made_is_explained(
    accounts: Path, monkeypatch: pytest.MonkeyPatch, lines: tuple[str, ...] | None, reason: str
) -> None:
    """The message has the system's own reason, the command to run by hand and the ways around."""
    monkeypatch.setenv("PATH", str(accounts / "bin"))
    if lines is not None:
        write_program(accounts / "bin" / "useradd", *lines)
    with pytest.raises(EmbeddedError, match=rf"{reason}.*useradd --system .* pgserver\).*JOBSENSE_DATABASE_URL"):
        program.choose_account(accounts, accounts / "postgres-18")


@NEEDS_ROOT
def test_programs_are_copied_once_and_closed_folders_explained(folder: Path, install: Path) -> None:
    """A second start runs the copy of the first; where the account cannot reach even that, the folder is named."""
    (folder / "site").chmod(0o700)
    data_dir = folder / "data"
    data_dir.mkdir(mode=0o755)
    first = Programs(18, NOBODY)
    assert not first._can_run()
    first.make_reachable(data_dir)
    assert first.run("postgres", "-V") == "-V\n"
    (copy,) = (data_dir / "postgres-programs").iterdir()
    assert (copy / program.PACKAGE / install.name / "lib" / "libpq.so").readlink() == Path("libpq.so.5")
    made = copy.stat().st_ino, copy.stat().st_ctime_ns
    second = Programs(18, NOBODY)
    second.make_reachable(data_dir)
    assert second.run("postgres", "-V") == "-V\n"
    assert (copy.stat().st_ino, copy.stat().st_ctime_ns) == made
    data_dir.chmod(0o700)
    with pytest.raises(EmbeddedError, match=rf"nobody cannot run .* no right to enter {data_dir}\. Set JOBSENSE_DATA"):
        Programs(18, NOBODY).make_reachable(data_dir)


def test_programs_within_reach_are_not_copied(folder: Path, install: Path) -> None:
    """An account that can run the programs where they are runs them there."""
    Programs(18, MYSELF).make_reachable(folder)
    assert [path.name for path in folder.iterdir()] == [install.parents[1].name]


def test_programs_get_nothing_of_the_callers_environment(install: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PGHOST, a password or a locale of the caller reaches no program; what the call itself sets does."""
    write_program(install / "bin" / "psql", "exec env")
    for name in ("PGHOST", "PGPASSWORD", "LANG", "LC_MESSAGES", "JOBSENSE_TOKEN_SECRET"):
        monkeypatch.setenv(name, "callers")
    seen = Programs(18, MYSELF).run("psql", call=Call(env={"PGTZ": "UTC"}))
    assert {"LC_ALL=C", "PGTZ=UTC"} <= {*seen.splitlines()}
    assert "callers" not in seen


def test_a_program_that_hangs_is_ended(install: Path) -> None:
    """Past its time a program is killed, and the message names it."""
    write_program(install / "bin" / "initdb", "exec tail -f /dev/null")
    with pytest.raises(EmbeddedError, match="failed in initdb: ended with code -9"):
        Programs(18, MYSELF).run("initdb", call=Call(timeout_s=0.05))


def test_a_program_that_fails_is_quoted(install: Path) -> None:
    """The last words of a program are in the message, on one line, whatever bytes they are."""
    write_program(install / "bin" / "initdb", r"printf 'first\n\n  no \377 room\n' >&2", "exit 3")
    programs = Programs(18, MYSELF)
    assert not programs.ask("initdb")
    with pytest.raises(EmbeddedError, match=r"failed in initdb: first  no \ufffd room\. Mend that"):
        programs.run("initdb")
