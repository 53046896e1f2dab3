"""One run of the fault suite: real processes, clients, a schedule of kills from a seed, and the audit at the end."""

import asyncio
import os
import random
import secrets
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import httpx
import msgspec

from tests.conftest import _ROOM, _SHARED_MEMORY
from tests.fake_ollama.clients import TLS
from tests.faults.audit import WAITING, audit
from tests.faults.clients import Client
from tests.faults.ingest import Ingests
from tests.faults.ledger import Ledger
from tests.faults.ollama import Ollama, draw_fault
from tests.faults.postgres import Postgres
from tests.faults.processes import CLEAN, STOP_S, Ended, Supervised, environment, free_port
from tests.faults.schedule import Step, draw
from tests.faults.searches import check_found, served_in_full, why_not_in_full
from tests.faults.timeline import Over, Timeline, until

CLIENTS = 4
INGEST_ROWS = 600
EMBEDDED_S = 150.0
"""Within which all that waits is embedded once nothing is wrong any more: a lease (30 s), then the longest pause."""
RECOVERED_S = 45.0
CALM_S = 2.5
FAULT_S = 4.0


class Figures(msgspec.Struct):
    """What a run came to, in one line."""

    seed: str
    seconds: float
    kills: dict[str, int]
    counts: dict[str, int]
    postings: int
    until_recovered_s: float
    until_embedded_s: float

    def __str__(self) -> str:
        """The line."""
        bad = {kind: self.counts.get(kind, 0) for kind in ("lost", "duplicated", "unembedded", "mislabelled")}
        searches = self.counts.get("searches", 0)
        share = self.counts.get("degraded", 0) / max(1, searches)
        return (
            f"faults: seed={self.seed} kills={sum(self.kills.values())} {self.kills} {bad} degraded={share:.0%} "
            f"{dict(sorted(self.counts.items()))} postings={self.postings} recovered={self.until_recovered_s:.1f}s "
            f"embedded={self.until_embedded_s:.1f}s seconds={self.seconds:.1f}"
        )


class Experiment:
    """The parts of a run under `folder`, which must be reachable for the account of the database."""

    def __init__(self, folder: Path, *, kills: int, seed: str) -> None:
        self.seed = seed
        self.ledger = Ledger()
        self._kills = kills
        self._folder = folder
        self._timeline = Timeline()
        self._over = Over()
        self._done: dict[str, int] = {}
        self._rng = random.Random(f"{seed} run")  # noqa: S311 - an experiment that can be repeated
        self._postgres = Postgres(folder, self._timeline)
        self._processes: dict[str, Supervised] = {}
        self._ingests: Ingests | None = None

    async def run(self) -> Figures:
        """Everything; whatever happens, no process is left."""
        began = time.monotonic()
        try:
            await self._start()
            await self._strike()
            recovered_s, embedded_s = await self._recover()
            async with self._postgres.connected() as connection:
                postings = await audit(connection, self.ledger)
            await check_found(self._address, self.ledger, self._sub("found"))
            await self._stop()
        finally:
            await self._discard()
        return Figures(
            seed=self.seed,
            seconds=time.monotonic() - began,
            kills=self._done,
            counts=dict(self.ledger.counts),
            postings=postings,
            until_recovered_s=recovered_s,
            until_embedded_s=embedded_s,
        )

    async def _start(self) -> None:
        await self._postgres.start()
        self._ollama = Ollama(free_port(self._rng), folder=self._folder, timeline=self._timeline)
        self._address = f"http://127.0.0.1:{(port := free_port(self._rng))}"
        self._env = environment(
            self._folder,
            database_url=self._postgres.dsn,
            embedder="ollama",
            ollama_url=self._ollama.url,
            embed_in_serve="off",
            sources="*",
            port=str(port),
            log_format="json",
        )
        self._processes["ollama"] = self._ollama
        self._processes["service"] = self._jobsense("service", "serve")
        for name in ("worker-1", "worker-2"):
            self._processes[name] = self._jobsense(name, "worker")
        await self._ollama.start()
        await asyncio.gather(*(one.start() for name, one in self._processes.items() if name != "ollama"))

    def _jobsense(self, name: str, command: str) -> Supervised:
        async def is_up(process: Supervised) -> bool:
            if command == "serve":
                return await _is_live(self._address)
            return process.pid is not None and await self._postgres.embeds(process.pid)

        words = ["service", command]
        return Supervised(name, words, env=self._env, folder=self._folder, timeline=self._timeline, is_up=is_up)

    async def _strike(self) -> None:
        """The schedule, while clients write and search, files are taken in and the embedder misbehaves."""
        service = self._processes["service"]
        clients = [
            Client(number, self._address, service, self.ledger, self._timeline, self.seed) for number in range(CLIENTS)
        ]
        self._ingests = ingests = Ingests(
            rows=INGEST_ROWS, env=self._env, folder=self._folder, ledger=self.ledger, timeline=self._timeline
        )
        async with asyncio.TaskGroup() as group:
            for client in clients:
                group.create_task(client.run(self._over))
            group.create_task(ingests.run(self._sub("ingest"), self._over))
            group.create_task(self._weather(self._sub("weather")))
            for step in draw(self.seed, self._kills):
                # Part of the experiment: when the next one strikes is drawn, not waited for.
                await self._over.within(step.wait_s)
                await asyncio.wait_for(self._do(step), 120)
            self._over.declare()

    def _sub(self, name: str) -> random.Random:
        return random.Random(f"{self.seed} {name}")  # noqa: S311 - an experiment that can be repeated

    async def _weather(self, rng: random.Random) -> None:
        deck: list[str] = []
        while not await self._over.within(rng.uniform(0, CALM_S)):
            name = draw_fault(rng, deck)
            self._done_also(f"fault {name}")
            await self._ollama.misbehave(name, rng.uniform(0.5, FAULT_S), self._over)

    def _done_also(self, what: str) -> None:
        self.ledger.counts[what] += 1

    async def _do(self, step: Step) -> None:
        """One step; tried again until there is somebody whom it can strike."""
        name, _, how = step.what.partition(".")
        while not await self._try(name, how, step):
            await self._over.within(0.05)
        self._done[step.what] = self._done.get(step.what, 0) + 1

    async def _try(self, name: str, how: str, step: Step) -> bool:
        number = signal.SIGTERM if how == "term" else signal.SIGKILL
        if name == "ingest":
            assert self._ingests is not None
            return await self._ingests.kill(number, step.for_s * 0.6, self._over)
        if name == "postgres":
            if how == "kill":
                await self._postgres.kill(step.for_s * 0.6, self._over)
                return True
            if how == "kill_one":
                return await self._postgres.kill_one(self._rng)
            return await self._postgres.hold_one(self._rng, step.for_s, self._over)
        process = self._processes[name]
        if step.when_up:
            await process.wait_until_up()
        if how == "hold":
            return await process.hold(step.for_s, self._over)
        return process.kill(number, away_s=step.for_s if name == "ollama" else 0.0)

    async def _recover(self) -> tuple[float, float]:
        """Nothing is wrong any more: in how many seconds all is served in full again, and all is embedded."""
        began = time.monotonic()
        await asyncio.gather(*(process.wait_until_up() for process in self._processes.values()))
        try:
            await until(lambda: served_in_full(self._address), "a search is served in full", timeout_s=RECOVERED_S)
        except AssertionError as error:
            error.add_note(f"search: {await why_not_in_full(self._address)}; fake: {self._processes['ollama'].pid}")
            raise
        recovered_s = time.monotonic() - began
        async with self._postgres.connected() as connection:

            async def is_embedded() -> bool:
                return not await connection.fetchval(WAITING)

            try:
                await until(is_embedded, "everything is embedded", timeout_s=EMBEDDED_S)
            except AssertionError as error:
                self.ledger.fault("unembedded", str(error))
        return recovered_s, time.monotonic() - began

    async def _stop(self) -> None:
        for ended in await asyncio.gather(*(process.stop() for process in self._processes.values())):
            if ended.name != "ollama" and ended.code != 0:
                self.ledger.fault("exit", f"{ended.name} ended with {ended.code} at the end: {ended.said}")
        for name, process in self._processes.items():
            for ended in process.ends:
                if name != "ollama" and (complaint := self._complaint(ended)):
                    self.ledger.fault("exit", f"{name} {complaint}: {ended.said}")

    def _complaint(self, ended: Ended) -> str:
        if ended.signal is signal.SIGTERM:
            if ended.took_s > STOP_S:
                return f"took {ended.took_s:.1f} s to stop"
            allowed = {0} if ended.was_up else CLEAN
            return "" if ended.code in allowed else f"ended with {ended.code} after SIGTERM"
        if ended.signal is signal.SIGKILL:
            return ""
        starting = not ended.was_up and self._timeline.touches("postgres", ended.began, ended.ended, grace_s=5)
        return "" if starting else f"ended by itself with {ended.code} after {ended.ended - ended.began:.1f} s"

    async def _discard(self) -> None:
        self._over.declare()
        await asyncio.gather(*(process.discard() for process in self._processes.values()))
        if self._ingests is not None:
            await self._ingests.discard()
        await self._postgres.stop()


async def _is_live(address: str) -> bool:
    async with httpx.AsyncClient(base_url=address, timeout=5, verify=TLS) as client:
        try:
            return (await client.get("/health/live")).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False


async def run_faults(*, kills: int) -> None:
    """Run with the seed in FAULT_SEED, else a new one; fails with everything that was found wrong, and the seed."""
    seed = os.environ.get("FAULT_SEED") or secrets.token_hex(4)
    sys.stdout.write(f"faults: {kills} kills, FAULT_SEED={seed}\n")
    sys.stdout.flush()
    # In memory where there is room: nothing of it is kept, and a process that is killed loses nothing it has written.
    roomy = _SHARED_MEMORY.is_dir() and shutil.disk_usage(_SHARED_MEMORY).free > _ROOM
    with tempfile.TemporaryDirectory(dir=_SHARED_MEMORY if roomy else None, prefix="jobsense-test-faults-") as folder:
        experiment = Experiment(Path(folder), kills=kills, seed=seed)
        try:
            figures = await experiment.run()
        except BaseException as error:
            error.add_note(f"FAULT_SEED={seed}; so far: {experiment.ledger.wrong[:20]}")
            raise
    sys.stdout.write(f"{figures}\n")
    wrong = experiment.ledger.wrong
    assert not wrong, f"FAULT_SEED={seed}: {len(wrong)} found wrong:\n" + "\n".join(wrong[:30])
