"""POST /jobs under an idempotency key: done once, answered alike, and nothing kept of what failed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx
import pytest

from service.access.keys import create_key
from service.db import Connection, Database
from service.errors import DatabaseUnavailable
from service.idempotency import domain, queries
from tests.api.calls import JOBS, create, faults, problem, sample
from tests.conftest import Service
from tests.factories import job_body

KEY = "Idempotency-Key"
OTHER = "X-Idempotency-Key"
REPLAYED = "idempotent-replayed"
CONTENDERS = 100


async def post(api: Service, body: Any, key: str | None = "k", **more: str) -> httpx.Response:
    """Send a posting, perhaps under a key."""
    headers = more if key is None else {KEY: key, **more}
    return await api.client.post(JOBS, json=body, headers=headers)


async def postings(db: Database) -> int:
    """How many there are in all."""
    async with db.connection() as connection:
        found: int = await connection.fetchval("select count(*) from job")
    return found


async def kept(db: Database) -> int:
    """How many answers are kept."""
    async with db.connection() as connection:
        found: int = await connection.fetchval("select count(*) from idempotency_answer")
    return found


def told(answer: httpx.Response) -> tuple[int, bytes, str, str]:
    """What a repeated answer has in common with the first."""
    return answer.status_code, answer.content, answer.headers["location"], answer.headers["etag"]


async def test_the_first_answer_is_given_again(api: Service, db: Database) -> None:
    """The same key and body get the same status, Location, ETag and body, also when the posting is changed or gone."""
    body = job_body(external_id=None)
    first = await post(api, body)
    assert first.status_code == 201
    assert REPLAYED not in first.headers
    assert first.json() == (await api.client.get(first.headers["location"])).json()
    url = first.headers["location"]
    for change in ("PATCH", "DELETE", "OPTIONS"):
        again = await post(api, body)
        assert told(again) == told(first)
        assert again.headers[REPLAYED] == "true"
        more: dict[str, Any] = {"json": {"title": "Another title"}} if change == "PATCH" else {}
        assert (await api.client.request(change, url, **more)).is_success
    assert await postings(db) == 0
    assert sample(api, "jobsense_idempotent_requests_total", outcome="first") == 1
    assert sample(api, "jobsense_idempotent_requests_total", outcome="replayed") == 3
    assert sample(api, "jobsense_ingest_jobs_total", outcome="created") == 1


async def test_an_answer_with_a_key_is_the_one_without(shared: Service) -> None:
    """Under a key a posting is answered with the same headers and fields as without one."""
    with_key, without = await post(shared, job_body(), "same"), await post(shared, job_body(), None)
    own = {"location", "x-request-id", "traceresponse", "server-timing", "content-length"}
    assert {name: value for name, value in with_key.headers.items() if name not in own} == {
        name: value for name, value in without.headers.items() if name not in own
    }
    assert list(with_key.json()) == list(without.json())


async def test_what_is_asked_for_is_what_the_body_says(shared: Service) -> None:
    """Another spelling of the same posting is replayed; another posting under the key is 422 and stores nothing."""
    first = await post(shared, {"title": "Chef é", "company": "X", "source": "linkedin", "salary_min": 5}, "spelt")
    spelt = b'{ "salary_min":5.0,"source":" linkedin","company":"X","location":null,"title":"Chef \\u00e9" }'
    headers = {KEY: "spelt", "Content-Type": "application/json"}
    again = await shared.client.post(JOBS, content=spelt, headers=headers)
    assert (told(again), again.headers[REPLAYED]) == (told(first), "true")
    different = job_body(title="Chef é")
    problem(await post(shared, different, "spelt"), 422, "idempotency_key_reused")
    assert (await post(shared, different, "unspelt")).status_code == 201


async def test_both_headers_name_one_key(shared: Service) -> None:
    """Either header holds the key, both may if they agree; two different ones are refused by name, stored nowhere."""
    body = job_body()
    first = await post(shared, body, "either")
    for headers in ({OTHER: "either"}, {OTHER: "either", KEY: "either"}):
        assert told(await shared.client.post(JOBS, json=body, headers=headers)) == told(first)
    differing = {KEY: "either", OTHER: "neither"}
    refused = await shared.client.post(JOBS, json=job_body(), headers=differing)
    assert faults(refused) == {KEY: "repeated", OTHER: "repeated"}
    twice = [(KEY, "either"), (KEY, "neither")]
    assert faults(await shared.client.post(JOBS, json=job_body(), headers=twice)) == {KEY: "repeated"}


@pytest.mark.parametrize("name", [KEY, OTHER])
@pytest.mark.parametrize("key", ["", "x" * 256, "k\u00e9y", "\u4e2d", "a\tb", "a\x7f"])
async def test_malformed_keys_are_refused_by_name(shared: Service, name: str, key: str) -> None:
    """A key is 1 to 255 printable ASCII characters; another is named, beside what else is wrong."""
    refused = await shared.client.post(JOBS, json=job_body(title="x"), headers=[(name.encode(), key.encode())])
    assert faults(refused) == {name: "invalid", "/title": "invalid"}


@pytest.mark.parametrize("key", ["k", "x" * 255, '"8e03978e-40d5-43dd-bc93-6894a57f9324"', "order 7, try ~1", "!"])
async def test_wellformed_keys_are_taken(shared: Service, key: str) -> None:
    """Both edges of the length, and every character of a structured-field string, make a key."""
    body = job_body()
    first = await post(shared, body, key)
    assert (first.status_code, REPLAYED in first.headers) == (201, False)
    assert (await post(shared, body, key)).headers[REPLAYED] == "true"
    assert (
        REPLAYED
        not in (await post(shared, body | {"external_id": "longer" + body["external_id"]}, key[:-1] + "#")).headers
    )


async def test_what_failed_leaves_its_key_free(api: Service, db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A 422, a 409 and a 503 keep nothing: the key can be used again, with another body too, and then counts."""
    taken = await create(api)
    problem(await post(api, job_body(source="monster")), 422, "invalid")
    problem(await post(api, job_body(external_id=taken["external_id"])), 409, "job_exists")

    async def lose(*_: Any, **__: Any) -> None:
        raise DatabaseUnavailable("the database did not answer; try again", reason="unreachable")

    body = job_body()
    with monkeypatch.context() as patch:
        patch.setattr(queries, "store_answer", lose)
        problem(await post(api, body), 503, "database_unavailable")
    assert (await postings(db), await kept(db)) == (1, 0)
    first = await post(api, body)
    assert (first.status_code, REPLAYED in first.headers) == (201, False)
    assert (await post(api, body)).headers[REPLAYED] == "true"
    assert (await postings(db), await kept(db)) == (2, 1)


async def test_without_a_key_nothing_is_kept(api: Service, db: Database) -> None:
    """A posting without a key is stored as often as it is sent."""
    body = job_body(external_id=None)
    ids = {(await post(api, body, None)).json()["id"] for _ in range(3)}
    assert (len(ids), await kept(db)) == (3, 0)


async def test_callers_do_not_meet(api: Service, db: Database) -> None:
    """The same key of two tenants, of two API keys of one tenant, and of nobody is five keys, each with its answer."""
    callers = [
        {"X-API-Key": await create_key(db, tenant=tenant, name="test", scopes=["jobs:read", "jobs:write"])}
        for tenant in ("acme", "acme", "umbrella", "public")
    ]
    body = job_body(external_id=None)
    first = [await post(api, body, "shared", **caller) for caller in (*callers, {})]
    assert [answer.status_code for answer in first] == [201] * 5
    assert len({answer.json()["id"] for answer in first}) == 5
    assert all(REPLAYED not in answer.headers for answer in first)
    again = [await post(api, body, "shared", **caller) for caller in (*callers, {})]
    assert [told(answer) for answer in again] == [told(answer) for answer in first]
    different = [await post(api, job_body(), "shared", **caller) for caller in (*callers, {})]
    assert {answer.status_code for answer in different} == {422}


async def test_a_hundred_at_once_make_one_posting(api: Service, db: Database) -> None:
    """Of a hundred requests under one key at once one makes the posting; the others get it, now or when they repeat."""
    body = job_body(external_id=None)
    answers: list[httpx.Response] = []
    refusals: list[str] = []
    async with asyncio.timeout(30):
        while waiting := CONTENDERS - len(answers):
            for answer in await asyncio.gather(*(post(api, body, "crowd") for _ in range(waiting))):
                if answer.status_code == 201:
                    answers.append(answer)
                else:
                    assert answer.headers["retry-after"] == "1"
                    refusals.append(answer.json()["code"])
            assert answers
    assert len({told(answer) for answer in answers}) == 1
    assert sum(REPLAYED not in answer.headers for answer in answers) == 1
    assert await postings(db) == 1
    assert set(refusals) <= {"idempotency_in_progress", "overloaded"}


@asynccontextmanager
async def blocking(dsn: str, external_id: str) -> AsyncIterator[Connection]:
    """A posting of this external_id that is not committed yet: whoever stores the same waits for it."""
    connection = await asyncpg.connect(dsn)
    try:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute(
            "insert into job (tenant_id, source, external_id, title, company, company_key, content_hash, text_hash,"
            " created_at, updated_at) values (1, 'linkedin', $1, 'x', 'x', 'x', '', '', now(), now())",
            external_id,
        )
        yield connection
        await transaction.rollback()
    finally:
        await connection.close()


async def test_who_comes_meanwhile_waits_for_nothing(api: Service, dsn: str, db: Database) -> None:
    """While the first request hangs in the database, its repetitions are 409 at once and all others are served."""
    body = job_body(external_id="slow")
    async with blocking(dsn, "slow") as blocker:
        first = asyncio.create_task(post(api, body, "slow"))
        async with asyncio.timeout(5):
            while not await blocker.fetchval(_HANGS):
                pass
        async with asyncio.timeout(4):  # less than a connection waits for a lock
            for turn in range(3):
                repeated = [post(api, body, "slow") for _ in range(20)]
                others = [api.client.get(JOBS), api.client.get(JOBS), post(api, job_body(), f"other-{turn}")]
                answers = await asyncio.gather(*repeated, *others)
                for answer in answers[:20]:
                    problem(answer, 409, "idempotency_in_progress")
                    assert answer.headers["retry-after"] == "1"
                assert [answer.status_code for answer in answers[20:]] == [200, 200, 201]
        assert not first.done()
        size, idle, _ = api.parts.db.sizes()
        assert size - idle == 1
    assert (await first).status_code == 201
    assert told(await post(api, body, "slow")) == told(await first)
    assert sample(api, "jobsense_idempotent_requests_total", outcome="in_progress") == 60
    assert await postings(db) == 4


_HANGS = """
select exists (
    select from pg_locks l join pg_stat_activity a on a.pid = l.pid
    where l.locktype = 'advisory' and l.granted and a.datname = current_database() and a.wait_event_type = 'Lock'
)
"""


async def test_embedding_is_told_after_the_commit(api: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker is woken once, when the transaction is over, and not for a replay."""
    busy: list[int] = []

    def wake() -> None:
        size, idle, _ = api.parts.db.sizes()
        busy.append(size - idle)

    monkeypatch.setattr(api.parts.jobs, "_on_written", wake)
    body = job_body()
    for _ in range(2):
        assert (await post(api, body)).status_code == 201
    assert busy == [0]


async def test_a_key_counts_for_a_day(api: Service, db: Database) -> None:
    """After 24 hours a key is new, whether its row is still there or not; up to then it is not."""
    body = job_body(external_id=None)
    ages = [("23 hours 59 minutes", True), ("24 hours 1 second", False)]
    first = await post(api, body)
    for age, replayed in ages:
        async with db.connection() as connection:
            await connection.execute(f"update idempotency_answer set created_at = now() - interval '{age}'")  # noqa: S608 - a constant
        again = await post(api, body)
        assert (told(again) == told(first)) is replayed
        assert (REPLAYED in again.headers) is replayed
    assert told(await post(api, body)) == told(again)
    assert (await postings(db), await kept(db)) == (2, 1)


async def test_old_answers_are_removed(api: Service, db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sweep removes what is a day old, a portion at a time and at once while there is more, and nothing younger."""
    monkeypatch.setattr(domain, "SWEEP", 2)
    for number in range(4):
        assert (await post(api, job_body(), f"k{number}")).status_code == 201
    async with db.connection() as connection:
        await connection.execute(
            "update idempotency_answer set created_at = created_at - interval '24 hours'"
            " where id in (select id from idempotency_answer order by created_at limit 3)"
        )
    sweep = api.parts.idempotency.sweep
    assert (await sweep(), await kept(db)) == (0.0, 2)
    assert (await sweep(), await kept(db)) == (domain.SWEEP_EVERY_S, 1)
    assert (await sweep(), await kept(db)) == (domain.SWEEP_EVERY_S, 1)
