"""PATCH /jobs/{id}: null against omitted, conditions, what becomes of the vectors, and races."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.api.calls import JOBS, SEARCH, create, faults, fetch, found_ids, problem, search
from tests.api.test_jobs_create import EVERY_FIELD
from tests.conftest import Service
from tests.factories import job_body
from tests.fakes import WordEmbedder

OPTIONAL = [name for name in EVERY_FIELD if name not in ("title", "company", "source")]


async def patch(api: Service, job_id: int, if_match: str | None = None, **fields: Any) -> httpx.Response:
    """Change a posting, perhaps under a condition."""
    headers = {} if if_match is None else {"If-Match": if_match}
    return await api.client.patch(f"{JOBS}/{job_id}", json=fields, headers=headers)


@pytest.mark.parametrize("name", OPTIONAL)
async def test_null_clears_and_leaving_out_keeps(shared: Service, name: str) -> None:
    """Null empties one field, the others stay; the same again is no change."""
    job = await create(shared, **EVERY_FIELD | {"external_id": f"clear-{name}"})
    cleared = await patch(shared, job["id"], **{name: None})
    assert cleared.status_code == 200
    changed = {name, "version", "updated_at"}
    assert {key for key, value in cleared.json().items() if value != job[key]} == changed
    assert (cleared.json()[name], cleared.json()["version"]) == (None, 2)
    assert (await patch(shared, job["id"], **{name: None})).json() == cleared.json()
    assert await fetch(shared, job["id"]) == cleared.json()


async def test_what_must_be_there_cannot_be_cleared(shared: Service) -> None:
    """Null for title, company or source is refused by name, and so is a wrong value of any field."""
    job = await create(shared)
    refused = await patch(shared, job["id"], title=None, company=None, source=None, salary_min=-1, url="x")
    assert set(faults(refused)) == {"/title", "/company", "/source", "/salary_min", "/url"}
    assert await fetch(shared, job["id"]) == job


async def test_no_change_is_no_version(shared: Service) -> None:
    """An empty patch, equal values, and an equal instant in another offset leave version and updated_at alone."""
    job = await create(shared, **EVERY_FIELD | {"external_id": "same"})
    for fields in (
        {},
        {"title": " Data engineer "},
        {"posted_at": "2026-02-03T07:05:06.789+03:00"},
        {"salary_max": 2e3},
    ):
        answer = await patch(shared, job["id"], **fields)
        assert (answer.status_code, answer.headers["etag"], answer.json()) == (200, '"1-pending"', job)


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ('"1-pending"', 200),
        ('"1-done"', 200),
        ("*", 200),
        ('"5-done", "1-pending"', 200),
        ('W/"1-pending"', 412),
        ('"2-pending"', 412),
        ('"5-done", "6-done"', 412),
        ("what", 412),
    ],
)
async def test_if_match(shared: Service, condition: str, status: int) -> None:
    """A change under If-Match happens only to the version named; `*` and lists work, weak tags never match."""
    job = await create(shared)
    answer = await patch(shared, job["id"], condition, title="Changed title")
    assert answer.status_code == status
    assert (await fetch(shared, job["id"]))["version"] == (2 if status == 200 else 1)
    if status == 412:
        assert "version 1" in problem(answer, 412, "precondition_failed")["detail"]


async def test_of_many_changes_of_one_version_one_wins(api: Service) -> None:
    """Eight writers with the same If-Match: one changes the posting, seven learn that they were late."""
    job = await create(api)
    answers = await asyncio.gather(*(patch(api, job["id"], '"1-pending"', title=f"Title {n}") for n in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 7
    (won,) = [answer.json() for answer in answers if answer.status_code == 200]
    assert await fetch(api, job["id"]) == won
    assert won["version"] == 2


async def test_changes_at_once_of_different_fields_all_count(api: Service) -> None:
    """Eight writers without a condition, each of a field of its own: nothing is lost, each makes one version."""
    job = await create(api, description="Text", location="Nairobi")
    fields: dict[str, Any] = {
        "title": "New title",
        "company": "New company",
        "location": "Kisumu",
        "description": "Other",
        "remote": True,
    }
    fields |= {"salary_min": 1, "currency": "KES", "url": "https://x.org"}
    answers = await asyncio.gather(*(patch(api, job["id"], **{name: value}) for name, value in fields.items()))
    assert {answer.status_code for answer in answers} == {200}
    read = await fetch(api, job["id"])
    assert {name: read[name] for name in fields} == fields
    assert read["version"] == 1 + len(fields)


async def test_changed_text_waits_while_the_old_passages_are_found(api: Service) -> None:
    """A changed text makes the posting pending; until it is embedded its old vectors find it, then the new ones do."""
    job = await create(api, title="Beekeeper", description="Honey and hives " * 20)
    await api.embed()
    changed = (await patch(api, job["id"], title="Astronomer", description="Stars.")).json()
    assert changed["embedding"] == {"state": "pending", "generation": 1, "coverage": 1.0}
    old = await search(api, "beekeeper honey hives", mode="semantic")
    assert found_ids(old) == [job["id"]]
    passage = old["results"][0]["passage"]
    assert passage is None or passage == {"text": "Stars.", "start": 0, "end": 6}
    assert found_ids(await search(api, "astronomer", mode="lexical")) == [job["id"]]
    assert await api.embed() == 1
    assert (await fetch(api, job["id"]))["embedding"]["state"] == "done"
    assert found_ids(await search(api, "beekeeper honey hives", mode="semantic", min_score=0.5)) == []
    assert found_ids(await search(api, "astronomer stars", mode="semantic", min_score=0.5)) == [job["id"]]


async def test_changed_text_put_back_is_done_again(api: Service, embedder: WordEmbedder) -> None:
    """Text changed and changed back is embedded already: the posting is done without the model's work."""
    job = await create(api, title="Beekeeper")
    await api.embed()
    before = (await fetch(api, job["id"]))["embedding"]
    await patch(api, job["id"], title="Astronomer")
    back = (await patch(api, job["id"], title="Beekeeper")).json()
    assert back["version"] == 3
    texts = list(embedder.documents)
    await api.embed()
    assert (await fetch(api, job["id"]))["embedding"] == before
    assert embedder.documents == texts


async def test_what_is_not_embedded_keeps_done(api: Service) -> None:
    """Pay, dates, address and source are no part of the embedded text: the posting stays done and makes no task."""
    job = await create(api)
    await api.embed()
    fields: dict[str, Any] = {
        "salary_min": 5,
        "currency": "KES",
        "url": "https://x.org",
        "posted_at": "2026-01-01T00:00:00Z",
    }
    changed = await patch(api, job["id"], **fields, remote=True, source="jobwebkenya", external_id="other")
    assert changed.headers["etag"] == '"2-done"'
    assert await api.embed() == 0


async def test_filters_of_a_semantic_search_follow_at_once(api: Service) -> None:
    """A changed date or source counts for the very next search by meaning, though no vector is made anew."""
    job = await create(api, title="Plumber", description=..., posted_at="2026-01-01T00:00:00Z", source="linkedin")
    await api.embed()
    late = {"filters": {"posted_after": "2026-06-01T00:00:00Z"}, "mode": "semantic", "min_score": 0.1}
    board = {"filters": {"source": ["jobwebkenya"]}, "mode": "semantic", "min_score": 0.1}
    assert [found_ids(await search(api, "plumber", **asked)) for asked in (late, board)] == [[], []]
    await patch(api, job["id"], posted_at="2026-06-01T00:00:00Z")
    assert found_ids(await search(api, "plumber", **late)) == [job["id"]]
    await patch(api, job["id"], source="jobwebkenya")
    assert found_ids(await search(api, "plumber", **board)) == [job["id"]]
    await patch(api, job["id"], posted_at=None)
    assert found_ids(await search(api, "plumber", **late)) == []


async def test_a_key_can_move_but_not_onto_another(api: Service) -> None:
    """Source and external_id can change; onto another posting's it is 409 job_exists and nothing changes."""
    first = await create(api, external_id="1")
    second = await create(api, external_id="2", source="jobwebkenya")
    problem(await patch(api, second["id"], source="linkedin", external_id="1", title="Lost"), 409, "job_exists")
    assert await fetch(api, second["id"]) == second
    moved = await patch(api, first["id"], external_id="moved")
    assert moved.json()["external_id"] == "moved"
    taken = await patch(api, second["id"], source="linkedin", external_id="1")
    assert taken.status_code == 200
    assert (await patch(api, first["id"], external_id=None)).json()["external_id"] is None


async def test_rules_over_fields_see_the_whole_posting(shared: Service) -> None:
    """A change is checked with what stays: pay in order, accepted sources, known currencies."""
    job = await create(shared, salary_min=10, salary_max=20)
    assert faults(await patch(shared, job["id"], salary_max=5)) == {"/salary_min": "salary_out_of_order"}
    assert faults(await patch(shared, job["id"], source="monster")) == {"/source": "source_not_accepted"}
    assert faults(await patch(shared, job["id"], currency="XXQ")) == {"/currency": "unknown_currency"}
    assert await fetch(shared, job["id"]) == job
    assert (await patch(shared, job["id"], salary_min=None, salary_max=5)).status_code == 200


async def test_a_source_no_longer_accepted_does_not_freeze_its_postings(api: Service) -> None:
    """Postings of a source that has left the settings can still be changed, but not put under it anew."""
    job = await create(api)
    async with api.parts.db.connection() as connection:
        await connection.execute("update job set source = 'closed-board'")
    assert (await patch(api, job["id"], title="Corrected title")).status_code == 200
    assert (await patch(api, job["id"], source="closed-board", remote=True)).status_code == 200
    other = await create(api)
    assert faults(await patch(api, other["id"], source="closed-board")) == {"/source": "source_not_accepted"}


async def test_a_posting_deleted_meanwhile_is_not_found(api: Service) -> None:
    """Changes and a deletion at once: each is done before it or answered 404, and the posting is gone."""
    job = await create(api)
    url = f"{JOBS}/{job['id']}"
    answers = await asyncio.gather(
        *(patch(api, job["id"], title=f"Title {n}") for n in range(4)),
        api.client.delete(url),
        *(patch(api, job["id"], title=f"Title {n}") for n in range(4, 8)),
    )
    assert answers[4].status_code == 204
    assert {answer.status_code for answer in answers} <= {200, 204, 404}
    problem(await api.client.get(url), 404, "job_not_found")
    assert (await api.client.post(SEARCH, json={"text": "title"})).json()["results"] == []
    assert (await api.client.post(JOBS, json=job_body(external_id=job["external_id"]))).status_code == 201
