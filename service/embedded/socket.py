"""Where the embedded server's Unix socket lies: a socket's path may not be long, while a data folder's may."""

import hashlib
import os
import re
import stat
import tempfile
from pathlib import Path

from service.embedded.program import OWN_SERVER, Programs
from service.errors import EmbeddedError

SOCKET = ".s.PGSQL.5432"
LONGEST_PATH = 103  # bytes: 107 on Linux, 103 on macOS


def find_socket_dir(cluster: Path) -> Path | None:
    """Where the running server says its socket is (the fifth line of its pid file, a line that comes late), or None."""
    lines = read_pid_file(cluster)
    return Path(lines[4]) if len(lines) > 4 and lines[4] else None  # noqa: PLR2004 - as the docstring says


def read_pid_file(cluster: Path) -> list[str]:
    """The lines that a server leaves while it runs: number of the process, folder, start, port, socket folder, ..."""
    try:
        return (cluster / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []


def make_socket_dir(cluster: Path, programs: Programs) -> Path:
    """Choose the cluster itself, or a short private folder where its path is too long or too odd for a socket.

    Raises EmbeddedError when somebody else made that folder first.
    """
    if fits(cluster):
        return cluster
    uid = programs.account.uid
    name = f"jobsense-{uid}-{hashlib.sha256(os.fsencode(cluster)).hexdigest()[:12]}"
    candidates = [Path(base) / name for base in (tempfile.gettempdir(), "/tmp")]  # noqa: S108 - private, and checked
    folder = next((path for path in candidates if fits(path) and programs.can_enter(path.parent)), candidates[-1])
    try:
        folder.mkdir(mode=0o700)
        programs.hand_over(folder)
    except FileExistsError:
        state = folder.lstat()
        if not stat.S_ISDIR(state.st_mode) or state.st_uid != uid or state.st_mode & 0o077:
            raise EmbeddedError(
                f"{folder}, meant for the database's socket, is not a private folder of this user. "
                f"Remove it, set JOBSENSE_DATA_DIR to a shorter path, or {OWN_SERVER}."
            ) from None
    return folder


def fits(folder: Path) -> bool:
    """Whether a socket can lie in a folder. Commas and quotes have meanings in lists of socket folders and hosts."""
    path = str(folder / SOCKET)
    return len(os.fsencode(path)) <= LONGEST_PATH and re.fullmatch(r"[A-Za-z0-9_./+-]+", path) is not None
