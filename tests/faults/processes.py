"""Processes that a run starts, kills, stops for a while, and starts again at once."""

import asyncio
import os
import random
import signal
import socket
import sys
import time
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from tests.faults.timeline import Over, Timeline, until

REPOSITORY = Path(__file__).parents[2]
START_S = 60.0
STOP_S = 10.0
"""Within which SIGTERM must end a process, whatever hangs."""
AGAIN_S = 0.3
"""Pause before a process is started again that could not start, as a supervisor makes one."""
LAST_WORDS = 1500
CLEAN = {0, 130, -signal.SIGTERM}
"""Codes of a process that was told to stop: 130 and the signal's own while it was still starting."""


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """The variables of a process: of JobSense's own the given ones, and no coverage, which a kill would lose."""
    unwanted = ("JOBSENSE_", "OTEL_", "COVERAGE_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    given = {f"JOBSENSE_{name.upper()}": value for name, value in settings.items()}
    return kept | {"HOME": str(folder), "PYTHONPATH": str(REPOSITORY)} | given


def free_port(rng: random.Random) -> int:
    """A port that nobody listens on, below those that the system gives to outgoing connections."""
    while True:
        port = rng.randrange(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Ended(msgspec.Struct, frozen=True):
    """How one process of a name ended: `signal` is what the run sent it last, `was_up` whether it worked by then."""

    name: str
    began: float
    ended: float
    code: int
    signal: signal.Signals | None
    was_up: bool
    took_s: float
    said: str


IsUp = Callable[["Supervised"], Awaitable[bool]]


class Supervised:
    """One process after another under a name: whenever it ends it is started again, until `stop`."""

    def __init__(
        self, name: str, words: list[str], *, env: Mapping[str, str], folder: Path, timeline: Timeline, is_up: IsUp
    ) -> None:
        self.name = name
        self.ends: list[Ended] = []
        self.up = asyncio.Event()
        self._words = words
        self._env = dict(env)
        self._folder = folder
        self._timeline = timeline
        self._is_up = is_up
        self._was_up = False
        self._watching: asyncio.Task[None] | None = None
        self._over = Over()
        self._may_start = asyncio.Event()
        self._may_start.set()
        self._sent: tuple[signal.Signals, float] | None = None
        self._process: Process | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The number of the process that runs now."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    @property
    def log(self) -> Path:
        """Everything that its processes wrote."""
        return self._folder / f"{self.name}.log"

    async def start(self) -> None:
        """Start, and wait until it works."""
        self._timeline.begin(self.name)
        self._task = asyncio.create_task(self._run(), name=self.name)
        await self.wait_until_up()

    async def wait_until_up(self) -> None:
        """Wait until the process that runs now works."""
        try:
            await asyncio.wait_for(self.up.wait(), START_S)
        except TimeoutError:
            said = self.log.read_bytes()[-LAST_WORDS:].decode(errors="replace")
            state = f"pid {self.pid}, told {self._sent}, watched by {self._watching}"
            raise AssertionError(f"{self.name} does not work within {START_S:g} s ({state}): {said}") from None

    def kill(self, number: signal.Signals, *, away_s: float = 0.0) -> bool:
        """Send a signal that ends it, and start it again at once or after a while; whether there was one to end."""
        if self.pid is None or self._process is None or self._sent is not None:
            return False
        self._timeline.begin(self.name)
        self.up.clear()
        self._sent = (number, time.monotonic())
        if number is signal.SIGKILL:
            self._timeline.begin(f"{self.name}.gone")
        if away_s:
            self._may_start.clear()
            asyncio.get_running_loop().call_later(away_s, self._may_start.set)
        self._process.send_signal(number)
        if number is signal.SIGTERM:
            asyncio.get_running_loop().call_later(2 * STOP_S, _make_sure, self._process)
        return True

    async def hold(self, seconds: float, over: Over) -> bool:
        """Stop it for a while, as a machine does that swaps or is moved; whether there was one to stop."""
        process = self._process
        if self.pid is None or process is None or self._sent is not None:
            return False
        self._timeline.begin(f"{self.name}.held")
        process.send_signal(signal.SIGSTOP)
        try:
            await over.within(seconds)
        finally:
            self._timeline.end(f"{self.name}.held")
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
        return True

    async def stop(self) -> Ended:
        """End it with SIGTERM for good; how it ended."""
        self._over.declare()
        self.kill(signal.SIGTERM)
        self._may_start.set()
        if self._task is not None:
            await self._task
        return self.ends[-1]

    async def discard(self) -> None:
        """Make sure that nothing is left of it."""
        self._over.declare()
        self._may_start.set()
        if self._process is not None:
            _make_sure(self._process)
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        while not self._over:
            await self._may_start.wait()
            self._timeline.end(f"{self.name}.gone")
            with self.log.open("ab") as out:
                began, said_from = time.monotonic(), out.tell()
                self._process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", *self._words), cwd=self._folder, env=self._env, stdout=out, stderr=out
                )
            self._watching = watching = asyncio.create_task(self._watch())
            code = await self._process.wait()
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
            self._note_end(code, began, said_from)
            if self._sent is None:
                await self._over.within(AGAIN_S)
            self._sent = None

    def _note_end(self, code: int, began: float, said_from: int) -> None:
        self._timeline.begin(self.name)
        self.up.clear()
        now = time.monotonic()
        number, sent_at = self._sent or (None, now)
        said = self.log.read_bytes()[said_from:][-LAST_WORDS:].decode(errors="replace")
        self.ends.append(Ended(self.name, began, now, code, number, self._was_up, now - sent_at, said))

    async def _watch(self) -> None:
        self._was_up = False
        await until(lambda: self._is_up(self), f"{self.name} works", timeout_s=10 * START_S)
        self._was_up = True
        if self._sent is None:
            self.up.set()
            self._timeline.end(self.name)


def _make_sure(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGCONT)
        process.kill()
