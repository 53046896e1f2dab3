"""What a benchmark runs on: one database with its postings, the model server, and both services beside each other."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import httpx
from pgvector.asyncpg import register_vector

from service.embedded.server import EmbeddedPostgres
from service.migrate import migrate_up
from service.search.scan import ef_search
from tests.bench.fill import Say, fill
from tests.cli.conftest import REPOSITORY, environment
from tests.load.stack import Program, cpu_s_of_family, until

REFERENCE_PYTHON = REPOSITORY / ".make/bench/venv/bin/python"
CONNECTIONS = 16
"""Clients of each side; connections of each pool; statements at once of the limit."""
TRACED = "0.1"
"""Share of the traces of JobSense that are exported, with every failed and slow one. The reference makes none."""
DATABASE = "bench"


class Stand:
    """The running parts."""

    def __init__(self, folder: Path, dsn: str, postings: int, say: Say) -> None:
        self.folder = folder
        self.dsn = dsn
        self.postings = postings
        self.ef_search = ef_search(postings)
        self.say = say
        self.programs: dict[str, Program] = {}
        self.address: dict[str, str] = {}
        self.embedder_url = ""
        self.database: asyncpg.Connection[asyncpg.Record]
        self.bare: list[asyncpg.Connection[asyncpg.Record]] = []
        """The connections of the limit."""
        self._client = httpx.AsyncClient(timeout=300.0, trust_env=False)

    async def start(self) -> None:
        """Start the model server, fill the database, and start both services."""
        embedder = self._begin("embedder", ["tests.bench.embedder"], {})
        self.embedder_url = (await embedder.said(r"(http://\S+)\n"))[1]
        await fill(self.dsn, self.embedder_url, self.postings, self.say)
        self.database = await connect(self.dsn)
        self.bare = [await connect(self.dsn) for _ in range(CONNECTIONS)]
        await asyncio.gather(self.start_jobsense(), self.start_reference())

    def _begin(self, name: str, arguments: list[str], env: Mapping[str, str], **more: str) -> Program:
        variables = environment(self.folder) | dict(env)
        program = self.programs[name] = Program(name, arguments, folder=self.folder, env=variables, **more)
        return program

    def _jobsense_env(self) -> dict[str, str]:
        settings = environment(
            self.folder, database_url=self.dsn, embedder="ollama", ollama_url=self.embedder_url, port="0"
        )
        return settings | {"OTEL_EXPORTER_OTLP_ENDPOINT": self.embedder_url, "OTEL_TRACES_SAMPLER_ARG": TRACED}

    def _reference_env(self) -> dict[str, str]:
        url = self.dsn.replace("postgresql://", "postgresql+asyncpg://")
        return {"DATABASE_URL": url, "OLLAMA_URL": self.embedder_url, "EF_SEARCH": str(self.ef_search)}

    def begin_jobsense(self, name: str = "jobsense", command: str = "serve") -> Program:
        """JobSense as in production, but on a port of its own choice and without keys."""
        return self._begin(name, ["service", command], self._jobsense_env())

    def begin_reference(self, name: str = "reference") -> Program:
        """The reference, with the loop and the parser that make uvicorn fast, and its access log as it is."""
        options = ["--port", "0", "--loop", "uvloop", "--http", "httptools"]
        arguments = ["uvicorn", "tests.bench.reference.app:app", *options]
        return self._begin(name, arguments, self._reference_env(), python=str(REFERENCE_PYTHON))

    def begin_reference_worker(self) -> Program:
        """What embeds for the reference."""
        arguments = ["tests.bench.reference.embedding"]
        return self._begin("reference-worker", arguments, self._reference_env(), python=str(REFERENCE_PYTHON))

    async def start_jobsense(self) -> None:
        """Start it and wait until it answers searches by meaning."""
        address = await jobsense_address(self.begin_jobsense())
        self.address["jobsense"] = address
        number = iter(range(10**6))

        async def whole() -> bool:
            body = {"text": f"nurse {next(number)}", "mode": "semantic"}
            try:
                answer = await self._client.post(f"{address}/api/v1/search", json=body)
            except httpx.TransportError:
                return False
            return answer.is_success and answer.json()["mode"]["served"] == "semantic"

        await until(whole, every_s=0.05)

    async def start_reference(self) -> None:
        """Start it; it is ready when it says so."""
        self.address["reference"] = await reference_address(self.begin_reference())

    async def stop_program(self, name: str) -> None:
        """End one program."""
        await asyncio.to_thread(self.programs.pop(name).stop)

    async def ask(self, side: str, method: str, path: str, body: object = None) -> httpx.Response:
        """One request outside of any measurement; it must succeed."""
        answer = await self._client.request(method, self.address[side] + path, json=body)
        assert answer.is_success, f"{side}: {answer.status_code} {answer.text[:500]}"
        return answer

    async def knobs(self, **knobs: object) -> None:
        """Change knobs of the model server."""
        answer = await self._client.post(f"{self.embedder_url}/__fake/knobs", json=knobs)
        assert answer.is_success, answer.text

    async def cpu_s(self) -> dict[str, float]:
        """Processor time so far, of each program and of the database server as a whole."""
        used = {name: program.cpu_s() for name, program in self.programs.items()}
        pid = await self.database.fetchval("select pid from pg_stat_activity where backend_type = 'checkpointer'")
        return used | {"postgres": cpu_s_of_family(pid)}

    async def forget_new(self) -> None:
        """Take away the postings that were stored since the start, so that every turn finds the same database."""
        await self.database.execute("delete from job where id > $1", self.postings, timeout=300)
        await self.database.execute("vacuum analyze job", timeout=300)
        await self.database.execute("vacuum analyze job_word", timeout=300)
        await self.database.execute("vacuum analyze embedding_task", timeout=300)

    async def close(self) -> None:
        """End every program, the model server last."""
        for name in reversed([*self.programs]):
            await self.stop_program(name)
        await self._client.aclose()
        for connection in self.bare:
            await connection.close()
        if hasattr(self, "database"):
            await self.database.close()


async def jobsense_address(program: Program) -> str:
    """Where JobSense listens, from its log."""
    return (await program.said(r'"service.starting".*"address":"(http://[^"]+)"'))[1]


async def reference_address(program: Program) -> str:
    """Where uvicorn listens, from its log."""
    return (await program.said(r"running on (http://\S+)"))[1]


async def connect(dsn: str) -> "asyncpg.Connection[asyncpg.Record]":
    """A connection that knows the vector types."""
    connection = await asyncpg.connect(dsn, server_settings={"jit": "off", "timezone": "UTC"})
    await register_vector(connection)
    return connection


@asynccontextmanager
async def standing(folder: Path, postings: int, say: Say) -> AsyncIterator[Stand]:
    """Everything running on the folder's database, which is kept."""
    async with EmbeddedPostgres(folder / "database") as server:  # which makes the folder
        dsn = await server.create_database(DATABASE)
        await migrate_up(dsn)
        stand = Stand(folder, dsn, postings, say)
        try:
            await stand.start()
            yield stand
        finally:
            await stand.close()


def busy() -> str:
    """The load of the machine, which a reader of the figures should know."""
    return "/".join(f"{load:.2f}" for load in os.getloadavg())
