"""A lean load generator for HTTP/1.1: open loop at a rate, closed loop of clients, every answer kept.

It shares the machine with what it measures, so it costs little: protocols and callbacks, no task and no future for a
request. An open loop counts a request's latency from the moment at which it was due, so that waiting in a line before a
slow server is not left out (coordinated omission).
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import cast
from urllib.parse import urlsplit

import msgspec

from tests.load.report import Answer, Report

_END_OF_HEAD = b"\r\n\r\n"
_LENGTH = b"\r\ncontent-length:"


def post(address: str, path: str, body: object) -> bytes:
    """A POST request of a JSON body, byte for byte."""
    content = msgspec.json.encode(body)
    host = urlsplit(address).netloc
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {len(content)}"
    return head.encode() + _END_OF_HEAD + content


def get(address: str, path: str) -> bytes:
    """A GET request, byte for byte."""
    return f"GET {path} HTTP/1.1\r\nHost: {urlsplit(address).netloc}\r\n\r\n".encode()


def arrivals(rate: float, seconds: float, *, seed: int | None = None) -> Iterator[float]:
    """When requests are due, from 0 to `seconds`: as a Poisson process with a seed, evenly without one."""
    dice = random.Random(seed)  # noqa: S311 - arrivals, no secrets
    due = 0.0
    while due < seconds:
        yield due
        due += dice.expovariate(rate) if seed is not None else 1 / rate


class _Connection(asyncio.Protocol):
    """One connection, with one request in flight at most."""

    def __init__(self, sender: "Sender") -> None:
        self._sender = sender
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._needed = 0
        self._head_end = 0
        self.due: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by type

    def ask(self, request: bytes, due: float) -> None:
        """Send a request that was due at this time of the loop."""
        assert self._transport is not None
        self.due = due
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._needed:
            self._read_head()
        if self._needed and len(self._received) >= self._needed:
            self._finish()

    def _read_head(self) -> None:
        end = self._received.find(_END_OF_HEAD)
        if end < 0:
            return
        self._head_end = end
        head = bytes(self._received[:end]).lower()
        at = head.find(_LENGTH)
        if at < 0:  # nothing that this generator asks for is streamed
            self.abort("an answer without Content-Length")
            return
        length = head[at + len(_LENGTH) :].split(b"\r\n", 1)[0]
        self._needed = end + len(_END_OF_HEAD) + int(length)

    def _finish(self) -> None:
        head = bytes(self._received[: self._head_end])
        body = bytes(self._received[self._head_end + len(_END_OF_HEAD) : self._needed])
        due, self.due = self.due, None
        self._received.clear()
        self._needed = 0
        if due is None:
            self.abort("an answer to nothing")
            return
        closing = b"\r\nconnection: close" in head.lower()
        if closing:
            self.abort("")
        self._sender.answered(self, due, status=int(head[9:12]), head=head, body=body, reusable=not closing)

    def abort(self, fault: str) -> None:
        """Close at once; a request in flight ends with the fault."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None
        self._lose(fault)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._lose(f"connection lost: {exc!r}" if exc else "connection closed")

    def _lose(self, fault: str) -> None:
        due, self.due = self.due, None
        self._sender.lost(self, due, fault)


class Sender:
    """Sends requests on connections that it keeps; at most `most` are in flight, the others wait in line."""

    def __init__(self, address: str, *, most: int, on_answer: Callable[[], None] = lambda: None) -> None:
        parts = urlsplit(address)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._most = most
        self._on_answer = on_answer
        self._loop = asyncio.get_running_loop()
        self._line: deque[tuple[bytes, float]] = deque()
        self._idle: list[_Connection] = []
        self._open: set[_Connection] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._settled = asyncio.Event()
        self.answers: list[Answer] = []
        self.sent = 0
        self.began = self._loop.time()

    def send(self, request: bytes, due: float) -> None:
        """Send a request that is due at this time of the loop, as soon as a connection is free."""
        self.sent += 1
        self._line.append((request, due))
        self._move_on()

    def _move_on(self) -> None:
        while self._line and self._idle:
            self._idle.pop().ask(*self._line.popleft())
        wanted = min(len(self._line), self._most - len(self._open)) - len(self._opening)
        for _ in range(wanted):
            task = self._loop.create_task(self._connect())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _connect(self) -> None:
        try:
            _, connection = await self._loop.create_connection(lambda: _Connection(self), self._host, self._port)
        except OSError as error:
            if self._line:
                self._note(self._line.popleft()[1], fault=f"no connection: {error!r}")
            return
        self._open.add(connection)
        self._idle.append(connection)
        self._move_on()

    def answered(
        self, connection: _Connection, due: float, *, status: int, head: bytes, body: bytes, reusable: bool
    ) -> None:
        """Keep an answer, and use its connection again."""
        if reusable:
            self._idle.append(connection)
        self._note(due, status=status, head=head, body=body)
        self._move_on()

    def lost(self, connection: _Connection, due: float | None, fault: str) -> None:
        """Forget a connection; the request that was in flight on it has no answer."""
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if due is not None:
            self._note(due, fault=fault)
        self._move_on()

    def _note(self, due: float, *, status: int = 0, head: bytes = b"", body: bytes = b"", fault: str = "") -> None:
        now = self._loop.time()
        self.answers.append(Answer(due - self.began, now - self.began, status, head, body, fault))
        self._on_answer()
        if len(self.answers) == self.sent:
            self._settled.set()

    async def close(self, patience_s: float) -> None:
        """Wait until every request is answered; what is not in time ends with a fault. Then close the connections."""
        self._settled.clear()
        if len(self.answers) < self.sent:
            try:
                await asyncio.wait_for(self._settled.wait(), patience_s)
            except TimeoutError:
                self._on_answer = lambda: None
                while self._line:
                    self._note(self._line.popleft()[1], fault="never sent")
        for task in [*self._opening]:
            task.cancel()
        for connection in [*self._open]:
            connection.abort(f"no answer within {patience_s:g} s")


async def open_loop(
    address: str,
    requests: Iterator[bytes],
    *,
    rate: float,
    seconds: float,
    most: int = 200,
    patience_s: float = 10.0,
    seed: int | None = 1,
) -> Report:
    """Offer requests at a rate, whatever becomes of them; afterwards wait `patience_s` for the last answers.

    Sends are up to a millisecond late, which is the clock of the event loop, and which the latencies hold.
    """
    loop = asyncio.get_running_loop()
    sender = Sender(address, most=most)
    over: asyncio.Future[None] = loop.create_future()
    due_times = arrivals(rate, seconds, seed=seed)
    cpu_s = time.process_time()

    def fire(due_s: float) -> None:
        now = loop.time()
        while sender.began + due_s <= now:
            sender.send(next(requests), sender.began + due_s)
            following = next(due_times, None)
            if following is None:
                loop.call_at(sender.began + seconds, over.set_result, None)
                return
            due_s = following
        loop.call_at(sender.began + due_s, fire, due_s)

    fire(next(due_times))
    await over
    cpu_s = time.process_time() - cpu_s
    await sender.close(patience_s)
    return Report(sender.answers, sender.began, seconds, cpu_s)


async def closed_loop(
    address: str,
    requests: Iterator[bytes],
    *,
    clients: int,
    seconds: float,
    count: int = 1_000_000,
    patience_s: float = 10.0,
) -> Report:
    """Clients that each send their next request when they have the answer to the last, at most `count` in all."""
    loop = asyncio.get_running_loop()
    over = asyncio.Event()

    def go_on() -> None:
        if loop.time() - sender.began < seconds and sender.sent < count:
            sender.send(next(requests), loop.time())
        else:
            over.set()

    sender = Sender(address, most=clients, on_answer=go_on)
    cpu_s = time.process_time()
    for _ in range(min(clients, count)):
        sender.send(next(requests), loop.time())
    try:
        await asyncio.wait_for(over.wait(), seconds + patience_s)
    except TimeoutError:
        patience_s = 0.0
    took_s = min(loop.time() - sender.began, seconds)
    cpu_s = time.process_time() - cpu_s
    await sender.close(patience_s)
    return Report(sender.answers, sender.began, took_s, cpu_s)
