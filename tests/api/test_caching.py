"""What caches may keep and whom they may give it to; conditions on reading and writing (RFC 9110 and 9111)."""

import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from litestar.routes import HTTPRoute

from service.access.keys import create_key
from service.config import Settings
from service.telemetry.lifecycle import Telemetry
from tests.api.calls import JOBS, SEARCH, Clock, create
from tests.conftest import Service, running
from tests.factories import job_body
from tests.fakes import WordEmbedder
from tests.shared_cache import Cache

STATS, RATES = "/api/v1/stats", "/api/v1/rates"
CALLER = "Authorization, X-API-Key"
ROUTES: list[tuple[str, str, Any, str, str | None, bool]] = [
    ("POST", JOBS, job_body(), "no-store", None, True),
    ("POST", f"{JOBS}/batch", [job_body()], "no-store", None, False),
    ("GET", JOBS, None, "private, no-cache", CALLER, True),
    ("GET", f"{JOBS}/1", None, "private, no-cache", CALLER, True),
    ("GET", f"{JOBS}/1/similar", None, "private, no-cache", CALLER, False),
    ("PATCH", f"{JOBS}/1", {}, "no-store", None, True),
    ("GET", STATS, None, "private, max-age=60", CALLER, True),
    ("GET", RATES, None, "private, max-age=60", CALLER, True),
    ("GET", f"{SEARCH}?q=x", None, "private, no-cache", CALLER, False),
    ("POST", SEARCH, {"text": "x"}, "private, no-cache", CALLER, False),
    ("POST", f"{SEARCH}/batch", {"searches": [{"text": "x"}]}, "private, no-cache", CALLER, False),
    ("POST", "/api/v1/match", {"text": "x"}, "private, no-cache", CALLER, False),
    ("DELETE", f"{JOBS}/1", None, "no-store", None, False),
    ("GET", "/health", None, "no-store", None, False),
    ("GET", "/health/live", None, "no-store", None, False),
    ("GET", "/health/ready", None, "no-store", None, False),
    ("GET", "/metrics", None, "no-store", None, False),
    ("GET", "/openapi.json", None, "public, no-cache", "Accept-Encoding", True),
    ("GET", "/docs", None, "public, no-cache", "Accept-Encoding", True),
    ("GET", "/docs/start.js", None, "public, no-cache", "Accept-Encoding", True),
]
"""What is sent, Cache-Control, Vary, and whether there is an ETag."""
ERRORS: list[tuple[str, str, Any, int]] = [
    ("GET", f"{JOBS}/999", None, 404),
    ("GET", "/nowhere", None, 404),
    ("GET", "/docs/nothing.js", None, 404),
    ("PUT", JOBS, None, 405),
    ("POST", JOBS, {}, 422),
    ("GET", f"{JOBS}?limit=0", None, 422),
    ("GET", f"{JOBS}?cursor=x", None, 422),
]


async def call(api: Service, method: str, path: str, body: Any, **headers: str) -> httpx.Response:
    """Send one request."""
    return await api.client.request(method, path, headers=headers, **({} if body is None else {"json": body}))


def names(answer: httpx.Response) -> set[str]:
    """What the answer varies by; there is one Vary at most, and it names nothing twice."""
    lines = answer.headers.get_list("vary")
    assert len(lines) <= 1
    found = [name.strip().lower() for line in lines for name in line.split(",")]
    assert len(set(found)) == len(found)
    return set(found)


async def test_what_answers_say(api: Service) -> None:
    """Each route says who may keep its answer and for whom."""
    await create(api)
    await api.embed()
    for method, path, body, control, varies, has_tag in ROUTES:
        answer = await call(api, method, path, body)
        assert answer.is_success, (method, path, answer.text)
        assert answer.headers.get_list("cache-control") == [control], (method, path)
        assert names(answer) >= ({name.lower() for name in varies.split(", ")} if varies else set()), (method, path)
        assert ("etag" in answer.headers) is has_tag, (method, path)


async def test_no_route_forgets(api: Service) -> None:
    """Whatever is served, well or not: it is public, where anybody may ask, or not to be kept, or kept by caller."""
    await create(api)
    asked = 0
    for route in api.app.routes:
        assert isinstance(route, HTTPRoute)
        for method, (handler, _) in route.route_handler_map.items():
            path = re.sub(r"\{\w+\}", "1", route.path_format)
            answer = await call(api, method, path, {} if method in ("POST", "PUT", "PATCH") else None)
            (control,) = answer.headers.get_list("cache-control")
            if control.startswith("public"):
                assert handler.opt["public"]
            elif control != "no-store":
                assert names(answer) >= {"authorization", "x-api-key"}, path
            assert control == "no-store" or answer.is_success, path
            asked += 1
    assert asked > 15


@pytest.mark.parametrize(("method", "path", "body", "status"), ERRORS)
async def test_errors_are_not_kept(shared: Service, method: str, path: str, body: Any, status: int) -> None:
    """No cache keeps an error: a 404 of one caller, for one, may be another's posting."""
    answer = await call(shared, method, path, body)
    assert (answer.status_code, answer.headers.get_list("cache-control")) == (status, ["no-store"])


async def test_a_fault_of_the_service_is_not_kept(telemetry: Telemetry) -> None:
    """A 500 that is made outside of everything else is no-store too."""

    async def broken(_scope: Any, _receive: Any, _send: Any) -> None:
        raise RuntimeError("broken")

    transport = httpx.ASGITransport(telemetry.observe(broken), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.get("/x")
    assert (answer.status_code, answer.headers["cache-control"]) == (500, "no-store")


async def callers(api: Service) -> list[dict[str, str]]:
    """Two tenants by either header, the public tenant by key, and nobody; each tenant has postings of its own."""
    made = []
    for tenant in ("acme", "umbrella", "public"):
        key = await create_key(api.parts.db, tenant=tenant, name="x", scopes=["jobs:read", "jobs:write", "search"])
        made += [{"X-API-Key": key}, {"Authorization": f"Bearer {key}"}]
        for number in range(len(made)):  # of each another number, so that no two have the same counts
            body = job_body(title=f"Secret of {tenant}", external_id=f"same-{number}")
            assert (await call(api, "POST", JOBS, body, **made[-1])).status_code == 201
    return [*made, {}]


def through(api: Service, *, shared: bool, clock: Clock | None = None) -> tuple[Cache, httpx.AsyncClient]:
    """A cache before the application, and its client."""
    cache = Cache(api.client._transport, shared=shared, clock=(clock or Clock()).monotonic)
    return cache, httpx.AsyncClient(transport=cache, base_url="http://test")


@pytest.mark.parametrize("shared", [True, False])
async def test_no_caller_gets_the_answer_of_another(api: Service, shared: bool) -> None:
    """Through one cache, a proxy or a browser, every caller gets on every path what it gets without, in any order."""
    who = await callers(api)
    paths = [
        JOBS,
        *(f"{JOBS}/{number}" for number in (1, 3, 7, 999)),
        STATS,
        RATES,
        f"{SEARCH}?q=secret",
        "/openapi.json",
    ]
    cache, client = through(api, shared=shared)
    async with client:
        for path in paths:
            alone = [await call(api, "GET", path, None, **caller) for caller in who]
            same_for_all = path in (RATES, f"{JOBS}/999", "/openapi.json")
            assert len({str(_lasting(answer)) for answer in alone}) == (
                1 if same_for_all else 2 if "jobs/" in path else 3
            )
            for order in (who, who[::-1]):
                for caller in order:
                    expected = alone[who.index(caller)]
                    got = await client.get(path, headers=caller)
                    assert got.status_code == expected.status_code, (path, caller)
                    assert _lasting(got) == _lasting(expected), (path, caller)
    assert any(status == 304 for _, _, status in cache.asked)


def _lasting(answer: httpx.Response) -> Any:
    """The body without what differs from call to call."""
    body = answer.json()
    for name in ("took_ms", "request_id", "trace_id", "at"):
        body.pop(name, None)
    return body


async def test_caches_are_of_use(api: Service) -> None:
    """A browser asks for a posting again and gets no body, keeps counts for a minute, and hashed assets for ever."""
    job = await create(api)
    clock = Clock()
    cache, client = through(api, shared=False, clock=clock)
    page = (await api.client.get("/docs")).text
    asset = page.partition('<script src="')[2].partition('"')[0]
    async with client:
        for path in (f"{JOBS}/{job['id']}", STATS, asset):
            first = await client.get(path)
            assert (await client.get(path)).content == first.content
        assert [status for _, _, status in cache.asked] == [200, 304, 200, 200]
        clock.now += 61
        await client.get(STATS)
        await client.get(asset)
        assert [path for _, path, _ in cache.asked[4:]] == [STATS]
        clock.now += 300 * 86_400
        await client.get(asset)
    assert [path for _, path, _ in cache.asked[5:]] == []


async def test_an_address_with_a_hash_never_changes(shared: Service) -> None:
    """Every asset of the page is addressed by its hash, immutable, and public; by its plain name it is validated."""
    page = (await shared.client.get("/docs")).text
    assets = [part.partition('"')[0] for part in page.split('="') if part.startswith("/docs/")]
    assert len(assets) == 4
    for asset in assets:
        answer = await shared.client.get(asset)
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        stem, digest, suffix = asset.rsplit(".", 2)
        assert digest in answer.headers["etag"]
        plain = await shared.client.get(f"{stem}.{suffix}")
        assert (plain.content, plain.headers["cache-control"]) == (answer.content, "public, no-cache")
        assert (await shared.client.get(f"{stem}.{'0' * len(digest)}.{suffix}")).status_code == 404


@pytest.fixture
async def cross(
    dsn: str, telemetry: Telemetry, embedder: WordEmbedder, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Service]:
    """The application with an origin that browsers may call from."""
    settings = Settings(embed_in_serve=False, migrate_on_start=False, cors_origins=("https://app.example",))
    async with running(settings, dsn, telemetry, embedder, monkeypatch) as made:
        yield made


async def test_vary_is_added_to(cross: Service) -> None:
    """With CORS an answer varies by origin too, in the one header and in a 304."""
    await create(cross)
    origin = {"Origin": "https://app.example"}
    answer = await call(cross, "GET", f"{JOBS}/1", None, **origin)
    unchanged = await call(cross, "GET", f"{JOBS}/1", None, **origin, **{"If-None-Match": "*"})
    assert (answer.status_code, unchanged.status_code) == (200, 304)
    assert names(answer) >= {"origin", "authorization", "x-api-key"}
    assert names(unchanged) == names(answer)
