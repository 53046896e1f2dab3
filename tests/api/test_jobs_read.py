"""GET and DELETE /jobs/{id}: entity tags, conditions, what is gone with a posting, numbers that are none."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from service.db import Database
from tests.api.calls import JOBS, create, faults, fetch, problem, search
from tests.conftest import Service


async def get(api: Service, job_id: int, if_none_match: str | None = None) -> httpx.Response:
    """Read a posting, perhaps under a condition."""
    headers = {} if if_none_match is None else {"If-None-Match": if_none_match}
    return await api.client.get(f"{JOBS}/{job_id}", headers=headers)


async def test_the_tag_names_version_and_state(api: Service) -> None:
    """The ETag is "<version>-<state>": it changes with the posting and with its embedding, which is no new version."""
    job = await create(api)
    assert (await get(api, job["id"])).headers["etag"] == '"1-pending"'
    await api.embed()
    done = await get(api, job["id"])
    assert done.headers["etag"] == '"1-done"'
    assert done.json()["embedding"] == {"state": "done", "generation": 1, "coverage": 1.0}
    assert done.json() | {"embedding": job["embedding"]} == job
    patched = await api.client.patch(f"{JOBS}/{job['id']}", json={"title": "Another title"})
    assert patched.headers["etag"] == '"2-pending"'


async def test_a_text_that_the_model_refuses_is_failed_with_a_reason(api: Service) -> None:
    """A posting whose text cannot be embedded says so in its state and tag, and is still found by its words."""
    job = await create(api, title="unembeddable thing")
    await api.embed()
    read = await get(api, job["id"])
    assert read.headers["etag"] == '"1-failed"'
    assert read.json()["embedding"] == {"state": "failed", "coverage": 0.0, "reason": "the model yields no number"}
    assert (await search(api, "unembeddable", mode="lexical"))["total"]["value"] == 1


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ('"1-pending"', 304),
        ('W/"1-pending"', 304),
        ('"7-done", "1-pending"', 304),
        ('"7-done",W/"1-pending"', 304),
        ("*", 304),
        ('"1-done"', 200),
        ('"2-pending"', 200),
        ('"7-done", "8-done"', 200),
        ("1-pending", 200),
        ("", 200),
        ("rubbish, ,,", 200),
    ],
)
async def test_if_none_match(shared: Service, condition: str, status: int) -> None:
    """A copy that still holds is 304 without a body, by weak comparison and in lists; anything else is sent whole."""
    job = await create(shared)
    answer = await get(shared, job["id"], condition)
    assert answer.status_code == status
    assert answer.headers["etag"] == '"1-pending"'
    assert answer.headers["cache-control"] == "private, no-cache"
    assert answer.content == b"" if status == 304 else answer.json() == job


async def test_a_304_is_sound_on_the_wire(api: Service, wire: httpx.AsyncClient) -> None:
    """A 304 and a 204 have no body and do not upset the connection: the next request on it is answered."""
    job = await create(api)
    url = f"{JOBS}/{job['id']}"
    for _ in range(2):
        unchanged = await wire.get(url, headers={"If-None-Match": '"1-pending"'})
        assert (unchanged.status_code, unchanged.content) == (304, b"")
        assert unchanged.headers.get("content-length", "0") == "0"
        assert (await wire.get(url)).json() == job
    gone = await wire.delete(url)
    assert (gone.status_code, gone.content) == (204, b"")
    problem(await wire.get(url), 404, "job_not_found")


@pytest.mark.parametrize("number", ["0", "-1", str(2**63), str(2**70), "1_000", "+1", "01", "1.0", "one", "%00", "%E2"])
async def test_numbers_that_no_posting_has(shared: Service, number: str) -> None:
    """What cannot be a posting's number is a 404 or names the parameter, on every method, and never a fault of ours."""
    for method in ("GET", "PATCH", "DELETE", "HEAD"):
        body: dict[str, Any] = {"json": {}} if method == "PATCH" else {}
        answer = await shared.client.request(method, f"{JOBS}/{number}", **body)
        assert answer.status_code in (404, 422), (method, answer.text)
        if answer.status_code == 422 and method != "HEAD":
            assert faults(answer) == {"job_id": "invalid"}


async def test_a_posting_that_is_not_there(shared: Service) -> None:
    """Reading, changing and deleting what does not exist is 404, whatever conditions are set; up to 2^63-1."""
    for number in (2**62, 2**63 - 1):
        url = f"{JOBS}/{number}"
        for headers in ({}, {"If-Match": "*"}, {"If-Match": '"1-done"'}, {"If-None-Match": "*"}):
            problem(await shared.client.get(url, headers=headers), 404, "job_not_found")
            problem(await shared.client.patch(url, json={"title": "Title"}, headers=headers), 404, "job_not_found")
            problem(await shared.client.delete(url, headers=headers), 404, "job_not_found")


async def test_delete_takes_everything_along(api: Service, db: Database) -> None:
    """A deleted posting leaves no words, vectors, task or record of embedding, and is found no more."""
    embedded, waiting = await create(api, title="Welder one"), None
    await api.embed()
    waiting = await create(api, title="Welder two")
    tables = ("job", "job_word", "embedded", "embedding_task", "passage")

    async def counts() -> list[int]:
        async with db.connection() as connection:
            return [await connection.fetchval(f"select count(*) from {table}") for table in tables]  # noqa: S608 - a constant

    assert await counts() == [2, 2, 1, 1, 1]
    for job in (embedded, waiting):
        assert (await api.client.delete(f"{JOBS}/{job['id']}")).status_code == 204
        problem(await api.client.delete(f"{JOBS}/{job['id']}"), 404, "job_not_found")
    assert await counts() == [0, 0, 0, 0, 0]
    assert (await search(api, "welder"))["results"] == []
    again = await create(api, title="Welder one", external_id=embedded["external_id"])
    assert again["id"] > waiting["id"]


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ('"1-pending"', 204),
        ('"1-done"', 204),
        ('"9-done", "1-failed"', 204),
        ("*", 204),
        ('"2-pending"', 412),
        ('W/"1-pending"', 412),
        ('"rubbish"', 412),
        ("", 412),
        ('"11-done"', 412),
    ],
)
async def test_delete_under_a_condition(shared: Service, condition: str, status: int) -> None:
    """If-Match compares the version alone, strongly; a posting that does not match stays."""
    job = await create(shared)
    answer = await shared.client.delete(f"{JOBS}/{job['id']}", headers={"If-Match": condition})
    assert answer.status_code == status
    if status == 412:
        problem(answer, 412, "precondition_failed")
        assert await fetch(shared, job["id"]) == job
    else:
        problem(await get(shared, job["id"]), 404, "job_not_found")


async def test_times_are_of_the_clock(shared: Service) -> None:
    """created_at is when the posting was received, in UTC."""
    before = datetime.now(UTC)
    job = await create(shared)
    assert before <= datetime.fromisoformat(job["created_at"]) <= datetime.now(UTC)
    assert job["created_at"].endswith("Z")
