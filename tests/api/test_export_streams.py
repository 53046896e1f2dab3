"""An export as a stream: who reads slowly, leaves or stalls costs nothing, and a stream that is cut shows it."""

import asyncio
import io
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import msgspec
import pytest

import service.export.domain
import service.http.streaming
from service.access.keys import create_key
from tests.api.calls import EXPORT, JOBS, create, problem, sample
from tests.conftest import Service

ROWS = 3000
FILL = f"""
insert into job (
    tenant_id, source, title, company, company_key, description, content_hash, text_hash, created_at, updated_at
)
select 1, 'linkedin', 'Cook ' || n, 'Afya', 'afya', repeat('x', 10000), '', '', now(), now()
from generate_series(1, {ROWS}) n
"""  # noqa: S608 - a number of ours
LAST = b"\r\n0\r\n\r\n"
COPIES = "select count(*) from pg_stat_activity where query like 'COPY%' and datname = current_database()"


@pytest.fixture
async def large(api: Service) -> Service:
    """Thirty megabytes of postings: more than all buffers between here and a reader."""
    async with api.parts.db.connection() as connection:
        await connection.execute(FILL)
    return api


class Reader:
    """A client with small buffers, which reads when it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    async def read(self, size: int = 1000) -> bytes:
        """Read some of the answer."""
        return await self._reader.readexactly(size)

    async def rest(self) -> bytes:
        """Read until the connection ends, in order or cut."""
        try:
            return await self._reader.read()
        except ConnectionResetError:
            return b""

    def leave(self) -> None:
        """Go without a word."""
        self.writer.transport.abort()


@asynccontextmanager
async def asking(wire: httpx.AsyncClient, form: str = "csv", **headers: str) -> AsyncIterator[Reader]:
    """A reader that has asked for everything."""
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    plain.setblocking(False)
    await asyncio.get_running_loop().sock_connect(plain, ("127.0.0.1", wire.base_url.port))
    made = Reader(*await asyncio.open_connection(sock=plain, limit=8192))
    lines = [f"GET {EXPORT}.{form} HTTP/1.1", "Host: test", *(f"{name}: {value}" for name, value in headers.items())]
    made.writer.write("\r\n".join([*lines, "", ""]).encode())
    try:
        yield made
    finally:
        made.leave()


async def until(holds: Callable[[], bool | Awaitable[bool]]) -> None:
    """Give way until something holds."""
    async with asyncio.timeout(20):
        while not (found if isinstance(found := holds(), bool) else await found):  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0)


async def is_free(api: Service) -> bool:
    """Whether no export holds anything any more: no place, no connection, no statement in the server."""
    opened, idle, _ = api.parts.db.sizes()
    if api.parts.exports.active or opened != idle:
        return False
    async with api.parts.db.connection() as connection:
        return bool(await connection.fetchval(COPIES + " and pid <> pg_backend_pid() and state = 'active'") == 0)


def ended(log: io.BytesIO, form: str = "csv") -> list[dict[str, Any]]:
    """The lines of the exports that have ended."""
    lines = [msgspec.json.decode(line) for line in log.getvalue().splitlines()]
    return [line for line in lines if line["event"] == "http.request" and line.get("http.route") == f"{EXPORT}.{form}"]


@pytest.mark.parametrize("form", ["csv", "ndjson"])
async def test_a_slow_reader_gets_everything(large: Service, wire: httpx.AsyncClient, form: str) -> None:
    """However slowly it is read, an export is whole; meanwhile it holds no place among the requests."""
    async with asking(wire, form, Connection="close") as reader:
        begun = await reader.read()
        assert begun.startswith(b"HTTP/1.1 200 OK\r\n")
        assert large.parts.exports.active == 1
        gates = large.app.admission.gates  # type: ignore[attr-defined] # the application's own class
        assert {gate.in_service for gate in gates.values()} == {0}
        await create(large)
        text = begun + await reader.rest()
    assert text.endswith(LAST)
    assert text.count(b"Cook ") == ROWS
    await until(lambda: is_free(large))
    assert sample(large, "jobsense_exports_total", form=form, outcome="done") == 1


async def test_a_reader_that_leaves_ends_its_export(large: Service, wire: httpx.AsyncClient, log: io.BytesIO) -> None:
    """Its statement, its connection and its place are free at once, whether it read anything or not."""
    for read in (0, 1, 100_000):
        async with asking(wire) as reader:
            await reader.read(read)
            await until(lambda: large.parts.exports.active == 1)
        await until(lambda: is_free(large))
    await until(lambda: len(ended(log)) == 3)
    assert {line["http.response.status_code"] for line in ended(log)} == {499}
    assert sample(large, "jobsense_exports_total", form="csv", outcome="broken_off") == 3
    assert b"exception" not in log.getvalue()


async def test_a_reader_that_stalls_is_cut_off(
    large: Service, wire: httpx.AsyncClient, log: io.BytesIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who takes nothing for too long loses the connection, without the last chunk, and what it held is free."""
    monkeypatch.setattr(service.http.streaming, "STALL_S", 0.2)
    async with asking(wire) as reader:
        await reader.read()
        await until(lambda: is_free(large))
        await until(lambda: len(ended(log)) == 1)
        assert not (await reader.rest()).endswith(LAST)
    (line,) = ended(log)
    assert (line["http.response.status_code"], line["error.type"]) == (499, "stalled")
    assert log.getvalue().count(b'"http.reader_stalled"') == 1
    assert b"exception" not in log.getvalue()


@pytest.mark.usefixtures("large")
async def test_a_reader_that_goes_on_in_time_is_not_cut_off(
    wire: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The patience is for each piece, not for all of them: with pauses an export may take longer than that."""
    monkeypatch.setattr(service.http.streaming, "STALL_S", 1.0)
    began, never = asyncio.get_running_loop().time(), asyncio.ensure_future(asyncio.Event().wait())
    async with asking(wire, Connection="close") as reader:
        for _ in range(12):
            assert await reader.read(2_000_000)
            await asyncio.wait({never}, timeout=0.1)
        assert (await reader.rest()).endswith(LAST)
    assert asyncio.get_running_loop().time() - began > 1.2
    never.cancel()


async def test_a_fault_midway_shows(large: Service, wire: httpx.AsyncClient, log: io.BytesIO) -> None:
    """When the database goes the stream ends without its last chunk, the fault is logged, and the pool recovers."""
    with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):  # noqa: PT012 - midway
        async with wire.stream("GET", f"{EXPORT}.csv") as answer:
            assert answer.status_code == 200
            async with large.parts.db.connection() as connection:
                end = COPIES.replace("count(*)", "count(pg_terminate_backend(pid))")
                assert await connection.fetchval(end + " and pid <> pg_backend_pid()") == 1
            async for piece in answer.aiter_bytes():
                assert piece
    await until(lambda: len(ended(log)) == 1)
    (line,) = ended(log)
    assert (line["level"], line["error.type"]) == ("error", "DatabaseUnavailable")
    assert sample(large, "jobsense_exports_total", form="csv", outcome="failed") == 1
    assert (await wire.get(JOBS)).status_code == 200
    await until(lambda: is_free(large))


@pytest.mark.usefixtures("large")
async def test_a_fault_before_the_first_piece_is_a_problem(
    wire: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing was sent yet the answer is a problem like any other, without the headers of a file."""
    monkeypatch.setattr(service.export.domain, "LONGEST_S", 0.0)
    answer = await wire.get(f"{EXPORT}.csv")
    problem(answer, 503, "database_unavailable")
    assert "content-disposition" not in answer.headers


async def test_exports_have_places_of_their_own(large: Service, wire: httpx.AsyncClient) -> None:
    """Two of a tenant and four in all run at once; the others are told when to ask again, and requests go on."""
    names = ("a", "b", "c")
    keys = [await create_key(large.parts.db, tenant=name, name="x", scopes=("jobs:read",)) for name in names]
    async with large.parts.db.connection() as connection:
        shared_out = "update job set tenant_id = (array(select id from tenant where name = any ($1)))[1 + id % 3]"
        await connection.execute(shared_out, names)

    async def refused(key: str) -> None:
        answer = await wire.get(f"{EXPORT}.csv", headers={"X-API-Key": key})
        problem(answer, 503, "overloaded")
        assert answer.headers["retry-after"] == "10"

    async with AsyncExitStack() as stack:
        for number, key in enumerate((keys[0], keys[0], keys[1], keys[1])):
            reader = await stack.enter_async_context(asking(wire, **{"X-API-Key": key}))
            assert (await reader.read()).startswith(b"HTTP/1.1 200")
            assert large.parts.exports.active == number + 1 == sample(large, "jobsense_exports_active")
            if number == 1:
                await refused(keys[0])
        await refused(keys[2])
        for _ in range(20):
            assert (await wire.get(JOBS, headers={"X-API-Key": keys[0]})).status_code == 200
        reader.leave()
        await until(lambda: large.parts.exports.active == 3)
        assert (await wire.get(f"{EXPORT}.csv", headers={"X-API-Key": keys[2]})).text.count("Cook ") == ROWS / 3
    await until(lambda: is_free(large))
    assert sample(large, "jobsense_exports_total", form="csv", outcome="refused") == 2
    assert large.parts.exports._under_way == {}
