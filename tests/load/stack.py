"""Real processes for load tests: `jobsense serve`, `jobsense worker` and the fake Ollama, on a test's database."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from tests.cli.conftest import environment
from tests.load.material import posting

PATIENCE_S = 60.0
BATCH = 1000
_TICKS = os.sysconf("SC_CLK_TCK")
_OF_A_PROCESS = 2
"""CPUCLOCK_SCHED: what `clock_getcpuclockid` of the C library puts into the number of a process's clock."""


async def until(
    condition: Callable[[], Awaitable[bool]], *, every_s: float = 0.1, within_s: float = PATIENCE_S
) -> None:
    """Ask again and again until a condition holds. Raises TimeoutError."""
    async with asyncio.timeout(within_s):
        while not await condition():
            await passing(every_s)


class Program:
    """A process with its output in a file: a pipe would have to be read by whoever measures."""

    process_group: int | None = None
    """0: one of its own, which Ctrl-C on the terminal does not reach."""

    def __init__(
        self, name: str, arguments: Iterable[str], *, folder: Path, env: Mapping[str, str], python: str = sys.executable
    ) -> None:
        self.name = name
        self._path = folder / f"{name}.log"
        with self._path.open("wb") as output:
            self.process = subprocess.Popen(
                [python, "-m", *arguments],
                cwd=folder,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=self.process_group,
            )

    def text(self) -> str:
        """The output so far."""
        return self._path.read_text(errors="replace")

    async def said(self, pattern: str) -> re.Match[str]:
        """Wait until the output matches; fails when the process ends first."""

        async def matches() -> bool:
            found = re.search(pattern, self.text())
            assert found or self.process.poll() is None, self.text()
            return found is not None

        await until(matches, every_s=0.02)
        match = re.search(pattern, self.text())
        assert match is not None
        return match

    def cpu_s(self) -> float:
        """Processor time of the process so far."""
        return cpu_s_of(self.process.pid)[0]

    def cpu_ns(self) -> int:
        """The same in nanoseconds, by the processor-time clock that Linux has for every process."""
        return time.clock_gettime_ns((~self.process.pid << 3) | _OF_A_PROCESS)

    def stop(self) -> int:
        """End it with SIGTERM, or with SIGKILL after fifteen seconds; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait()


def cpu_s_of(pid: int) -> tuple[float, float]:
    """Processor time of a process, and of its children that ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own, of_children = sum(map(int, fields[11:13])), sum(map(int, fields[13:15]))
    return own / _TICKS, of_children / _TICKS


def cpu_s_of_family(pid: int) -> float:
    """Processor time of the parent of a process and of all its children, those that ended included."""
    parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return sum(cpu_s_of(parent)) + sum(cpu_s_of(int(child))[0] for child in children)


class Stack:
    """The processes of one load test, and its hand on the fake."""

    def __init__(self, folder: Path, dsn: str, settings: Mapping[str, str]) -> None:
        self._folder = folder
        self._dsn = dsn
        self._settings = dict(settings)
        self._programs: list[Program] = []
        self._number = count(1)
        self._database: asyncpg.Connection
        self._client: httpx.AsyncClient
        self.fake_url = ""
        self.address = ""

    async def start(self) -> None:
        """Start the fake and the service, and wait until searches are whole."""
        self._client = httpx.AsyncClient(timeout=PATIENCE_S, trust_env=False)
        self._database = await asyncpg.connect(self._dsn)
        fake = self._begin("fake", "tests.fake_ollama")
        self.fake_url = (await fake.said(r"(http://\S+)\n"))[1]
        serve = self._begin("serve", "service", "serve", port="0", ollama_url=self.fake_url)
        self.address = (await serve.said(r'"service.starting".*"address":"(http://[^"]+)"'))[1]
        await until(self.is_whole, every_s=0.05)

    async def start_another(self, name: str, **variables: str) -> tuple[str, Program]:
        """Start another service on the same database and model, with environment variables; its address, once ready."""
        another = self._begin(name, "service", "serve", variables=variables, port="0", ollama_url=self.fake_url)
        address = (await another.said(r'"service.starting".*"address":"(http://[^"]+)"'))[1]
        await until(partial(self.is_whole, address), every_s=0.05)
        return address, another

    async def start_worker(self) -> Program:
        """Start a worker; it embeds once its own embedder is connected."""
        return self._begin("worker", "service", "worker", ollama_url=self.fake_url)

    def _begin(self, name: str, *arguments: str, variables: Mapping[str, str] | None = None, **more: str) -> Program:
        env = environment(self._folder, database_url=self._dsn, embedder="ollama", **(self._settings | more))
        env |= variables or {}
        program = Program(name, arguments, folder=self._folder, env=env)
        self._programs.append(program)
        return program

    async def stop(self) -> None:
        """End every process that was started; the fake last, so that nobody has to wait for it."""
        for program in reversed(self._programs):
            await asyncio.to_thread(program.stop)
        await self._client.aclose()
        await self._database.close()

    async def set(self, **knobs: object) -> None:
        """Change knobs of the fake."""
        answer = await self._client.post(f"{self.fake_url}/__fake/knobs", json=knobs)
        assert answer.status_code == 200, answer.text

    async def search(self, text: str = "nurse", *, address: str | None = None) -> Any:
        """The answer to one search."""
        answer = await self._client.post(f"{address or self.address}/api/v1/search", json={"text": text})
        return answer.json()

    async def text_of(self, url: str) -> str:
        """What a GET is answered."""
        return (await self._client.get(url)).text

    async def job_ids(self, most: int) -> list[int]:
        """The ids of some postings."""
        found = await self._database.fetch("select id from job order by id limit $1", most)
        return [int(row["id"]) for row in found]

    async def is_whole(self, address: str | None = None) -> bool:
        """Whether a search that nobody has made before is served by meaning."""
        try:
            answer = await self.search(f"nurse {next(self._number)}", address=address)
        except httpx.TransportError:
            return False
        return bool(answer.get("mode", {}).get("served") == "hybrid")

    async def store(self, count: int, *, first: int = 0) -> None:
        """Store so many postings by batches, numbered from `first` on."""
        rows = (posting(number) for number in range(first, first + count))
        while chunk := list(islice(rows, BATCH)):
            answer = await self._client.post(f"{self.address}/api/v1/jobs/batch", json=chunk)
            assert answer.status_code == 200, answer.text
            assert {one["status"] for one in answer.json()["results"]} == {"created"}

    async def backlog(self) -> int:
        """Postings that wait for their vectors."""
        return int(await self._database.fetchval("select count(*) from embedding_task where failed_at is null"))

    async def analyze(self) -> None:
        """Let the planner know what was stored, as autovacuum does within a minute."""
        await self._database.execute("vacuum analyze")

    async def until_embedded(self, *, within_s: float = 180.0) -> None:
        """Wait until no posting waits."""

        async def done() -> bool:
            return not await self.backlog()

        await until(done, every_s=0.2, within_s=within_s)

    def log_of(self, name: str) -> str:
        """The output of a program."""
        return next(program for program in self._programs if program.name == name).text()

    async def cpu_s(self) -> dict[str, float]:
        """Processor time so far of each process, of the database server as a whole."""
        used = {program.name: program.cpu_s() for program in self._programs}
        pid = await self._database.fetchval("select pid from pg_stat_activity where backend_type = 'checkpointer'")
        return used | {"postgres": cpu_s_of_family(pid)}


@asynccontextmanager
async def running_stack(folder: Path, dsn: str, **settings: str) -> AsyncIterator[Stack]:
    """The service with its fake Ollama, ready; keywords are settings."""
    stack = Stack(folder, dsn, settings)
    try:
        await stack.start()
        yield stack
    finally:
        await stack.stop()


async def passing(seconds: float) -> None:
    """Let time pass while requests are offered: the measurement itself takes that long."""
    passed = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, passed.set)
    await passed.wait()
