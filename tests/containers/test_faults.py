"""While clients write and search, parts are killed, paused, cut off and filled: nothing acknowledged is lost."""

import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import msgspec
import pytest

from tests.containers.load import under_load
from tests.containers.stack import PROJECT, Connection, Stack, docker
from tests.faults.audit import audit
from tests.faults.ledger import Ledger
from tests.faults.postings import write_posting
from tests.faults.timeline import until

FAULT_S = 4.0
"""Longer than a request waits for the database."""
BATCH = 300
FILL = """
import os, shutil
with open("/disk/filler", "ab") as filler:
    os.posix_fallocate(filler.fileno(), filler.tell(), max(1, shutil.disk_usage("/disk").free - 2**18))
"""

Tell = Callable[[str], None]


@pytest.fixture
def tell(record_property: Callable[[str, object], None], capsys: pytest.CaptureFixture[str]) -> Tell:
    """Show a figure of the run."""

    def show(figure: str) -> None:
        record_property("figure", figure)
        with capsys.disabled():
            print(f"\n  {figure}", flush=True)  # noqa: T201 - this is what it is for

    return show


async def outlast(stack: Stack, tell: Tell, what: str, *, begin: tuple[str, ...], end: tuple[str, ...]) -> None:
    """What `docker` is told to do to the database, and some seconds later to undo, with requests all the while.

    Unless it is killed, calls under way are held until they are given up.
    """
    async with under_load(stack) as load:
        with load.away(held=begin[0] != "kill"):
            await stack.do(*begin)
            await load.for_s(FAULT_S)
            await stack.do(*end)
            took_s = await load.recovered()
        tell(f"{what}: served again {took_s:.1f} s after its end; {load.ledger.counts['503']} times 503")


async def test_the_database_is_killed(stack: Stack, tell: Tell) -> None:
    """SIGKILL to Postgres and a start some seconds later: requests are clean 503s meanwhile, then served again."""
    postgres = stack.container("postgres")
    await outlast(stack, tell, "Postgres killed", begin=("kill", postgres), end=("start", postgres))


async def test_the_database_hangs(stack: Stack, tell: Tell) -> None:
    """A paused Postgres answers nothing and closes nothing: requests end in time, and go on when it does."""
    postgres = stack.container("postgres")
    await outlast(stack, tell, "Postgres paused", begin=("pause", postgres), end=("unpause", postgres))


async def test_the_network_of_the_database_is_cut(stack: Stack, tell: Tell) -> None:
    """Packets to and from Postgres vanish: requests end in time, and connections are made anew."""
    ends = (f"{PROJECT}_inside", stack.container("postgres"))
    begin, end = ("network", "disconnect", *ends), ("network", "connect", "--alias", "postgres", *ends)
    await outlast(stack, tell, "network cut", begin=begin, end=end)


async def test_the_store_is_restarted(stack: Stack, tell: Tell) -> None:
    """Without Valkey calls are counted in the process: no request fails, and afterwards it counts again."""
    valkey = stack.container("valkey")
    async with under_load(stack) as load:
        requests = load.ledger.counts["requests"]
        await stack.do("restart", "--time", "1", valkey)
        await load.recovered()

        async def counts() -> bool:
            async with httpx.AsyncClient(base_url=stack.url()) as client:
                return bool((await client.get("/health")).json()["parts"]["store"]["status"] == "up")

        took_s = await until(counts, "the store counts again", timeout_s=10)
        tell(f"Valkey restarted: counted there again after {took_s:.1f} s")
    assert load.ledger.counts["503"] == 0
    assert load.ledger.counts["requests"] > requests


async def test_the_worker_is_killed_in_the_middle_of_a_batch(stack: Stack, tell: Tell) -> None:
    """What a dead worker had claimed is embedded by the next one: each posting once, with the vectors of its text."""
    worker, rng, ledger = stack.container("worker"), random.Random("batch"), Ledger()  # noqa: S311 - any will do
    async with stack.database() as connection:
        await connection.execute("truncate job cascade")
        await _write_batch(stack.url(), rng, ledger)
        await until(lambda: _is_at_work(connection), "the worker has a part of the batch", timeout_s=20)
        await stack.do("kill", worker)
        left = await connection.fetchval("select count(*) from embedding_task")
        assert left > 0, "it was killed too late"
        found = await _search(stack.url(), next(iter(ledger.entries.values())).contents[0].word)
        assert found, "what is not embedded is found by its words"
        await stack.do("start", worker)

        async def are_embedded() -> bool:
            return not await connection.fetchval("select count(*) from embedding_task")

        took_s = await until(are_embedded, "the batch is embedded", timeout_s=60)
        await audit(connection, ledger)
    assert ledger.wrong == []
    tell(f"worker killed with {left} of {BATCH} postings left: all embedded {took_s:.0f} s after its start")


async def _write_batch(address: str, rng: random.Random, ledger: Ledger) -> None:
    contents = [write_posting(rng) for _ in range(BATCH)]
    rows = [
        {"source": "batch", "external_id": f"row-{number}"}
        | {name: value for name, value in msgspec.structs.asdict(one).items() if value is not None}
        for number, one in enumerate(contents)
    ]
    async with httpx.AsyncClient(base_url=address, timeout=30) as client:
        answer = await client.post("/api/v1/jobs/batch", json=rows)
    results = answer.json()["results"]
    for row, content, result in zip(rows, contents, results, strict=True):
        ledger.entry(("batch", str(row["external_id"]))).settle(content, job_id=result["id"])


async def _is_at_work(connection: Connection) -> bool:
    row = await connection.fetchrow(
        "select count(*) filter (where lease is not null) as claimed, count(*) as left from embedding_task"
    )
    return row is not None and row["claimed"] > 0 and row["left"] < BATCH


async def _search(address: str, word: str) -> list[object]:
    async with httpx.AsyncClient(base_url=address, timeout=30) as client:
        answer = await client.post("/api/v1/search", json={"text": word, "mode": "lexical"})
    assert answer.status_code == httpx.codes.OK, answer.text
    return list(answer.json()["results"])


@asynccontextmanager
async def full_disk(stack: Stack) -> AsyncIterator[None]:
    """The disk of the database has no room meanwhile."""
    disk = stack.container("disk")
    async with stack.database() as connection:
        # A new segment of the log, which takes its room beforehand: this is about tables.
        await connection.execute("select pg_switch_wal()")
        await connection.execute("checkpoint")
    await stack.do("exec", disk, "python", "-c", FILL)
    try:
        yield
    finally:
        await stack.do("exec", disk, "rm", "/disk/filler")


async def test_the_disk_of_the_database_is_full(stack: Stack, tell: Tell) -> None:
    """Writes that find no room are clean 503s with that reason, searches go on; with room, so do writes."""
    async with under_load(stack) as load:
        address = stack.url()
        with load.away():
            async with full_disk(stack):
                refused = await _fill(address, load.ledger)
                searches = load.ledger.counts["searches"]
                await load.for_s(1)
                assert load.ledger.counts["searches"] > searches
            took_s = await load.recovered()
        tell(f"disk full: served again after {took_s:.1f} s; {load.ledger.counts['503']} times 503")
    assert refused["code"] == "database_unavailable"
    lines = [
        json.loads(line) for line in docker("logs", stack.container("service")).splitlines() if '"error.type"' in line
    ]
    assert "disk_full" in {line["error.type"] for line in lines}


async def _fill(address: str, ledger: Ledger) -> dict[str, object]:
    """Store large postings until one is refused; what was acknowledged goes into the ledger."""
    rng = random.Random("disk")  # noqa: S311 - any will do
    async with httpx.AsyncClient(base_url=address, timeout=30) as client:
        for number in range(500):
            text = f"{number} {rng.randbytes(3_000).hex()}"
            content = write_posting(rng, plain=True)
            row = {"source": "large", "external_id": f"row-{number}", "title": content.title, "company": "Afya"}
            answer = await client.post("/api/v1/jobs", json=row | {"description": text})
            if answer.status_code != httpx.codes.CREATED:
                assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE, answer.text
                return dict(answer.json())
            kept = type(content)(content.title, "Afya", text)
            ledger.entry(("large", str(row["external_id"]))).settle(kept, job_id=answer.json()["id"])
    raise AssertionError("the disk did not fill up")
