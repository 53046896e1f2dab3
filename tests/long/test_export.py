"""A million postings exported by a real process: constant memory, and readers that are slow or leave cost nothing."""

import asyncio
import re
import socket
import statistics
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from service.access.keys import create_key
from service.db import Database, session
from service.http.streaming import STALL_S
from tests.cli.conftest import environment
from tests.cli.test_commands import unused_port
from tests.conftest import Server
from tests.load.stack import Program, until
from tests.load.verdict import sayer

pytestmark = pytest.mark.long

ROWS, OTHERS = 1_000_000, 100_000
MOST_GROWTH_KB = 30_000
TURNS = 5
EXPORT = "/api/v1/export/jobs"
FILL = f"""
insert into job (
    tenant_id, source, external_id, title, company, company_key, description, location, location_key, employment_type,
    posted_at, content_hash, text_hash, created_at, updated_at
)
select
    case when n <= {ROWS} then 1 else (select id from tenant where name = 'other') end, 'linkedin', 'x' || n,
    '=Accountant ' || n, 'Company ' || n % 500, 'company ' || n % 500,
    repeat('<p class="x">Keep the books, daily.</p>' || chr(10), 16), 'Nairobi', 'nairobi', 'full-time',
    '2026-01-01'::timestamptz + n * interval '1 second', '', int4send(n), now(), now()
from generate_series(1, {ROWS + OTHERS}) n;
select create_generation('p', 'm', 'd', 8, 9, '', '', 9, 1, 0, 0, now());
insert into embedded select id, 1, text_hash, 1, 0.8, now(), null from job where id % 2 = 0;
insert into embedding_task (job_id, text_hash, due_at, created_at)
select id, text_hash, 'infinity', now() from job where id % 2 = 1;
"""  # noqa: S608 - numbers of ours


class Serving:
    """A process that serves, and its memory."""

    def __init__(self, program: Program, address: str, keys: list[str], dsn: str) -> None:
        self._status = Path(f"/proc/{program.process.pid}/status")
        self.address = address
        self.keys = keys
        self.dsn = dsn

    def rss_kb(self) -> int:
        """Resident memory now."""
        return int(re.findall(r"VmRSS:\s+(\d+) kB", self._status.read_text())[0])

    async def metric(self, client: httpx.AsyncClient, name: str) -> float:
        """The value of a gauge."""
        return float(re.findall(rf"^{re.escape(name)} (\S+)$", (await client.get("/metrics")).text, re.MULTILINE)[0])


@pytest.fixture(scope="module")
async def serving(server: Server, template: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Serving]:
    """`jobsense serve` on a million postings of one tenant and some of another."""
    dsn, folder = await server.create_database(template), tmp_path_factory.mktemp("export")
    opened = await Database.open(dsn)
    keys = [await create_key(opened, tenant=name, name="x", scopes=("jobs:read",)) for name in ("public", "other")]
    await opened.close()
    async with session(dsn) as connection:
        await connection.execute(FILL)
        await connection.execute("vacuum analyze")
    # No embedder: a model that is being loaded would be most of what is measured.
    away = f"http://127.0.0.1:{unused_port()}"
    env = environment(folder, database_url=dsn, port="0", embedder="ollama", ollama_url=away)
    program = Program("serve", ["service", "serve"], folder=folder, env=env)
    try:
        address = (await program.said(r'"service.starting".*"address":"(http://[^"]+)"'))[1]
        await program.said('"event":"service.ready"')
        yield Serving(program, address, keys, dsn)
    finally:
        assert program.stop() == 0
        await server.drop_database(dsn)


async def warm_up(serving: Serving, client: httpx.AsyncClient) -> int:
    """Use every part once; the memory of the process after that, in kB."""
    for form in ("csv", "ndjson"):
        for _ in range(3):
            assert (await client.get(f"{EXPORT}.{form}", params={"company": "company 1"})).status_code == 200
    for _ in range(50):
        assert (await client.get("/api/v1/jobs", params={"limit": 100})).status_code == 200
    return serving.rss_kb()


async def test_memory_is_constant(serving: Serving, capfd: pytest.CaptureFixture[str]) -> None:
    """A million rows, in each form: all of them, while the process grows by less than 30 MB."""
    say = sayer(capfd)
    async with httpx.AsyncClient(base_url=serving.address, timeout=600, trust_env=False) as client:
        before = await warm_up(serving, client)
        for form, end in (("csv", b"\r\n"), ("ndjson", b"\n")):
            most, lines, size, first_s, began = before, 0, 0, 0.0, time.perf_counter()
            last = b""
            async with client.stream("GET", f"{EXPORT}.{form}") as answer:
                assert answer.status_code == 200
                async for piece in answer.aiter_raw():
                    first_s = first_s or time.perf_counter() - began
                    lines += (last[-1:] + piece).count(end) if len(end) > 1 else piece.count(end)
                    size += len(piece)
                    most = max(most, serving.rss_kb())
                    last = piece
            took_s = time.perf_counter() - began
            say(
                f"{form}: {lines:,} lines, {size / 1e6:.0f} MB in {took_s:.1f} s: {lines / took_s:,.0f} rows/s,"
                f" {size / took_s / 1e6:.1f} MB/s, first byte after {first_s * 1000:.0f} ms;"
                f" memory {before / 1000:.1f} MB, {(most - before) / 1000:+.1f} MB at most"
            )
            assert lines == ROWS + (form == "csv")
            assert most - before < MOST_GROWTH_KB


async def reader_of(serving: Serving, key: str) -> asyncio.StreamWriter:
    """A client with small buffers that has read a megabyte of an export and reads no more."""
    host, _, port = serving.address.removeprefix("http://").rpartition(":")
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    plain.setblocking(False)
    await asyncio.get_running_loop().sock_connect(plain, (host, int(port)))
    reader, writer = await asyncio.open_connection(sock=plain, limit=8192)
    writer.write(f"GET {EXPORT}.csv HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\n\r\n".encode())
    assert (await reader.readexactly(12)).endswith(b"200")
    assert await reader.readexactly(1_000_000)
    return writer


async def latency_s(client: httpx.AsyncClient) -> float:
    """The median of a hundred lists, all of which are answered."""
    found = []
    for _ in range(100):
        began = time.perf_counter()
        assert (await client.get("/api/v1/jobs", params={"limit": 20})).status_code == 200
        found.append(time.perf_counter() - began)
    return statistics.median(found)


async def test_readers_that_are_slow_or_leave_cost_nothing(serving: Serving, capfd: pytest.CaptureFixture[str]) -> None:
    """Sixteen leave, four stall: requests are served beside them, memory stays, and the pool is whole afterwards."""
    say = sayer(capfd)
    async with httpx.AsyncClient(base_url=serving.address, timeout=60, trust_env=False) as client:

        async def free() -> bool:
            used = await serving.metric(client, 'db_client_connection_count{state="used"}')
            return used == await serving.metric(client, "jobsense_exports_active") == 0

        before = most = await warm_up(serving, client)
        alone_s = await latency_s(client)
        for turn in range(TURNS):
            readers = [await reader_of(serving, key) for key in serving.keys * 2]
            assert await serving.metric(client, "jobsense_exports_active") == len(readers)
            refused = await client.get(f"{EXPORT}.csv")
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "10")
            beside_s = await latency_s(client)
            most = max(most, serving.rss_kb())
            began, how = time.perf_counter(), "left" if turn < TURNS - 1 else "stalled"
            if how == "left":
                for reader in readers:
                    reader.transport.abort()
            await until(free, within_s=STALL_S + 30)
            say(
                f"GET /jobs takes {alone_s * 1000:.1f} ms alone, {beside_s * 1000:.1f} beside four readers;"
                f" all is free {time.perf_counter() - began:.1f} s after they {how}"
            )
        for reader in readers:
            reader.transport.abort()
        say(f"memory {before / 1000:.1f} MB, {(most - before) / 1000:+.1f} MB at most")
        assert most - before < MOST_GROWTH_KB
        assert (await client.get(f"{EXPORT}.csv", params={"company": "company 1"})).status_code == 200
    async with session(serving.dsn) as connection:
        copying = "select count(*) from pg_stat_activity where query like 'COPY%' and state <> 'idle'"
        assert await connection.fetchval(copying) == 0
