"""Conditions on reading and writing (RFC 9110, section 13): what becomes a 304, what a 412, and what neither."""

import asyncio
from typing import Any

import httpx
import pytest

from service.access.keys import create_key
from tests.api.calls import JOBS, SEARCH, create, problem
from tests.conftest import Service
from tests.factories import job_body

STATS, RATES = "/api/v1/stats", "/api/v1/rates"


async def call(api: Service, method: str, path: str, body: Any, **headers: str) -> httpx.Response:
    """Send one request."""
    return await api.client.request(method, path, headers=headers, **({} if body is None else {"json": body}))


@pytest.mark.parametrize("path", [JOBS, f"{JOBS}?limit=1", f"{JOBS}/1", STATS, RATES, "/openapi.json", "/docs"])
async def test_a_copy_that_holds_is_304(api: Service, path: str) -> None:
    """GET and HEAD with the tag, alone, weak, in a list, in lines or as `*` are 304 as a 200 without its body."""
    await create(api)
    whole = await api.client.get(path)
    tag = whole.headers["etag"]
    bare = tag.removeprefix("W/")
    for given in ([tag], [bare], [f"W/{bare}"], [f'"a,b" , {bare},"c"'], ['"a"', tag], ["*"], [f",, {tag} ,"]):
        for method in ("GET", "HEAD"):
            lines = [("If-None-Match", line) for line in given]
            answer = await api.client.request(method, path, headers=lines)
            assert (answer.status_code, answer.content) == (304, b""), given
            for name in ("etag", "cache-control", "vary"):
                assert answer.headers[name] == whole.headers[name]
            assert not {"content-type", "content-length", "content-encoding"} & set(answer.headers)
    for other in ('"other"', bare.strip('"'), f"{bare} {bare}", f"W/ {bare}", f"{bare}, *", '""', ""):
        answer = await api.client.get(path, headers={"If-None-Match": other})
        assert (answer.status_code, answer.headers["etag"]) == (200, tag), other
        assert len(answer.content) == len(whole.content)


async def test_tags_change_with_what_they_stand_for(api: Service) -> None:
    """A posting more, a change or an embedding gives the list another tag; the same list keeps its tag."""
    seen = [(await api.client.get(JOBS)).headers["etag"]]
    job = await create(api)
    for act in (
        lambda: asyncio.sleep(0),
        lambda: api.client.patch(f"{JOBS}/{job['id']}", json={"title": "Another title"}),
        api.embed,
        lambda: api.client.delete(f"{JOBS}/{job['id']}"),
    ):
        seen.append((await api.client.get(JOBS)).headers["etag"])
        assert (await api.client.get(JOBS)).headers["etag"] == seen[-1]
        await act()
    assert (await api.client.get(JOBS)).headers["etag"] == seen[0]
    assert seen[1] == seen[2]
    assert len(set(seen)) == 4


async def test_conditions_hold_back_nothing_else(shared: Service) -> None:
    """If-None-Match makes no 304 of an error, nor of a POST, and a 304 needs the right to read."""
    job = await create(shared)
    url = f"{JOBS}/{job['id']}"
    problem(await call(shared, "GET", f"{JOBS}/999", None, **{"If-None-Match": "*"}), 404, "job_not_found")
    found = await call(shared, "POST", SEARCH, {"text": "x"}, **{"If-None-Match": "*"})
    assert found.status_code == 200
    assert (await call(shared, "POST", JOBS, job_body(), **{"If-None-Match": "*"})).status_code == 201
    stranger = {"X-API-Key": await create_key(shared.parts.db, tenant="acme", name="x", scopes=["jobs:read"])}
    for headers in (stranger, {"X-API-Key": "js_unknown_key"}):
        answer = await call(shared, "GET", url, None, **headers, **{"If-None-Match": '"1-pending"'})
        assert answer.status_code in (401, 404)


async def test_if_match_holds_back_reading(shared: Service) -> None:
    """GET with If-Match is 412 unless a strong tag, in a list or in lines, has the version; it comes before 304."""
    job = await create(shared)
    url = f"{JOBS}/{job['id']}"
    for lines, status in [
        (['"1-done"'], 200),
        (["*"], 200),
        (['"7-done"', '"1-failed-gzip"'], 200),
        (['"7-done"'], 412),
        (['W/"1-pending"'], 412),
        (["1-pending"], 412),
        (['"7-done" "1-done"'], 412),
    ]:
        answer = await shared.client.get(url, headers=[("If-Match", line) for line in lines])
        assert answer.status_code == status, lines
    both = await call(shared, "GET", url, None, **{"If-Match": '"7-done"', "If-None-Match": "*"})
    problem(both, 412, "precondition_failed")


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
async def test_if_none_match_holds_back_a_write(shared: Service, method: str) -> None:
    """A write with If-None-Match is 412 and does nothing if the posting has that tag, and done if not."""
    job = await create(shared)
    url, body = f"{JOBS}/{job['id']}", {"title": "Another title"} if method == "PATCH" else None
    for condition in ("*", '"1-pending"', '"x", W/"1-pending"', '"1-pending-gzip"'):
        problem(await call(shared, method, url, body, **{"If-None-Match": condition}), 412, "precondition_failed")
    assert (await shared.client.get(url)).json() == job
    done = await call(shared, method, url, body, **{"If-None-Match": '"1-done"', "If-Match": '"1-done"'})
    assert done.is_success


async def test_a_tag_of_a_coding_is_taken_by_a_write(shared: Service) -> None:
    """If-Match with the tag of a packed answer changes the posting: the version is what counts."""
    job = await create(shared)
    answer = await call(shared, "PATCH", f"{JOBS}/{job['id']}", {"title": "New title"}, **{"If-Match": '"1-done-zstd"'})
    assert answer.status_code == 200
