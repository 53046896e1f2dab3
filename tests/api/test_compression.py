"""Compression over the wire: the journeys of a client that takes every coding, as most do."""

import httpx
import pytest

from tests.api.calls import JOBS, SEARCH, create
from tests.conftest import Service

LONG = "You cook for a hundred guests and keep the kitchen clean. " * 40


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
async def test_a_posting_is_read_and_changed_by_the_tag_of_a_compressed_answer(
    api: Service, wire: httpx.AsyncClient, coding: str
) -> None:
    """The tag of a compressed answer is good for If-None-Match and If-Match, and differs from that of the plain one."""
    url = f"{JOBS}/{(await create(api, description=LONG))['id']}"
    wire.headers["Accept-Encoding"] = coding
    packed = await wire.get(url)
    assert packed.headers["content-encoding"] == coding
    assert packed.json()["description"] == LONG.strip()
    plain = await wire.get(url, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == packed.content
    tag = plain.headers["etag"]
    assert packed.headers["etag"] == f'{tag[:-1]}-{coding}"'
    for answer in (plain, packed):
        assert "Accept-Encoding" in answer.headers["vary"]
        asked = {"Accept-Encoding": answer.request.headers["accept-encoding"]}
        again = await wire.get(url, headers=asked | {"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.headers["etag"]) == (304, answer.headers["etag"])
        assert again.headers["vary"] == answer.headers["vary"]
        assert "content-encoding" not in again.headers
    changed = await wire.patch(url, json={"title": "Chef"}, headers={"If-Match": packed.headers["etag"]})
    assert changed.status_code == 200, changed.text
    stale = await wire.patch(url, json={"title": "Cook"}, headers={"If-Match": packed.headers["etag"]})
    assert stale.status_code == 412


async def test_head_says_what_get_does(api: Service, wire: httpx.AsyncClient) -> None:
    """Coding, length and tag of a compressed answer, without it."""
    url = f"{JOBS}/{(await create(api, description=LONG))['id']}"
    got, head = await wire.get(url), await wire.head(url)
    for name in ("content-encoding", "content-length", "etag", "vary"):
        assert head.headers[name] == got.headers[name]
    assert int(got.headers["content-length"]) < len(got.content) / 2
    assert head.content == b""


async def test_problems_and_metrics_are_compressed_too(wire: httpx.AsyncClient) -> None:
    """A long list of faults and the metrics are worth it; a short problem is not, and says that it could have been."""
    wrong = await wire.post(SEARCH, json={f"field_{n}": n for n in range(50)})
    assert (wrong.status_code, wrong.headers["content-encoding"]) == (422, "zstd")
    assert len(wrong.json()["errors"]) == 50
    metrics = await wire.get("/metrics", headers={"Accept-Encoding": "gzip"})
    assert metrics.headers["content-encoding"] == "gzip"
    assert "http_server_active_requests" in metrics.text
    short = await wire.get("/nowhere")
    assert "content-encoding" not in short.headers
    assert "Accept-Encoding" in short.headers["vary"]


async def test_files_of_the_documentation_are_packed_once(wire: httpx.AsyncClient) -> None:
    """They come as gzip or plain by the same rules, and are kept by the caller by their tag."""
    path = "/docs/swagger-ui.css"
    packed = await wire.get(path, headers={"Accept-Encoding": "gzip;q=0.5"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["etag"].endswith('-gzip"')
    again = await wire.get(path, headers={"If-None-Match": packed.headers["etag"], "Accept-Encoding": "gzip"})
    assert (again.status_code, again.headers["etag"]) == (304, packed.headers["etag"])
    assert "content-encoding" not in (await wire.get(path, headers={"Accept-Encoding": "gzip;q=0"})).headers
