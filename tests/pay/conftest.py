"""A feed on a socket, which no proxy of the environment stands before."""

from collections.abc import AsyncIterator

import pytest

from tests.pay.feed_server import FeedServer, feed_server


@pytest.fixture
async def feed(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FeedServer]:
    """A feed for this test."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    async with feed_server() as made:
        yield made
