"""The file locks through which processes share one Postgres server; they die with their holders, also after SIGKILL.

    gate    exclusive while someone starts, joins or leaves: one change at a time
    users   shared by everyone who uses the server: the last one out gets it alone
    server  inherited by the server's own processes: held means that it lives

Locks are flock(2): they hold between threads, processes, and containers that share the folder. The files are never
removed, for a lock on a removed file excludes nobody.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from service.errors import EmbeddedError

POLL_S = 0.02


class Locks:
    """The three locks in `folder`, which is made with mode 0700; `hand_over` gives what was made to its owner."""

    def __init__(self, folder: Path, hand_over: Callable[[Path | int], None]) -> None:
        self._folder = folder
        self._hand_over = hand_over
        if not folder.exists():
            folder.mkdir(mode=0o700, exist_ok=True)
            hand_over(folder)
        self._gate = self._open("gate")
        self._users: int | None = None

    def _open(self, name: str) -> int:
        file = os.open(self._folder / name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        self._hand_over(file)
        return file

    @contextlib.contextmanager
    def gate(self, timeout_s: float, is_abandoned: Callable[[], bool] = lambda: False) -> Iterator[None]:
        """Hold the gate for the length of a with block. Raises EmbeddedError when it stays shut, or is abandoned."""
        deadline = time.monotonic() + timeout_s
        while not _alone(self._gate):
            if is_abandoned() or time.monotonic() > deadline:
                raise EmbeddedError(
                    f"Another process has been starting or stopping the embedded database for {timeout_s:.0f} s "
                    f"(lock {self._folder}/gate). End that process and try again."
                )
            time.sleep(POLL_S)
        try:
            yield
        finally:
            fcntl.flock(self._gate, fcntl.LOCK_UN)

    def join_users(self) -> None:
        """Count as a user from now on. Call it inside the gate, where nobody can hold this lock alone."""
        if self._users is None:
            self._users = self._open("users")
            fcntl.flock(self._users, fcntl.LOCK_SH | fcntl.LOCK_NB)

    def is_last_user(self) -> bool:
        """Whether no other user is left. Call it inside the gate and leave afterwards: a "no" may drop our own lock."""
        return self._users is not None and _alone(self._users)

    def close(self) -> None:
        """Give up every lock."""
        for file in (self._users, self._gate):
            if file is not None:
                os.close(file)
        self._users = None

    @contextlib.contextmanager
    def server(self) -> Iterator[int | None]:
        """The file to hand on to a new server, already locked, or None when a server lives."""
        file = self._open("server")
        try:
            yield file if _alone(file) else None
        finally:
            os.close(file)

    def server_lives(self) -> bool:
        """Whether there is a server, be it one that has only been forked and has no pid file yet."""
        with self.server() as file:
            return file is None

    def wait_for_end(self, deadline: float) -> None:
        """Wait, up to a time of the monotonic clock, for the last process of a server that has removed its pid file."""
        while self.server_lives() and time.monotonic() < deadline:
            time.sleep(POLL_S)


def _alone(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
