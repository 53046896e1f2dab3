"""Who may call: keys in both headers, scopes, tenants that never see one another, and the end of a key."""

from collections.abc import AsyncIterator
from itertools import product
from typing import Any

import pytest
from litestar.routes import HTTPRoute

from service.access.domain import KEPT_S
from service.access.keys import create_key, revoke_key
from service.access.model import SCOPES, Scope
from service.config import Settings
from service.errors import NotFound
from service.telemetry.lifecycle import Telemetry
from tests.api.calls import JOBS, SEARCH, Clock, create, found_ids, problem, sample
from tests.conftest import Service, running
from tests.factories import job_body
from tests.fakes import WordEmbedder

KEY_ID = "0123456789ab"
ROUTES: list[tuple[str, str, Scope, Any]] = [
    ("POST", JOBS, "jobs:write", {}),
    ("POST", f"{JOBS}/batch", "jobs:write", []),
    ("GET", JOBS, "jobs:read", None),
    ("GET", f"{JOBS}/1", "jobs:read", None),
    ("HEAD", f"{JOBS}/1", "jobs:read", None),
    ("PATCH", f"{JOBS}/1", "jobs:write", {}),
    ("DELETE", f"{JOBS}/1", "jobs:write", None),
    ("GET", "/api/v1/stats", "jobs:read", None),
    ("GET", "/api/v1/rates", "jobs:read", None),
    ("POST", SEARCH, "search", {}),
    ("GET", f"{SEARCH}?q=x", "search", None),
    ("POST", f"{SEARCH}/batch", "search", {}),
    ("GET", f"{JOBS}/1/similar", "search", None),
    ("POST", "/api/v1/match", "search", {}),
    ("POST", "/api/v1/admin/keys", "admin", {}),
    ("GET", "/api/v1/admin/keys", "admin", None),
    ("GET", f"/api/v1/admin/keys/{KEY_ID}", "admin", None),
    ("DELETE", f"/api/v1/admin/keys/{KEY_ID}", "admin", None),
    ("POST", f"/api/v1/admin/keys/{KEY_ID}/rotate", "admin", None),
    ("GET", "/api/v1/admin/stats", "admin", None),
]
"""Every route under /api/v1 with the scope it needs."""
WITHOUT_SCOPE = {("POST", "/api/v1/auth/token"), ("POST", "/api/v1/auth/refresh"), ("GET", "/api/v1/profile")}
"""The others: two make credentials, and whoever may ask anything may ask who they are."""


def template_of(path: str) -> str:
    """The path of a route as it is declared."""
    return path.partition("?")[0].replace("jobs/1", "jobs/{job_id}").replace(KEY_ID, "{key_id}")


@pytest.fixture
async def guarded(
    dsn: str, telemetry: Telemetry, embedder: WordEmbedder, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Service]:
    """The application with AUTH=required."""
    settings = Settings(embed_in_serve=False, migrate_on_start=False, auth="required")
    async with running(settings, dsn, telemetry, embedder, monkeypatch) as made:
        yield made


async def key_of(api: Service, tenant: str, *scopes: str) -> dict[str, str]:
    """A new key of a tenant as a header; with every scope unless some are named."""
    return {"X-API-Key": await create_key(api.parts.db, tenant=tenant, name="test", scopes=scopes or SCOPES)}


def call(api: Service, method: str, path: str, body: Any, headers: dict[str, str]) -> Any:
    """Send one of ROUTES."""
    return api.client.request(method, path, headers=headers, **({} if body is None else {"json": body}))


def test_every_route_is_listed_here(api: Service) -> None:
    """A new route under /api/v1 has to be added to the list that the tests below go through."""
    routes = [route for route in api.app.routes if isinstance(route, HTTPRoute) and route.path.startswith("/api/v1")]
    found = {
        (method, route.path_format, handler.opt.get("scope"))
        for route in routes
        for method, (handler, _) in route.route_handler_map.items()
        if method != "OPTIONS"
    }
    listed = {(method, template_of(path), scope) for method, path, scope, _ in ROUTES if method != "HEAD"}
    assert found == listed | {(method, path, None) for method, path in WITHOUT_SCOPE}


async def test_open_mode_is_the_public_tenant_without_admin(api: Service) -> None:
    """Without credentials a caller is the tenant `public`, whose own key sees the same postings."""
    job = await create(api)
    headers = await key_of(api, "public")
    assert (await api.client.get(f"{JOBS}/{job['id']}", headers=headers)).json() == job


@pytest.mark.parametrize("how", ["required", "open"])
async def test_bad_credentials_are_401(api: Service, guarded: Service, how: str) -> None:
    """Unknown, malformed and empty credentials are refused in both modes; none at all only where they are required."""
    service = guarded if how == "required" else api
    good = (await key_of(service, "acme"))["X-API-Key"]
    prefix, key_id, secret = good.split("_", 2)
    bad = ["", " ", "x", "js", "js_", "js__", f"js_{key_id}", f"js_{key_id}_", f"xx_{key_id}_{secret}", good[:-1]]
    bad += [good + "x", f"js_000000000000_{secret}", f"js_{key_id}_{secret.swapcase()}", good.upper(), "\u00fc" * 9]
    bad += ["js_%00_x", f"{prefix}_' or 1=1_{secret}", "x" * 5000]
    sent: list[dict[str, str]] = [{"X-API-Key": key} for key in bad]
    sent += [{"Authorization": f"Bearer {key}"} for key in bad]
    sent += [{"Authorization": value} for value in (good, f"Basic {good}", "Bearer", f"Bearer{good}", "", "Digest x")]
    sent += [{"X-API-Key": "wrong", "Authorization": f"Bearer {good}"}]
    if how == "required":
        sent += [{}]
    for headers in sent:
        raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        answer = await service.client.get(JOBS, headers=raw)
        problem(answer, 401, "unauthenticated")
        assert answer.headers["www-authenticate"].startswith('Bearer realm="jobsense"')
        assert good not in answer.text


async def test_a_key_works_in_both_headers(guarded: Service) -> None:
    """X-API-Key and Authorization: Bearer, in any case, let the same caller in."""
    key = (await key_of(guarded, "acme"))["X-API-Key"]
    made = await guarded.client.post(JOBS, json=job_body(), headers={"X-API-Key": key})
    for headers in ({"x-api-key": key}, {"Authorization": f"Bearer {key}"}, {"authorization": f"bearer  {key} "}):
        answer = await guarded.client.get(made.headers["location"], headers=headers)
        assert answer.json() == made.json()


async def test_what_is_public_needs_no_key(guarded: Service) -> None:
    """Health, metrics and documentation answer without credentials where they are required."""
    for path in ("/health", "/health/live", "/health/ready", "/metrics", "/openapi.json", "/docs"):
        assert (await guarded.client.get(path)).status_code == 200


async def test_each_route_needs_its_scope(guarded: Service) -> None:
    """With its scope alone a route is reached; with all others it is 403, whatever the body; without a key 401."""
    alone = {scope: await key_of(guarded, "acme", scope) for scope in SCOPES}
    others = {scope: await key_of(guarded, "acme", *(one for one in SCOPES if one != scope)) for scope in SCOPES}
    for method, path, scope, body in ROUTES:
        assert (await call(guarded, method, path, body, alone[scope])).status_code not in (401, 403)
        refused = await call(guarded, method, path, body, others[scope])
        nobody = await call(guarded, method, path, body, {})
        if method == "HEAD":
            assert (refused.status_code, nobody.status_code) == (403, 401)
        else:
            assert scope in problem(refused, 403, "forbidden")["detail"]
            problem(nobody, 401, "unauthenticated")


async def test_tenants_never_see_one_another(guarded: Service) -> None:
    """No route shows, counts, changes or conflicts with another tenant's postings, by number, key, tag or cursor."""
    ours, theirs = await key_of(guarded, "ours"), await key_of(guarded, "theirs")
    client = guarded.client
    rows = [job_body(title="Secret falconer", external_id=f"k-{n}") for n in range(3)]
    made = (await client.post(f"{JOBS}/batch", json=rows, headers=ours)).json()["results"]
    await guarded.embed()
    url = f"{JOBS}/{made[0]['id']}"
    read = await client.get(url, headers=ours)
    conditions: list[dict[str, str]] = [
        {},
        {"If-Match": "*"},
        {"If-None-Match": "*"},
        {"If-None-Match": read.headers["etag"]},
    ]
    for method, condition in product(("GET", "PATCH", "DELETE"), conditions):
        body: dict[str, Any] = {"json": {"title": "Taken over"}} if method == "PATCH" else {}
        answer = await client.request(method, url, headers=theirs | condition, **body)
        problem(answer, 404, "job_not_found")
    cursor = (await client.get(JOBS, params={"limit": 1}, headers=ours)).json()["next_cursor"]
    problem(await client.get(JOBS, params={"cursor": cursor}, headers=theirs), 410, "cursor_stale")
    assert (await client.get(JOBS, headers=theirs)).json() == {"items": [], "next_cursor": None, "pay": None}
    for mode in ("semantic", "lexical", "hybrid"):
        asked = {"text": "secret falconer", "mode": mode, "min_score": 0}
        found = (await client.post(SEARCH, json=asked, headers=theirs)).json()
        assert (found["results"], found["total"]["value"]) == ([], 0)
        assert len((await client.post(SEARCH, json=asked, headers=ours)).json()["results"]) == 3
    problem(await client.get(f"{url}/similar", headers=theirs), 404, "job_not_found")
    other = await client.post(JOBS, json=job_body(title="Secret falconry"), headers=theirs)
    batch = {"searches": [{"text": "secret falconer"}, {"text": "secret falconer", "mode": "lexical"}]}
    text = {"text": "secret falconer", "min_score": 0, "top_k": 100}
    await guarded.embed()
    for headers, own in ((theirs, {other.json()["id"]}), (ours, {one["id"] for one in made})):
        (job_id, *_) = own
        similar = (await client.get(f"{JOBS}/{job_id}/similar", headers=headers)).json()
        matched = (await client.post("/api/v1/match", json=text, headers=headers)).json()
        results = (await client.post(f"{SEARCH}/batch", json=batch, headers=headers)).json()["results"]
        assert all(set(found_ids(one)) <= own for one in (similar, matched, *results))
        assert set(found_ids(matched)) == own
    await client.delete(other.headers["location"], headers=theirs)
    assert (await client.get("/api/v1/stats", headers=theirs)).json()["jobs"] == 0
    assert (await client.get("/api/v1/stats", headers=ours)).json()["jobs"] == 3
    own = (await client.post(f"{JOBS}/batch", json=rows, headers=theirs)).json()["results"]
    assert {result["status"] for result in own} == {"created"}
    assert not {result["id"] for result in own} & {result["id"] for result in made}
    assert (await client.get(url, headers=ours)).json() == read.json()


async def test_a_revoked_key_ends_within_its_cache_time(guarded: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """A revoked key is refused at once where it was not seen lately, and everywhere after the time it is believed."""
    clock = Clock()
    monkeypatch.setattr("service.access.domain.time", clock)
    seen, unseen = await key_of(guarded, "acme"), await key_of(guarded, "acme")
    assert (await guarded.client.get(JOBS, headers=seen)).status_code == 200
    for key in (seen, unseen):
        await revoke_key(guarded.parts.db, key["X-API-Key"].split("_")[1])
    problem(await guarded.client.get(JOBS, headers=unseen), 401, "unauthenticated")
    clock.now += KEPT_S + 0.001
    for _ in range(2):
        problem(await guarded.client.get(JOBS, headers=seen), 401, "unauthenticated")
    with pytest.raises(NotFound):
        await revoke_key(guarded.parts.db, seen["X-API-Key"].split("_")[1])


async def test_a_believed_key_costs_no_query(guarded: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within its time a verified key is not asked of the database again; how many are remembered is bounded."""
    monkeypatch.setattr("service.access.domain.KEPT", 2)
    keys = [await key_of(guarded, "acme") for _ in range(3)]

    async def queries_of(key: dict[str, str]) -> float:
        name, summary = "db_client_operation_duration_seconds_count", "access.fetch_api_key"
        before = sample(guarded, name, db_query_summary=summary, error_type="")
        assert (await guarded.client.get(JOBS, headers=key)).status_code == 200
        return sample(guarded, name, db_query_summary=summary, error_type="") - before

    assert [await queries_of(keys[n]) for n in (0, 0, 1, 0, 1)] == [1, 0, 1, 0, 0]
    assert [await queries_of(keys[n]) for n in (2, 1, 2, 0)] == [1, 0, 0, 1]
