"""Admits as many requests as can be served well, lets a few wait in line, and turns the others away at once.

It stands around the whole application. While a class of requests is overloaded, nothing of one that is turned away is
looked at. Else the body is read first, before anybody knows who sends it: as far as the application would read it,
within READ_S, and while all bodies of the class hold no more than their share of memory.

A place is held from when the body is there until the first piece of the answer is: neither a slow sender nor a slow
reader holds one. Headers go out with that piece, late if it takes long. The arithmetic is in `limit`.
"""

import asyncio
import io
import re
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextvars import Context
from typing import Any, Literal, TypeAlias

from service.arrival import note_arrival
from service.errors import Overloaded, UnreadableBody
from service.http.limit import RECOVERY_S, Gate, Reason, Ticket, WorkClass
from service.http.problem import send_problem
from service.telemetry.http import AsgiApp, Message, Receive, Scope, Send
from service.telemetry.logs import get_logger
from service.telemetry.stages import count, note_turned_away, observe_admission_wait

log = get_logger(__name__)

READ_S = 30.0
"""From its first piece on; a body that takes longer is refused, since it fills memory. 16 MiB need 4.5 Mbit/s."""
_NOTED_S = 0.001
_BAD_STATUS = 400
_OPEN = frozenset({"/health", "/metrics", "/docs", "/openapi.json"})
_OPEN_UNDER = ("/health/", "/docs/")
_SLASHES = re.compile("//+")
_DETAIL: dict[Reason, str] = {
    "line_full": "More requests wait than can be served in good time",
    "waited_too_long": "No place came free in good time",
    "overloaded": "More requests come in than can be served",
}
_Refusal: TypeAlias = Reason | Literal["body_too_slow"]


class Admission:
    """An ASGI application around another one; what `routes` (method, path) gives no class is "light"."""

    def __init__(
        self, app: AsgiApp, *, classes: Mapping[str, WorkClass], routes: Mapping[tuple[str, str], str] | None = None
    ) -> None:
        self._app = app
        self._classes = dict(routes or {})
        self._doors = {name: _Door(name, work) for name, work in classes.items()}

    @property
    def gates(self) -> dict[str, Gate]:
        """The gate of each class, for the metrics."""
        return {name: door.gate for name, door in self._doors.items()}

    def close(self) -> None:
        """Look no more for the end of an overload."""
        for door in self._doors.values():
            door.close()

    def turns_away(self, scope: Scope) -> bool:
        """Whether a request would be turned away now, so that no trace of it need be begun."""
        return _is_gated(scope) and self._door(scope).gate.turns_away(time.monotonic())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request as soon as there is a place; probes, documents and OPTIONS need none."""
        if not _is_gated(scope):
            await self._app(scope, receive, send)
            return
        note_arrival()
        door = self._door(scope)
        body = _Body(receive, door)
        try:
            refusal = None if door.gate.turns_away(time.monotonic()) else await body.read_ahead()
            if refusal is not None:
                body.drop()
                await _refuse(scope, send, door.name, refusal)
            elif not body.gone:
                await self._pass(door, body, scope, send)
        finally:
            body.drop()

    async def _pass(self, door: "_Door", body: "_Body", scope: Scope, send: Send) -> None:
        ticket = await door.enter(body)
        if ticket.state == "turned_away":
            body.drop()
            await _refuse(scope, send, door.name, ticket.reason)
            return
        passage = _Passage(door, ticket, body, scope, send)
        try:
            if ticket.state == "served":
                await self._app(scope, body.receive, passage.send)
        finally:
            passage.end()

    def _door(self, scope: Scope) -> "_Door":
        return self._doors[self._classes.get((scope["method"], _routed(scope["path"])), "light")]


class _Door:
    """A gate with what it needs of the event loop: it wakes those who wait, and tells of its overloads."""

    def __init__(self, name: str, work: WorkClass) -> None:
        self.name = name
        self.gate = Gate(work.size)
        self.work = work
        self.held_bytes = 0  # of bodies that came in pieces
        self._told = False
        self._timer: asyncio.TimerHandle | None = None

    def close(self) -> None:
        """Let go of the event loop."""
        if self._timer is not None:
            self._timer.cancel()

    async def enter(self, body: "_Body") -> Ticket:
        """Ask for a place and wait for it; the ticket is served, turned away, or gone with its caller."""
        gate = self.gate
        limit, in_service, queued = gate.limit, gate.in_service, gate.waiting
        ticket = gate.enter(time.monotonic())
        self._tell()
        if ticket.state == "waiting":
            try:
                await self._wait(ticket, body)
            except BaseException:
                gate.leave(ticket, time.monotonic())
                raise
            if (waited_s := ticket.started - ticket.arrived) > _NOTED_S:
                observe_admission_wait(waited_s, limit=limit, in_flight=in_service, queued=queued)
        return ticket

    async def _wait(self, ticket: Ticket, body: "_Body") -> None:
        loop = asyncio.get_running_loop()
        settled: asyncio.Future[None] = loop.create_future()

        def settle() -> None:
            if not settled.done():
                settled.set_result(None)

        def leave() -> None:
            if ticket.state == "waiting":
                self.gate.leave(ticket, time.monotonic())
                settle()

        ticket.settled = settle
        timer = loop.call_later(ticket.deadline - time.monotonic(), self._expire, ticket, context=Context())
        watch = body.watch(leave)
        try:
            await settled
        finally:
            timer.cancel()
            if watch is not None:
                watch.cancel()

    def _expire(self, ticket: Ticket) -> None:
        # The loop's clock is coarser than ours, and may be early.
        self.gate.expire(max(time.monotonic(), ticket.deadline))
        self._tell()

    def _tell(self) -> None:
        if self.gate.overloaded and not self._told:
            self._told = True
            log.warning("admission.overloaded", limit=self.gate.limit, **{"class": self.name})
            self._look()

    def _look(self) -> None:
        self.gate.expire(time.monotonic())
        if self.gate.overloaded:
            # In a context of its own: the end of an overload belongs to no request.
            self._timer = asyncio.get_running_loop().call_later(RECOVERY_S, self._look, context=Context())
        else:
            self._told = False
            log.info("admission.recovered", limit=self.gate.limit, **{"class": self.name})


class _Body:
    """The body of a request: what was read of it before it is served, in one piece, then the other messages."""

    def __init__(self, receive: Receive, door: _Door) -> None:
        self._receive = receive
        self._door = door
        self.gone = False
        self._more = True
        self._size = self._held_bytes = 0
        self._pieces: io.BytesIO | None = None
        self._ready: deque[Message] = deque()

    async def read_ahead(self) -> _Refusal | None:
        """Read to the end, or as far as the application would; a body that comes in one message costs nothing."""
        self._take(await self._receive())
        return await self._read_pieces(self._door.work) if self._more else None

    async def _read_pieces(self, work: WorkClass) -> _Refusal | None:
        try:
            async with asyncio.timeout(READ_S):
                while self._more and self._size <= work.max_body_bytes:
                    if self._door.held_bytes > work.max_held_bytes:
                        return "line_full"
                    self._take(await self._receive())
        except TimeoutError:
            return "body_too_slow"
        return None

    def _take(self, message: Message) -> None:
        self._more = message.get("more_body", False)
        self.gone = message["type"] == "http.disconnect"
        if self._pieces is None:
            if not self._more:
                self._ready.append(message)
                return
            self._pieces = io.BytesIO()  # a list of many small pieces would take a hundred times what they bring
        brought = self._pieces.write(message.get("body", b""))
        self._size += brought
        self._held_bytes += brought
        self._door.held_bytes += brought

    async def receive(self) -> Message:
        """Give the application the next message."""
        if self._pieces is not None:
            body, self._pieces = self._pieces.getvalue(), None
            return {"type": "http.request", "body": body, "more_body": self._more}
        return self._ready.popleft() if self._ready else await self._receive()

    def drop(self, *, if_unread: bool = False) -> None:
        """Let go of what is held; safe to repeat."""
        if self._pieces is not None or not if_unread:
            self._pieces = None
            self._door.held_bytes -= self._held_bytes
            self._held_bytes = 0

    def watch(self, left: Callable[[], None]) -> asyncio.Future[Message] | None:
        """Call `left` if the client disconnects; not where a body is still to come, which says so in its turn."""
        if self._more:
            return None

        def heard(message: asyncio.Future[Message]) -> None:
            if not message.cancelled() and message.exception() is None:
                self._ready.append(message.result())
                left()

        message = asyncio.ensure_future(self._receive())
        message.add_done_callback(heard)
        return message


class _Passage:
    """The answer to one request that has a place, which it gives back once."""

    def __init__(self, door: _Door, ticket: Ticket, body: _Body, scope: Scope, send: Send) -> None:
        self._door = door
        self._ticket = ticket
        self._body = body
        self._scope = scope
        self._send = send
        self._begun: Message | None = None

    async def send(self, message: Message) -> None:
        """Pass a message out. Before the first goes, nothing may be held: its client may read nothing for hours."""
        if message["type"] == "http.response.start":
            self._begun = message
            return
        self.end()
        if not message.get("more_body", False):
            self._body.drop(if_unread=True)
        if self._begun is not None:
            begun, self._begun = self._begun, None
            await self._send(begun)
        await self._send(message)

    def end(self) -> None:
        """Give the place back; safe to repeat. Only what was served well says how long it takes."""
        if self._ticket.state == "served":
            route = self._scope.get("path_template")
            told = self._begun is not None and route is not None and self._begun["status"] < _BAD_STATUS
            kind = f"{self._scope['method']} {route}" if told else None
            self._door.gate.leave(self._ticket, time.monotonic(), kind)


def _is_gated(scope: Scope) -> bool:
    if scope["type"] != "http" or scope["method"] == "OPTIONS":
        return False
    return scope["path"] not in _OPEN and not scope["path"].startswith(_OPEN_UNDER)


def _routed(path: str) -> str:
    """Write a path as routing reads it: `//jobs/` is `/jobs`."""
    return "/" + _SLASHES.sub("/", path.strip("/"))


async def _refuse(scope: Any, send: Any, name: str, refusal: _Refusal) -> None:
    if refusal == "body_too_slow":
        await send_problem(scope, send, UnreadableBody(f"The body took over {READ_S:g} s"), {"Connection": "close"})
        return
    count("jobsense_admission_rejected_total", name, refusal)
    note_turned_away()
    await send_problem(scope, send, Overloaded(_DETAIL[refusal], reason=refusal))
