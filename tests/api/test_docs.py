"""The OpenAPI document and its page: valid, complete, self-contained, and hidden in production."""

import re
from collections.abc import AsyncIterator

import pytest
from litestar.routes import HTTPRoute
from openapi_spec_validator import validate

from service.config import Settings
from service.http.hosts import match_hosts
from service.telemetry.lifecycle import Telemetry
from tests.api.calls import problem
from tests.conftest import Service, running
from tests.fakes import WordEmbedder

UNDOCUMENTED = {"/openapi.json", "/docs", "/docs/{name}"}


async def test_the_document_is_valid_and_complete(shared: Service) -> None:
    """The document passes the validator and holds every operation that is served, each with an id of its own."""
    document = (await shared.client.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    validate(document)
    served = {
        (route.path_format, method.lower())
        for route in shared.app.routes
        if isinstance(route, HTTPRoute) and route.path_format not in UNDOCUMENTED
        for method in route.methods
        if method != "OPTIONS"
    }
    written = {(path, method) for path, item in document["paths"].items() for method in item if method != "parameters"}
    assert written == served
    operations = [document["paths"][path][method] for path, method in written]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    assert all(operation["summary"] and operation["tags"] for operation in operations)


async def test_the_document_says_who_may_call_and_what_can_fail(shared: Service) -> None:
    """Each operation names its credentials, or that it needs none, and the problems that it answers."""
    paths = (await shared.client.get("/openapi.json")).json()["paths"]
    for path, item in paths.items():
        for method, operation in item.items():
            guarded = path.startswith("/api/v1") and not path.startswith("/api/v1/auth/")
            assert bool(operation["security"]) is guarded, (method, path)
            if guarded:
                assert {"401", "403", "422", "500", "503"} <= set(operation["responses"])
    job = paths["/api/v1/jobs/{job_id}"]
    assert {"404", "412", "409", "415", "413"} <= set(job["patch"]["responses"])
    assert {"201", "409"} <= set(paths["/api/v1/jobs"]["post"]["responses"])
    assert "410" in paths["/api/v1/jobs"]["get"]["responses"]
    assert {"304", "404"} <= set(job["get"]["responses"])
    assert "content" not in job["get"]["responses"]["304"]
    batch = paths["/api/v1/jobs/batch"]["post"]
    assert set(batch["requestBody"]["content"]) == {"application/json", "application/x-ndjson"}
    assert {"200", "404"} <= set(paths["/api/v1/jobs/{job_id}/similar"]["get"]["responses"])
    for path in ("/api/v1/match", "/api/v1/search/batch"):
        assert {"200", "400", "413", "415"} <= set(paths[path]["post"]["responses"])


async def test_a_batch_of_searches_has_named_parts(shared: Service) -> None:
    """Each result of a batch is one of two named schemas, so that generated clients can tell them apart."""
    document = (await shared.client.get("/openapi.json")).json()
    operation = document["paths"]["/api/v1/search/batch"]["post"]
    answer = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer == {"$ref": "#/components/schemas/SearchBatchAnswer"}
    schemas = document["components"]["schemas"]
    one = schemas["SearchBatchAnswer"]["properties"]["results"]["items"]["oneOf"]
    assert [part["$ref"].rsplit("/", 1)[1] for part in one] == ["SearchAnswer", "SearchFailure"]
    assert schemas["SearchFailure"]["properties"]["problem"] == {"$ref": "#/components/schemas/Problem"}
    assert schemas["SearchBatch"]["properties"]["searches"]["maxItems"] == 50


async def test_the_page_needs_no_other_host(shared: Service) -> None:
    """All that the page loads is served here, under a policy that lets nothing else in."""
    page = await shared.client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "http://" not in page.text
    assert "https://" not in page.text
    assets = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(assets) >= 3
    for asset in assets:
        answer = await shared.client.get(asset)
        assert answer.status_code == 200, asset
        assert answer.headers["etag"]
        fresh = await shared.client.get(asset, headers={"If-None-Match": answer.headers["etag"]})
        assert (fresh.status_code, fresh.content) == (304, b"")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert (await shared.client.get("/docs/pyproject.toml")).status_code == 404


@pytest.fixture
async def production(
    dsn: str, telemetry: Telemetry, embedder: WordEmbedder, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Service]:
    """The application as in production."""
    settings = Settings(
        environment="production",
        database_url=dsn,
        jwt_secret="x" * 32,
        allowed_hosts=("api.example",),
        auth="required",
        embed_in_serve=False,
        migrate_on_start=False,
    )
    async with running(settings, dsn, telemetry, embedder, monkeypatch) as made:
        made.client.base_url = "http://api.example"
        yield made


async def test_production_hides_the_documentation(production: Service) -> None:
    """In production there is no document and no page; the rest is there."""
    for path in ("/openapi.json", "/docs", "/docs/swagger-ui.css", "/schema", "/schema/openapi.json"):
        problem(await production.client.get(path), 404, "not_found")
        problem(await production.client.options(path), 404, "not_found")
    assert (await production.client.get("/health/live")).status_code == 200
    problem(await production.client.get("/api/v1/jobs"), 401, "unauthenticated")


async def test_production_answers_to_its_hosts_alone(production: Service) -> None:
    """A Host that is not listed is refused as a problem on every path, before all else; probes come by address."""
    client = production.client
    for host in ("evil.example", "api.example.evil", "xapi.example", "127.0.0.1:8000", ""):
        for path in ("/api/v1/jobs", "/nowhere", "/health"):
            problem(await client.get(path, headers={"Host": host}), 400, "bad_request")
        for path in ("/health/live", "/health/ready", "/metrics"):
            assert (await client.get(path, headers={"Host": host})).status_code == 200
    for host in ("api.example", "API.example", "api.example:8443"):
        problem(await client.get("/api/v1/jobs", headers={"Host": host}), 401, "unauthenticated")


@pytest.mark.parametrize(
    ("allowed", "good", "bad"),
    [
        (["a.example"], [b"a.example", b"A.EXAMPLE:1"], [b"b.a.example", b"axexample", b"a.example.", b"a.example:"]),
        (["*.example"], [b"a.example", b"b.a.example:80"], [b"example", b".example", b"a.example.org"]),
        (["a:80", "[::1]"], [b"a:80", b"[::1]", b"[::1]:8000"], [b"a", b"a:8080", b"::1", b""]),
    ],
)
def test_hosts(allowed: list[str], good: list[bytes], bad: list[bytes]) -> None:
    """A host is matched whole, in any case and with any port unless it is listed with one."""
    hosts = match_hosts(allowed)
    assert hosts is not None
    assert [host for host in good + bad if hosts.fullmatch(host)] == good
    assert match_hosts([]) is None
