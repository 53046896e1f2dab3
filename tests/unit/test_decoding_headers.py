"""What the headers of a body say, and what then arrives: type, encoding, size, and callers who go away."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from service.http.decoding import JSON, NDJSON
from tests.toy_postings import GOOD, LIMIT, assert_problem

HEADERS: list[tuple[dict[str, str], int, str]] = [
    ({"Content-Type": "application/json"}, 201, ""),
    ({"Content-Type": "Application/JSON; charset=UTF-8"}, 201, ""),
    ({"Content-Type": "application/merge-patch+json"}, 201, ""),
    ({"Content-Type": "application/json", "Content-Encoding": "identity"}, 201, ""),
    ({}, 415, "unsupported_media_type"),
    ({"Content-Type": ""}, 415, "unsupported_media_type"),
    ({"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
    ({"Content-Type": "application/xml"}, 415, "unsupported_media_type"),
    ({"Content-Type": "text/xml+json"}, 415, "unsupported_media_type"),
    ({"Content-Type": NDJSON}, 415, "unsupported_media_type"),
    ({"Content-Type": "application/x-www-form-urlencoded"}, 415, "unsupported_media_type"),
    ({"Content-Type": "multipart/form-data; boundary=x"}, 415, "unsupported_media_type"),
    ({"Content-Type": "application/json; charset=latin-1"}, 415, "unsupported_media_type"),
    ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, 415, "unsupported_media_type"),
    ({"Content-Type": "application/json", "Content-Length": str(LIMIT + 1)}, 413, "body_too_large"),
    ({"Content-Type": "application/json", "Content-Length": "x"}, 400, "bad_request"),
]


@pytest.mark.parametrize(("headers", "status", "code"), HEADERS)
async def test_each_content_header_has_its_answer(
    postings: httpx.AsyncClient, headers: dict[str, str], status: int, code: str
) -> None:
    """A good body is read only as uncompressed JSON of an allowed size."""
    assert_problem(await postings.post("/postings", content=GOOD, headers=headers), status, code)


async def test_a_body_is_counted_as_it_arrives(postings: httpx.AsyncClient) -> None:
    """A chunked body over the limit is refused, and so is one that says it is shorter than it is."""

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(80):
            yield b" " * 1024

    headers = {"Content-Type": JSON}
    assert_problem(await postings.post("/postings", content=chunks(), headers=headers), 413, "body_too_large")
    lying = {**headers, "Content-Length": "10"}
    assert_problem(await postings.post("/postings", content=b" " * 80_000, headers=lying), 413, "body_too_large")
    roomier = await postings.post("/batch", content=b"[" + b" " * 80_000 + b"]", headers=headers)
    assert_problem(roomier, 201, "")


async def test_a_body_that_is_cut_off_is_not_our_fault(postings: httpx.AsyncClient) -> None:
    """A postings that goes away in the middle of its body is answered 400, not logged as a failure of the service."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/api/v1/postings", "raw_path": b"", "query_string": b"",
        "headers": [(b"content-type", b"application/json")], "server": ("test", 80), "client": ("test", 1),
        "scheme": "http", "http_version": "1.1", "root_path": "",
    }  # fmt: skip
    await postings._transport.app(scope, receive, send)  # type: ignore[attr-defined] # httpx has no public way to it
    assert sent[0]["status"] == 400
