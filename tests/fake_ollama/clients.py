"""Clients of the fake for tests: quick to fail, started, and closed at the end."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from service.ollama.client import OllamaEmbedder
from service.ollama.reloads import Reloads
from tests.fake_ollama.serve import FakeOllama

MODEL = "nomic-embed-text"
TLS = ssl.create_default_context()
"""Made once: reading the certificates takes longer than most tests."""


def quick(url: str, **settings: Any) -> OllamaEmbedder:
    """A client whose pauses between attempts are zero, and which knows of no reload by another."""
    return OllamaEmbedder(
        url, **{"model": MODEL, "backoff_s": (0.0, 0.0), "reloads": Reloads(), "verify": TLS, **settings}
    )


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
