"""The one table from an error to its HTTP status and `application/problem+json` answer (RFC 9457).

`type` is `urn:jobsense:problem:<code>` and never changes for a code; `title` belongs to the code; `detail` says what
happened this time; `instance` is the path asked for. A stack, SQL, a file path or a secret never reaches an answer:
only the text of our own errors does, and everything else is logged once and answered as `internal_error`.

A feature that raises a new code adds its line to `PROBLEMS`.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import quote

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import ParameterKwarg
from litestar.types import ExceptionHandlersMap, Scope, Send
from litestar.types.asgi_types import HTTPResponseBodyEvent, HTTPResponseStartEvent
from msgspec import Meta

from service.errors import FieldError, Forbidden, Invalid, JobSenseError, RequestError, TryLater, UnreadableBody
from service.telemetry.logs import get_logger
from service.telemetry.record import exception_fields
from service.telemetry.stages import current_record, current_trace_id, note_exception

MEDIA_TYPE = "application/problem+json"


class Kind(msgspec.Struct, frozen=True):
    """What every problem of one code has in common."""

    status: int
    title: str


PROBLEMS: dict[str, Kind] = {
    "bad_request": Kind(400, "The request cannot be understood"),
    "unreadable_body": Kind(400, "The body cannot be read"),
    "unauthenticated": Kind(401, "Valid credentials are needed"),
    "key_expired": Kind(401, "The API key has expired"),
    "token_expired": Kind(401, "The access token has expired"),
    "invalid_credentials": Kind(401, "The name or the password is wrong"),
    "invalid_refresh_token": Kind(401, "The refresh token is not good, or no longer"),
    "forbidden": Kind(403, "The credentials do not allow this"),
    "not_found": Kind(404, "Nothing is here"),
    "job_not_found": Kind(404, "There is no such posting"),
    "key_not_found": Kind(404, "There is no such key"),
    "method_not_allowed": Kind(405, "This path does not answer the method"),
    "conflict": Kind(409, "The thing exists already, or is in use"),
    "job_exists": Kind(409, "The posting exists already"),
    "idempotency_in_progress": Kind(409, "The request with this idempotency key is still being served"),
    "cursor_stale": Kind(410, "The cursor no longer fits"),
    "precondition_failed": Kind(412, "The thing has changed since it was read"),
    "body_too_large": Kind(413, "The body is too large"),
    "unsupported_media_type": Kind(415, "The body is of a kind this path does not read"),
    "invalid": Kind(422, "The request is not valid"),
    "idempotency_key_reused": Kind(422, "The idempotency key belongs to another request"),
    "rate_limited": Kind(429, "A rate limit is used up"),
    "head_too_large": Kind(431, "The address and the headers are too large"),
    "internal_error": Kind(500, "Something is wrong on our side"),
    "unavailable": Kind(503, "Not available now"),
    "overloaded": Kind(503, "Too much to do at once"),
    "database_unavailable": Kind(503, "The database does not answer now"),
    "embedder_unavailable": Kind(503, "Text cannot be embedded now"),
}

_CODE_OF_STATUS = {
    400: "bad_request",
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    412: "precondition_failed",
    413: "body_too_large",
    415: "unsupported_media_type",
    422: "invalid",
    429: "rate_limited",
    503: "unavailable",
}

# What Litestar says of its own errors may hold anything; these sentences stand in for it.
_DETAIL_OF_CODE = {
    "unauthenticated": "Send an API key in X-API-Key, or a token in Authorization: Bearer",
    "forbidden": "The credentials lack a scope that this path asks for",
    "not_found": "Nothing is at this path",
    "method_not_allowed": "See the Allow header for what this path answers",
    "body_too_large": "The body is over the limit of this path",
    "rate_limited": "Repeat the request after the time in Retry-After",
    "internal_error": "The fault is logged under the request_id of this answer",
}

_BEARER = 'Bearer realm="jobsense"'
_UNAUTHORIZED = 401
_INSTANCE_CHARS = 500  # more of a path would be a large answer to a small mistake

_MISSING = re.compile(r"Missing required \w+ parameter '([^']*)'")


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Every answer with a status of 400 or more (RFC 9457)."""

    type: Annotated[str, Meta(description="Stable URI of the code: `urn:jobsense:problem:<code>`")]
    title: Annotated[str, Meta(description="What this code means, always in the same words")]
    status: Annotated[int, Meta(ge=400, le=599, description="The HTTP status")]
    detail: Annotated[str, Meta(description="What happened this time")]
    code: Annotated[str, Meta(description="Stable name to decide by, such as `job_not_found`")]
    instance: Annotated[str, Meta(description="The path asked for")] | None = None
    errors: Annotated[tuple[FieldError, ...], Meta(description="Every failing field, at most 50")] = ()
    request_id: Annotated[str, Meta(description="As in `X-Request-ID`; quote it when you report a fault")] | None = None
    trace_id: Annotated[str, Meta(description="The W3C trace id of the request")] | None = None


def problem_of(
    error: Exception, *, instance: str | None = None, request_id: str | None = None, trace_id: str | None = None
) -> Problem:
    """Describe an error; one that is not ours to show becomes `internal_error` without its text."""
    code, detail = _code_and_detail(error)
    return Problem(
        type=f"urn:jobsense:problem:{code}",
        title=PROBLEMS[code].title,
        status=PROBLEMS[code].status,
        detail=detail,
        code=code,
        instance=instance,
        errors=error.errors if isinstance(error, Invalid) else (),
        request_id=request_id,
        trace_id=trace_id,
    )


def headers_of(error: Exception) -> dict[str, str]:
    """The headers that an error brings: `Retry-After`, `WWW-Authenticate`, and what Litestar set, such as `Allow`."""
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    code, _ = _code_and_detail(error)
    retry_after_s = getattr(error, "retry_after_s", 1 if PROBLEMS[code].status in (429, 503) else None)
    if retry_after_s is not None and all(name.lower() != "retry-after" for name in headers):
        headers["Retry-After"] = str(retry_after_s)
    if challenge := _challenge(error, PROBLEMS[code].status):
        headers["WWW-Authenticate"] = challenge
    return headers


def _challenge(error: Exception, status: int) -> str | None:
    """How to authenticate (RFC 6750 section 3): no reason is named to a caller who sent no credentials."""
    if isinstance(error, Forbidden) and error.scope is not None:
        return f'{_BEARER}, error="insufficient_scope", scope="{error.scope}"'
    if status != _UNAUTHORIZED:
        return None
    return f'{_BEARER}, error="invalid_token"' if getattr(error, "given", False) else _BEARER


def answer(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answer any exception: Litestar's handler for all of them. What nobody foresaw is logged here, once."""
    if isinstance(error, ValidationException):
        error = _merged(request, error)
    body, status, headers = _rendered(request.scope, error)
    return Response(body, status_code=status, media_type=MEDIA_TYPE, headers=headers)


async def send_problem(scope: Scope, send: Send, error: Exception, headers: Mapping[str, str] | None = None) -> None:
    """Answer an error outside routing (a rate limit, an overload), as a plain ASGI response."""
    body, status, own = _rendered(scope, error)
    every = {"Content-Type": MEDIA_TYPE, "Content-Length": str(len(body)), **own, **(headers or {})}
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in every.items()]
    start: HTTPResponseStartEvent = {"type": "http.response.start", "status": status, "headers": raw}
    shown = b"" if scope.get("method") == "HEAD" else body
    rest: HTTPResponseBodyEvent = {"type": "http.response.body", "body": shown, "more_body": False}
    await send(start)
    await send(rest)


EXCEPTION_HANDLERS: ExceptionHandlersMap = {HTTPException: answer, Exception: answer}
"""The `exception_handlers` of the application."""


def problems(*codes: str) -> dict[int, ResponseSpec]:
    """Document that a handler answers these codes, as its `responses`; the OpenAPI document adds the usual ones."""
    by_status: dict[int, list[str]] = {}
    for code in codes:
        by_status.setdefault(PROBLEMS[code].status, []).append(code)
    return {
        status: ResponseSpec(Problem, description=described(*names), media_type=MEDIA_TYPE, generate_examples=False)
        for status, names in by_status.items()
    }


def described(*codes: str) -> str:
    """Say in a line of the OpenAPI document what codes of one status mean."""
    return "; ".join(f"{PROBLEMS[code].title} (`{code}`)" for code in codes)


def codes_in(description: str) -> list[str]:
    """The codes that a line made by `described` is about."""
    return re.findall(r"\(`([a-z_]+)`\)", description)


def _code_and_detail(error: Exception) -> tuple[str, str]:
    if isinstance(error, (RequestError, TryLater)):
        # A code that the table lacks falls back to that of its class, which the table has.
        return (error.code if error.code in PROBLEMS else type(error).code), error.detail
    if isinstance(error, HTTPException):
        fallback = "bad_request" if error.status_code < 500 else "internal_error"  # noqa: PLR2004 - the server's own
        code = _CODE_OF_STATUS.get(error.status_code, fallback)
        return code, _DETAIL_OF_CODE.get(code, PROBLEMS[code].title)
    return "internal_error", _DETAIL_OF_CODE["internal_error"]


def _rendered(scope: Scope, error: Exception) -> tuple[bytes, int, dict[str, str]]:
    """Encode the problem, and leave its code in the scope's state for the access log and the metrics."""
    state: dict[str, Any] = scope.setdefault("state", {})
    record = current_record()
    problem = problem_of(
        error,
        instance=quote(scope["path"][:_INSTANCE_CHARS], errors="replace"),
        request_id=state.get("request_id") or (record.request_id if record else None),
        trace_id=state.get("trace_id") or current_trace_id() or None,
    )
    state["problem_code"] = problem.code
    if record is not None and isinstance(error, TryLater):
        record.error_type = error.reason
    if problem.code == "internal_error":
        note_exception(error)
        if record is None:  # nothing else would write the line
            get_logger(__name__).error("http.server.request.exception", **exception_fields(error))
    return msgspec.json.encode(problem), problem.status, headers_of(error)


def _merged(request: Request[Any, Any, Any], error: ValidationException) -> JobSenseError:
    """Join what Litestar found in headers and path with what was found in the body and the query string before."""
    fields = request.route_handler.parsed_fn_signature.parameters
    errors: list[FieldError] = list(request.scope["state"].get("field_errors", ()))
    if missing := _MISSING.match(error.detail):
        errors.append(FieldError(code="missing", detail="This parameter is required", parameter=missing[1]))
    for entry in error.extra if isinstance(error.extra, list) else ():
        name = str(entry.get("key", ""))
        if name.split(".", maxsplit=1)[0] == "data" or entry.get("source") == "body":
            continue
        kwarg = fields[name].kwarg_definition if name in fields else None
        shown = kwarg.name or name if isinstance(kwarg, ParameterKwarg) else name
        errors.append(FieldError(code="invalid", detail=str(entry.get("message", "")), parameter=shown))
    return Invalid(errors) if errors else UnreadableBody("The body does not fit")
