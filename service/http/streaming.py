"""Answers that are sent while they are made: the reader sets the pace, and what makes them ends when the reader leaves.

Nothing is sent before the first piece is there, so that what fails earlier is a problem like any other. What fails
later ends the answer without its last chunk, by which a client knows that it is not complete.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from litestar import Response
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

from service.http.methods import ONLY_HEAD
from service.telemetry.logs import get_logger
from service.telemetry.stages import current_record

log = get_logger(__name__)

Write = Callable[[bytes], Awaitable[None]]
Produce = Callable[[Write], Awaitable[None]]
"""Makes the answer: hands piece after piece to the function that it is given, which returns when there is room."""

STALL_S = 60.0
"""A reader that makes no room for so long is cut off. Kernels tell of room by the megabyte: some 20 kB/s will do."""
CUT_KEY = "cut"
"""In the application's state: cuts the connection of a scope. Closing it would wait for the reader."""


class Streamed(Response[Any]):
    """An answer whose body `produce` makes."""

    def __init__(self, produce: Produce, *, media_type: str, headers: Mapping[str, str]) -> None:
        super().__init__(None, media_type=media_type, headers=dict(headers))
        self._produce = produce

    def to_asgi_response(self, app: Any, request: Any, **given: Any) -> ASGIResponse:  # noqa: ARG002 - Litestar's
        """Give what sends it."""
        headers = {**(given.get("headers") or {}), **self.headers, "content-type": str(self.media_type)}
        return _Streaming(self._produce, headers=headers, status_code=given.get("status_code"))


class _Streaming(ASGIResponse):
    """Sends one answer; the pieces wait for the client, and a client that leaves or stalls cancels what makes them."""

    _should_set_content_length = False

    def __init__(self, produce: Produce, **given: Any) -> None:
        super().__init__(**given)
        self._produce = produce
        self._begun = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        if not scope.get(ONLY_HEAD):
            left = asyncio.create_task(_until_left(receive))
            try:
                if not await self._made(left, send):
                    await _part(scope, left)
                    return
            finally:
                left.cancel()
        await self._begin(send)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _made(self, left: asyncio.Task[None], send: Send) -> bool:
        """Make and send all but the end; false when the client left or stalled."""
        loop = asyncio.get_running_loop()
        patience, over = asyncio.timeout(None), False

        async def write(piece: bytes) -> None:
            await self._begin(send)
            # Once the client has left, the end that this has set stays.
            if not left.done():
                patience.reschedule(loop.time() + STALL_S)
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            if not left.done():
                patience.reschedule(None)

        def leave(_: asyncio.Task[None]) -> None:
            if not (over or patience.expired()):
                patience.reschedule(loop.time())

        try:
            async with patience:
                left.add_done_callback(leave)
                await self._produce(write)
        except TimeoutError:
            if not patience.expired():
                raise
            return False
        finally:
            over = True
        return True

    async def _begin(self, send: Send) -> None:
        if not self._begun:
            self._begun = True
            await self.start_response(send)


async def _until_left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _part(scope: Scope, left: asyncio.Task[None]) -> None:
    """End the answer to a client that left, or cut off one that stalled."""
    if left.done():
        return
    if (record := current_record()) is not None:
        record.error_type = "stalled"
    log.warning("http.reader_stalled", route=scope.get("path_template"))
    cut = scope["litestar_app"].state.get(CUT_KEY)
    if cut is None:
        raise ConnectionAbortedError("the reader took nothing for too long")
    cut(scope)
    await left
