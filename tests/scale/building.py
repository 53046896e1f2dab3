"""Builds the indexes of vectors, with their time, size and memory."""

import asyncio
import time
from pathlib import Path

from service.db import Connection
from tests.load.stack import passing
from tests.scale.model import Build

INDEX = "passage_g1_embedding_idx"
BINARY = "scale_binary_idx"
_GRAPH = "with (m = 16, ef_construction = 200)"
DEFINITIONS = {
    INDEX: f"create index {INDEX} on passage_g1 using hnsw (embedding halfvec_ip_ops) {_GRAPH}",
    # One bit a dimension: whether it is positive. Distances are counts of bits that differ.
    BINARY: (
        f"create index {BINARY} on passage_g1"
        f" using hnsw ((binary_quantize(embedding)::bit(768)) bit_hamming_ops) {_GRAPH}"
    ),
}
AMPLE_MB, SCANT_MB = 2048, 16
"""maintenance_work_mem: with room for every graph up to about 700,000 vectors, and with room for hardly any."""
HELPERS = 2
"""Parallel workers that a build may have; the server has no more than `max_parallel_workers`."""
TIMEOUT_S = 7200.0
_SAMPLE_S = 0.05


async def build(
    connection: Connection, index: str, name: str, *, maintenance_mb: int = AMPLE_MB, helpers: int = 0
) -> Build:
    """Build an index anew. Without helpers the memory that it takes is that of one process, and can be seen."""
    await connection.execute(f"drop index if exists {index}")
    await connection.execute(f"set maintenance_work_mem = '{maintenance_mb}MB'")
    await connection.execute(f"set max_parallel_maintenance_workers = {helpers}")
    status = Path(f"/proc/{connection.get_server_pid()}/status")
    before = _private_bytes(status)
    began = time.perf_counter()
    task = asyncio.create_task(connection.execute(DEFINITIONS[index], timeout=TIMEOUT_S))
    most = 0
    while not task.done():
        most = max(most, _private_bytes(status) - before)
        await passing(_SAMPLE_S)
    await task
    seconds = time.perf_counter() - began
    size = int(await connection.fetchval("select pg_relation_size($1::text::regclass)", index))
    return Build(name, seconds, size, maintenance_mb, helpers, None if helpers else most)


def _private_bytes(status: Path) -> int:
    """Memory that is a process's alone: not what it shares as buffers."""
    for line in status.read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0
