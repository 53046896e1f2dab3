"""How the pieces of an answer reach the transport."""

from types import SimpleNamespace
from typing import Any

from service.connection import _Outlet

HEAD, BODY = b"HTTP/1.1 200 OK\r\n\r\n", b"body"


class _Transport:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closed = False
        self.write = self.written.append

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return self.closed

    def close(self) -> None:
        """Close it."""
        self.closed = True


def outlet_of(transport: _Transport, *, started: bool = True) -> Any:
    """The outlet of a connection whose answer has begun, or is about to."""
    cycle = SimpleNamespace(response_started=started, more_body=False)
    stand_in: Any = SimpleNamespace(transport=transport, cycle=cycle)
    return _Outlet(stand_in)


def test_head_and_first_piece_are_one_write() -> None:
    """A head waits for the first piece of its body; later pieces go as they come."""
    transport = _Transport()
    outlet = outlet_of(transport)
    outlet.write(HEAD)
    assert transport.written == []
    outlet.write(BODY)
    outlet.write(BODY)
    assert transport.written == [HEAD + BODY, BODY]


def test_a_head_without_a_body_is_sent_at_the_end() -> None:
    """As for HEAD: when the answer is complete, and before the connection is closed."""
    for end in ("flush", "close"):
        transport = _Transport()
        outlet = outlet_of(transport)
        outlet.write(HEAD)
        getattr(outlet, end)()
        assert transport.written == [HEAD]
        assert transport.closed == (end == "close")


def test_what_comes_before_an_answer_is_sent_at_once() -> None:
    """100 Continue may not wait: the client waits for it."""
    transport = _Transport()
    outlet = outlet_of(transport, started=False)
    outlet.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert transport.written == [b"HTTP/1.1 100 Continue\r\n\r\n"]
