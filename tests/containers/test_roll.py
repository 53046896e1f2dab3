"""The service is replaced under load, one replica after the other behind a plain proxy: no request fails."""

import asyncio
import itertools
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest

from tests.containers.stack import Stack, docker
from tests.faults.timeline import Over, until

CALLERS = 8
ROUNDS = 2
"""How often both replicas are replaced."""
STOP_S = 10.0
SOURCE = "rolling"


class Traffic:
    """Callers that write, read and search through the proxy, each on connections of its own, without a second try."""

    def __init__(self, address: str) -> None:
        self.over = Over()
        self.counts: Counter[str] = Counter()
        self.failed: list[str] = []
        self.acknowledged: dict[int, str] = {}
        self._address = address
        self._numbers = itertools.count(1)

    async def run(self) -> None:
        """Call until it is over."""
        async with asyncio.TaskGroup() as group:
            for number in range(CALLERS):
                group.create_task(self._call(random.Random(number)))  # noqa: S311 - any will do

    async def _call(self, rng: random.Random) -> None:
        async with httpx.AsyncClient(base_url=self._address, timeout=30) as client:
            while not self.over:
                await rng.choice((self._write, self._search, self._read))(client)
                # Some connections stay open between requests, as those of a pool do.
                await self.over.within(rng.uniform(0, 0.02))

    async def _ask(self, client: httpx.AsyncClient, method: str, path: str, status: int, **more: object) -> object:
        began = time.monotonic()
        try:
            answer = await client.request(method, path, **more)  # type: ignore[arg-type] # passed on as it is given
        except httpx.TransportError as error:
            self.failed.append(f"{method} {path}: {error!r} after {time.monotonic() - began:.2f} s")
            return None
        self.counts["requests"] += 1
        if answer.status_code != status:
            self.failed.append(f"{method} {path}: {answer.status_code} {answer.text[:200]}")
            return None
        return answer.json()

    async def _write(self, client: httpx.AsyncClient) -> None:
        name = f"row-{next(self._numbers)}"
        row = {"title": f"Nurse {name}", "company": "Afya", "source": SOURCE, "external_id": name}
        job = await self._ask(client, "POST", "/api/v1/jobs", 201, json=row)
        if isinstance(job, dict):
            self.acknowledged[job["id"]] = name

    async def _search(self, client: httpx.AsyncClient) -> None:
        await self._ask(client, "POST", "/api/v1/search", 200, json={"text": f"nurse {next(self._numbers)}"})

    async def _read(self, client: httpx.AsyncClient) -> None:
        await self._ask(client, "GET", "/api/v1/jobs", 200, params={"source": SOURCE, "limit": 3})


@pytest.fixture
async def replicas(stack: Stack) -> AsyncIterator[Callable[[], list[str]]]:
    """Two replicas of the service behind the proxy on empty tables; one again afterwards."""
    async with stack.database() as connection:
        await connection.execute("truncate job cascade")
    await asyncio.to_thread(scale, stack, 2)
    try:
        yield lambda: stack.containers("service")
    finally:
        await asyncio.to_thread(scale, stack, 1)


def scale(stack: Stack, number: int) -> None:
    """Have so many replicas; those that run stay as they are."""
    words = ("up", "--detach", "--wait", "--no-deps", "--no-recreate", "--scale", f"service={number}", "service")
    stack.compose(*words)


@asynccontextmanager
async def traffic(stack: Stack) -> AsyncIterator[Traffic]:
    """Callers at work."""
    made = Traffic(await asyncio.to_thread(stack.url, "proxy", 8080))
    running = asyncio.create_task(made.run())
    try:
        await made.over.within(1)
        yield made
        await made.over.within(1)
    finally:
        made.over.declare()
        await running


async def test_rolling_the_service_fails_no_request(stack: Stack, replicas: Callable[[], list[str]]) -> None:
    """Both replicas are replaced, twice: SIGTERM to one at a time, a new one beside the other before each."""
    async with traffic(stack) as calls:
        for _ in range(ROUNDS):
            for old in await asyncio.to_thread(replicas):
                await asyncio.to_thread(scale, stack, 3)
                began = time.monotonic()
                await stack.do("stop", "--time", "30", old)
                assert time.monotonic() - began < STOP_S
                assert docker("inspect", "--format", "{{.State.ExitCode}}", old).strip() == "0"
                await stack.do("rm", old)
    shown = f"{calls.counts['requests']} requests, {len(calls.acknowledged)} of them acknowledged writes"
    assert calls.failed == [], f"of {shown} failed {len(calls.failed)}: {calls.failed[:10]}"
    assert len(calls.acknowledged) > 100, shown
    async with stack.database() as connection:
        stored = await connection.fetch("select id, external_id from job where source = $1", SOURCE)
    assert {row["id"]: row["external_id"] for row in stored} == calls.acknowledged
    print(f"\n  rolled {2 * ROUNDS} replicas: {shown}, none failed", flush=True)  # noqa: T201 - a figure of the run


async def test_one_replica_killed_behind_the_proxy(stack: Stack, replicas: Callable[[], list[str]]) -> None:
    """SIGKILL is no roll: what was acknowledged is there all the same, and the other replica serves at once."""
    async with traffic(stack) as calls:
        victim = (await asyncio.to_thread(replicas))[0]
        await stack.do("kill", victim)

        async def serves() -> bool:
            before = len(calls.acknowledged)
            await calls.over.within(0.5)
            return len(calls.acknowledged) > before

        await until(serves, "writes are acknowledged", timeout_s=10)
        await stack.do("rm", victim)
    async with stack.database() as connection:
        stored = {row["id"] for row in await connection.fetch("select id from job where source = $1", SOURCE)}
    assert set(calls.acknowledged) <= stored
