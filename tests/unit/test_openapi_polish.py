"""The OpenAPI document of a toy application is valid, complete and stable, and `/docs` needs no outside host."""

import gzip
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

import httpx
import msgspec
import pytest
from litestar import Litestar, Response, Router, delete, get, patch, post
from litestar.params import FromPath, HeaderParameter, JSONBody, PathParameter, RawBody
from msgspec import UNSET, Meta, UnsetType
from openapi_spec_validator import OpenAPIV31SpecValidator

import service.http.docs_page
from service.http.decoding import JSON, NDJSON, StrictRequest, check_parameters, takes
from service.http.docs_page import docs_handlers
from service.http.openapi import document, openapi_config
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


class Pet(PetInput, kw_only=True):
    """A pet as callers get it."""

    id: int


class Page(msgspec.Struct, Generic[T]):
    """One page."""

    items: list[T]
    next_cursor: str | None = None


class PetQuery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Parameters of the list."""

    limit: Annotated[int, Meta(ge=1, le=100, description="How many at most")] = 20
    kind: list[Literal["cat", "dog"]] = []
    weight_min: Annotated[float, Meta(ge=0)] | None = None
    near: str


@post("/pets", tags=["jobs"], responses=problems("job_exists"), opt={"scope": "jobs:write"})
async def create_pet(
    data: JSONBody[PetInput],
    idempotency_key: Annotated[str | None, HeaderParameter(name="Idempotency-Key", max_length=255)] = None,
) -> Response[Pet]:
    """Store a pet.

    The same key and body answer the same again.
    """
    raise NotImplementedError((data, idempotency_key))


@post("/pets/batch", opt=takes(body={JSON: list[PetInput], NDJSON: PetInput}), status_code=200)
async def store_pets(body: RawBody) -> list[Pet]:
    """Store many pets."""
    raise NotImplementedError(body)


@get("/pets", opt=takes(query=PetQuery) | {"scope": "jobs:read"})
async def list_pets(request: StrictRequest) -> Page[Pet]:
    """List pets, newest first."""
    raise NotImplementedError(request)


@get("/pets/{pet_id:int}")
async def fetch_pet(pet_id: Annotated[int, PathParameter(ge=1)]) -> Pet:
    """Give a pet."""
    raise NotImplementedError(pet_id)


@patch("/pets/{pet_id:int}", responses=problems("job_not_found", "precondition_failed"))
async def change_pet(pet_id: FromPath[int], data: JSONBody[PetPatch]) -> Response[Pet]:
    """Change a pet."""
    raise NotImplementedError((pet_id, data))


@delete("/pets/{pet_id:int}", operation_id="discard_pet")
async def remove(pet_id: FromPath[int]) -> None:
    """Discard a pet."""


@get("/export/pets.csv", media_type="text/csv")
async def export_pets() -> bytes:
    """Give every pet as CSV."""
    return b""


@get("/health/live", opt={"public": True})
async def fetch_liveness() -> dict[str, str]:
    """Say that the process runs."""
    return {"status": "up"}


def make_app() -> Any:
    """The toy application (Any: httpx and Litestar spell the type of an ASGI application differently)."""
    handlers = [create_pet, store_pets, list_pets, fetch_pet, change_pet, remove, export_pets]
    return Litestar(
        [Router("/api/v1", route_handlers=handlers, before_request=check_parameters), fetch_liveness, *docs_handlers()],
        request_class=StrictRequest,
        exception_handlers=EXCEPTION_HANDLERS,
        openapi_config=openapi_config("1.2.3"),
        logging_config=None,
    )


@pytest.fixture(scope="module")
def written() -> dict[str, Any]:
    """The document."""
    return document(make_app())


@pytest.fixture(scope="module")
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client of the toy application."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(make_app()), base_url="http://test") as client:
        yield client


def test_the_document_is_valid_openapi(written: dict[str, Any]) -> None:
    """An independent validator finds nothing wrong with it."""
    OpenAPIV31SpecValidator(written).validate()
    assert written["openapi"].startswith("3.1")
    assert written["info"]["version"] == "1.2.3"


def test_the_document_is_the_same_each_time(written: dict[str, Any]) -> None:
    """Two builds are equal to the byte, so that a change of the contract shows as a difference."""
    assert msgspec.json.encode(document(make_app())) == msgspec.json.encode(written)


def test_operations_have_stable_names_and_summaries(written: dict[str, Any]) -> None:
    """The name is that of the function unless given, the summary its first line, the rest the description."""
    names = {operation["operationId"] for path in written["paths"].values() for operation in path.values()}
    assert names == {
        "create_pet", "store_pets", "list_pets", "fetch_pet", "change_pet", "discard_pet", "export_pets",
        "fetch_liveness",
    }  # fmt: skip
    create = written["paths"]["/api/v1/pets"]["post"]
    assert create["summary"] == "Store a pet"
    assert create["description"] == "The same key and body answer the same again."
    assert "description" not in written["paths"]["/api/v1/pets"]["get"]
    assert [tag["name"] for tag in written["tags"]] == ["jobs"]


def test_schemas_keep_every_constraint(written: dict[str, Any]) -> None:
    """Bounds of 0, constraints inside lists, closed objects and tagged unions are all in the document."""
    pet = written["components"]["schemas"]["PetInput"]
    assert pet["additionalProperties"] is False
    assert pet["properties"]["name"] == {
        "type": "string", "minLength": 2, "maxLength": 20, "description": "What it answers to",
    }  # fmt: skip
    assert {"type": "number", "minimum": 0} in pet["properties"]["weight"]["anyOf"]
    assert pet["properties"]["tags"]["items"] == {"type": "string", "minLength": 1}
    assert pet["properties"]["animal"]["discriminator"]["propertyName"] == "kind"
    assert sorted(pet["required"]) == ["animal", "name"]
    change = written["components"]["schemas"]["PetPatch"]
    assert change["properties"]["name"] == {"type": "string", "minLength": 2}
    assert "required" not in change or change["required"] == []
    assert "Page_Pet" in written["components"]["schemas"]
    assert all(re.fullmatch(r"[A-Za-z0-9_]+", name) for name in written["components"]["schemas"])


def test_query_parameters_come_from_the_struct(written: dict[str, Any]) -> None:
    """Each field is a parameter with its bounds, default and text; what is optional is left out, not null."""
    parameters = {entry["name"]: entry for entry in written["paths"]["/api/v1/pets"]["get"]["parameters"]}
    assert parameters["limit"] == {
        "name": "limit", "in": "query", "required": False, "description": "How many at most",
        "schema": {"type": "integer", "minimum": 1, "maximum": 100, "default": 20},
    }  # fmt: skip
    assert parameters["kind"]["schema"]["items"] == {"enum": ["cat", "dog"]}
    assert parameters["weight_min"]["schema"] == {"type": "number", "minimum": 0}
    assert parameters["near"]["required"] is True
    header = written["paths"]["/api/v1/pets"]["post"]["parameters"][0]
    assert (header["name"], header["in"]) == ("Idempotency-Key", "header")
    assert header["schema"] == {"type": "string", "maxLength": 255}
    path = written["paths"]["/api/v1/pets/{pet_id}"]["get"]["parameters"][0]
    assert path["schema"] == {"type": "integer", "minimum": 1}


def test_bodies_and_answers_are_described(written: dict[str, Any]) -> None:
    """A raw body has the types it declares; an answer has that of the return annotation, out of its Response."""
    batch = written["paths"]["/api/v1/pets/batch"]["post"]
    assert sorted(batch["requestBody"]["content"]) == [JSON, NDJSON]
    assert batch["requestBody"]["required"] is True
    created = written["paths"]["/api/v1/pets"]["post"]["responses"]["201"]["content"][JSON]["schema"]
    assert created == {"$ref": "#/components/schemas/Pet"}
    assert "content" not in written["paths"]["/api/v1/pets/{pet_id}"]["delete"]["responses"]["204"]
    assert "text/csv" in written["paths"]["/api/v1/export/pets.csv"]["get"]["responses"]["200"]["content"]


def test_every_operation_lists_its_problems(written: dict[str, Any]) -> None:
    """The statuses that an operation can answer are there, all as problem+json, and no others."""
    statuses = {
        operation["operationId"]: [status for status in operation["responses"] if status >= "400"]
        for path in written["paths"].values()
        for operation in path.values()
    }
    assert statuses["create_pet"] == ["400", "401", "403", "409", "413", "415", "422", "500", "503"]
    assert statuses["list_pets"] == ["401", "403", "422", "500", "503"]
    assert statuses["change_pet"] == ["400", "401", "403", "404", "412", "413", "415", "422", "500", "503"]
    assert statuses["fetch_liveness"] == ["500"]
    for path in written["paths"].values():
        for operation in path.values():
            for status, response in operation["responses"].items():
                if status >= "400":
                    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
                    assert response["content"] == {"application/problem+json": schema}
                    assert ("Retry-After" in response.get("headers", {})) == (status in ("429", "503"))
                    assert response["description"]


def test_security_is_on_each_operation(written: dict[str, Any]) -> None:
    """A key or a token is asked for with its scope, and a public route says that it needs neither."""
    assert written["components"]["securitySchemes"]["ApiKey"] == {"type": "apiKey", "name": "X-API-Key", "in": "header"}
    assert written["components"]["securitySchemes"]["Bearer"]["scheme"] == "bearer"
    assert written["paths"]["/api/v1/pets"]["post"]["security"] == [
        {"ApiKey": ["jobs:write"]},
        {"Bearer": ["jobs:write"]},
    ]
    assert written["paths"]["/health/live"]["get"]["security"] == []


def test_codes_of_a_handler_join_the_usual_ones(written: dict[str, Any]) -> None:
    """Where a handler documents a status that every such route has, both codes are named."""
    described = written["paths"]["/api/v1/pets/{pet_id}"]["patch"]["responses"]["404"]["description"]
    assert described == "There is no such posting (`job_not_found`); Nothing is here (`not_found`)"


async def test_the_document_is_served_with_a_validator(client: httpx.AsyncClient) -> None:
    """`/openapi.json` is the document; asked again with its ETag it is not sent twice."""
    first = await client.get("/openapi.json")
    assert first.json() == document(make_app())
    assert first.headers["content-type"] == "application/json"
    again = await client.get("/openapi.json", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_the_page_loads_only_what_is_served_here(client: httpx.AsyncClient) -> None:
    """Every address on the page is one of ours and is answered, and no script is inline."""
    page = await client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    addresses = re.findall(r'(?:src|href|data-url)="([^"]*)"', page.text)
    assert len(addresses) >= 5
    for address in addresses:
        assert address.startswith("/")
        assert not address.startswith("//")
        assert (await client.get(address)).status_code == 200
    assert re.findall(r"<script[^>]*>([^<]*)</script>", page.text) == ["", ""]
    assert (await client.get("/docs/")).text == page.text


async def test_assets_are_packed_and_validated(client: httpx.AsyncClient) -> None:
    """A script is sent packed to who takes that, plain to who does not, each with an ETag of its own."""
    plain = await client.get("/docs/swagger-ui-bundle.js", headers={"Accept-Encoding": "identity"})
    async with client.stream(
        "GET", "/docs/swagger-ui-bundle.js", headers={"Accept-Encoding": "br, gzip;q=1"}
    ) as packed:
        raw = b"".join([chunk async for chunk in packed.aiter_raw()])
    assert gzip.decompress(raw) == plain.content
    assert len(raw) < len(plain.content) / 3
    assert packed.headers["etag"] != plain.headers["etag"]
    assert packed.headers["vary"] == "Accept-Encoding"
    refused = await client.get("/docs/start.js", headers={"Accept-Encoding": "gzip;q=0"})
    assert "content-encoding" not in refused.headers
    for name in ("README.md", "nope.js", "index.html", "..%2f__init__.py"):
        assert (await client.get(f"/docs/{name}")).status_code == 404


async def test_the_page_knows_the_path_it_is_served_under() -> None:
    """Behind a proxy that adds a path, the addresses on the page have it too."""
    transport = httpx.ASGITransport(make_app(), root_path="/jobs api")
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        page = await client.get("/docs")
    assert 'data-url="/jobs%20api/openapi.json"' in page.text


def test_the_assets_carry_their_licence() -> None:
    """The licence, the notice and the version of Swagger UI are beside its files, and the bundle is that version."""
    folder = Path(service.http.docs_page.__file__).parent / "docs_assets"
    version = re.search(r"Swagger UI (\d+\.\d+\.\d+)", (folder / "README.md").read_text())
    assert version is not None
    assert "Apache License" in (folder / "LICENSE").read_text()
    assert (folder / "NOTICE").exists()
    assert version[1] in (folder / "swagger-ui-bundle.js").read_text()
