"""Compresses answers that are worth it, and says on every one that could have been that the coding is negotiated.

A whole answer is compressed at once, a stream piece by piece, each as soon as it comes. The entity tag of a compressed
answer has the coding behind it, as `caching` has it, which compares it with what the caller holds and makes one Vary.
"""

import asyncio
import re
import zlib
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Protocol

import zstandard

from service.http.caching import coded_tag, is_fresh
from service.http.encodings import Choice, Coding, choose
from service.telemetry.http import AsgiApp, Message, Receive, Scope, Send

FROM_BYTES = 1000
"""Smaller answers fit one packet as they are."""
ASIDE_BYTES = 262_144
"""Larger ones are compressed in a thread: some milliseconds, for which other requests would wait."""
_GZIP_LEVEL, _GZIP_WINDOW_BITS, _GZIP_MEMORY = 1, 13, 7
"""A window of 8 KiB: the tables of the usual 32 KiB take longer to clear than our answers take to compress."""
_ZSTD_LEVEL = 1
_BODILESS = frozenset({204, 304})
_PARTIAL = 206
_VARY = (b"vary", b"Accept-Encoding")
_API = "/api/"
_COMPRESSIBLE = re.compile(
    rb"text/.*|application/([a-z0-9.+-]+\+)?(json|xml)|application/(x-ndjson|javascript|openmetrics-text)|image/svg\+xml"
)

Headers = list[tuple[bytes, bytes]]


class _Packer(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self, mode: int = ..., /) -> bytes: ...


async def compress(app: AsgiApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one request, its answer compressed as the caller likes it best."""
    accepted = None
    for name, value in scope["headers"]:
        if name == b"accept-encoding":
            accepted = value if accepted is None else accepted + b"," + value
    await app(scope, receive, _Answer(scope, choose(accepted), send).send)


class _Answer:
    """One answer on its way out."""

    __slots__ = ("_begun", "_choice", "_packer", "_scope", "_send")

    def __init__(self, scope: Scope, choice: Choice, send: Send) -> None:
        self._scope = scope
        self._choice = choice
        self._send = send
        self._begun: Message | None = None
        self._packer: _Packer | None = None

    async def send(self, message: Message) -> None:
        """Pass a message out; the head waits for the first piece of the body, which decides."""
        if message["type"] == "http.response.start":
            await self._begin(message)
        elif self._begun is not None:
            begun, self._begun = self._begun, None
            await self._first(begun, message)
        elif self._packer is not None:
            await self._send(_packed(self._packer, message))
        else:
            await self._send(message)

    async def _begin(self, message: Message) -> None:
        headers = message.get("headers", ())
        if not _is_compressible(self._scope["path"], message["status"], headers):
            await self._send(message)
            return
        message = {**message, "headers": [*headers, _VARY]}
        if self._choice.coding is None:
            await self._send(message)
        else:
            self._begun = message

    async def _first(self, begun: Message, message: Message) -> None:
        body, coding = message.get("body", b""), self._choice.coding
        if coding is None:
            raise RuntimeError("only answers that are to be compressed wait")
        if message.get("more_body", False):
            self._packer = PACKERS[coding]()
            await self._send({**begun, "headers": _coded(begun["headers"], coding, None)})
            await self._send(_packed(self._packer, message))
            return
        if len(body) >= FROM_BYTES or (self._choice.only and body):
            packed = await self._packed(begun, body, coding)
            if len(packed) < len(body) or self._choice.only:
                begun = {**begun, "headers": _coded(begun["headers"], coding, len(packed))}
                message = {**message, "body": packed}
        await self._send(begun)
        await self._send(message)

    async def _packed(self, begun: Message, body: bytes, coding: Coding) -> bytes:
        tag = next((value for name, value in begun["headers"] if name.lower() == b"etag"), None)
        if tag is not None and is_fresh(self._scope, coded_tag(tag, coding.encode())):
            return b""  # it becomes a 304
        return pack(body, coding) if len(body) < ASIDE_BYTES else await asyncio.to_thread(pack, body, coding)


def pack(body: bytes, coding: Coding) -> bytes:
    """Compress a whole body."""
    if coding == "zstd":
        return (_ZSTD if len(body) < ASIDE_BYTES else zstandard.ZstdCompressor(level=_ZSTD_LEVEL)).compress(body)
    packer = _gzip()
    return packer.compress(body) + packer.flush()


def _gzip() -> _Packer:
    return zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, 16 + _GZIP_WINDOW_BITS, _GZIP_MEMORY)


def _zstd() -> _Packer:
    return zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compressobj()


_ZSTD = zstandard.ZstdCompressor(level=_ZSTD_LEVEL)
PACKERS: dict[Coding, Callable[[], _Packer]] = {"zstd": _zstd, "gzip": _gzip}
_FLUSH: dict[type, int] = {type(_gzip()): zlib.Z_SYNC_FLUSH, type(_zstd()): zstandard.COMPRESSOBJ_FLUSH_BLOCK}


def _packed(packer: _Packer, message: Message) -> Message:
    """A piece of a stream, which the caller can read whole when it comes."""
    body = message.get("body", b"")
    packed = packer.compress(body) if body else b""
    if not message.get("more_body", False):
        packed += packer.flush()
    elif body:
        packed += packer.flush(_FLUSH[type(packer)])
    return {**message, "body": packed}


def _is_compressible(path: str, status: int, headers: Iterable[tuple[bytes, bytes]]) -> bool:
    if status in _BODILESS or status == _PARTIAL:
        return False
    kind = b""
    for raw, value in headers:
        name = raw.lower()
        if name == b"content-type":
            kind = value
        elif name in (b"content-encoding", b"content-range") or (name == b"cache-control" and _forbids(value, path)):
            return False
    return _is_text(kind)


def _forbids(cache_control: bytes, path: str) -> bool:
    # Answers of the API that nobody may keep hold secrets, which their compressed length would tell of (BREACH).
    return b"no-transform" in cache_control or (b"no-store" in cache_control and path.startswith(_API))


@lru_cache(maxsize=64)
def _is_text(kind: bytes) -> bool:
    return _COMPRESSIBLE.fullmatch(kind.partition(b";")[0].strip().lower()) is not None


def _coded(headers: Headers, coding: Coding, length: int | None) -> Headers:
    """The head of a compressed answer: its length if it is known, its coding, and its own strong tag."""
    coded = []
    for name, value in headers:
        match name.lower():
            case b"content-length":
                continue
            case b"etag":
                coded.append((name, coded_tag(value, coding.encode())))
            case _:
                coded.append((name, value))
    coded.append((b"content-encoding", coding.encode()))
    if length is not None:
        coded.append((b"content-length", b"%d" % length))
    return coded
