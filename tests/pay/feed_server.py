"""A feed of exchange rates on a real socket: answers what a test has put in line, the last answer again and again."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

import msgspec


class Answer(NamedTuple):
    """One answer of the feed; `stalls`: half of it comes, and then nothing."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = {}
    stalls: bool = False


def rates(**pairs: object) -> Answer:
    """An answer with rates: `USD_KES=129.5`."""
    rows = [{"pair": pair.replace("_", "/"), "rate": rate} for pair, rate in pairs.items()]
    return Answer(msgspec.json.encode({"rates": rows}), headers={"Content-Type": "application/json"})


class FeedServer:
    """The answers in line, and how often it was asked."""

    def __init__(self) -> None:
        self.line: list[Answer] = [rates(USD_KES=129.5)]
        self.requests: list[str] = []
        self.port = 0

    @property
    def url(self) -> str:
        """Its address, with a key that nobody may show."""
        return f"http://127.0.0.1:{self.port}/latest?key=s3cret"

    def answer(self, *answers: Answer) -> None:
        """Answer these, in order."""
        self.line = list(answers)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request and close."""
        try:
            self.requests.append((await reader.readuntil(b"\r\n\r\n")).decode())
        except asyncio.IncompleteReadError:  # it has changed its mind
            writer.close()
            return
        answer = self.line.pop(0) if len(self.line) > 1 else self.line[0]
        headers = {"Content-Length": str(len(answer.body)), "Connection": "close", **answer.headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        body = answer.body[: len(answer.body) // 2] if answer.stalls else answer.body
        writer.write(f"HTTP/1.1 {answer.status} x\r\n{head}\r\n".encode() + body)
        try:
            await writer.drain()
            if answer.stalls:
                await reader.read()  # until the client gives up
        except ConnectionError:
            pass  # it has read enough
        finally:
            writer.close()


@asynccontextmanager
async def feed_server() -> AsyncIterator[FeedServer]:
    """A feed that listens."""
    feed = FeedServer()
    server = await asyncio.start_server(feed.serve, "127.0.0.1", 0)
    feed.port = server.sockets[0].getsockname()[1]
    try:
        yield feed
    finally:
        server.close()
