"""Two serving processes and one store: a limit holds over both, exactly, and goes on in each when the store is away."""

import asyncio
import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.cli.conftest import Start
from tests.cli.test_serve import begin
from tests.fake_ollama.clients import TLS
from tests.looking import until_next_look
from tests.valkey import MISSING, Valkey, free_port, program

PATH = "/api/v1/jobs?limit=1"
AT_ONCE = 32
"""More than are served at once, and fewer than may wait in line."""


def wait_for_store(address: str, counts: str) -> None:
    """Wait until a process says where it counts calls."""
    deadline = time.monotonic() + 60
    while httpx.get(f"{address}/health", timeout=20, verify=TLS).json()["parts"]["store"]["detail"]["counts"] != counts:
        assert time.monotonic() < deadline
        until_next_look()


async def ask(addresses: list[str], times: int) -> list[httpx.Response]:
    """So many requests, to each address in turn, many at once; what a busy machine turns away is sent again."""

    async def one(client: httpx.AsyncClient, address: str) -> httpx.Response:
        while (answer := await client.get(address + PATH)).status_code == 503:
            pass
        return answer

    limits = httpx.Limits(max_connections=AT_ONCE)
    async with httpx.AsyncClient(timeout=60, limits=limits, verify=TLS) as client:
        return await asyncio.gather(*(one(client, addresses[n % len(addresses)]) for n in range(times)))


def test_a_limit_holds_over_two_processes(start: Start, tmp_path: Path, dsn: str) -> None:
    """Of 400 requests to both 100 pass, each with a remainder of its own; without the store each process counts."""
    if program() is None:
        pytest.skip(MISSING)
    store = Valkey(tmp_path)
    store.start()
    try:
        settings = {"store_url": store.url, "rate_limit_read": "100/minute", "environment": "staging", "auth": "open"}
        with ThreadPoolExecutor() as pool:
            ports = [str(free_port()) for _ in range(2)]
            served = list(pool.map(lambda port: begin(start, tmp_path, dsn, port=port, **settings), ports))
        addresses = [address for _, address in served]
        for address in addresses:
            wait_for_store(address, "shared")
        answers = asyncio.run(ask(addresses, 400))
        assert Counter(answer.status_code for answer in answers) == {200: 100, 429: 300}
        left = [int(answer.headers["ratelimit"].split(";r=")[1].split(";")[0]) for answer in answers]
        assert sorted(left)[300:] == list(range(100))
        assert all(1 <= int(answer.headers["retry-after"]) <= 61 for answer in answers if answer.status_code == 429)
        store.stop()
        # Who was refused stays refused; another limit is counted in each process.
        paths = [address + "/api/v1/search?q=x&mode=lexical" for address in addresses]
        assert {httpx.get(path, timeout=20, verify=TLS).status_code for path in paths} == {200}
        for address in addresses:
            wait_for_store(address, "in each process")
        store.start()
        for address in addresses:
            wait_for_store(address, "shared")
    finally:
        store.stop()
    for running, _ in served:
        running.process.terminate()
        lines = [json.loads(line) for line in running.end().out.splitlines()]
        assert [line["event"] for line in lines if line["event"].startswith("store.")] == ["store.lost", "store.back"]
