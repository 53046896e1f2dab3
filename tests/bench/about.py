"""What the figures of a run depend on, for its report."""

import asyncio
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from platform import python_version

from service.embedded.tuning import memory_limit
from tests.bench.rounds import Plan
from tests.bench.stand import CONNECTIONS, REFERENCE_PYTHON, TRACED, Stand, busy


def _said(*command: str | Path) -> str:
    return subprocess.check_output(command, text=True)


async def about(stand: Stand, plan: Plan) -> dict[str, str]:
    """What the figures depend on."""
    versions = await stand.database.fetchrow(
        "select split_part(version(), ' ', 2), (select extversion from pg_extension where extname = 'vector')"
    )
    assert versions is not None
    listed = "import importlib.metadata as m; print(', '.join(f'{n} {m.version(n)}' for n in %r.split()))"
    names = "fastapi pydantic sqlalchemy asyncpg pgvector uvicorn uvloop httptools"
    reference = await asyncio.to_thread(_said, REFERENCE_PYTHON, "-c", listed % names)
    cpus, memory = len(os.sched_getaffinity(0)), memory_limit() / 2**30
    return {
        "Run": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, load of the machine at its start {busy()}",
        "Machine": f"{cpus} processors, {memory:.0f} GiB of memory, shared by everything here",
        "Software": f"Python {python_version()}, PostgreSQL {versions[0]}, pgvector {versions[1]};"
        f" the reference: {reference.strip()}",
        "Postings": f"{stand.postings:,}, each one passage of 768 dimensions (halfvec)",
        "Index": f"HNSW, hnsw.ef_search {stand.ef_search} for all",
        "Clients": f"{CONNECTIONS} at each side, which has a pool of {CONNECTIONS} connections; one process each",
        "Rounds": f"{plan.rounds} of {plan.seconds:g} s for each side and work, in turns; medians, least and most",
        "Model server": "answers 5 ms after each call; while a backlog is embedded, one text at a time, 5 ms each",
        "Telemetry": f"JobSense writes a line a request, counts, and exports {float(TRACED):.0%} of the traces;"
        " the reference writes uvicorn's access log and nothing else",
    }
