"""Idempotency keys over HTTP: which header holds one, and the answer to a request that is repeated."""

from collections.abc import Awaitable, Callable
from datetime import date
from typing import Annotated, Any, TypeVar, cast

import msgspec
from litestar import MediaType, Request, Response
from litestar.datastructures import ResponseHeader
from litestar.params import HeaderParameter

from service.access.controller import caller_of
from service.db import Db
from service.errors import FieldError, Invalid
from service.http.deprecation import Deprecation
from service.idempotency.domain import Idempotency
from service.idempotency.model import Answer, attempt_of

STATE_KEY = "idempotency"
"""Where the application keeps its Idempotency."""
NAMES = ("Idempotency-Key", "X-Idempotency-Key")
_RAW = tuple(name.lower().encode() for name in NAMES)
_LIMITS: dict[str, Any] = {"min_length": 1, "max_length": 255, "pattern": r"^[ -~]+$"}

IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name=NAMES[0],
        description="A name of your own for this request, such as a UUID, kept for 24 hours: repeated with the same "
        "body, it gets the first answer again, with `Idempotent-Replayed: true`. Printable ASCII.",
        **_LIMITS,
    ),
]
XIdempotencyKey = Annotated[
    str | None, HeaderParameter(name=NAMES[1], description="The former spelling of `Idempotency-Key`.", **_LIMITS)
]
REPLAYED = ResponseHeader(
    name="Idempotent-Replayed",
    description="`true` where this is the answer to an earlier request with the same `Idempotency-Key`.",
    value="true",
    documentation_only=True,
    required=False,
)

OLD_SPELLING = Deprecation(header=NAMES[1], since=date(2026, 11, 28), sunset=date(2028, 1, 1), instead=NAMES[0])
"""Names with X- are deprecated by RFC 6648; the one without is in the IETF's draft."""

T = TypeVar("T")


async def answer_once(
    request: Request[Any, Any, Any],
    keys: tuple[str | None, str | None],
    asked: msgspec.Struct,
    write: Callable[[Db | None], Awaitable[Response[T]]],
    written: Callable[[], None],
) -> Response[T]:
    """Answer with what `write` gives; where the request has a key in one of the two headers, it is done once.

    `write` then works on the connection that it is given, and `written` is called after the commit.
    """
    key = next((key for key in keys if key is not None), None)
    if key is None:
        return await write(None)
    _refuse_two(request)
    caller = caller_of(request)
    attempt = attempt_of(
        asked,
        tenant_id=caller.tenant_id,
        who=caller.who,
        method=request.method,
        path=f"/{'/'.join(part for part in request.scope['path'].split('/') if part)}",
        key=key,
    )

    async def answer(db: Db) -> Answer:
        response = await write(db)
        return Answer(response.status_code or 200, dict(response.headers), msgspec.json.encode(response.content))

    kept, is_first = await cast("Idempotency", request.app.state[STATE_KEY]).once(attempt, answer)
    if is_first:
        written()
    headers = kept.headers if is_first else kept.headers | {REPLAYED.name: "true"}
    body: Any = kept.body
    return Response(body, status_code=kept.status, headers=headers, media_type=MediaType.JSON)


def _refuse_two(request: Request[Any, Any, Any]) -> None:
    """Refuse keys that differ, be it in both headers or in one that is repeated, which shows as its first alone."""
    given = [pair for pair in request.scope["headers"] if pair[0] in _RAW]
    if len({value for _, value in given}) > 1:
        names = (name for name, raw in zip(NAMES, _RAW, strict=True) if raw in dict(given))
        raise Invalid([FieldError("repeated", "Different keys are given; send one", parameter=name) for name in names])
