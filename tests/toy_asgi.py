"""A toy ASGI application with admission around it, and callers that send and read as slowly as a test wants."""

import asyncio
from collections.abc import Callable
from typing import Any

from service.http.admission import Admission
from service.http.limit import Size, WorkClass

SIZE = Size(start=1, least=1, most=1, line=2, patience_s=60.0)
CLASSES = {
    "light": WorkClass(size=SIZE, max_body_bytes=10, max_held_bytes=40),
    "heavy": WorkClass(size=SIZE, max_body_bytes=100, max_held_bytes=60),
}
REQUEST = {"type": "http.request", "body": b"", "more_body": False}
GONE = {"type": "http.disconnect"}


class Toy:
    """An application that answers when it is told to, and remembers what it received."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.bodies: list[bytes] = []
        self.pieces = 1
        self.reads = 1
        self.failure: Exception | None = None

    async def __call__(self, _scope: Any, receive: Any, send: Any) -> None:
        """Read, wait, answer."""
        self.bodies.append(b"".join([(await receive()).get("body", b"") for _ in range(self.reads)]))
        if self.failure is not None:
            raise self.failure
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number in range(self.pieces, 0, -1):
            if self.pieces == 1 or number < self.pieces:
                await self.go.wait()
            await send({"type": "http.response.body", "body": b"x", "more_body": number > 1})


class Caller:
    """One request to an application: its task, what it still has to send, what it was answered."""

    def __init__(
        self,
        app: Admission,
        path: str = "/",
        method: str = "GET",
        *,
        sends: list[Any] | None = None,
        reads: asyncio.Event | None = None,
    ) -> None:
        self.inbox: asyncio.Queue[Any] = asyncio.Queue()
        for message in [REQUEST] if sends is None else sends:
            self.inbox.put_nowait(message)
        self.answer: list[Any] = []
        self.blocked = False
        self._reads = reads
        scope = {"type": "http", "method": method, "path": path, "headers": [], "path_template": path}
        self.task = asyncio.create_task(self._ask(app, scope))

    async def _ask(self, app: Admission, scope: dict[str, Any]) -> None:
        async with asyncio.timeout(5):
            await app(scope, self.inbox.get, self._send)

    async def _send(self, message: Any) -> None:
        if self._reads is not None:
            self.blocked = True
            await self._reads.wait()
        self.answer.append(message)

    @property
    def status(self) -> int | None:
        """The status, once there is one."""
        return self.answer[0]["status"] if self.answer else None


def piece(body: bytes) -> dict[str, Any]:
    """A part of a body that is not its last."""
    return {"type": "http.request", "body": body, "more_body": True}


async def until(condition: Callable[[], bool]) -> None:
    """Give way until something holds."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what changes is a gate, which has no event
            await asyncio.sleep(0)
