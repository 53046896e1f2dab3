"""A TCP proxy in front of the test's Postgres that can fall silent, as a server or a network does that hangs."""

import asyncio
import threading
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit, urlunsplit


class DatabaseProxy:
    """`with DatabaseProxy(dsn) as proxy: ... proxy.dsn ... proxy.silence()`."""

    def __init__(self, dsn: str) -> None:
        self._parts = urlsplit(dsn)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="database-proxy", daemon=True)
        self._flows: asyncio.Event
        self._server: asyncio.Server
        self._connected = threading.Event()
        self._held = threading.Event()
        self._until: bytes | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def dsn(self) -> str:
        """The same database through the proxy."""
        user = self._parts.netloc.rpartition("@")[0]
        port = self._server.sockets[0].getsockname()[1]
        return urlunsplit(self._parts._replace(netloc=f"{user}@127.0.0.1:{port}", query=""))

    def silence(self) -> None:
        """Let nothing through any more; connections are taken and stay open."""
        self._loop.call_soon_threadsafe(self._flows.clear)

    def speak(self) -> None:
        """Let everything through again, what was held back too."""
        self._loop.call_soon_threadsafe(self._flows.set)

    def hold_answer_to(self, words: bytes) -> None:
        """Let everything through up to a message with these words, which still comes to the database, then nothing."""
        self._loop.call_soon_threadsafe(setattr, self, "_until", words)

    def wait_until_held(self) -> None:
        """Wait until that message has come."""
        assert self._held.wait(60)

    def wait_for_connection(self) -> None:
        """Wait until somebody has connected."""
        assert self._connected.wait(60)

    async def _start(self) -> None:
        self._flows = asyncio.Event()
        self._flows.set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)

    async def _stop(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
        self._connected.set()
        try:
            await self._flows.wait()
            upstream, downstream = await self._connect()
            ways = [asyncio.create_task(self._copy(*ends)) for ends in ((reader, downstream), (upstream, writer))]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                downstream.transport.abort()
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        folder = parse_qs(self._parts.query).get("host")
        if folder:
            return await asyncio.open_unix_connection(f"{folder[0]}/.s.PGSQL.5432")
        return await asyncio.open_connection(self._parts.hostname, self._parts.port or 5432)

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(65536):
            await self._flows.wait()
            if self._until is not None and self._until in piece:
                self._flows.clear()  # before it is sent, so that no answer to it slips through
                self._held.set()
            writer.write(piece)
            await writer.drain()
