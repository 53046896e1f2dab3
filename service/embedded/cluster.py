"""One Postgres cluster in DATA_DIR: making it, starting its server, joining, leaving; how is told in `locks`.

    DATA_DIR/postgres-18/           the cluster, mode 0700: data, jobsense.conf, log/, the socket if its path is short
    DATA_DIR/postgres-18.locks/     who uses it
    DATA_DIR/postgres-18.new-*/     a cluster being made; renamed when complete, removed by the next one who makes one

Everything here blocks; `server.EmbeddedPostgres` is the asynchronous face.
"""

import contextlib
import os
import platform
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import structlog

from service.embedded import tuning
from service.embedded.locks import POLL_S, Locks
from service.embedded.program import OWN_SERVER, Call, Programs, choose_account, explain
from service.embedded.socket import SOCKET, find_socket_dir, make_socket_dir
from service.errors import EmbeddedError

log = structlog.get_logger(__name__)

DATABASE = "jobsense"
FIRST_WITH_BUILTIN_LOCALES = 17
START_TIMEOUT_S = 300.0  # recovery after a crash may replay max_wal_size of log
STOP_TIMEOUT_S = 30.0
ROOM_NEEDED = 150 * tuning.MIB  # a new cluster takes 40 MB, its first log segments as much again
OLD_LOG_S = 7 * 24 * 3600
LARGE_LOG = 16 * tuning.MIB


class Cluster:
    """The cluster of one major version under `data_dir`; call `enter` before anything else, `leave` at the end."""

    def __init__(self, data_dir: Path, version: int, memory: int | None) -> None:
        self.home = data_dir.absolute()
        self.version = version
        self.path = self.home / f"postgres-{version}"
        self._memory = memory
        self._locks: Locks | None = None
        self._abandoned, self._leave_within_s = False, STOP_TIMEOUT_S

    def enter(self) -> tuple[str, Path]:
        """Make, start or join the server: ("created" | "started" | "joined", folder of its socket).

        May be called again to revive a server that died. Raises EmbeddedError, with everything undone.
        """
        try:
            return self._enter()
        except OSError as error:
            self._give_up()
            raise EmbeddedError(
                f"The embedded database cannot use {error.filename or self.home}: {error.strerror or error}. "
                f"Set JOBSENSE_DATA_DIR to a folder that this user may write and that has free space, or {OWN_SERVER}."
            ) from error
        except BaseException:
            self._give_up()
            raise

    def _give_up(self) -> None:
        with contextlib.suppress(EmbeddedError, OSError):  # The first error says more than what follows from it.
            self.leave(self._leave_within_s)

    def abandon(self, leave_within_s: float) -> None:
        """Called from another thread: let `enter` fail soon, so that it is left within this time."""
        self._abandoned, self._leave_within_s = True, leave_within_s
        if (programs := getattr(self, "_programs", None)) is not None:
            programs.abandon()

    def _enter(self) -> tuple[str, Path]:
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._programs = Programs(self.version, choose_account(self.home, self.path))
        if self._locks is None:
            self._locks = Locks(self.path.with_suffix(".locks"), self._programs.hand_over)
        with self._locks.gate(START_TIMEOUT_S, lambda: self._abandoned):
            self._locks.join_users()
            self._refuse_other_data()
            self._let_account_in()
            created = not self.path.exists()
            if created:
                self._initialise()
            started, socket_dir = self._bring_up(self._locks)
            self.create_database(DATABASE)
            return "created" if created else "started" if started else "joined", socket_dir

    def lives(self) -> bool:
        """Whether a server runs, be it only starting, recovering or stopping."""
        return self._locks is not None and self._locks.server_lives()

    def leave(self, within_s: float = STOP_TIMEOUT_S) -> bool:
        """Give the server up; whoever is the last one stops it. Tells whether it was stopped here.

        Raises EmbeddedError when that takes longer: then it has been told to stop, and does so by itself.
        """
        if self._locks is None:
            return False
        locks, self._locks = self._locks, None
        self._programs.abandoned = self._abandoned = False
        deadline = time.monotonic() + within_s
        try:
            with locks.gate(within_s):
                return locks.is_last_user() and self._stop(locks, deadline - time.monotonic())
        finally:
            locks.close()

    def _let_account_in(self) -> None:
        """For root: let the account pass through DATA_DIR itself. Folders above it are left as they are."""
        account = self._programs.account
        if not account.switch:
            return
        enter = self._programs.can_enter
        if not enter(self.home) and enter(self.home.parent) and self.home.stat().st_uid == 0:
            os.chown(self.home, 0, account.gid)
            self.home.chmod(stat.S_IMODE(self.home.stat().st_mode) | stat.S_IXGRP)
            log.info("embedded.data_dir_opened", data_dir=str(self.home), account=account.name, right="pass through")
        if not enter(self.home):
            raise EmbeddedError(
                f"PostgreSQL refuses to run as root, so it runs as {account.name}, which must reach {self.home}. "
                f"{self._programs.explain_path(self.home)}"
            )
        self._programs.make_reachable(self.home)

    def _refuse_other_data(self) -> None:
        others = [path for path in self.home.glob("postgres-[0-9][0-9]") if path.is_dir() and path != self.path]
        if others and not self.path.exists():
            raise EmbeddedError(
                f"{others[0]} holds the data of another PostgreSQL version, and this build runs PostgreSQL "
                f"{self.version}. Dump it with the build that made it (pg_dump) and load it here (pg_restore), or move "
                f"it out of {self.home} to start empty, or {OWN_SERVER}."
            )
        mark = self.path / "PG_VERSION"
        if self.path.exists() and (not mark.exists() or mark.read_text().strip() != str(self.version)):
            raise EmbeddedError(
                f"{self.path} is not a PostgreSQL {self.version} cluster. Move it away to start empty, or {OWN_SERVER}."
            )

    def _initialise(self) -> None:
        """Make the cluster beside its place and rename it, so that a half-made one never stands there."""
        if shutil.disk_usage(self.home).free < ROOM_NEEDED:
            raise EmbeddedError(
                f"{self.home} has less than {ROOM_NEEDED // tuning.MIB} MB free, too little for a database. "
                f"Free some disk space, set JOBSENSE_DATA_DIR to another disk, or {OWN_SERVER}."
            )
        # The name is new each time: an initdb that outlived its killed parent may still write to an older one.
        for leftover in self.home.glob(f"{self.path.name}.new-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        fresh = Path(tempfile.mkdtemp(prefix=f"{self.path.name}.new-", dir=self.home))
        self._programs.hand_over(fresh)
        words = ["initdb", "--username", DATABASE, "--auth-local=trust", "--auth-host=reject", "--data-checksums"]
        words += ["--encoding=UTF8", "--text-search-config=english", *self._locale(), "--pgdata", str(fresh)]
        self._programs.run(*words)
        with (fresh / "postgresql.conf").open("a") as file:
            file.write("\ninclude_if_exists = 'jobsense.conf'\n")
        (fresh / "log").mkdir(mode=0o700)
        self._programs.hand_over(fresh / "log")
        fresh.rename(self.path)
        folder = os.open(self.home, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)

    def _locale(self) -> list[str]:
        # Sorting by code point, which no operating-system upgrade can change. The character types have to know
        # Unicode: with a plain C the text-search parser keeps dashes and quotation marks inside words.
        ctype = "UTF-8" if platform.system() == "Darwin" else "C.UTF-8"
        words = ["--locale=C", f"--lc-ctype={ctype}"]
        if self.version >= FIRST_WITH_BUILTIN_LOCALES:
            words += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        return words

    def _bring_up(self, locks: Locks) -> tuple[bool, Path]:
        """Wait until a server answers, starting it if none lives: (whether started here, folder of its socket)."""
        deadline = time.monotonic() + START_TIMEOUT_S
        started = False
        while (socket_dir := self._answering()) is None:
            started = self._launch(locks) or started
            if self._abandoned or time.monotonic() > deadline:
                raise EmbeddedError(
                    f"The database server in {self.path} lives but does not answer; it may still be recovering or "
                    f"stopping. Look into {self.path}/log, or {OWN_SERVER}."
                )
            time.sleep(0 if started else POLL_S)
        return started, socket_dir

    def _answering(self) -> Path | None:
        folder = find_socket_dir(self.path)
        answers = folder and self._programs.ask("pg_isready", "-q", "-h", str(folder), "-p", "5432", "-t", "5")
        return folder if answers else None

    def _launch(self, locks: Locks) -> bool:
        """Start the server unless one lives already; the started server inherits the lock that says so."""
        with locks.server() as server:
            if server is None:
                return False
            socket_dir = make_socket_dir(self.path, self._programs)
            self._discard_stale_marks(socket_dir)
            self._discard_old_logs()
            self._write_settings(socket_dir)
            words = ["pg_ctl", "start", "--wait", f"--timeout={START_TIMEOUT_S:.0f}", "--silent", "--log=log/start.log"]
            before = self._log_sizes()
            try:
                self._programs.run(*words, call=self._call(START_TIMEOUT_S, inherit=[server]))
            except EmbeddedError as error:
                said = self._complaints(before)
                raise EmbeddedError(explain("postgres", said) if said else error.detail) from error
        return True

    def _call(self, timeout_s: float, inherit: Sequence[int] = ()) -> Call:
        # The folder goes through the environment, since pg_ctl puts its options into a shell command.
        return Call(env={"PGDATA": str(self.path)}, folder=self.path, inherit=inherit, timeout_s=timeout_s + 10)

    def _discard_stale_marks(self, socket_dir: Path) -> None:
        """Remove a dead server's pid and socket lock files whose number now is another process's or a zombie's.

        That is usual in containers, where numbers start again from 1. Only called with the server lock held. A number
        that nobody has is left to Postgres, which checks more than we could.
        """
        for mark in (self.path / "postmaster.pid", socket_dir / f"{SOCKET}.lock"):
            pid = mark.read_text().partition("\n")[0] if mark.exists() else ""
            proc = Path("/proc") / pid
            if not pid.isdecimal() or not proc.is_dir():
                continue
            try:
                ours = (proc / "cwd").readlink() == self.path.resolve()
            except OSError:
                ours = False  # another user's process, or a zombie
            if not ours:
                mark.unlink()

    def _discard_old_logs(self) -> None:
        for log in (self.path / "log").glob("*.log"):
            if (state := log.stat()).st_size > LARGE_LOG or time.time() - state.st_mtime > OLD_LOG_S:
                log.unlink()

    def _log_sizes(self) -> dict[Path, int]:
        return {log: log.stat().st_size for log in (self.path / "log").glob("*.log")}

    def _complaints(self, before: dict[Path, int]) -> str:
        """What the logs say went wrong since they had these sizes."""
        new = [log.read_bytes()[before.get(log, 0) :].decode(errors="replace") for log in self._log_sizes()]
        grave = ("FATAL:", "PANIC:", "ERROR:", "DETAIL:", "cannot", "could not")
        return "\n".join(line for line in "\n".join(new).splitlines() if any(word in line for word in grave))

    def _write_settings(self, socket_dir: Path) -> None:
        lz4 = "--with-lz4" in self._programs.run("pg_config", "--configure")
        machine = tuning.measure_machine(lz4=lz4, memory=self._memory)
        text = tuning.render(tuning.settings(machine, socket_dir))
        file, name = tempfile.mkstemp(dir=self.path)
        with os.fdopen(file, "w") as out:
            self._programs.hand_over(file)
            out.write(text)
        Path(name).rename(self.path / "jobsense.conf")

    def _stop(self, locks: Locks, within_s: float) -> bool:
        deadline = time.monotonic() + within_s
        # Again and again: a server whose pg_ctl was killed has no pid file at first, or still that of a dead one.
        while locks.server_lives():  # else the number in the file may be anybody's
            socket_dir, left_s = find_socket_dir(self.path), deadline - time.monotonic()
            words = ["pg_ctl", "stop", "--mode=fast", "--silent", f"--timeout={max(1, int(left_s))}"]
            try:
                self._programs.run(*words, call=self._call(max(left_s, 0)))
            except EmbeddedError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(POLL_S)
            else:
                locks.wait_for_end(deadline)
                with contextlib.suppress(OSError):
                    if socket_dir not in (self.path, None):
                        socket_dir.rmdir()
                return True
        return False

    def create_database(self, name: str, template: str | None = None) -> None:
        """Create a database unless it is there, as a copy of `template` (which nobody may be using) if one is given."""
        source = f" template {_identifier(template)}" if template else ""
        text = f"select 'create database {_identifier(name)}{source}' where not exists "
        self._psql(f"{text}(select from pg_database where datname = '{name}') \\gexec\n")

    def drop_database(self, name: str) -> None:
        """Drop a database if it is there, ending its connections."""
        self._psql(f"drop database if exists {_identifier(name)} with (force)")

    def _psql(self, text: str) -> None:
        words = ["psql", "--no-psqlrc", "--quiet", "--tuples-only", "--set=ON_ERROR_STOP=1", "--host"]
        words += [str(find_socket_dir(self.path)), "--port=5432", f"--username={DATABASE}", "--dbname=postgres"]
        self._programs.run(*words, call=Call(text=text))


def _identifier(name: str) -> str:
    if re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", name) is None:
        raise ValueError(f"not a plain database name: {name!r}")
    return f'"{name}"'
