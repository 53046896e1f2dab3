"""Examples for the OpenAPI document: of requests and answers from files by operation, of problems by their code.

`service/openapi/examples/<operationId>.json` holds `parameters` by name, and `request` and `answer` by media type; of
NDJSON one line. A test holds each against its schema, sends it to the service, and compares what comes back.
"""

import functools
from pathlib import Path
from typing import Any

import msgspec

from service.errors import FieldError
from service.http.problem import PROBLEMS, Problem

FOLDER = Path(__file__).parents[1] / "openapi" / "examples"

_DETAIL = {
    "bad_request": "The Host header names no host of this service",
    "unreadable_body": "The body is not JSON: Expecting value: line 1 column 12 (char 11)",
    "unauthenticated": "Send an API key in X-API-Key, or a token in Authorization: Bearer",
    "forbidden": "The credentials lack the scope jobs:write",
    "job_not_found": "There is no posting 4711",
    "job_exists": "Posting 4711 has this source and external_id",
    "precondition_failed": "The posting is at version 3",
    "unsupported_media_type": "This path reads application/json, named in Content-Type",
    "invalid": "1 field of the request is not valid",
    "internal_error": "The fault is logged under the request_id of this answer",
}


class Example(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one operation may be asked and may answer."""

    parameters: dict[str, Any] = {}
    request: dict[str, Any] = {}
    answer: dict[str, Any] = {}


@functools.cache
def example_of(operation: str) -> Example:
    """The example of an operation; empty if there is none."""
    path = FOLDER / f"{operation}.json"
    return msgspec.json.decode(path.read_bytes(), type=Example) if path.exists() else Example()


def example_problem(code: str) -> Problem:
    """A problem of this code, as an answer holds it."""
    errors = [FieldError("missing", "This field is required", pointer="/title")] if code == "invalid" else []
    return Problem(
        type=f"urn:jobsense:problem:{code}",
        title=PROBLEMS[code].title,
        status=PROBLEMS[code].status,
        detail=_DETAIL.get(code, PROBLEMS[code].title),
        code=code,
        instance="/api/v1/jobs",
        errors=tuple(errors),
        request_id="c3ab8ff13720e8ad",
        trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
    )
