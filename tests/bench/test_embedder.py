"""The cheap model server: what the client of Ollama asks, it answers, after the latency that is set."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from service.ollama.client import OllamaEmbedder
from tests.bench.corpus import DIMENSIONS, vectors_of
from tests.cli.conftest import environment
from tests.load.stack import Program

TEXTS = ["night nurse", "solar panels on roofs"]


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    """Where one listens."""
    program = Program("embedder", ["tests.bench.embedder"], folder=tmp_path, env=environment(tmp_path))
    try:
        yield (await program.said(r"(http://\S+)\n"))[1]
    finally:
        program.stop()


async def test_the_client_takes_it_for_ollama(url: str) -> None:
    """It starts, learns the model, and gets the vectors of the corpus, made beforehand or not."""
    embedder = OllamaEmbedder(url, "nomic-embed-text")
    async with httpx.AsyncClient(trust_env=False) as client:
        await client.post(f"{url}/__fake/knobs", json={"known": [f"search_query: {TEXTS[0]}"]})
    try:
        await embedder.start()
        assert embedder.identity.dimensions == DIMENSIONS
        found = await embedder.embed_queries(TEXTS)
    finally:
        await embedder.close()
    assert np.allclose(np.array(found), vectors_of(TEXTS), atol=1e-6)


async def test_one_by_one_the_next_text_waits(url: str) -> None:
    """A call takes the latency, whatever it holds; one by one it takes that for each text."""
    body = {"model": "any", "input": [f"nurse {number}" for number in range(5)]}
    async with httpx.AsyncClient(trust_env=False) as client:

        async def took_s() -> float:
            began = time.perf_counter()
            answer = await client.post(f"{url}/api/embed", json=body)
            assert len(answer.json()["embeddings"]) == len(body["input"])
            return time.perf_counter() - began

        await client.post(f"{url}/__fake/knobs", json={"latency_s": 0.2})
        together = await took_s()
        await client.post(f"{url}/__fake/knobs", json={"one_by_one": True})
        assert together >= 0.2
        assert await took_s() >= 1.0
