"""Answers on their way out: what is compressed, whole or in pieces, and what the head says of it."""

import zlib
from collections.abc import Callable
from typing import Any

import pytest
import zstandard

from service.http.compression import ASIDE_BYTES, FROM_BYTES, compress

JSON = (b"content-type", b"application/json")
TEXT = b"a posting of a cook in Kisumu " * 100

Piece = tuple[bytes, bool]


async def answer(
    *pieces: bytes,
    accepts: bytes | None = b"gzip",
    status: int = 200,
    headers: tuple[tuple[bytes, bytes], ...] = (JSON,),
    asked: tuple[tuple[bytes, bytes], ...] = (),
    path: str = "/api/v1/x",
) -> tuple[dict[bytes, bytes], list[bytes], list[tuple[bytes, bytes]]]:
    """The headers and pieces of an answer, and the request's headers as the application saw them."""
    sent: list[Any] = []
    seen: list[tuple[bytes, bytes]] = []

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        seen.extend(scope["headers"])
        await send({"type": "http.response.start", "status": status, "headers": list(headers)})
        for number, piece in enumerate(pieces, start=1):
            await send({"type": "http.response.body", "body": piece, "more_body": number < len(pieces)})

    async def send(message: Any) -> None:
        sent.append(message)

    given = [*asked, *([] if accepts is None else [(b"accept-encoding", accepts)])]
    await compress(app, {"headers": given, "path": path, "method": "GET"}, None, send)  # type: ignore[arg-type] # nothing is received
    names = [name for name, _ in sent[0]["headers"]]
    assert len(names) == len(set(names))
    return dict(sent[0]["headers"]), [message["body"] for message in sent[1:]], seen


def unzip() -> Callable[[bytes], bytes]:
    """A reader of gzip that gives what it can."""
    return zlib.decompressobj(31).decompress


READERS: dict[bytes, Callable[[], Callable[[bytes], bytes]]] = {
    b"gzip": unzip,
    b"zstd": lambda: zstandard.ZstdDecompressor().decompressobj().decompress,
}


@pytest.mark.parametrize("coding", list(READERS))
@pytest.mark.parametrize("size", [FROM_BYTES, len(TEXT), ASIDE_BYTES + 1])
async def test_a_whole_answer_is_compressed_at_once(coding: bytes, size: int) -> None:
    """From a thousand bytes on, with its new length; large ones too."""
    body = (TEXT * (size // len(TEXT) + 1))[:size]
    headers, pieces, _ = await answer(
        body, accepts=coding, headers=(JSON, (b"content-length", b"%d" % size), (b"etag", b'"3-done"'))
    )
    assert headers[b"content-encoding"] == coding
    assert headers[b"vary"] == b"Accept-Encoding"
    assert headers[b"content-length"] == b"%d" % len(pieces[0])
    assert headers[b"etag"] == b'"3-done-%b"' % coding
    assert READERS[coding]()(pieces[0]) == body
    assert len(pieces[0]) < size / 2


@pytest.mark.parametrize("coding", list(READERS))
async def test_a_stream_is_readable_piece_by_piece(coding: bytes) -> None:
    """Each piece can be read whole as soon as it came; the length is not known."""
    rows = [b"row %d\n" % number for number in range(5)]
    headers, pieces, _ = await answer(
        *rows, b"", accepts=coding, headers=((b"content-type", b"text/csv"), (b"content-length", b"35"))
    )
    assert b"content-length" not in headers
    assert headers[b"content-encoding"] == coding
    read = READERS[coding]()
    assert [read(piece) for piece in pieces] == [*rows, b""]


LEFT: list[dict[str, Any]] = [
    {"accepts": None},
    {"accepts": b"gzip;q=0"},
    {"headers": (JSON, (b"content-encoding", b"br"))},
    {"headers": ((b"content-type", b"image/png"),)},
    {"headers": ()},
    {"headers": (JSON, (b"cache-control", b"private, no-transform"))},
    {"headers": (JSON, (b"cache-control", b"no-store"))},
    {"status": 206},
]


@pytest.mark.parametrize("case", LEFT)
async def test_what_must_not_be_compressed_is_left(case: dict[str, Any]) -> None:
    """Nobody asked, it has a coding, it is no text, it must not be changed, it holds a secret, it is a part."""
    headers, pieces, _ = await answer(TEXT, **case)
    assert pieces == [TEXT]
    assert headers.get(b"content-encoding") in (None, b"br")
    negotiated = case.get("accepts", b"gzip") in (None, b"gzip;q=0")
    assert (headers.get(b"vary") == b"Accept-Encoding") is negotiated


@pytest.mark.parametrize("body", [b"", b"x", TEXT[: FROM_BYTES - 1], bytes(range(256)) * 4])
async def test_what_is_not_worth_it_is_left(body: bytes) -> None:
    """Small answers and those that would grow stay plain, and still say that the coding is negotiated."""
    if len(body) >= FROM_BYTES:
        body = body[:255] + body[:255][::-1] + bytes(n * 7 % 251 for n in range(490))
    headers, pieces, _ = await answer(body, headers=(JSON, (b"etag", b'"1"')))
    plain = b"content-encoding" not in headers
    assert plain == (pieces == [body])
    assert headers[b"etag"] == (b'"1"' if plain else b'"1-gzip"')
    assert headers[b"vary"] == b"Accept-Encoding"
    if len(body) < FROM_BYTES:
        assert plain


async def test_a_plain_answer_that_is_ruled_out_is_not_given() -> None:
    """With `identity;q=0` small answers are compressed too, save empty ones."""
    headers, pieces, _ = await answer(b"{}", accepts=b"gzip, identity;q=0")
    assert (headers[b"content-encoding"], unzip()(pieces[0])) == (b"gzip", b"{}")
    headers, pieces, _ = await answer(b"", accepts=b"gzip, identity;q=0")
    assert (headers.get(b"content-encoding"), pieces) == (None, [b""])


async def test_a_weak_tag_stays() -> None:
    """It does not promise the same bytes."""
    headers, _, _ = await answer(TEXT, headers=(JSON, (b"etag", b'W/"7"')))
    assert headers[b"etag"] == b'W/"7"'


async def test_what_becomes_a_304_is_not_compressed() -> None:
    """The head is that of the compressed answer, by which it is known; no work is done for a body that is not sent."""
    asked = ((b"if-none-match", b'"1-gzip"'),)
    headers, pieces, _ = await answer(TEXT, headers=(JSON, (b"etag", b'"1"')), asked=asked)
    assert (headers[b"etag"], pieces) == (b'"1-gzip"', [b""])


async def test_a_204_is_left_alone() -> None:
    """It has neither body nor coding."""
    headers, pieces, _ = await answer(b"", status=204, headers=())
    assert (headers, pieces) == ({}, [b""])
