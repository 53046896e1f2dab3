"""Clients of the fake for tests: quick to fail, started, and closed at the end."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from service.ollama.client import OllamaEmbedder
from tests.fake_ollama.serve import FakeOllama

MODEL = "nomic-embed-text"

quick = partial(OllamaEmbedder, model=MODEL, backoff_s=(0.0, 0.0))
"""A client whose pauses between attempts are zero."""


@asynccontextmanager
async def opened(client: OllamaEmbedder) -> AsyncIterator[OllamaEmbedder]:
    """Close `client` at the end."""
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def started(fake: FakeOllama) -> AsyncIterator[OllamaEmbedder]:
    """Start a quick client; the fake's counts begin after its start, with vectors of 32 dimensions."""
    fake.set(dimensions=32)
    async with opened(quick(fake.url)) as client:
        await client.start()
        fake.reset()
        fake.set(dimensions=32, loaded=True)
        yield client
