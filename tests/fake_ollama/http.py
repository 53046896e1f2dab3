"""The little HTTP that the fake needs over ASGI: requests, answers, and reading a body as Go's decoder would."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any, TypeVar

import msgspec

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Result = TypeVar("Result")

JSON = "application/json; charset=utf-8"
TEXT = "text/plain"


class Reply(msgspec.Struct, kw_only=True):
    """An answer; more than one chunk is streamed without a length."""

    status: int = 200
    chunks: list[bytes] = []
    content_type: str = JSON
    headers: dict[str, str] = {}


class Gone(Exception):
    """The client has closed the connection."""


def answer(body: object, status: int = 200) -> Reply:
    """Return `body` as JSON."""
    return Reply(status=status, chunks=[msgspec.json.encode(body)])


def failure(status: int, text: str) -> Reply:
    """Return an error as Ollama writes it."""
    return answer({"error": text}, status)


def plain(status: int, text: str = "", **headers: str) -> Reply:
    """Return plain text, as the router and the guards of Ollama do."""
    return Reply(status=status, chunks=[text.encode()], content_type=TEXT, headers=headers)


class BadRequest(Exception):
    """A request that Go's decoder refuses, with its text."""


def decode(body: bytes, fields: dict[str, tuple[type, ...]]) -> dict[str, Any]:
    """Decode a JSON object and check the types of its `fields`. Raises BadRequest with the words of Go's decoder."""
    if not body:
        raise BadRequest("missing request body")
    try:
        value = json.loads(body)
    except json.JSONDecodeError as error:
        if error.pos >= len(error.doc.rstrip()):
            raise BadRequest("unexpected EOF") from None
        raise BadRequest(f"invalid character {error.doc[error.pos]!r} looking for beginning of value") from None
    except UnicodeDecodeError:
        raise BadRequest("invalid character '\\x1f' looking for beginning of value") from None
    if not isinstance(value, dict):
        raise BadRequest("json: cannot unmarshal array into Go value of type api.EmbedRequest")
    for name, kinds in fields.items():
        given = value.get(name)
        if given is not None and (not isinstance(given, kinds) or (isinstance(given, bool) and bool not in kinds)):
            raise BadRequest(f"json: cannot unmarshal value into Go struct field EmbedRequest.{name}")
    return value


async def read_body(receive: Receive) -> bytes:
    """Read the whole body."""
    body = b""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


async def unless_gone(work: Coroutine[Any, Any, Result], receive: Receive) -> Result:
    """Run `work` and cancel it when the client leaves. Raises Gone."""
    task = asyncio.create_task(work)
    leaving = asyncio.create_task(_wait_for_disconnect(receive))
    try:
        await asyncio.wait({task, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise Gone
        return task.result()
    finally:
        leaving.cancel()
        task.cancel()
        await asyncio.gather(task, leaving, return_exceptions=True)


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
