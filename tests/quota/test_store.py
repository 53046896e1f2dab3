"""The shared store: exact over processes and connections, quick to be given up, found again by itself."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from service.quota.limiter import Limiter
from service.quota.memory import MemoryWindows
from service.quota.model import Rate, StoreAway, Verdict, read_rate
from service.quota.store import TIMEOUT_S, SharedWindows
from service.telemetry.lifecycle import Telemetry
from tests.valkey import MISSING, Valkey, free_port, program

RATE = read_rate("100/minute")


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[SharedWindows]:
    """A process's view of the store."""
    store = SharedWindows(url)
    await store.check()
    try:
        yield store
    finally:
        await store.close()


def away(store: SharedWindows) -> str | None:
    """Why the store is away now; None: it is not."""
    return store.away


async def test_two_processes_share_one_count(valkey: Valkey) -> None:
    """Of 400 calls at once from two of them exactly a hundred pass, and each pass told another remainder."""
    key = uuid4().hex
    async with connected(valkey.url) as one, connected(valkey.url) as two:
        verdicts = await asyncio.gather(*(store.take(key, RATE) for store in (one, two) for _ in range(200)))
    passed = [verdict for verdict in verdicts if verdict.allowed]
    assert sorted(verdict.remaining for verdict in passed) == list(range(100))
    assert {verdict.remaining for verdict in verdicts if not verdict.allowed} == {0}


async def test_it_says_what_memory_says(valkey: Valkey) -> None:
    """Costs and refusals are those of the window in memory, call by call; quotas come back by the store's own clock."""
    memory, key, rate = MemoryWindows(), uuid4().hex, Rate(20, 86_400)
    async with connected(valkey.url) as store:
        for cost in (1, 7, 12, 9, 3, 1, 20):
            shared, own = await store.take(key, rate, cost), memory.take(key, rate, cost)
            assert (shared.allowed, shared.remaining) == (own.allowed, own.remaining)
            assert 86_400 <= shared.reset_s <= 86_400 * 61 / 60
            assert bool(shared.retry_s) == bool(own.retry_s)
        second = Rate(2, 1)
        verdicts: list[Verdict] = [await store.take(key + "s", second) for _ in range(3)]
        assert [verdict.allowed for verdict in verdicts] == [True, True, False]
        began = time.monotonic()
        while not (await store.take(key + "s", second, 2)).allowed:
            assert time.monotonic() - began < 30
        assert time.monotonic() - began >= 0.98 * verdicts[-1].retry_s


async def test_nothing_stays_in_the_store(valkey: Valkey) -> None:
    """A caller's entry ends by itself a bucket after its window."""
    key = uuid4().hex
    async with connected(valkey.url) as store:
        await store.take(key, RATE)
        assert 60 <= await store._client.ttl(f"jobsense:quota:{key}") <= 61


async def test_a_store_that_forgot_the_script_is_told_it_again(valkey: Valkey) -> None:
    """After a flush of its scripts the next call passes as usual."""
    async with connected(valkey.url) as store:
        await store._client.script_flush()
        assert (await store.take(uuid4().hex, RATE)).remaining == 99
        assert away(store) is None


async def test_a_store_that_is_not_there_costs_nobody_a_wait(telemetry: Telemetry, log: BytesIO) -> None:
    """Where nobody listens calls are counted in memory at once; the log says so once, without the address."""
    store = SharedWindows(f"valkey://:s3cret@127.0.0.1:{free_port()}")
    limiter = Limiter(store)
    for _ in range(3):
        await store.check()
    began = time.perf_counter()
    assert [(await limiter.take("a", Rate(2, 60))).allowed for _ in range(4)] == [True, True, False, False]
    assert time.perf_counter() - began < TIMEOUT_S
    assert away(store) == "unreachable"
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [(line["event"], line["reason"]) for line in lines] == [("store.lost", "unreachable")]
    assert b"s3cret" not in log.getvalue()
    failures = telemetry.metrics.registry.get_sample_value("jobsense_store_failures_total", {"reason": "unreachable"})
    assert failures == 3
    await store.close()


@pytest.fixture
def own(tmp_path: Path) -> Valkey:
    """A server that this test may stop."""
    if program() is None:
        pytest.skip(MISSING)
    return Valkey(tmp_path)


async def test_a_store_that_hangs_is_given_up_within_a_tenth_of_a_second(
    own: Valkey, telemetry: Telemetry, log: BytesIO
) -> None:
    """One call waits for it, the others are counted in memory at once; when it answers again it counts again."""
    own.start()
    try:
        async with connected(own.url) as store:
            limiter = Limiter(store)
            assert (await limiter.take("a", RATE)).remaining == 99
            own.pause()
            began = time.monotonic()
            assert (await limiter.take("a", RATE)).allowed
            assert time.monotonic() - began < 10 * TIMEOUT_S  # the machine may be busy
            assert away(store) == "timeout"
            began = time.monotonic()
            assert all([(await limiter.take("a", RATE)).allowed for _ in range(50)])
            assert time.monotonic() - began < TIMEOUT_S
            own.resume()
            while away(store) is not None:
                await store.check()
            assert (await limiter.take("b", RATE)).remaining == 99
    finally:
        own.stop()
    events = Counter(json.loads(line)["event"] for line in log.getvalue().splitlines())
    assert events == {"store.lost": 1, "store.back": 1}
    assert telemetry.metrics.registry.get_sample_value("jobsense_store_failures_total", {"reason": "timeout"})


@pytest.mark.usefixtures("telemetry")
async def test_a_store_that_dies_and_comes_back(own: Valkey) -> None:
    """A call that meets its end raises StoreAway alone, and a new server on its port is found."""
    own.start()
    try:
        async with connected(own.url) as store:
            await store.take("a", RATE)
            own.stop()
            with pytest.raises(StoreAway):
                await store.take("a", RATE)
            assert away(store) == "unreachable"
            own.start()
            while away(store) is not None:
                await store.check()
            assert (await store.take("a", RATE)).remaining == 99
    finally:
        own.stop()


@pytest.mark.usefixtures("telemetry")
async def test_a_store_with_a_password(tmp_path: Path, log: BytesIO) -> None:
    """User, password and number of the database are taken from the address; a wrong password is told as refused."""
    if program() is None:
        pytest.skip(MISSING)
    server = Valkey(tmp_path, "--requirepass", "s3cret-word")
    server.start()
    try:
        for scheme in ("valkey", "redis"):
            async with connected(f"{scheme}://default:s3cret-word@127.0.0.1:{server.port}/3") as store:
                assert away(store) is None
                assert (await store.take(scheme, RATE)).remaining == 99
        async with connected(f"valkey://:s3cret-no@127.0.0.1:{server.port}") as store:
            assert away(store) == "refused"
        async with connected(server.url) as store:
            assert away(store) == "refused"
    finally:
        server.stop()
    assert b"s3cret" not in log.getvalue()


@pytest.mark.usefixtures("telemetry")
async def test_a_store_that_refuses_to_write_is_away(own: Valkey) -> None:
    """One that is read only, as a replica is, is found out before a caller meets it."""
    own.start()
    try:
        async with connected(own.url) as store:
            client: Any = store._client
            await client.execute_command("REPLICAOF", "127.0.0.1", "1")
            assert await store.check() < 1
            assert away(store) == "error"
    finally:
        own.stop()


async def test_who_has_nothing_left_is_refused_without_asking(valkey: Valkey) -> None:
    """A flood past the limit costs no round trip, and is told the time that the store told, counting down."""
    async with connected(valkey.url) as store:
        limiter, key, rate = Limiter(store), uuid4().hex, Rate(3, 86_400)
        for _ in range(3):
            assert (await limiter.take(key, rate)).allowed
        before = (await store._client.info("commandstats")).get("cmdstat_evalsha", {}).get("calls", 0)
        refused = [await limiter.take(key, rate) for _ in range(20)]
        after = (await store._client.info("commandstats"))["cmdstat_evalsha"]["calls"]
    assert after == before
    assert not any(verdict.allowed or verdict.remaining for verdict in refused)
    waits = [verdict.retry_s for verdict in refused]
    assert waits == sorted(waits, reverse=True)
    assert all(86_400 <= wait <= 86_400 * 61 / 60 for wait in waits)
