"""What stands around every answer for caches: one Vary, a 304 where the tag is known, a tag for every coding."""

import gzip
from typing import Any

import httpx
import pytest

from service.http.caching import coded_tag, completed, is_fresh
from tests.api.calls import Clock
from tests.shared_cache import Cache


async def test_the_model_of_a_cache_leaks_where_it_may() -> None:
    """The cache of these tests gives one caller's answer to another where an application does not forbid it."""
    served: list[dict[str, str]] = [{"cache-control": "max-age=60"}, {}, {"cache-control": "private, max-age=60"}]

    async def careless(scope: Any, _receive: Any, send: Any) -> None:
        headers = [(name.encode(), value.encode()) for name, value in served[int(scope["path"][-1])].items()]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": dict(scope["headers"]).get(b"x-api-key", b"nobody")})

    for shared, leaks in ((True, [True, True, False]), (False, [True, True, True])):
        cache = Cache(httpx.ASGITransport(careless), shared=shared, clock=Clock().monotonic)
        async with httpx.AsyncClient(transport=cache, base_url="http://test") as client:
            for number, leaked in enumerate(leaks):
                await client.get(f"/{number}", headers={"X-API-Key": "alice"})
                assert ((await client.get(f"/{number}")).text == "alice") is leaked


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["Origin"], "Origin, Authorization, X-API-Key"),
        (["Accept-Encoding, Origin", "origin", ""], "Accept-Encoding, Origin, Authorization, X-API-Key"),
        (["authorization"], "authorization, X-API-Key"),
        (["Origin", "*"], "*"),
    ],
)
async def test_lines_of_vary_become_one(given: list[str], expected: str) -> None:
    """Whoever adds to Vary adds a line; names stand once, in the order they came, and `*` alone."""
    headers = [("Cache-Control", "max-age=1"), *(("Vary", line) for line in given)]

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        raw = [(name.encode(), value.encode()) for name, value in headers]
        await send({"type": "http.response.start", "status": 200, "headers": raw})
        await send({"type": "http.response.body", "body": b"x"})

    async with wrapped(app) as client:
        assert (await client.get("/x")).headers.get_list("vary") == [expected]


def wrapped(app: Any) -> httpx.AsyncClient:
    """A client of an application with what stands around every answer."""

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, completed(scope, send))

    return httpx.AsyncClient(transport=httpx.ASGITransport(serve), base_url="http://test")


PLAIN = b"[1, 2, 3]" * 200


async def packing(scope: Any, _receive: Any, send: Any) -> None:
    """An application that packs as `caching` asks for, and packs nothing in vain."""
    tag = coded_tag(b'"1-done"', b"gzip") if b"gzip" in dict(scope["headers"]).get(b"accept-encoding", b"") else None
    headers = [(b"cache-control", b"private, no-cache"), (b"vary", b"Accept-Encoding"), (b"etag", tag or b'"1-done"')]
    body = PLAIN
    if tag is not None:
        headers.append((b"content-encoding", b"gzip"))
        body = b"packed in vain" if is_fresh(scope, tag) else gzip.compress(PLAIN)
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body[:4], "more_body": True})
    await send({"type": "http.response.body", "body": body[4:]})


async def test_each_coding_has_a_tag_of_its_own() -> None:
    """A packed answer has a strong tag of its own, which is 304 for those who take that coding; no cache mixes them."""
    packed, plain = {"Accept-Encoding": "gzip"}, {"Accept-Encoding": "identity"}
    cases = [(packed, '"1-done-gzip"', 304), (packed, '"1-done"', 200), (plain, '"1-done"', 304)]
    cases += [(plain, '"1-done-gzip"', 200), (packed, 'W/"1-done-gzip"', 304), (plain, "*", 304), (packed, "*", 304)]
    async with wrapped(packing) as client:
        for accepted, tag, status in cases:
            answer = await client.get("/x", headers=accepted | {"If-None-Match": tag})
            assert answer.status_code == status, (accepted, tag)
            assert answer.headers["etag"] == ('"1-done-gzip"' if accepted is packed else '"1-done"')
            assert answer.content == (PLAIN if status == 200 else b"")
        cache = Cache(client._transport, shared=False, clock=Clock().monotonic)
    async with httpx.AsyncClient(transport=cache, base_url="http://test") as cached:
        for accepted in (packed, plain, packed, plain):
            assert (await cached.get("/x", headers=accepted)).content == PLAIN
    assert [status for _, _, status in cache.asked] == [200, 200, 304, 304]
    assert coded_tag(b'W/"x"', b"gzip") == b'W/"x"'
