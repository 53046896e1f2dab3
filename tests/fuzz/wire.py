"""A client that sends any bytes and reads every answer until the connection ends."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec

PATIENCE_S = 20.0
PROBLEM = b"application/problem+json"


class Answer(msgspec.Struct):
    """One answer as it came over the wire."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes

    def json(self) -> Any:
        """The body, which must be JSON."""
        return msgspec.json.decode(self.body)


class Wire:
    """Plain connections to one port."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def send(self, *pieces: bytes, within_s: float = PATIENCE_S) -> list[Answer]:
        """Send the pieces, then read until the server ends the connection; raises TimeoutError if it does not."""
        async with asyncio.timeout(within_s):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            received = bytearray()
            reading = asyncio.create_task(_read(reader, received))
            try:
                with suppress(ConnectionError):
                    for piece in pieces:
                        writer.write(piece)
                        await writer.drain()
                await reading
            finally:
                reading.cancel()
                writer.close()
                with suppress(ConnectionError):
                    await writer.wait_closed()
        return answers_in(bytes(received))

    async def get(self, path: str | bytes, *headers: bytes) -> list[Answer]:
        """Ask for a path as it stands, and for the end of the connection."""
        return await self.send(request(b"GET", path, *headers))

    async def post(
        self, path: str | bytes, body: bytes, *headers: bytes, content_type: bytes = b"application/json"
    ) -> list[Answer]:
        """Send a body."""
        head = (b"Content-Type: " + content_type, b"Content-Length: %d" % len(body), *headers)
        return await self.send(request(b"POST", path, *head) + body)


def request(method: bytes, path: str | bytes, *headers: bytes) -> bytes:
    """The head of a request that ends the connection."""
    where = path if isinstance(path, bytes) else path.encode()
    lines = (method + b" " + where + b" HTTP/1.1", b"Host: localhost", b"Connection: close", *headers)
    return b"\r\n".join(lines) + b"\r\n\r\n"


async def _read(reader: asyncio.StreamReader, received: bytearray) -> None:
    with suppress(ConnectionError):
        while piece := await reader.read(65_536):
            received += piece


def answers_in(received: bytes) -> list[Answer]:
    """The answers that came one after the other; raises ValueError where they are no HTTP."""
    answers = []
    while received:
        head, found, received = received.partition(b"\r\n\r\n")
        version, status, *_ = head.split(b" ", 2)
        if not found or version != b"HTTP/1.1":
            raise ValueError(f"no answer: {head[:200]!r}")
        pairs = [line.split(b": ", 1) for line in head.split(b"\r\n")[1:]]
        headers = {name.lower(): value for name, value in pairs}
        if headers.get(b"transfer-encoding") == b"chunked":
            body, received = _chunks(received)
        else:
            length = int(headers.get(b"content-length", b"0"))
            body, received = received[:length], received[length:]
        answers.append(Answer(int(status), headers, body))
    return answers


def _chunks(received: bytes) -> tuple[bytes, bytes]:
    body = b""
    while True:
        size, _, received = received.partition(b"\r\n")
        length = int(size, 16)
        body += received[:length]
        received = received[length + 2 :]
        if not length:
            return body, received


def is_refused(answers: Sequence[Answer], *statuses: int) -> bool:
    """Whether there is one answer, a problem with one of the statuses; 0 stands for a connection that just ended."""
    if not answers:
        return 0 in statuses
    (answer,) = answers
    if answer.headers.get(b"content-type") != PROBLEM or answer.status not in statuses:
        return False
    said = answer.json()
    return bool(said["status"] == answer.status and said["code"] and said["title"] and said["detail"])
