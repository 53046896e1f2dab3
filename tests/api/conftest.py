"""One application for the tests of a module that only ask, and a real socket where the wire itself matters."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import cast

import httpx
import pytest
import uvicorn
from prometheus_client import CollectorRegistry

from service.config import Settings
from service.connection import Connection
from service.http.streaming import CUT_KEY
from service.serve import _Server
from service.telemetry.lifecycle import Identification, Telemetry, start_telemetry
from service.telemetry.sampling import OtelSettings
from tests.conftest import Server, Service, running
from tests.fake_ollama.clients import TLS
from tests.fakes import WordEmbedder


@asynccontextmanager
async def shared_service(server: Server, template: str, settings: Settings) -> AsyncIterator[Service]:
    """The application on a database of its own, for as long as a module or a session wants it."""
    dsn = await server.create_database(template)
    telemetry = start_telemetry(
        what=Identification(version="0.0.0"),
        otel=OtelSettings(),
        log_stream=io.BytesIO(),
        registry=CollectorRegistry(),
    )
    with pytest.MonkeyPatch.context() as patched:
        async with running(settings, dsn, telemetry, WordEmbedder(), patched) as made:
            yield made
    await telemetry.stop()
    await server.drop_database(dsn)


@pytest.fixture(scope="module")
async def shared(server: Server, template: str) -> AsyncIterator[Service]:
    """An application for all tests of a module; they must not mind one another's postings."""
    async with shared_service(server, template, Settings(embed_in_serve=False, migrate_on_start=False)) as made:
        yield made


class OnSocket(uvicorn.Server):
    """uvicorn in the loop of the test; `port` once it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()
        self.port = 0

    async def startup(self, sockets: object = None) -> None:
        """Listen, then tell."""
        del sockets
        await super().startup()
        self.port = self.servers[0].sockets[0].getsockname()[1]
        self.up.set()


@asynccontextmanager
async def on_socket(api: Service, telemetry: Telemetry) -> AsyncIterator[httpx.AsyncClient]:
    """The application behind the server that it runs under, over TCP."""
    config = uvicorn.Config(
        telemetry.observe(api.app),
        host="127.0.0.1",
        port=0,
        lifespan="off",
        http=Connection,
        ws="none",
        log_config=None,
        access_log=False,
        log_level="warning",
    )
    server = OnSocket(config)
    api.app.state[CUT_KEY] = partial(_Server.cut, cast("_Server", server))
    serving = asyncio.create_task(server._serve())
    await asyncio.wait({serving, asyncio.create_task(server.up.wait())}, return_when=asyncio.FIRST_COMPLETED)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", verify=TLS) as client:
            yield client
    finally:
        server.should_exit = True
        await serving


@pytest.fixture
async def wire(api: Service, telemetry: Telemetry) -> AsyncIterator[httpx.AsyncClient]:
    """A client over a real socket."""
    async with on_socket(api, telemetry) as client:
        yield client
