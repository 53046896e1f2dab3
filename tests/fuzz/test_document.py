"""schemathesis calls every operation of the document at a running service: examples, limits, nonsense and sequences.

`make test` runs few cases, from a seed that stays the same. JOBSENSE_TEST_FUZZ_EXAMPLES sets how many an operation
gets, and adds every example and every limit of every field (thousands of cases); JOBSENSE_TEST_FUZZ_SEED sets where
they begin. `make test-long` does both with MANY.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from tests.cli.conftest import environment, wait_until_ready
from tests.conftest import Server
from tests.fake_ollama.clients import TLS
from tests.fake_ollama.serve import FakeOllama
from tests.fuzz.document import Run, begin, make_key, operations, run

SEED = os.environ.get("JOBSENSE_TEST_FUZZ_SEED", "20261128")
EXAMPLES = os.environ.get("JOBSENSE_TEST_FUZZ_EXAMPLES")
FEW, MANY = 5, 200
EVERY = "examples,coverage,fuzzing,stateful"
QUICK = "fuzzing,stateful"
UNANSWERED = {
    "POST /api/v1/auth/token": "the password of a user is not found by chance",
    "POST /api/v1/auth/refresh": "nor is a refresh token",
    "GET /api/v1/profile": "a key may have none",
}
"""Operations that may never succeed here, with the reason."""


class Fuzzed(msgspec.Struct):
    """A service to be fuzzed."""

    address: str
    key: str
    document: dict[str, Any]
    folder: Path

    async def run(self, examples: int, phases: str) -> Run:
        """Run schemathesis with so many cases for each operation and phase."""
        options = ("--seed", SEED, "--max-examples", str(examples), "--phases", phases)
        found = await asyncio.to_thread(run, self.address, self.key, self.document, self.folder, *options)
        assert found.code == 0, f"JOBSENSE_TEST_FUZZ_SEED={SEED} {' '.join(options)}\n{found.said}"
        return found


@pytest.fixture
async def fuzzed(server: Server, template: str, tmp_path: Path) -> AsyncIterator[Fuzzed]:
    """`jobsense serve` as a process, with a database of its own and a fake Ollama."""
    dsn = await server.create_database(template)
    with FakeOllama() as fake:
        settings = {"database_url": dsn, "port": "0", "embedder": "ollama", "ollama_url": fake.url, "auth": "required"}
        env = environment(tmp_path, embed_in_serve="on", sources="*", jwt_secret="f" * 40, **settings)
        key = await asyncio.to_thread(make_key, env, tmp_path)
        running, address = await asyncio.to_thread(begin, tmp_path, env)
        try:
            await asyncio.to_thread(wait_until_ready, running, address)
            async with httpx.AsyncClient(base_url=address, trust_env=False, verify=TLS) as client:
                document = (await client.get("/openapi.json")).json()
            yield Fuzzed(address, key, document, tmp_path)
        finally:
            await asyncio.to_thread(running.discard)
    assert "internal_error" not in running.out
    assert '"level":"error"' not in running.out
    await server.drop_database(dsn)


async def test_the_service_does_what_its_document_says(fuzzed: Fuzzed) -> None:
    """No check fails on any operation, and none is left out."""
    found = await fuzzed.run(int(EXAMPLES or FEW), EVERY if EXAMPLES else QUICK)
    assert {name for name in operations(fuzzed.document) if not found.statuses[name].total()} == set()
    assert "POST /api/v1/jobs" in found.answered


@pytest.mark.long
async def test_it_does_so_however_often_it_is_asked(fuzzed: Fuzzed) -> None:
    """No check fails on many cases, limits and sequences; every operation that can be has been answered."""
    found = await fuzzed.run(MANY, EVERY)
    missed = set(operations(fuzzed.document)) - found.answered
    assert missed <= UNANSWERED.keys(), found.statuses
