"""Runs the command `jobsense`: within the test where a process adds nothing, else as a process with pipes or a pty."""

import asyncio
import os
import pty
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest
import structlog

import service.parts
from service.__main__ import main
from tests.conftest import _SHARED_MEMORY
from tests.fake_ollama.clients import TLS
from tests.fakes import WordEmbedder
from tests.looking import until_next_look, until_next_look_async

REPOSITORY = Path(__file__).parents[2]
PATIENCE_S = 120.0

Environment = Mapping[str, str]


class Result(msgspec.Struct, frozen=True):
    """How a command ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Standard output, which must be one JSON value and nothing else."""
        return msgspec.json.decode(self.out)


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """The variables of a process: none of JobSense's own but the given ones, and no choice of BLAS kernels."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("JOBSENSE_", "OTEL_")) and name != "OPENBLAS_CORETYPE"
    }
    given = {f"JOBSENSE_{name.upper()}": value for name, value in settings.items()}
    return kept | {"HOME": str(folder), "PYTHONPATH": str(REPOSITORY), "TERM": "xterm", "COLUMNS": "160"} | given


def unmeasured(env: Environment) -> dict[str, str]:
    """The same without coverage, which a kill would lose, and under which memory and time are not what they are."""
    return {name: value for name, value in env.items() if not name.startswith("COVERAGE_")}


class Running:
    """A command that runs as a process; its output is kept as it comes."""

    def __init__(self, folder: Path, arguments: tuple[str, ...], env: Environment, *, stdin: int, on_pty: bool) -> None:
        self._texts = {"out": b"", "err": b""}
        self._master, slave = pty.openpty() if on_pty else (-1, subprocess.PIPE)
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "service", *arguments],
            cwd=folder,
            env=dict(env),
            stdin=slave if on_pty else stdin,
            stdout=slave,
            stderr=slave,
        )
        sources = {"out": self._master}
        if on_pty:
            os.close(slave)
        elif self.process.stdout is not None and self.process.stderr is not None:
            sources = {"out": self.process.stdout.fileno(), "err": self.process.stderr.fileno()}
        self._changed = threading.Condition()
        self._readers = [threading.Thread(target=self._read, args=one, daemon=True) for one in sources.items()]
        for reader in self._readers:
            reader.start()

    def _read(self, name: str, descriptor: int) -> None:
        piece = b"-"
        while piece:
            try:
                piece = os.read(descriptor, 65536)
            except OSError:  # a pty whose other end is closed
                piece = b""
            with self._changed:
                self._texts[name] += piece
                self._changed.notify_all()

    @property
    def out(self) -> str:
        """Standard output so far; on a pty, standard error too."""
        return self._texts["out"].decode()

    @property
    def err(self) -> str:
        """Standard error so far."""
        return self._texts["err"].decode()

    def wait_for(self, pattern: str, where: str = "out") -> re.Match[str]:
        """Wait until the output matches; fails when the process ends first, or at the end of all patience."""
        deadline = time.monotonic() + PATIENCE_S
        with self._changed:
            while not (found := re.search(pattern, self._texts[where].decode(errors="replace"))):
                alive = self.process.poll() is None and time.monotonic() < deadline
                came = self._changed.wait(0.2)
                assert alive or came, f"{pattern!r} did not come:\n{self.out}\n{self.err}"
        return found

    def type(self, text: str) -> None:
        """Type on the keyboard of the pty."""
        os.write(self._master, text.encode())

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def end(self) -> Result:
        """Wait for the end of the process and of its output."""
        code = self.process.wait(PATIENCE_S)
        for reader in self._readers:
            reader.join(5)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        if self._master >= 0:
            os.close(self._master)
            self._master = -1
        return Result(code, self.out, self.err)

    def discard(self) -> None:
        """Make sure that nothing is left of it."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.end()


Start = Callable[..., Running]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """How to start `jobsense` as a process, with pipes or on a pty; none of them outlives the test."""
    started: list[Running] = []

    def begin(*arguments: str, env: Environment, stdin: int = subprocess.DEVNULL, on_pty: bool = False) -> Running:
        started.append(Running(tmp_path, arguments, env, stdin=stdin, on_pty=on_pty))
        return started[-1]

    yield begin
    for one in started:
        one.discard()


def wait_for_database(dsn: str, query: str) -> None:
    """Ask the database until a query answers true."""

    async def ask() -> None:
        connection = await asyncpg.connect(dsn)
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not await connection.fetchval(query):
                    await until_next_look_async()
        finally:
            await connection.close()

    asyncio.run(ask())


Call = Callable[..., Result]


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch) -> WordEmbedder:
    """The embedder of commands that run within the test."""
    made = WordEmbedder()
    monkeypatch.setattr(service.parts, "candidates", lambda *_, **__: lambda _generation: [made])
    return made


@pytest.fixture
def call(
    dsn: str, words: WordEmbedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Call:
    """How to run a command within the test, on this test's database; keywords are settings."""
    assert not words.started
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, **settings: str) -> Result:
        with monkeypatch.context() as patch:
            for name in [name for name in os.environ if name.startswith("JOBSENSE_")]:
                patch.delenv(name)
            for name, value in ({"database_url": dsn} | settings).items():
                patch.setenv(f"JOBSENSE_{name.upper()}", value)
            patch.setattr(sys, "argv", ["jobsense", *arguments])
            capfd.readouterr()
            with pytest.raises(SystemExit) as ended:
                main()
            structlog.reset_defaults()  # it would go on writing to a standard error that ends with this test
        out, err = capfd.readouterr()
        assert isinstance(ended.value.code, int)
        return Result(ended.value.code, out, err)

    return run


@pytest.fixture
def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Result]], str]:
    """Let standard output be a pty while something is called; what it shows."""

    def show(called: Callable[[], Result]) -> str:
        master, slave = pty.openpty()
        pieces: list[bytes] = []

        def read() -> None:
            while not pieces or b"\x00" not in pieces[-1]:
                pieces.append(os.read(master, 65536))

        reader = threading.Thread(target=read)
        reader.start()
        with os.fdopen(slave, "w") as terminal, monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", terminal)
            patch.setenv("COLUMNS", "160")
            patch.setenv("TERM", "xterm")
            called()
            terminal.write("\x00")
            terminal.flush()
            reader.join()
        os.close(master)
        return b"".join(pieces).decode()

    return show


def is_ready(address: str) -> bool:
    """Whether a service answers there that it is ready."""
    try:
        return httpx.get(f"{address}/health/ready", timeout=5, verify=TLS).status_code == 200
    except httpx.TransportError:
        return False


def wait_until_ready(running: Running, address: str) -> float:
    """Seconds from the start of the process until it was ready."""
    while not is_ready(address):
        assert running.process.poll() is None, running.err
        assert time.monotonic() - running.began < PATIENCE_S, running.err
        until_next_look()
    return time.monotonic() - running.began


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that ended and that nobody has asked about does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


DEV_READY = r"Ctrl-C stops it\."


@pytest.fixture(scope="module")
def dev_home() -> Iterator[Path]:
    """The data folder of `jobsense dev`, where the database's own account can reach it; in memory if there is room."""
    with tempfile.TemporaryDirectory(dir=_SHARED_MEMORY if _SHARED_MEMORY.is_dir() else None) as folder:
        yield Path(folder)


def begin_dev(home: Path, *, port: int = 0, on_pty: bool = False, **settings: str) -> Running:
    """Start `jobsense dev` on the folder, with the local model; keywords are settings."""
    env = environment(home, data_dir=str(home), embedder="local", port=str(port), **settings)
    return Running(home, ("dev",), env, stdin=subprocess.DEVNULL, on_pty=on_pty)
