"""Every error becomes problem+json of one shape, with its headers, and without a word that is not ours to show."""

import ast
import inspect
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import structlog
from litestar import Litestar, Request, Router, delete, get, post
from litestar.exceptions import (
    HTTPException,
    NotAuthorizedException,
    PermissionDeniedException,
    TooManyRequestsException,
)
from litestar.params import FromPath, FromQuery
from litestar.types import Scope

from service import errors
from service.errors import FieldError
from service.http.decoding import StrictRequest, check_parameters
from service.http.problem import EXCEPTION_HANDLERS, PROBLEMS, Problem, headers_of, problem_of, problems, send_problem

SECRET = "select password from users where token = 'hunter2' -- /srv/app/secret.py"  # noqa: S105 - the bait of these tests

RAISED: dict[str, tuple[Exception, int, str]] = {
    "bad": (errors.RequestError("no"), 400, "bad_request"),
    "unreadable": (errors.UnreadableBody("no"), 400, "unreadable_body"),
    "unauthenticated": (errors.Unauthenticated("no"), 401, "unauthenticated"),
    "forbidden": (errors.Forbidden("no"), 403, "forbidden"),
    "not-found": (errors.NotFound("no", code="job_not_found"), 404, "job_not_found"),
    "conflict": (errors.Conflict("no", code="job_exists"), 409, "job_exists"),
    "stale": (errors.Stale("no"), 410, "cursor_stale"),
    "precondition": (errors.PreconditionFailed("no"), 412, "precondition_failed"),
    "large": (errors.BodyTooLarge("no"), 413, "body_too_large"),
    "media": (errors.UnsupportedMediaType("no"), 415, "unsupported_media_type"),
    "invalid": (errors.Invalid([FieldError(code="missing", detail="no", pointer="/a")]), 422, "invalid"),
    "database": (errors.DatabaseUnavailable("no", reason="timeout", retry_after_s=7), 503, "database_unavailable"),
    "embedder": (errors.EmbedderUnavailable("no", reason="refused"), 503, "embedder_unavailable"),
    "unlisted-code": (errors.NotFound("no", code="never_registered"), 404, "not_found"),
    "operator": (errors.SchemaError(SECRET), 500, "internal_error"),
    "refused-text": (errors.TextRefused(SECRET), 500, "internal_error"),
    "plain": (RuntimeError(SECRET), 500, "internal_error"),
    "chained": (ExceptionGroup(SECRET, [ValueError(SECRET)]), 500, "internal_error"),
    "litestar-401": (NotAuthorizedException(SECRET), 401, "unauthenticated"),
    "litestar-403": (PermissionDeniedException(SECRET), 403, "forbidden"),
    "litestar-429": (TooManyRequestsException(SECRET, headers={"Retry-After": "9"}), 429, "too_many_requests"),
    "litestar-418": (HTTPException(SECRET, status_code=418), 400, "bad_request"),
    "litestar-500": (HTTPException(SECRET), 500, "internal_error"),
    "litestar-503": (HTTPException(SECRET, status_code=503, extra=[SECRET]), 503, "unavailable"),
}


@get("/raise/{name:str}")
async def raise_it(name: FromPath[str]) -> None:
    """Raise what the test names."""
    raise RAISED[name][0]


@get("/things/{thing_id:int}", media_type="application/json")
async def fetch_thing(thing_id: FromPath[int]) -> dict[str, int]:
    """Give a thing."""
    return {"id": thing_id}


@delete("/things/{thing_id:int}")
async def discard_thing(thing_id: FromPath[int]) -> None:
    """Discard a thing."""


@get("/old", before_request=None)
async def old_style(limit: FromQuery[int], offset: FromQuery[int]) -> int:
    """Take parameters in Litestar's own way."""
    return limit + offset


@post("/unencodable", media_type="application/json")
async def answer_badly() -> Any:
    """Return what no encoder takes."""
    return object()


async def set_ids(request: Request[Any, Any, Any]) -> None:
    """Stand in for the wrapper that gives a request its ids."""
    await check_parameters(request)


class App(Litestar):
    """An application whose requests have ids from before routing on."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Give the request its ids."""
        scope["state"] = {"request_id": "req-1", "trace_id": "0" * 31 + "1"}
        await super().__call__(scope, receive, send)


@pytest.fixture(scope="module")
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client of the toy application."""
    app = App(
        [
            Router(
                "/api/v1", route_handlers=[raise_it, fetch_thing, discard_thing, answer_badly], before_request=set_ids
            ),
            old_style,
        ],
        request_class=StrictRequest,
        exception_handlers=EXCEPTION_HANDLERS,
        openapi_config=None,
        logging_config=None,
    )
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


@pytest.mark.parametrize("name", RAISED)
async def test_each_error_has_its_answer(client: httpx.AsyncClient, name: str) -> None:
    """Status, code, type, title, instance and ids are right, and nothing of a foreign error's text is shown."""
    _, status, code = RAISED[name]
    with structlog.testing.capture_logs() as lines:
        answer = await client.get(f"/api/v1/raise/{name}")
    problem = msgspec.json.decode(answer.content, type=Problem)
    assert answer.status_code == problem.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert (problem.code, problem.type) == (code, f"urn:jobsense:problem:{code}")
    assert problem.title == PROBLEMS[code].title
    assert problem.instance == f"/api/v1/raise/{name}"
    assert (problem.request_id, problem.trace_id) == ("req-1", "0" * 31 + "1")
    assert problem.detail
    for word in ("hunter2", "select", "secret.py", "Traceback", "never_registered"):
        assert word not in answer.text
    assert len(lines) == (1 if status == 500 else 0)


async def test_an_unforeseen_exception_is_logged_once_with_its_stack(client: httpx.AsyncClient) -> None:
    """The line holds the type and the stack that the answer leaves out."""
    with structlog.testing.capture_logs() as lines:
        await client.get("/api/v1/raise/plain")
    assert [line["event"] for line in lines] == ["http.server.request.exception"]
    assert lines[0]["exception.type"] == "RuntimeError"
    assert "Traceback" in lines[0]["exception.stacktrace"]


async def test_an_answer_that_cannot_be_encoded_is_an_internal_error(client: httpx.AsyncClient) -> None:
    """A handler's own mistake does not show through either."""
    with structlog.testing.capture_logs():
        answer = await client.post("/api/v1/unencodable")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")


async def test_headers_say_what_to_do_next(client: httpx.AsyncClient) -> None:
    """503 and 429 carry Retry-After, 401 says how to authenticate, others neither."""
    wanted = {
        "database": "7",
        "embedder": "1",
        "litestar-429": "9",
        "litestar-503": "1",
        "plain": None,
        "conflict": None,
    }
    for name, retry_after in wanted.items():
        with structlog.testing.capture_logs():
            answer = await client.get(f"/api/v1/raise/{name}")
        assert answer.headers.get("retry-after") == retry_after
        assert "www-authenticate" not in answer.headers
    assert (await client.get("/api/v1/raise/unauthenticated")).headers["www-authenticate"] == 'Bearer realm="jobsense"'


async def test_routing_errors_are_problems_too(client: httpx.AsyncClient) -> None:
    """404, 405 with every method in Allow, and paths that try to climb or hold odd characters."""
    missing = await client.get("/nope/%00/%22%3Cscript%3E?token=hunter2")
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
    assert missing.json()["instance"] == "/nope/%00/%22%3Cscript%3E"
    assert "hunter2" not in missing.text
    wrong = await client.put("/api/v1/things/1")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "method_not_allowed")
    assert {"GET", "DELETE"} <= {method.strip() for method in wrong.headers["allow"].split(",")}
    assert missing.json()["request_id"] == "req-1"


async def test_trailing_slashes_head_and_options(client: httpx.AsyncClient) -> None:
    """A trailing slash is passed over; OPTIONS is answered; HEAD is a 405 until the application turns it into GET."""
    assert (await client.get("/api/v1/things/1/")).json() == {"id": 1}
    options = await client.options("/api/v1/things/1")
    assert options.status_code == 204
    assert "GET" in options.headers["allow"]
    head = await client.head("/api/v1/things/1")
    assert (head.status_code, head.content) == (405, b"")


async def test_parameters_of_litestars_own_are_named(client: httpx.AsyncClient) -> None:
    """Where a route outside the API takes plain parameters, a wrong or missing one is named as well."""
    wrong = await client.get("/old?limit=x&offset=y")
    assert wrong.status_code == 422
    assert sorted(error["parameter"] for error in wrong.json()["errors"]) == ["limit", "offset"]
    missing = await client.get("/old?limit=1")
    assert [(error["code"], error["parameter"]) for error in missing.json()["errors"]] == [("missing", "offset")]


def test_every_error_class_is_in_the_table() -> None:
    """The code of each class that a caller can see has a status and a title."""
    classes = [
        cls
        for _, cls in inspect.getmembers(errors, inspect.isclass)
        if issubclass(cls, (errors.RequestError, errors.TryLater))
    ]
    assert len(classes) > 10
    assert {cls.code for cls in classes} <= PROBLEMS.keys()
    assert all(400 <= kind.status <= 599 and not kind.title.endswith(".") for kind in PROBLEMS.values())


def test_every_code_that_is_raised_is_in_the_table() -> None:
    """Where the service raises an error with a code of its own, the table has that code."""
    visible = {name for name, cls in vars(errors).items() if inspect.isclass(cls) and hasattr(cls, "code")}
    raised = {
        keyword.value.value
        for path in Path(errors.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in visible - {"FieldError"}
        for keyword in node.keywords
        if keyword.arg == "code" and isinstance(keyword.value, ast.Constant)
    }
    assert raised <= PROBLEMS.keys()


def test_a_problem_stands_alone() -> None:
    """One search of a batch can carry its problem without a request around it."""
    problem = problem_of(errors.EmbedderUnavailable("The model is loading", reason="loading"))
    assert msgspec.to_builtins(problem) == {
        "type": "urn:jobsense:problem:embedder_unavailable",
        "title": "Text cannot be embedded now",
        "status": 503,
        "detail": "The model is loading",
        "code": "embedder_unavailable",
    }


def test_a_conflict_that_passes_carries_retry_after() -> None:
    """An error of any kind may say when to come back."""
    error = errors.Conflict("The first request is still running", code="job_exists")
    assert "Retry-After" not in headers_of(error)
    error.retry_after_s = 3  # type: ignore[attr-defined] # what a subclass would declare
    assert headers_of(error)["Retry-After"] == "3"


def test_documented_codes_are_grouped_by_status() -> None:
    """`problems` makes one documented response for each status, and refuses a code that the table lacks."""
    documented = problems("job_exists", "conflict", "cursor_stale")
    assert sorted(documented) == [409, 410]
    assert "job_exists" in documented[409].description
    assert "`conflict`" in documented[409].description
    with pytest.raises(KeyError):
        problems("nope")


@pytest.mark.parametrize(("method", "empty"), [("GET", False), ("HEAD", True)])
async def test_a_problem_can_be_sent_before_routing(method: str, *, empty: bool) -> None:
    """A refusal outside routing is the same problem, with headers of its own; HEAD gets no body."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope: Any = {"type": "http", "method": method, "path": "/api/v1/jobs", "headers": []}
    typed: Scope = scope
    error = errors.DatabaseUnavailable("Busy", reason="pool")
    await send_problem(typed, send, error, {"RateLimit": '"read";r=0;t=5'})
    headers = dict(sent[0]["headers"])
    assert sent[0]["status"] == 503
    assert headers[b"content-type"] == b"application/problem+json"
    assert headers[b"retry-after"] == b"1"
    assert headers[b"ratelimit"] == b'"read";r=0;t=5'
    assert (sent[1]["body"] == b"") is empty
    assert int(headers[b"content-length"]) > 0
    assert scope["state"]["problem_code"] == "database_unavailable"
    if not empty:
        assert json.loads(sent[1]["body"])["instance"] == "/api/v1/jobs"
