"""Runs the fake on a real loopback socket in a thread of its own, with a handle for tests."""

import asyncio
import socket
import threading
from collections.abc import Callable
from typing import Any, Self

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tests.fake_ollama.app import FakeApp
from tests.fake_ollama.http import Receive, Scope, Send
from tests.fake_ollama.knobs import Call, Counts, Knobs

_KEEP_ALIVE_S = 3600  # Ollama never closes an idle connection


class FakeServer(uvicorn.Server):
    """A uvicorn server of one fake that can also cut connections; `app` is there once it runs."""

    def __init__(self, port: int = 0) -> None:
        self._transports: dict[Any, asyncio.Transport] = {}
        self.app: FakeApp | None = None
        super().__init__(
            uvicorn.Config(
                self._serve_one,
                host="127.0.0.1",
                port=port,
                http=self._protocol(),
                interface="asgi3",
                lifespan="off",
                ws="none",
                proxy_headers=False,
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=_KEEP_ALIVE_S,
                timeout_graceful_shutdown=1,
            )
        )

    async def _serve_one(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.fake_app()(scope, receive, send)

    def fake_app(self) -> FakeApp:
        """Return the application, made in the loop that serves it."""
        if self.app is None:
            self.app = FakeApp(self._drop)
        return self.app

    def _drop(self, scope: Scope, reset: bool) -> None:
        transport = self._transports[tuple(scope["client"])]
        if reset:
            transport.abort()
        else:
            transport.close()

    def _protocol(self) -> type[HttpToolsProtocol]:
        transports = self._transports

        class Protocol(HttpToolsProtocol):
            """HTTP/1.1 that remembers its transport, so that a route can cut it."""

            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn does
                super().connection_made(transport)
                transports[self.client] = transport

            def connection_lost(self, exc: Exception | None) -> None:
                transports.pop(self.client, None)
                super().connection_lost(exc)

        return Protocol


def listen(port: int = 0, host: str = "127.0.0.1") -> socket.socket:
    """Return a listening socket (0: any free port).

    Its protocol is named, because asyncio switches Nagle's algorithm off only on sockets that name theirs; without that
    every answer waits 40 ms for a delayed acknowledgement.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((host, port))
    listening.listen(128)
    return listening


class FakeOllama:
    """A running fake: `with FakeOllama() as fake: ... fake.url ... fake.set(zero_for="")`."""

    def __init__(self, **knobs: object) -> None:
        self._first_knobs = knobs
        self._socket = listen()
        self._server = FakeServer()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fake-ollama", daemon=True)
        self._loop: asyncio.AbstractEventLoop
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait()
        self.set(**self._first_knobs)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop serving; open connections are closed."""
        self._server.should_exit = self._server.force_exit = True
        self._thread.join()
        self._socket.close()

    def set(self, **knobs: object) -> None:
        """Change knobs (see Knobs) and return when they hold."""
        asyncio.run_coroutine_threadsafe(self._app.set_knobs(knobs), self._loop).result()

    def reset(self) -> None:
        """Put every knob back to its default, let requests end, forget calls and counts, and unload the model."""
        asyncio.run_coroutine_threadsafe(self._app.reset(), self._loop).result()

    @property
    def knobs(self) -> Knobs:
        """The knobs now."""
        return self._app.knobs

    @property
    def counts(self) -> Counts:
        """The counts now."""
        return self._app.counts

    @property
    def calls(self) -> list[Call]:
        """All API calls since the start or the last reset, in order of arrival."""
        return self._app.calls

    def texts(self) -> list[tuple[str, ...]]:
        """Return the texts of every embedding request, in order of arrival, without warm-ups."""
        return [call.texts for call in self.calls if call.texts]

    async def wait_until(self, predicate: Callable[[Counts], bool], *, timeout_s: float = 10.0) -> None:
        """Wait, from any event loop, until the counts fulfil `predicate`. Raises TimeoutError."""
        waiting = self._app.wait_until(lambda: predicate(self._app.counts))
        future = asyncio.run_coroutine_threadsafe(waiting, self._loop)
        await asyncio.wait_for(asyncio.wrap_future(future), timeout_s)

    @property
    def _app(self) -> FakeApp:
        return self._server.fake_app()

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._server.fake_app()
        self._started.set()
        await self._server.serve(sockets=[self._socket])
