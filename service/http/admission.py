"""Admits as many requests as can be served well, lets a few wait in line, and turns the others away at once.

It stands around the whole application, so that a request that is turned away costs next to nothing: neither credentials
nor body are looked at. A place is taken for the time between a body that is complete and an answer that has begun, so
that neither a slow sender nor a slow reader holds one. The arithmetic is in `limit`; gates are those of one process.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from contextvars import Context
from typing import Any

import msgspec

from service.arrival import note_arrival
from service.errors import Overloaded
from service.http.limit import RECOVERY_S, Gate, Reason, Size, Ticket
from service.http.problem import send_problem
from service.telemetry.http import AsgiApp, Message, Receive, Scope, Send
from service.telemetry.logs import get_logger
from service.telemetry.stages import count, note_turned_away, observe_admission_wait

log = get_logger(__name__)

MAX_HELD_BYTES = 256 * 2**20
"""Bodies that came in pieces and are kept until their request is served, all together."""
_NOTED_S = 0.001
_BAD_STATUS = 400
_OPEN = ("/health", "/metrics", "/docs", "/openapi.json")
_DETAIL: dict[Reason, str] = {
    "line_full": "More requests wait than can be served in good time",
    "waited_too_long": "No place came free in good time",
    "overloaded": "More requests come in than can be served",
}


class WorkClass(msgspec.Struct, frozen=True, kw_only=True):
    """Requests that share one gate: its size, and the longest body that is read before a place is taken."""

    size: Size
    max_body_bytes: int


class Admission:
    """An ASGI application around another one; `classes` has "light" and "heavy", and `heavy` lists (method, path)."""

    def __init__(
        self, app: AsgiApp, *, classes: Mapping[str, WorkClass], heavy: Collection[tuple[str, str]] = ()
    ) -> None:
        self._app = app
        self._heavy = frozenset(heavy)
        self._doors = {name: _Door(name, work) for name, work in classes.items()}
        self._held_bytes = 0

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
        body = _Body(receive)
        try:
            if not door.gate.turns_away(time.monotonic()):
                await self._read(body, door.max_body_bytes)
            if self._held_bytes > MAX_HELD_BYTES:
                await _refuse(scope, send, door.name, "line_full")
            else:
                await self._pass(door, body, scope, send)
        finally:
            self._held_bytes -= body.held_bytes

    async def _read(self, body: "_Body", max_bytes: int) -> None:
        """Read the body to its end, or as far as the application would; one message costs nothing."""
        await body.read()
        while body.more and body.size <= max_bytes and self._held_bytes <= MAX_HELD_BYTES:
            self._held_bytes += await body.read()

    async def _pass(self, door: "_Door", body: "_Body", scope: Scope, send: Send) -> None:
        ticket = await door.enter(body)
        if ticket.state == "turned_away":
            await _refuse(scope, send, door.name, ticket.reason)
            return
        passage = _Passage(door, ticket, scope, send)
        try:
            if ticket.state == "served":
                await self._app(scope, body.receive, passage.send)
                passage.end(succeeded=True)
        finally:
            passage.end(succeeded=False)

    def _door(self, scope: Scope) -> "_Door":
        return self._doors["heavy" if (scope["method"], scope["path"]) in self._heavy else "light"]


class _Door:
    """A gate with what it needs of the event loop: it wakes those who wait, and tells of its overloads."""

    def __init__(self, name: str, work: WorkClass) -> None:
        self.name = name
        self.gate = Gate(work.size)
        self.max_body_bytes = work.max_body_bytes
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
        if gate.overloaded and not self._told:
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
        if self.gate.overloaded and not self._told:
            self._tell()

    def _tell(self) -> None:
        self._told = True
        log.warning("admission.overloaded", limit=self.gate.limit, **{"class": self.name})
        self._look_again()

    def _look_again(self) -> None:
        # In a context of its own: the end of an overload belongs to no request.
        self._timer = asyncio.get_running_loop().call_later(RECOVERY_S, self._look, context=Context())

    def _look(self) -> None:
        self.gate.expire(time.monotonic())
        if self.gate.overloaded:
            self._look_again()
        else:
            self._told = False
            log.info("admission.recovered", limit=self.gate.limit, **{"class": self.name})


class _Body:
    """The messages of a request: those read before it is served, then the others."""

    def __init__(self, receive: Receive) -> None:
        self.more = True
        self.size = 0
        self.held_bytes = 0
        self._receive = receive
        self._read: deque[Message] = deque()

    async def read(self) -> int:
        """Read one message ahead; gives the bytes that it brought after the first message, which are to be held."""
        message = await self._receive()
        self._read.append(message)
        self.more = message.get("more_body", False)
        brought = len(message.get("body", b""))
        self.size += brought
        if len(self._read) > 1:
            self.held_bytes += brought
            return brought
        return 0

    async def receive(self) -> Message:
        """Give the application the next message."""
        return self._read.popleft() if self._read else await self._receive()

    def watch(self, left: Callable[[], None]) -> asyncio.Task[Message] | None:
        """Call `left` if the client disconnects; not where a body is still to come, which says so in its turn."""
        if self.more:
            return None

        async def next_message() -> Message:
            return await self._receive()

        def heard(task: asyncio.Task[Message]) -> None:
            if not task.cancelled() and task.exception() is None:
                self._read.append(task.result())
                left()

        task = asyncio.create_task(next_message())
        task.add_done_callback(heard)
        return task


class _Passage:
    """The answer to one request that has a place, which it gives back once."""

    def __init__(self, door: _Door, ticket: Ticket, scope: Scope, send: Send) -> None:
        self._door = door
        self._ticket = ticket
        self._scope = scope
        self._send = send
        self._status = 0

    async def send(self, message: Message) -> None:
        """Pass a message out; an answer in several pieces has begun with the first of them."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
        elif message.get("more_body", False):
            self.end(succeeded=True)
        await self._send(message)

    def end(self, *, succeeded: bool) -> None:
        """Give the place back; only what was served in full says how long it takes."""
        route = self._scope.get("path_template")
        told = succeeded and route is not None and 0 < self._status < _BAD_STATUS
        kind = f"{self._scope['method']} {route}" if told else None
        self._door.gate.leave(self._ticket, time.monotonic(), kind)


def _is_gated(scope: Scope) -> bool:
    return scope["type"] == "http" and scope["method"] != "OPTIONS" and not scope["path"].startswith(_OPEN)


async def _refuse(scope: Any, send: Any, name: str, reason: Reason) -> None:
    count("jobsense_admission_rejected_total", name, reason)
    note_turned_away()
    await send_problem(scope, send, Overloaded(_DETAIL[reason], reason=reason))
