"""Keys over HTTP: made once, shown without secret, rotated with an overlap, expired on time; and the state of all."""

import asyncio
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from service.access import queries
from service.access.domain import KEPT_S
from service.access.keys import create_key
from service.access.model import SCOPES
from service.config import Settings
from service.db import Database
from service.telemetry.lifecycle import Telemetry
from tests.api.calls import JOBS, Clock, faults, problem
from tests.conftest import Service, running
from tests.factories import job_body
from tests.fakes import WordEmbedder

KEYS = "/api/v1/admin/keys"
STATS = "/api/v1/admin/stats"
PROFILE = "/api/v1/profile"


@pytest.fixture
async def admin(api: Service) -> Service:
    """The application in open mode, its client with an admin key of the tenant `acme`."""
    key = await create_key(api.parts.db, tenant="acme", name="root", scopes=SCOPES)
    api.client.headers["X-API-Key"] = key
    return api


async def made(api: Service, **fields: Any) -> dict[str, Any]:
    """Make a key; the answer."""
    answer = await api.client.post(KEYS, json={"name": "crawler", "scopes": ["search", "jobs:read"]} | fields)
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    key: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"{KEYS}/{key['id']}"
    return key


async def asked_with(api: Service, key: str) -> httpx.Response:
    """Ask for something with a key."""
    return await api.client.get(JOBS, headers={"X-API-Key": key})


async def test_admin_always_needs_credentials(api: Service) -> None:
    """Where callers without credentials are let in, /admin still asks for some: 401, and 403 without the scope."""
    plain = await create_key(api.parts.db, tenant="public", name="plain", scopes=["jobs:read"])
    for method, path in (("GET", KEYS), ("POST", KEYS), ("GET", STATS), ("DELETE", f"{KEYS}/0123456789ab")):
        problem(await api.client.request(method, path), 401, "unauthenticated")
        problem(await api.client.request(method, path, headers={"X-API-Key": plain}), 403, "forbidden")


async def test_a_key_is_told_once(admin: Service, log: io.BytesIO) -> None:
    """The answer that makes a key holds it; nothing afterwards does, neither list nor log nor database."""
    ends = datetime.now(UTC) + timedelta(days=90)
    key = await made(admin, expires_at=ends.isoformat(), rate="100/minute")
    assert (await asked_with(admin, key["key"])).status_code == 200
    profile = (await admin.client.get(PROFILE, headers={"X-API-Key": key["key"]})).json()
    assert profile["kind"] == "key"
    assert (profile["key_id"], profile["rate"], profile["name"]) == (key["id"], "100/minute", "crawler")
    assert datetime.fromisoformat(profile["expires_at"]) == ends
    shown = (await admin.client.get(f"{KEYS}/{key['id']}")).json()
    assert shown == {name: value for name, value in key.items() if name != "key"}
    assert (shown["scopes"], shown["rate"], shown["tenant"]) == (["jobs:read", "search"], "100/minute", "acme")
    listed = await admin.client.get(KEYS)
    assert [one["name"] for one in listed.json()["items"]] == ["crawler", "root"]
    secret = key["key"].split("_", 2)[2]
    async with admin.parts.db.connection() as connection:
        stored = str(await connection.fetch("select to_jsonb(k) from api_key k"))
    assert secret not in listed.text + log.getvalue().decode() + stored


async def test_what_a_key_may_hold(admin: Service) -> None:
    """Each failing field is named: scopes that exist, a time to come with an offset, a rate as in the settings."""
    for fields, found in (
        ({"name": " "}, {"/name": "invalid"}),
        ({"scopes": []}, {"/scopes": "invalid"}),
        ({"scopes": ["all"], "rate": "5/fortnight"}, {"/scopes/0": "invalid", "/rate": "invalid"}),
        ({"rate": "none"}, {"/rate": "invalid"}),
        ({"expires_at": "2020-01-01T00:00:00Z"}, {"/expires_at": "invalid"}),
        ({"expires_at": "2099-01-01T00:00:00"}, {"/expires_at": "invalid"}),
        ({"tenant": "other"}, {"/tenant": "unknown"}),
    ):
        answer = await admin.client.post(KEYS, json={"name": "x", "scopes": ["search"]} | fields)
        assert faults(answer) == found
    for key_id in ("0", "0123456789abc", "0123456789AB", "%00"):
        answer = await admin.client.get(f"{KEYS}/{key_id}")
        assert answer.status_code in (404, 422), answer.text


async def test_a_rotated_key_goes_on_for_the_overlap(
    admin: Service, monkeypatch: pytest.MonkeyPatch, log: io.BytesIO
) -> None:
    """Rotating gives a key of the same scopes, rate and life; the old one ends after the overlap, cache or not."""
    clock = Clock()
    monkeypatch.setattr("service.access.domain.time", clock)
    ends = datetime.now(UTC) + timedelta(days=90)
    old = await made(admin, expires_at=ends.isoformat(), rate="5/second")
    answer = await admin.client.post(f"{KEYS}/{old['id']}/rotate?overlap_s=3")
    new = answer.json()
    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
    assert (new["scopes"], new["rate"], new["name"]) == (old["scopes"], "5/second", "crawler")
    life = datetime.fromisoformat(new["expires_at"]) - datetime.fromisoformat(new["created_at"])
    assert life == datetime.fromisoformat(old["expires_at"]) - datetime.fromisoformat(old["created_at"])
    assert (await asked_with(admin, old["key"])).status_code == 200
    assert (await asked_with(admin, new["key"])).status_code == 200
    shown = (await admin.client.get(f"{KEYS}/{old['id']}")).json()
    assert shown["replaced_by"] == new["id"]
    monkeypatch.setattr("service.access.domain.utc_now", lambda: datetime.now(UTC) + timedelta(seconds=4))
    clock.now += 3.001  # well within the time that a key is believed for
    body = problem(await asked_with(admin, old["key"]), 401, "key_expired")
    assert "expired" in body["detail"]
    assert (await asked_with(admin, new["key"])).status_code == 200
    problem(await admin.client.post(f"{KEYS}/{old['id']}/rotate"), 404, "key_not_found")
    assert b"access.key_rotated" in log.getvalue()


async def test_of_many_rotations_at_once_one_makes_a_key(admin: Service) -> None:
    """A key gets one successor, however many ask at once."""
    old = await made(admin)
    answers = await asyncio.gather(*(admin.client.post(f"{KEYS}/{old['id']}/rotate") for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [201, 404, 404, 404, 404, 404]
    (new,) = [answer.json() for answer in answers if answer.status_code == 201]
    assert len((await admin.client.get(KEYS)).json()["items"]) == 3
    assert new["expires_at"] is None
    assert faults(await admin.client.post(f"{KEYS}/{new['id']}/rotate?overlap_s=9999999")) == {"overlap_s": "invalid"}


async def test_a_key_ends_at_its_time_while_it_is_believed(admin: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """An expiry that comes sooner than the cache forgets counts: no expired key lives on through it."""
    clock = Clock()
    monkeypatch.setattr("service.access.domain.time", clock)
    key = (await made(admin, expires_at=(datetime.now(UTC) + timedelta(seconds=KEPT_S / 2)).isoformat()))["key"]
    assert (await asked_with(admin, key)).status_code == 200
    monkeypatch.setattr("service.access.domain.utc_now", lambda: datetime.now(UTC) + timedelta(seconds=KEPT_S))
    clock.now += KEPT_S / 2
    problem(await asked_with(admin, key), 401, "key_expired")


async def test_revoking_ends_a_key(admin: Service) -> None:
    """DELETE ends a key; a second one finds nothing, and the list says when."""
    key = await made(admin)
    url = f"{KEYS}/{key['id']}"
    assert (await admin.client.delete(url)).status_code == 204
    problem(await asked_with(admin, key["key"]), 401, "unauthenticated")
    problem(await admin.client.delete(url), 404, "key_not_found")
    assert (await admin.client.get(url)).json()["revoked_at"] is not None


async def test_the_last_use_is_noted_off_the_request(admin: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use is written for many keys at once, at most about once a minute for each, and never by the request itself."""
    monkeypatch.setattr("service.access.domain.KEPT_S", 0.0)  # every request verifies
    first, second = await made(admin), await made(admin)

    async def last_used() -> list[Any]:
        keys = [(await admin.client.get(f"{KEYS}/{key['id']}")).json() for key in (first, second)]
        return [key["last_used_at"] for key in keys]

    for key in (first, second, first):
        await asked_with(admin, key["key"])
    assert await last_used() == [None, None]
    await admin.parts.access.note_use()
    used = await last_used()
    assert all(datetime.now(UTC) - datetime.fromisoformat(one) < timedelta(minutes=1) for one in used)
    await asked_with(admin, first["key"])
    await admin.parts.access.note_use()
    assert await last_used() == used, "half a minute has not passed"
    monkeypatch.setattr("service.access.domain.utc_now", lambda: datetime.now(UTC) + timedelta(minutes=1))
    await asked_with(admin, first["key"])
    await admin.parts.access.note_use()
    again = await last_used()
    assert again[0] > used[0]
    assert again[1] == used[1]


async def test_the_last_use_is_noted_at_the_end(
    settings: Settings,
    dsn: str,
    db: Database,
    telemetry: Telemetry,
    embedder: WordEmbedder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A process that stops writes down what it has not yet."""
    key = await create_key(db, tenant="acme", name="x", scopes=["jobs:read"])
    async with running(settings, dsn, telemetry, embedder, monkeypatch) as api:
        await asked_with(api, key)
    (listed,) = await queries.list_every_api_key(db)
    assert listed.last_used_at is not None


async def test_stats_tell_of_pool_backlog_dead_tasks_and_caches(admin: Service) -> None:
    """What operators look at first, kept by nobody in between; of dead tasks those of the caller's tenant."""
    posted = [(await admin.client.post(JOBS, json=job_body())).json()["id"] for _ in range(3)]
    async with admin.parts.db.connection() as connection:
        await connection.execute(
            "update embedding_task set failed_at = now(), reason = 'refused' where job_id = any($1)", posted[:2]
        )
    answer = await admin.client.get(STATS)
    assert answer.headers["cache-control"] == "private, no-store"
    stats = answer.json()
    assert 1 <= stats["pool"]["open"] <= stats["pool"]["max"] == 16
    assert (stats["backlog"]["waiting"], stats["backlog"]["failed"]) == (1, 2)
    assert stats["dead_tasks"]["total"] == 2
    assert {one["job_id"] for one in stats["dead_tasks"]["latest"]} == set(posted[:2])
    assert {one["reason"] for one in stats["dead_tasks"]["latest"]} == {"refused"}
    assert stats["caches"]["callers"] == 1
    assert stats["caches"]["query_vectors"] == 0
    other = await create_key(admin.parts.db, tenant="other", name="root", scopes=["admin"])
    theirs = (await admin.client.get(STATS, headers={"X-API-Key": other})).json()
    assert theirs["dead_tasks"] == {"total": 0, "latest": []}


async def test_keys_of_another_tenant_are_not_there(admin: Service) -> None:
    """An admin of one tenant neither sees nor ends the keys of another, and learns nothing of which exist."""
    key = await made(admin)
    other = {"X-API-Key": await create_key(admin.parts.db, tenant="other", name="root", scopes=["admin"])}
    assert [one["name"] for one in (await admin.client.get(KEYS, headers=other)).json()["items"]] == ["root"]
    for key_id in (key["id"], "0123456789ab"):
        details = set()
        for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/rotate")):
            answer = await admin.client.request(method, f"{KEYS}/{key_id}{path}", headers=other)
            details.add(problem(answer, 404, "key_not_found")["detail"])
        assert not any(key["id"] in detail for detail in details)
    assert (await asked_with(admin, key["key"])).status_code == 200
