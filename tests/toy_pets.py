"""A toy application about pets, whose OpenAPI document has every kind of operation that the service has."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from typing import Annotated, Any, Generic, Literal, TypeVar

import httpx
import msgspec
from litestar import Litestar, Response, Router, delete, get, patch, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, HeaderParameter, JSONBody, PathParameter, RawBody
from msgspec import UNSET, Meta, UnsetType

from service.http.caching import completed
from service.http.decoding import JSON, NDJSON, StrictRequest, check_parameters, takes
from service.http.deprecation import Deprecation, deprecates
from service.http.docs_page import docs_handlers
from service.http.openapi import openapi_config
from service.http.operation import gives
from service.http.problem import EXCEPTION_HANDLERS, problems

T = TypeVar("T")


class Cat(msgspec.Struct, tag="cat", tag_field="kind", forbid_unknown_fields=True):
    """A cat."""

    lives: Annotated[int, Meta(ge=0, le=9)]


class Dog(msgspec.Struct, tag="dog", tag_field="kind", forbid_unknown_fields=True):
    """A dog."""

    name: str


class PetInput(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A pet as callers send it."""

    name: Annotated[str, Meta(min_length=2, max_length=20, description="What it answers to")]
    weight: Annotated[float, Meta(ge=0)] | None = None
    tags: list[Annotated[str, Meta(min_length=1)]] = []
    animal: Cat | Dog


class PetPatch(msgspec.Struct, forbid_unknown_fields=True):
    """A change to a pet."""

    name: Annotated[str, Meta(min_length=2)] | UnsetType = UNSET
    weight: float | UnsetType | None = UNSET


class Pet(PetInput, kw_only=True, omit_defaults=True):
    """A pet as callers get it."""

    id: int
    note: Annotated[str, Meta(description="Absent where there is none")] | None = None
    keeper: str | None


class Page(msgspec.Struct, Generic[T]):
    """One page."""

    items: list[T]
    next_cursor: str | None = None


Kind = Annotated[Literal["cat", "dog"], Meta(title="Kind")]


class PetQuery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Parameters of the list."""

    limit: Annotated[int, Meta(ge=1, le=100, description="How many at most")] = 20
    kind: list[Kind] = []
    weight_min: Annotated[float, Meta(ge=0)] | None = None
    near: str


SINCE, SUNSET = date(2026, 3, 1), date(2027, 4, 1)
OLD_HEADER = Deprecation(header="X-Idempotency-Key", since=SINCE, sunset=SUNSET, instead="Idempotency-Key")
OLD_PARAMETER = Deprecation(parameter="kind", since=SINCE, sunset=SUNSET, instead="a keyword")
OLD_OPERATION = Deprecation(since=date(2026, 2, 1), sunset=date(2028, 1, 1), instead="GET /pets")


@post(
    "/pets",
    tags=["jobs"],
    responses=problems("job_exists"),
    opt=gives("ETag") | deprecates(OLD_HEADER) | {"scope": "jobs:write"},
)
async def create_pet(
    data: JSONBody[PetInput],
    idempotency_key: Annotated[str | None, HeaderParameter(name="Idempotency-Key", max_length=255)] = None,
    old_key: Annotated[str | None, HeaderParameter(name="X-Idempotency-Key")] = None,
) -> Response[Pet]:
    """Store a pet.

    The same key and body answer the same again.
    """
    return Response(Pet(id=1, keeper=None, name=idempotency_key or old_key or data.name, animal=data.animal))


@post(
    "/pets/batch",
    opt=takes(body={JSON: list[PetInput], NDJSON: PetInput}) | gives(answers={NDJSON: Pet}),
    status_code=200,
)
async def store_pets(body: RawBody) -> list[Pet]:
    """Store many pets."""
    raise NotImplementedError(body)


@get("/pets", opt=takes(query=PetQuery) | deprecates(OLD_PARAMETER) | {"scope": "jobs:read"})
async def list_pets(request: StrictRequest) -> Page[Pet]:
    """List pets, newest first."""
    del request
    return Page([])


@get("/pets/{pet_id:int}")
async def fetch_pet(pet_id: Annotated[int, PathParameter(ge=1, le=2**63 - 1, description="Which pet")]) -> Pet:
    """Give a pet."""
    raise NotImplementedError(pet_id)


@patch("/pets/{pet_id:int}", responses=problems("job_not_found", "precondition_failed"))
async def change_pet(pet_id: FromPath[int], data: JSONBody[PetPatch]) -> Response[Pet]:
    """Change a pet."""
    raise NotImplementedError((pet_id, data))


@delete("/pets/{pet_id:int}", operation_id="discard_pet")
async def remove(pet_id: FromPath[int]) -> None:
    """Discard a pet."""


@get("/export/pets.csv", media_type="text/csv", opt=deprecates(OLD_OPERATION))
async def export_pets() -> bytes:
    """Give every pet as CSV."""
    return b""


@get("/health/live", opt={"public": True})
async def fetch_liveness() -> dict[str, str]:
    """Say that the process runs."""
    return {"status": "up"}


@get("/health/ready", opt={"public": True}, responses={503: ResponseSpec(Pet, description="Not now")})
async def fetch_readiness() -> Pet:
    """Say whether it is ready."""
    raise NotImplementedError


HEALTH = (fetch_liveness, fetch_readiness)


def make_app() -> Any:
    """The toy application (Any: httpx and Litestar spell the type of an ASGI application differently)."""
    handlers = [create_pet, store_pets, list_pets, fetch_pet, change_pet, remove, export_pets]
    return Litestar(
        [Router("/api/v1", route_handlers=handlers, before_request=check_parameters), *HEALTH, *docs_handlers()],
        request_class=StrictRequest,
        exception_handlers=EXCEPTION_HANDLERS,
        openapi_config=openapi_config("1.2.3"),
        logging_config=None,
    )


@asynccontextmanager
async def toy_pets(root_path: str = "") -> AsyncIterator[httpx.AsyncClient]:
    """A client of the toy application, which a proxy may serve under a path."""
    app = make_app()

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, completed(scope, send))

    transport = httpx.ASGITransport(serve, root_path=root_path)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client
