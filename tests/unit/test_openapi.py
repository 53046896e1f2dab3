"""The OpenAPI document of a toy application is valid, complete and stable."""

import re
from typing import Any

import httpx
import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from service.http.decoding import JSON, NDJSON
from service.http.openapi import document
from tests.toy_pets import make_app


@pytest.fixture(scope="module")
def written() -> dict[str, Any]:
    """The document."""
    return document(make_app())


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
        "fetch_liveness", "fetch_readiness",
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
    assert {"type": "number", "format": "double", "minimum": 0} in pet["properties"]["weight"]["anyOf"]
    assert pet["properties"]["tags"]["items"] == {"type": "string", "minLength": 1}
    assert pet["properties"]["animal"]["discriminator"]["propertyName"] == "kind"
    assert sorted(pet["required"]) == ["animal", "name"]
    change = written["components"]["schemas"]["PetPatch"]
    assert change["properties"]["name"] == {"type": "string", "minLength": 2}
    assert "required" not in change or change["required"] == []
    assert written["components"]["schemas"]["Page_Pet"]["required"] == ["items", "next_cursor"]
    made = written["components"]["schemas"]["Pet"]["properties"]
    assert made["note"] == {"type": "string", "description": "Absent where there is none"}
    assert made["keeper"] == {"anyOf": [{"type": "string"}, {"type": "null"}]}
    assert all(re.fullmatch(r"[A-Za-z0-9_]+", name) for name in written["components"]["schemas"])


def test_query_parameters_come_from_the_struct(written: dict[str, Any]) -> None:
    """Each field is a parameter with its bounds, default and text; what is optional is left out, not null."""
    parameters = {entry["name"]: entry for entry in written["paths"]["/api/v1/pets"]["get"]["parameters"]}
    assert parameters["limit"] == {
        "name": "limit", "in": "query", "description": "How many at most",
        "schema": {"type": "integer", "minimum": 1, "maximum": 100, "default": 20},
    }  # fmt: skip
    assert parameters["kind"]["schema"]["items"] == {"$ref": "#/components/schemas/Kind"}
    assert written["components"]["schemas"]["Kind"] == {"title": "Kind", "type": "string", "enum": ["cat", "dog"]}
    assert parameters["weight_min"]["schema"] == {"type": "number", "format": "double", "minimum": 0}
    assert parameters["near"]["required"] is True
    header = written["paths"]["/api/v1/pets"]["post"]["parameters"][0]
    assert (header["name"], header["in"]) == ("Idempotency-Key", "header")
    assert header["schema"] == {"type": "string", "maxLength": 255}
    path = written["paths"]["/api/v1/pets/{pet_id}"]["get"]["parameters"][0]
    assert path["schema"] == {"type": "integer", "format": "int64", "minimum": 1, "maximum": 2**63 - 1}
    assert path["description"] == "Which pet"


def test_bodies_and_answers_are_described(written: dict[str, Any]) -> None:
    """A raw body has the types it declares; an answer has that of the return annotation, out of its Response."""
    batch = written["paths"]["/api/v1/pets/batch"]["post"]
    assert sorted(batch["requestBody"]["content"]) == [JSON, NDJSON]
    assert batch["requestBody"]["required"] is True
    created = written["paths"]["/api/v1/pets"]["post"]["responses"]["201"]["content"][JSON]["schema"]
    assert created == {"$ref": "#/components/schemas/Pet"}
    answers = batch["responses"]["200"]["content"]
    assert answers[NDJSON] == {"schema": {"$ref": "#/components/schemas/Pet"}}
    ready = written["paths"]["/health/ready"]["get"]["responses"]["503"]
    assert ready["content"] == {JSON: {"schema": {"$ref": "#/components/schemas/Pet"}}}
    assert written["paths"]["/api/v1/pets"]["post"]["responses"]["201"]["headers"].keys() == {"ETag", "X-Request-ID"}
    assert "content" not in written["paths"]["/api/v1/pets/{pet_id}"]["delete"]["responses"]["204"]
    assert "text/csv" in written["paths"]["/api/v1/export/pets.csv"]["get"]["responses"]["200"]["content"]


def test_every_operation_lists_its_problems(written: dict[str, Any]) -> None:
    """The statuses that an operation can answer are there, all as problem+json, and no others."""
    statuses = {
        operation["operationId"]: [status for status in operation["responses"] if status >= "400"]
        for path in written["paths"].values()
        for operation in path.values()
    }
    assert statuses["create_pet"] == ["400", "401", "403", "409", "413", "415", "422", "429", "500", "503"]
    assert statuses["list_pets"] == ["400", "401", "403", "422", "429", "500", "503"]
    assert statuses["change_pet"] == ["400", "401", "403", "404", "412", "413", "415", "422", "429", "500", "503"]
    assert statuses["fetch_liveness"] == ["500"]
    for path in written["paths"].values():
        for operation in path.values():
            for status, response in operation["responses"].items():
                if status >= "400" and operation["operationId"] != "fetch_readiness":
                    (problem,) = response["content"].items()
                    assert problem[0] == "application/problem+json"
                    assert problem[1]["schema"] == {"$ref": "#/components/schemas/Problem"}
                    assert all(f"`{code}`" in response["description"] for code in problem[1]["examples"])
                    assert problem[1]["examples"].keys() <= written["components"]["examples"].keys()
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


async def test_the_document_is_served_with_a_validator(pets: httpx.AsyncClient) -> None:
    """`/openapi.json` is the document; asked again with its ETag it is not sent twice."""
    first = await pets.get("/openapi.json")
    assert first.json() == document(make_app())
    assert first.headers["content-type"] == "application/json"
    again = await pets.get("/openapi.json", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
