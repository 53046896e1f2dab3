"""A toy application behind the HTTP boundary, with every kind of field and parameter that the service has."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any, Literal

import httpx
import msgspec
from litestar import Litestar, Router, get, patch, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, HeaderParameter, JSONBody, RawBody
from msgspec import UNSET, Meta, UnsetType

from service.errors import FieldError, Invalid
from service.http.decoding import FORM, JSON, NDJSON, StrictRequest, check_parameters, takes
from service.http.parameters import decode_form
from service.http.problem import EXCEPTION_HANDLERS
from service.http.rows import decode_rows

LIMIT = 65_536
"""Bytes of a body that the application takes."""
GOOD = b'{"title":"cook"}'
"""The least that a posting has to have."""


class Pay(msgspec.Struct, forbid_unknown_fields=True):
    """Two bounds with a rule over both."""

    low: Annotated[float, Meta(ge=0)] | None = None
    high: Annotated[float, Meta(ge=0)] | None = None

    def __post_init__(self) -> None:
        if self.low is not None and self.high is not None and self.low > self.high:
            raise Invalid([FieldError(code="invalid", detail="Must not be below low", pointer="/high")])


class Card(msgspec.Struct, tag="card", tag_field="kind", forbid_unknown_fields=True):
    """One arm of a tagged union."""

    number: Annotated[str, Meta(min_length=4)]


class Cash(msgspec.Struct, tag="cash", tag_field="kind", forbid_unknown_fields=True):
    """The other arm."""

    amount: int


class Posting(msgspec.Struct, forbid_unknown_fields=True):
    """Every kind of field that the service has."""

    title: Annotated[str, Meta(min_length=2, max_length=20)]
    size: Annotated[int, Meta(ge=0, le=100)] = 0
    level: Literal["low", "high"] = "low"
    tags: Annotated[list[Annotated[str, Meta(min_length=1)]], Meta(max_length=3)] = []
    pay: Pay | None = None
    fee: Card | Cash | None = None
    when: Annotated[datetime, Meta(tz=True)] | None = None
    extra: dict[str, int] = {}
    free: Any = None
    slashed: int = msgspec.field(default=0, name="a/b~c")


class Change(msgspec.Struct, forbid_unknown_fields=True):
    """A PATCH, which tells what is left out from null."""

    title: Annotated[str, Meta(min_length=2)] | UnsetType = UNSET
    note: str | UnsetType | None = UNSET


class ListQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Every kind of query parameter."""

    limit: Annotated[int, Meta(ge=1, le=100)] = 20
    tag: list[Annotated[str, Meta(min_length=2)]] = []
    level: Literal["low", "high"] | None = None
    score: Annotated[float, Meta(ge=0, le=1)] | None = None
    remote: bool | None = None
    after: Annotated[datetime, Meta(tz=True)] | None = None
    keyword: Annotated[str, Meta(max_length=50)] | None = None


class NeedyQuery(msgspec.Struct, forbid_unknown_fields=True):
    """A required parameter, with a rule over two."""

    q: str
    low: int = 0
    high: int = 9

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise Invalid([FieldError(code="invalid", detail="Must not be below low", pointer="/high")])


class Login(msgspec.Struct):
    """A form."""

    username: str
    password: str


@post("/postings")
async def add(data: JSONBody[Posting]) -> Posting:
    """Echo a posting."""
    return data


@post("/many")
async def add_many(data: JSONBody[Annotated[list[Posting], Meta(max_length=2)]]) -> int:
    """Count postings."""
    return len(data)


@post("/keyed")
async def add_keyed(
    data: JSONBody[Posting], key: Annotated[str | None, HeaderParameter(name="Idempotency-Key", max_length=5)] = None
) -> str:
    """Take a body and a header."""
    return f"{data.title}{key}"


@post("/free")
async def add_free(data: JSONBody[Any]) -> str:
    """Take anything."""
    return json.dumps(data)


@post("/batch", opt=takes(body={JSON: list[Posting], NDJSON: Posting}), request_max_body_size=2 * LIMIT)
async def add_batch(request: StrictRequest, body: RawBody) -> list[str]:
    """Take rows and say which are good."""
    rows = decode_rows(body, request.media_type, Posting)
    return [row.title if isinstance(row, Posting) else ",".join(error.code for error in row) for row in rows]


@post("/token", opt=takes(body={FORM: Login}))
async def log_in(body: RawBody) -> str:
    """Take a form."""
    return decode_form(body, Login).username


@patch("/postings/{posting_id:int}")
async def change(posting_id: FromPath[int], data: JSONBody[Change]) -> dict[str, Any]:
    """Say what a change holds."""
    return {
        "id": posting_id,
        "set": sorted(name for name in data.__struct_fields__ if getattr(data, name) is not UNSET),
    }


@get("/postings", opt=takes(query=ListQuery))
async def list_postings(request: StrictRequest) -> ListQuery:
    """Echo the query."""
    return request.query(ListQuery)


@get("/search", opt=takes(query=NeedyQuery))
async def search(request: StrictRequest) -> NeedyQuery:
    """Echo the query."""
    return request.query(NeedyQuery)


HANDLERS: list[HTTPRouteHandler] = [
    add, add_many, add_keyed, add_free, add_batch, log_in, change, list_postings, search,
]  # fmt: skip


@asynccontextmanager
async def toy_postings() -> AsyncIterator[httpx.AsyncClient]:
    """A client of the toy application."""
    app: Any = Litestar(  # Any: httpx and Litestar spell the type of an ASGI application differently
        [Router("/api/v1", route_handlers=HANDLERS, before_request=check_parameters)],
        request_class=StrictRequest,
        request_max_body_size=LIMIT,
        exception_handlers=EXCEPTION_HANDLERS,
        openapi_config=None,
        logging_config=None,
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test/api/v1") as client:
        yield client


def fields_of(answer: httpx.Response) -> list[str]:
    """The failing fields of an answer as "place code"."""
    errors = answer.json().get("errors", [])
    return [f"{error.get('pointer', error.get('parameter'))} {error['code']}" for error in errors]


def assert_problem(answer: httpx.Response, status: int, code: str) -> None:
    """Hold an answer against the shape that every error has."""
    assert answer.status_code == status, answer.text
    if code:
        problem = answer.json()
        assert answer.headers["content-type"] == "application/problem+json"
        assert (problem["code"], problem["status"]) == (code, status)
        assert problem["type"] == f"urn:jobsense:problem:{code}"
        assert problem["detail"]
        assert len(answer.content) < 20_000
