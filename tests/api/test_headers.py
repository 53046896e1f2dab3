"""What every answer carries, whatever its status: identifiers, timing, security headers, problems of one shape."""

import json
from io import BytesIO
from typing import Any

import httpx
import pytest

from service.errors import DatabaseUnavailable
from tests.api.calls import JOBS, SEARCH, create, problem
from tests.conftest import Service
from tests.factories import job_body

CASES: list[tuple[str, str, int, Any]] = [
    ("GET", JOBS, 200, None),
    ("POST", JOBS, 201, job_body()),
    ("GET", "/health/live", 200, None),
    ("GET", "/metrics", 200, None),
    ("GET", "/openapi.json", 200, None),
    ("GET", "/docs", 200, None),
    ("OPTIONS", JOBS, 204, None),
    ("HEAD", JOBS, 200, None),
    ("GET", "/nowhere", 404, None),
    ("GET", "/api/v1/nowhere", 404, None),
    ("GET", f"{JOBS}/999", 404, None),
    ("GET", "/docs/../pyproject.toml", 404, None),
    ("GET", "/%2e%2e/%00", 404, None),
    ("PUT", JOBS, 405, None),
    ("BREW", "/health", 405, None),
    ("POST", JOBS, 415, None),
    ("POST", SEARCH, 422, {}),
]


@pytest.mark.parametrize(("method", "path", "status", "body"), CASES)
async def test_every_answer_has_its_headers(shared: Service, method: str, path: str, status: int, body: Any) -> None:
    """Request id, trace and the security headers are on every answer, once; errors are problems that repeat the ids."""
    answer = await shared.client.request(method, path, **({} if body is None else {"json": body}))
    assert answer.status_code == status, answer.text
    for name, value in {
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-resource-policy": "same-origin",
    }.items():
        assert answer.headers.get_list(name) == [value]
    assert len(answer.headers.get_list("content-security-policy")) == 1
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert "strict-transport-security" not in answer.headers
    assert len(answer.headers.get_list("x-request-id")) == 1
    version, trace_id, span_id, flags = answer.headers["traceresponse"].split("-")
    assert (version, len(trace_id), len(span_id), len(flags)) == ("00", 32, 16, 2)
    if status >= 400:
        problem(answer, status, answer.json()["code"])


async def break_down(**_: Any) -> None:
    """A fault of ours."""
    raise RuntimeError("secret detail /var/lib password=hunter2")


async def test_a_fault_of_ours_is_a_500_without_its_text(
    api: Service, monkeypatch: pytest.MonkeyPatch, log: BytesIO
) -> None:
    """An exception that nobody foresaw is a problem with the usual headers; its text is in the log, under its id."""
    monkeypatch.setattr(api.parts.jobs, "list", lambda *_, **__: break_down())
    answer = await api.client.get(JOBS, headers={"X-Request-ID": "find-me"})
    body = problem(answer, 500, "internal_error")
    assert body["request_id"] == "find-me"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "hunter2" not in answer.text
    assert "RuntimeError" not in answer.text
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    (fault,) = [line for line in lines if line.get("exception.type") == "RuntimeError"]
    assert fault["request_id"] == "find-me"
    assert fault["trace_id"] == body["trace_id"]


async def test_a_database_that_does_not_answer_is_503(api: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """503 says when to come back."""

    async def refuse(*_: Any, **__: Any) -> None:
        raise DatabaseUnavailable("the database did not answer; try again", reason="unreachable", retry_after_s=3)

    monkeypatch.setattr(api.parts.jobs, "list", refuse)
    answer = await api.client.get(JOBS)
    problem(answer, 503, "database_unavailable")
    assert answer.headers["retry-after"] == "3"


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("abc-DEF_1.2", True),
        ("x" * 128, True),
        ("x" * 129, False),
        ("", False),
        ("a b", False),
        ("a/b", False),
        ("<script>", False),
        ("a,b", False),
    ],
)
async def test_a_sane_request_id_is_taken(shared: Service, given: str, taken: bool) -> None:
    """An id of up to 128 safe characters is used, on errors too; any other is replaced by one of ours."""
    for path in (JOBS, "/nowhere"):
        answer = await shared.client.get(path, headers={"X-Request-ID": given})
        assert (answer.headers["x-request-id"] == given) is taken
        assert answer.headers["x-request-id"]
    twice = await shared.client.get(JOBS, headers=[("X-Request-ID", given), ("X-Request-ID", given)])
    assert len(twice.headers.get_list("x-request-id")) == 1


async def test_a_trace_goes_on(shared: Service) -> None:
    """The trace id of `traceparent` is that of the answer, under a span of ours; a broken one is ignored."""
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    answer = await shared.client.get("/nowhere", headers={"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"})
    assert answer.headers["traceresponse"].split("-")[1] == trace_id
    assert "00f067aa0ba902b7" not in answer.headers["traceresponse"]
    assert answer.json()["trace_id"] == trace_id
    broken = await shared.client.get("/nowhere", headers={"traceparent": f"00-{'0' * 32}-00f067aa0ba902b7-01"})
    assert broken.headers["traceresponse"].split("-")[1] != "0" * 32


async def test_server_timing_names_the_stages(shared: Service) -> None:
    """A search says how long its embedding, its wait for a connection and its statements took; errors too."""
    await create(shared)
    answer = await shared.client.post(SEARCH, json={"text": "x"})
    spent = dict(part.split(";dur=") for part in answer.headers["server-timing"].split(", "))
    assert {"auth", "embed", "pool", "db"} <= set(spent)
    assert all(float(value) >= 0 for value in spent.values())
    missing = await shared.client.get(f"{JOBS}/999999")
    assert "db;dur=" in missing.headers["server-timing"]


async def test_headers_are_the_same_on_the_wire(api: Service, wire: httpx.AsyncClient) -> None:
    """Behind the real server each header comes once, and the server does not tell what it is."""
    await create(api)
    for path in (JOBS, "/nowhere"):
        answer = await wire.get(path)
        for name in ("x-request-id", "traceresponse", "content-type", "content-length", "date"):
            assert len(answer.headers.get_list(name)) == 1
