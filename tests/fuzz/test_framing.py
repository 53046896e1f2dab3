"""What is no HTTP, or HTTP that two readers would read in two ways: refused, never read in one of them."""

import asyncio
from contextlib import suppress

import pytest

import service.connection
from service.connection import MAX_AHEAD, MAX_HEAD_BYTES, MAX_HEADERS, Connection
from tests.fuzz.conftest import Target
from tests.fuzz.wire import answers_in, is_refused, request

pytestmark = pytest.mark.usefixtures("healthy")

POST = b"POST /api/v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
GET = b"GET /health/live HTTP/1.1\r\nHost: x\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
SMUGGLED = b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

BROKEN = {
    "length and chunks": POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "chunks and length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "two lengths": POST + b"Content-Length: 2\r\nContent-Length: 50\r\n\r\n{}" + SMUGGLED,
    "one length twice": POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}" + SMUGGLED,
    "a list of lengths": POST + b"Content-Length: 2, 2\r\n\r\n{}" + SMUGGLED,
    "a negative length": POST + b"Content-Length: -2\r\n\r\n{}" + SMUGGLED,
    "a signed length": POST + b"Content-Length: +2\r\n\r\n{}" + SMUGGLED,
    "a hexadecimal length": POST + b"Content-Length: 0x2\r\n\r\n{}" + SMUGGLED,
    "an endless length": POST + b"Content-Length: " + b"9" * 40 + b"\r\n\r\n{}",
    "an unknown coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "chunks not last": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "a hidden coding": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "space before a colon": POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "a length by a bare line feed": GET + b"X: y\nContent-Length: 60\r\n\r\n" + SMUGGLED,
    "bare line feeds": b"GET /health/live HTTP/1.1\nHost: x\n\n",
    "a bare carriage return": GET + b"X: y\rContent-Length: 60\r\n\r\n" + SMUGGLED,
    "a folded line": GET + b"X: y\r\n Content-Length: 60\r\n\r\n" + SMUGGLED,
    "a folded coding": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "a folded first line": b"GET /health/live HTTP/1.1\r\n Host: x\r\n\r\n",
    "no colon": GET + b"Nothing\r\n\r\n",
    "no name": GET + b": value\r\n\r\n",
    "space in a name": GET + b"X Y: z\r\n\r\n",
    "a zero byte in a name": GET + b"X\x00Y: z\r\n\r\n",
    "a zero byte in a value": GET + b"X: a\x00b\r\n\r\n",
    "an escape in a value": GET + b"X: a\x1b[31mb\r\n\r\n",
    "a chunk past every size": CHUNKED + b"FFFFFFFFFFFFFFFFF\r\n{}\r\n0\r\n\r\n",
    "a negative chunk": CHUNKED + b"-2\r\n{}\r\n0\r\n\r\n",
    "a chunk too short": CHUNKED + b"1\r\n{}\r\n0\r\n\r\n" + SMUGGLED,
    "a chunk without a size": CHUNKED + b"\r\n{}\r\n0\r\n\r\n",
    "a chunk of bare line feeds": CHUNKED + b"2\n{}\n0\n\n" + SMUGGLED,
    "a broken trailer": CHUNKED + b"2\r\n{}\r\n0\r\nX y\x00\r\n\r\n",
    "HTTP/9.9": b"GET /health/live HTTP/9.9\r\nHost: x\r\n\r\n",
    "an unknown version": b"GET /health/live HTTX/1.1\r\nHost: x\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
    "TLS": bytes.fromhex("16030100a5010000a10303") + bytes(160),
    "a small method": b"get /health/live HTTP/1.1\r\nHost: x\r\n\r\n",
    "no such method": b"JOBS /health/live HTTP/1.1\r\nHost: x\r\n\r\n",
    "a method with a line": b"GE\r\nT /health/live HTTP/1.1\r\nHost: x\r\n\r\n",
    "a tunnel": b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: x\r\n\r\n",
    "no path": b"GET  HTTP/1.1\r\nHost: x\r\n\r\n",
    "a relative path": b"GET health/live HTTP/1.1\r\nHost: x\r\n\r\n",
    "another scheme": b"GET file:///etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
    "a host alone": b"GET http://x HTTP/1.1\r\nHost: x\r\n\r\n",
    "UTF-8 in a path": "GET /é HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
    "broken UTF-8 in a path": b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
    "a tab in a path": b"GET /a\tb HTTP/1.1\r\nHost: x\r\n\r\n",
    "garbage": bytes(range(256)),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
async def test_what_is_no_http_is_refused(target: Target, what: str) -> None:
    """One problem with status 400 or none, then the end of the connection; nothing behind it is taken for a request."""
    answers = await target.wire.send(BROKEN[what])
    assert is_refused(answers, 400), answers
    assert answers[0].headers[b"connection"] == b"close"
    assert answers[0].headers[b"x-content-type-options"] == b"nosniff"


async def test_the_same_byte_by_byte(target: Target) -> None:
    """How the bytes are cut into packets changes nothing of how they are read."""
    for what in ("length and chunks", "a folded line", "a chunk too short", "no colon"):
        pieces = [BROKEN[what][place : place + 1] for place in range(len(BROKEN[what]))]
        assert is_refused(await target.wire.send(*pieces), 400), what


async def test_what_comes_before_a_fault_is_answered(target: Target) -> None:
    """A whole request is answered although what follows is none; the answers are not mixed up."""
    first = SMUGGLED.replace(b"Connection: close\r\n", b"").replace(b"/health/live", b"/api/v1/jobs")
    answers = await target.wire.send(first + BROKEN["no colon"])
    assert [answer.status for answer in answers][:1] == [200]
    assert len(answers) == 1 or is_refused(answers[1:], 400)


HEADS = {
    "a thousand headers": request(b"GET", "/health/live", *(b"X-%d: y" % number for number in range(1000))),
    "one header of a megabyte": request(b"GET", "/health/live", b"X: " + b"y" * 2**20),
    "a name of a megabyte": request(b"GET", "/health/live", b"x" * 2**20 + b": y"),
    "an address of a megabyte": request(b"GET", "/health/live?" + "x" * 2**20),
    "just too much": request(b"GET", "/health/live?" + "x" * 40_000, b"X: " + b"y" * 30_000),
    "a head without an end": GET + b"X: " + b"y" * 2**20,
    "headers without an end": GET + b"X: y\r\n" * 200_000,
    "an address without an end": b"GET /" + b"x" * 2**20,
    "a chunk's extension": CHUNKED + b"2;" + b"x" * 2**20 + b"\r\n{}\r\n0\r\n\r\n",
    "a trailer of a megabyte": CHUNKED + b"2\r\n{}\r\n0\r\nX: " + b"y" * 2**20 + b"\r\n\r\n",
    "a trailer without an end": CHUNKED + b"2\r\n{}\r\n0\r\nX: " + b"y" * 2**20,
    "trailers without an end": CHUNKED + b"2\r\n{}\r\n0\r\n" + b"X: y\r\n" * 200_000,
}


@pytest.mark.parametrize("what", HEADS)
async def test_a_head_has_its_bounds(target: Target, what: str) -> None:
    """More than is read of a head, of trailers or of a chunk's extension is 431, and the end of the connection."""
    assert is_refused(await target.wire.send(HEADS[what]), 431)


async def test_trailers_are_no_headers(target: Target) -> None:
    """What comes after a body changes nothing of how its request is read: no key, no condition, no type."""
    body = b'{"title": "Cook", "company": "X", "source": "linkedin"}'
    chunks = b"%x\r\n%b\r\n0\r\nContent-Type: text/plain\r\nContent-Encoding: gzip\r\nX-API-Key: wrong\r\n\r\n"
    answers = await target.wire.send(CHUNKED + chunks % (len(body), body) + SMUGGLED)
    assert [answer.status for answer in answers] == [201, 200]


async def test_a_large_head_within_the_bounds_is_read(target: Target) -> None:
    """Many headers, and an address as long as the longest search needs, are no fault."""
    headers = (b"X-%d: y" % number for number in range(MAX_HEADERS - 2))
    (many,) = await target.wire.get("/health/live", *headers)
    (long,) = await target.wire.get("/api/v1/search?mode=lexical&q=" + "%E4%BD%A0" * 2000)
    (longest,) = await target.wire.get("/health/live", b"X: " + b"y" * (MAX_HEAD_BYTES - 100))
    assert {many.status, long.status, longest.status} == {200}


PROPOSAL = (
    b"Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nUpgrade: "
)


@pytest.mark.parametrize("name", [b"websocket", b"h2c", b"h2c, websocket", b"\xff"])
async def test_upgrades_are_not_taken(target: Target, name: bytes) -> None:
    """A proposal of WebSocket or HTTP/2 is answered in HTTP/1.1, the body read; frames of the other are no request."""
    for path, status in ((b"/health/live", 200), (b"/nowhere", 404)):
        head = b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n" + PROPOSAL + name + b"\r\n\r\n"
        first, *others = await target.wire.send(head + b"\x81\x85\x00\x00\r\n\r\n" + SMUGGLED)
        assert first.status == status
        assert not others or is_refused(others, 400)
    body = b'{"title": "Cook", "company": "X", "source": "linkedin"}'
    for length in (b"Content-Length: %d\r\n\r\n%b" % (len(body), body), b"Transfer-Encoding: chunked\r\n\r\n"):
        chunks = b"" if b"Content" in length else b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        posted, after = await target.wire.send(POST + PROPOSAL + name + b"\r\n" + length + chunks + SMUGGLED)
        assert (posted.status, after.status) == (201, 200)


async def test_requests_sent_ahead_are_answered_in_order(target: Target) -> None:
    """As many as may be sent ahead are all answered, in order; a flood of them ends the connection."""
    ahead = [GET.replace(b"/health/live", b"/nowhere/%d" % number) + b"\r\n" for number in range(MAX_AHEAD)]
    answers = await target.wire.send(b"".join(ahead) + SMUGGLED)
    assert [answer.json().get("instance") for answer in answers[:-1]] == [f"/nowhere/{n}" for n in range(MAX_AHEAD)]
    assert answers[-1].status == 200
    flood = await target.wire.send((GET + b"\r\n") * 50_000)
    assert len(flood) <= MAX_AHEAD + 1


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has more than a moment."""
    for name in ("HEAD_S", "LINGER_S", "FAREWELL_S"):
        monkeypatch.setattr(service.connection, name, 0.05)


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("begun", [b"", b"GET /health/li", GET + b"X: y", GET + b"\r\n" + GET[:30]])
async def test_a_slow_head_ends_the_connection(target: Target, begun: bytes) -> None:
    """A client that says nothing, or dribbles a head, is left; what it asked for before is answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", target.wire.port)
    dribbling = asyncio.create_task(_dribble(writer, begun, b"y"))
    received = bytearray()
    with suppress(ConnectionError):
        async with asyncio.timeout(10):
            while piece := await reader.read(65_536):
                received += piece
    dribbling.cancel()
    writer.close()
    assert [answer.status for answer in answers_in(bytes(received))] == [200] * (begun.count(b"\r\n\r\n"))


@pytest.mark.usefixtures("hurried")
async def test_a_body_is_not_awaited_for_ever_after_its_answer(target: Target) -> None:
    """A path that reads no body answers at once; a client that dribbles one nevertheless is left."""
    head = b"OPTIONS /api/v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", target.wire.port)
    dribbling = asyncio.create_task(_dribble(writer, head, b"y"))
    received = bytearray()
    with suppress(ConnectionError):
        async with asyncio.timeout(10):
            while piece := await reader.read(65_536):
                received += piece
    dribbling.cancel()
    writer.close()
    assert [answer.status for answer in answers_in(bytes(received))] == [204]


async def _dribble(writer: asyncio.StreamWriter, begun: bytes, more: bytes) -> None:
    """Send a piece, then a byte at every turn of the loop for as long as somebody listens."""
    writer.write(begun)
    with suppress(ConnectionError):
        while not writer.is_closing():
            if begun:
                writer.write(more)
            await writer.drain()
            await asyncio.sleep(0)


def test_the_service_runs_on_this_protocol() -> None:
    """What is tested here is what `serve` listens with."""
    import service.serve as module  # noqa: PLC0415 - the module alone is looked at
    from service.config import Settings  # noqa: PLC0415 - likewise

    assert module._config(Settings(), None).http is Connection
