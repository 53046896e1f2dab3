"""A Valkey (or Redis) server of the tests' own, which can be stopped, paused and started again."""

import random
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

PROGRAMS = ("valkey-server", "redis-server")
MISSING = f"Not here: {' or '.join(PROGRAMS)}"
PATIENCE_S = 30.0
_PORTS = range(21000, 32000)


def program() -> str | None:
    """The server's program on this machine."""
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


def free_port() -> int:
    """A port that nobody uses, below those that the system gives to connections."""
    while True:
        port = random.choice(_PORTS)  # noqa: S311 - no secret
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) != 0:
                return port


class Valkey:
    """A server in memory on a port of its own; nothing of it is kept."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._folder = folder
        self._options = options
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"valkey://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        command = [program() or "", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(
            [*command, *self._options], cwd=self._folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        began = time.monotonic()
        while self._process.poll() is None and time.monotonic() - began < PATIENCE_S:
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
        raise AssertionError("the server does not start")

    def stop(self) -> None:
        """End it; safe to repeat."""
        if self._process is not None:
            self.resume()
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Let it hang: connections are taken, and nothing is answered."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
