"""`jobsense ingest` again and again on a file that changes a little: killed half-way, it is run until it is done."""

import asyncio
import random
import signal
import sys
import time
from asyncio.subprocess import Process
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from tests.faults.ledger import Content, Ledger
from tests.faults.postings import write_posting
from tests.faults.processes import CLEAN, LAST_WORDS, STOP_S
from tests.faults.timeline import Over, Timeline

SOURCE = "file"
CHANGED = 0.12
"""The share of rows that differ from the run before."""
LONGEST_S = 120.0
LONGEST_PAUSE_S = 3.0


class Ingests:
    """The runs of the command, one after the other, and the file that they read."""

    def __init__(self, *, rows: int, env: Mapping[str, str], folder: Path, ledger: Ledger, timeline: Timeline) -> None:
        self.done = 0
        self.killed = 0
        self._rows = rows
        self._env = dict(env)
        self._folder = folder
        self._ledger = ledger
        self._timeline = timeline
        self._contents: dict[str, Content] = {}
        self._process: Process | None = None
        self._told: tuple[signal.Signals, float] | None = None
        self._running = asyncio.Event()

    async def run(self, rng: random.Random, over: Over) -> None:
        """Take in one version of the file after the other until it is over; the last one is finished."""
        while not over:
            self._change(rng)
            while not await self._once():
                pass
            for external_id, content in self._contents.items():
                self._ledger.entry((SOURCE, external_id)).settle(content)
            self.done += 1
            # Part of the experiment: the next run begins when it likes.
            await over.within(rng.uniform(0, LONGEST_PAUSE_S))

    async def kill(self, number: signal.Signals, after_s: float, over: Over) -> bool:
        """Send a signal to a run a while after it has begun; whether it still ran."""
        await asyncio.wait({asyncio.ensure_future(self._running.wait())}, timeout=5)
        await over.within(after_s)
        if self._process is None or self._process.returncode is not None or self._told is not None:
            return False
        self._told = (number, time.monotonic())
        with suppress(ProcessLookupError):
            self._process.send_signal(number)
        self.killed += 1
        return True

    async def discard(self) -> None:
        """Make sure that nothing is left of it."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    def _change(self, rng: random.Random) -> None:
        for number in range(self._rows):
            external_id = f"row-{number}"
            if external_id not in self._contents or rng.random() < CHANGED:
                content = write_posting(rng, plain=True)
                self._contents[external_id] = content
                self._ledger.entry((SOURCE, external_id)).may_be(content)
        rows = [
            {"id": external_id, "source": SOURCE, "title": content.title, "company": content.company}
            | {"description": content.description}
            for external_id, content in self._contents.items()
        ]
        (self._folder / "rows.jsonl").write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))

    async def _once(self) -> bool:
        """Run it; whether it ended with 0. Any other end has to have a cause."""
        self._told, began = None, time.monotonic()
        with (self._folder / "ingest.log").open("ab") as out:
            said_from = out.tell()
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "service", "ingest", "rows.jsonl"),
                cwd=self._folder,
                env=self._env,
                stdout=out,
                stderr=out,
            )
        self._running.set()
        try:
            code = await asyncio.wait_for(self._process.wait(), LONGEST_S)
        except TimeoutError:
            self._ledger.fault("hang", f"ingest was not done within {LONGEST_S:g} s")
            self._process.kill()
            code = await self._process.wait()
        finally:
            self._running.clear()
        if complaint := self._complaint(code, began):
            said = (self._folder / "ingest.log").read_bytes()[said_from:][-LAST_WORDS:].decode(errors="replace")
            self._ledger.fault("exit", f"ingest ended with {code} {complaint}: {said}")
        return code == 0

    def _complaint(self, code: int, began: float) -> str:
        """What was wrong with how it ended; nothing after SIGKILL, or while the database was away."""
        now = time.monotonic()
        number, told_at = self._told or (None, now)
        if number is signal.SIGTERM and now - told_at > STOP_S:
            return f"{now - told_at:.1f} s after SIGTERM"
        if code == 0 or number is signal.SIGKILL or self._timeline.touches("postgres", began, now, grace_s=5):
            return ""
        if number is signal.SIGTERM:
            return "" if code in CLEAN else "after SIGTERM"
        return "though nothing was wrong"
