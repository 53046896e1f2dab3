"""Reads whole exports over HTTP, and copies the same columns out of the database with nothing in between."""

import asyncio
import time
from urllib.parse import urlsplit

import asyncpg

from tests.bench.turn import Turn
from tests.load.generator import get

PATH = "/api/v1/export/jobs.csv"
_PIECE = 256 * 1024
_LAST_CHUNK = b"\r\n0\r\n\r\n"
_COLUMNS = (
    "j.id, j.title, j.company, j.source, j.external_id, j.description, j.location, j.remote, j.employment_type,"
    " j.salary_min, j.salary_max, j.currency, j.salary_period, j.url, j.posted_at, j.expires_at, j.version,"
    " j.created_at, j.updated_at, case when t.failed_at is not null then 'failed'"
    " when t.job_id is null and e.job_id is not null then 'done' else 'pending' end as embedding_state,"
    " t.reason, e.generation, e.coverage"
)
COPY = (
    f"select {_COLUMNS} from job j left join embedding_task t on t.job_id = j.id"  # noqa: S608 - our own names
    " left join embedded e on e.job_id = j.id and e.generation = 1 where j.tenant_id = 1 order by j.id"
)


async def downloaded(address: str, *, seconds: float, rows: int) -> Turn:
    """One reader that downloads the export again and again; the size of each is that of the first."""
    latencies, sizes = list[float](), list[int]()
    began = time.perf_counter()
    while not latencies or time.perf_counter() - began < seconds:
        at = time.perf_counter()
        sizes.append(await download(address))
        latencies.append(time.perf_counter() - at)
    assert max(sizes) < 1.01 * min(sizes), f"exports of {sizes} bytes"  # the marks of chunks differ
    return Turn.of(latencies, time.perf_counter() - began, units_each=rows)


async def download(address: str) -> int:
    """Read one export to its last chunk and count its bytes, head and chunk marks included."""
    parts = urlsplit(address)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=4 * _PIECE)
    try:
        writer.write(get(address, PATH))
        size, end = 0, b""
        while not end.endswith(_LAST_CHUNK):
            piece = await reader.read(_PIECE)
            assert piece, f"the export ended after {size} bytes"
            assert size or piece.startswith(b"HTTP/1.1 200"), piece[:300]
            size += len(piece)
            end = (end + piece)[-len(_LAST_CHUNK) :]
        return size
    finally:
        writer.close()


async def copied_out(connection: "asyncpg.Connection[asyncpg.Record]", *, seconds: float, rows: int) -> Turn:
    """COPY of the columns of the export, as they are."""
    latencies = list[float]()
    began = time.perf_counter()

    async def drop(_piece: bytes) -> None:
        """Take it, and do nothing."""

    while not latencies or time.perf_counter() - began < seconds:
        at = time.perf_counter()
        told = await connection.copy_from_query(COPY, output=drop, format="csv", header=True)
        assert told == f"COPY {rows}", told
        latencies.append(time.perf_counter() - at)
    return Turn.of(latencies, time.perf_counter() - began, units_each=rows)
