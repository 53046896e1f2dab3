"""The service behind the server that it runs under, for bytes that no client library would send."""

import asyncio
import io
import itertools
import time
from collections.abc import AsyncIterator
from typing import Self

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from service.config import Settings
from service.telemetry.lifecycle import Identification, start_telemetry
from service.telemetry.sampling import OtelSettings
from tests.api.conftest import on_socket
from tests.conftest import Server, Service, running
from tests.fakes import WordEmbedder
from tests.fuzz.wire import Wire

MOST_HELD_S = 0.1
"""What the event loop may work at one request before others have their turn."""


class Target(msgspec.Struct):
    """A service on a socket: the application behind it, what it logs, and its wire."""

    api: Service
    wire: Wire
    log: io.BytesIO


@pytest.fixture(scope="module")
async def target(server: Server, template: str) -> AsyncIterator[Target]:
    """A service for all tests of a module."""
    dsn = await server.create_database(template)
    log = io.BytesIO()
    telemetry = start_telemetry(
        what=Identification(version="0.0.0"), otel=OtelSettings(), log_stream=log, registry=CollectorRegistry()
    )
    settings = Settings(embed_in_serve=False, migrate_on_start=False)
    with pytest.MonkeyPatch.context() as patched:
        async with (
            running(settings, dsn, telemetry, WordEmbedder(), patched) as api,
            on_socket(api, telemetry) as client,
        ):
            yield Target(api, Wire(client.base_url.port or 0), log)
    await telemetry.stop()
    await server.drop_database(dsn)


@pytest.fixture
async def healthy(target: Target) -> AsyncIterator[None]:
    """Whatever a test has sent: afterwards the service is ready, searches, and nothing of it failed."""
    begun = len(target.log.getvalue())
    yield
    for path in ("/health/ready", "/api/v1/jobs?limit=1", "/api/v1/search?q=cook&mode=lexical"):
        (answer,) = await target.wire.get(path)
        assert answer.status == 200, answer
    written = target.log.getvalue()[begun:]
    assert b'"http.response.status_code":5' not in written, written
    assert b'"level":"error"' not in written, written


class Turns:
    """Measures the longest turn of the event loop in processor time, which other programs do not lengthen."""

    def __init__(self) -> None:
        self._marks = [time.thread_time()]
        self._ended = False

    async def __aenter__(self) -> Self:
        self._turn()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ended = True
        await asyncio.sleep(0)

    def _turn(self) -> None:
        self._marks.append(time.thread_time())
        if not self._ended:
            asyncio.get_running_loop().call_soon(self._turn)

    @property
    def longest_s(self) -> float:
        """The longest turn so far."""
        return max(after - before for before, after in itertools.pairwise(self._marks))
