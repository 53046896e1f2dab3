"""uvicorn's side of one HTTP/1.1 connection, with bounds on what a client may send before there is a request.

uvicorn waits for the end of a head for ever and keeps as much of it as comes; it does so for trailers, for extensions
of chunks, and for requests that are sent before the ones ahead of them are answered. Here each of these has its bound,
and what is no HTTP is answered with a problem like all the rest.
"""

import asyncio
from typing import Any

import msgspec
from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from service.errors import HeadTooLarge, RequestError
from service.http.problem import MEDIA_TYPE, problem_of
from service.telemetry.logs import get_logger
from service.telemetry.security import security_headers

log = get_logger(__name__)

MAX_HEAD_BYTES = 65_536
"""What the address and the headers of a request may weigh; a search text of 2,000 characters fits in a URL."""
MAX_HEADERS = 200
HEAD_S = 10.0
"""What a head may take, from the opening of the connection or its own first byte on."""
LINGER_S = 10.0
"""How long the rest of a body is read past that was answered before it was complete."""
FAREWELL_S = 5.0
"""How long a client may go on sending after the last answer: cut off at once it might never see that."""
MAX_AHEAD = 64
"""Requests that may be sent before the ones ahead of them are answered."""

_PROPOSES = frozenset((b"upgrade", b"http2-settings"))


class Connection(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._timer: asyncio.TimerHandle | None = None
        self._in_head = False
        self._barren = 0  # bytes that were neither of a body nor the end of anything
        self._fault: RequestError | None = None
        self._proposed = False  # another protocol
        self._deaf = False  # nothing that comes is read any more

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Give the client some time to say what it wants."""
        super().connection_made(transport)
        self._outlet: Any = _Outlet(self)
        self._end_within(HEAD_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of the timer."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, as long as it leads to something."""
        if self._deaf:
            return
        self._unset_keepalive_if_required()
        self._barren += len(data)
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            self._stay(data[upgrade.args[0] :])
        except HttpParserError:
            self._refuse(self._fault or RequestError("This is not HTTP/1.1"))
        if self._barren > MAX_HEAD_BYTES:
            self._refuse(HeadTooLarge(f"More than {MAX_HEAD_BYTES} bytes came that are no body"))
        elif self._in_head and self._timer is None:
            self._end_within(HEAD_S)

    def on_message_begin(self) -> None:
        """Begin a head."""
        super().on_message_begin()
        self._in_head = True

    def on_headers_complete(self) -> None:
        """Begin a request, if its head is within the bounds."""
        self._in_head = False
        if self._timer is not None:
            self._stop_timer()
        if self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT":
            self._proposed = True
            return
        # What came so far may hold a body too, so it is counted exactly only where it is much.
        if len(self.headers) > MAX_HEADERS or (self._barren > MAX_HEAD_BYTES and self._head_bytes() > MAX_HEAD_BYTES):
            self._fail(HeadTooLarge(f"A head may have {MAX_HEADERS} headers and {MAX_HEAD_BYTES} bytes"))
        if len(self.pipeline) >= MAX_AHEAD:
            self.transport.abort()
            self._fail(RequestError("Too many requests were sent ahead"))
        super().on_headers_complete()
        self._barren = 0
        self.cycle.transport = self._outlet
        self.headers = []  # what comes after a body is no header of it (RFC 9110, section 6.5.1)

    def _head_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body."""
        self._barren = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that nothing of the request is still to come."""
        if self._proposed:
            return
        self._barren = 0
        if self._timer is not None:
            self._stop_timer()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on to the next request, or wait for it; not for ever while the last one is still being sent."""
        self._outlet.flush()
        self._outlet.headed = False
        super().on_response_complete()
        if self.cycle.response_complete and self.cycle.more_body and not self._deaf:
            self._end_within(LINGER_S)

    def part(self) -> None:
        """End the connection after the last answer, when the client has seen it."""
        self._deaf, self._in_head = True, False
        self.transport.write_eof()
        self._end_within(FAREWELL_S)

    def _stay(self, rest: bytes) -> None:
        """Read a request again that proposes another protocol, without the proposal.

        The parser takes what follows such a head for that protocol, also where it is the body: Java's client proposes
        HTTP/2 with each first request.
        """
        version = self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, version)]
        for name, value in self.headers:
            if name == b"connection":
                kept = [token for token in value.split(b",") if token.strip().lower() not in _PROPOSES]
                lines += [b"connection: " + b",".join(kept)] if kept else []
            elif name not in _PROPOSES:
                lines.append(name + b": " + value)
        self._proposed = False
        self._barren = 0
        self.parser = HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn has it
        self.data_received(b"\r\n".join(lines) + b"\r\n\r\n" + rest)

    def _fail(self, fault: RequestError) -> None:
        """Keep the fault and end the parsing; the parser raises an error of its own for ours."""
        self._fault = fault
        raise fault

    def _refuse(self, fault: RequestError) -> None:
        if self._deaf or self.transport.is_closing():
            return
        cycle: RequestResponseCycle | None = self.cycle
        if self._answers_before_it_ends():
            return
        self._deaf, self._in_head = True, False
        log.info("http.refused", code=fault.code, reason=fault.detail, **{"client.address": (self.client or ("",))[0]})
        if cycle is not None and cycle.more_body and (cycle.response_started or self.pipeline):
            self.transport.close()  # what is broken has its answer, or is not the next to get one
            return
        if cycle is not None:
            cycle.disconnected = True
            cycle.message_event.set()
        self.transport.write(_rendered(fault))
        self.part()

    def _answers_before_it_ends(self) -> bool:
        """Where a whole request is under way, it is the last to be answered, and nothing more is read."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.more_body or cycle.response_complete:
            return False
        self._deaf, self._in_head = True, False
        cycle.keep_alive = False
        return True

    def _end_within(self, seconds: float) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(seconds, self._give_up)

    def _give_up(self) -> None:
        if not self._answers_before_it_ends():
            self.transport.abort()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _Outlet:
    """The transport as an answer sees it: closed while its request is still coming, it ends when that has been read.

    The head of an answer waits for the first piece of its body, which is sent right after it: one call of the system
    instead of two, a tenth of the processor time of a short answer.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._head: bytes | None = None
        self.headed = False
        self._write = connection.transport.write
        self.is_closing = connection.transport.is_closing

    def write(self, data: bytes) -> None:
        """Send a piece of an answer."""
        if self._head is not None:
            head, self._head = self._head, None
            self._write(head + data)
        elif self.headed or not self._connection.cycle.response_started:  # or it is 100 Continue
            self._write(data)
        else:
            self._head, self.headed = data, True

    def flush(self) -> None:
        """Send a head that no body follows."""
        if self._head is not None:
            self.write(b"")

    def close(self) -> None:
        """End the connection."""
        self.flush()
        if self._connection.cycle.more_body and not self.is_closing():
            self._connection.part()
        else:
            self._connection.transport.close()


def _rendered(fault: RequestError) -> bytes:
    problem = problem_of(fault)
    body = msgspec.json.encode(problem)
    headers = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
        *security_headers("", https=False),
    ]
    lines = b"".join(b"%b: %b\r\n" % pair for pair in headers)
    return STATUS_LINE[problem.status] + lines + b"\r\n" + body
