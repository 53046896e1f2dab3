"""The committed OpenAPI document: what the code produces, fit for generators, and breaking nothing undeclared."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from openapi_schema_validator import OAS31Validator

from service.app import create_app
from service.config import Settings
from service.http.openapi import document
from service.telemetry.lifecycle import Telemetry
from tests.contract.breaking import breaking_changes

FOLDER = Path(__file__).parents[2] / "service" / "openapi"
COMMITTED = FOLDER / "jobsense.json"
JSON = "application/json"

Json = dict[str, Any]


def read(path: Path) -> Json:
    """A document."""
    written: Json = msgspec.json.decode(path.read_bytes())
    return written


@pytest.fixture(scope="module")
def committed() -> Json:
    """The document as it is committed."""
    return read(COMMITTED)


def operations(written: Json) -> Iterator[tuple[str, Json]]:
    """Every operation by its id."""
    for item in written["paths"].values():
        for operation in item.values():
            yield operation["operationId"], operation


def contents(written: Json) -> Iterator[tuple[str, str, Json]]:
    """Every body, asked or answered: where it is, its media type, and what the document says of it."""
    for name, operation in operations(written):
        for media_type, media in operation.get("requestBody", {}).get("content", {}).items():
            yield f"{name} request", media_type, media
        for status, response in operation["responses"].items():
            for media_type, media in response.get("content", {}).items():
                yield f"{name} {status}", media_type, media


def schemas(node: Any) -> Iterator[Json]:
    """Every schema below a node, itself included."""
    if isinstance(node, dict):
        yield node
        node = [value for name, value in node.items() if name not in ("default", "enum", "example", "examples")]
    for child in node if isinstance(node, list) else ():
        yield from schemas(child)


def test_the_committed_document_is_what_the_code_produces(committed: Json, telemetry: Telemetry) -> None:
    """The file and the code say the same; after a change, `make openapi` writes the file again."""
    assert committed == document(create_app(Settings(), "", telemetry)), "run make openapi, and commit the file"


def test_breaking_changes_are_declared(committed: Json) -> None:
    """What breaks callers of the last release is declared with its reason, and nothing else is."""
    declared = tomllib.loads((FOLDER / "breaking.toml").read_text(encoding="utf-8"))["changes"]
    found = breaking_changes(read(FOLDER / "released.json"), committed)
    assert sorted(declared) == sorted(found), "declare what breaks callers in service/openapi/breaking.toml, or undo it"
    assert all(len(reason) > len("because") for reason in declared.values())


def test_schemas_have_names(committed: Json) -> None:
    """A body is of a named schema, or a list of one, so that generated types have stable names."""
    for where, media_type, media in contents(committed):
        if not media_type.endswith("json"):
            continue
        schema = media["schema"]
        schema = schema["items"] if schema.get("type") == "array" else schema
        assert set(schema) == {"$ref"}, where


def test_operation_ids_are_stable_names(committed: Json) -> None:
    """They are verbs with what they act on, in one style, and each is there once."""
    names = [name for name, _ in operations(committed)]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)+", name) for name in names), names


def test_requests_keep_their_constraints(committed: Json) -> None:
    """What is refused by the code is refused by the schema: unknown fields, lengths, ranges, offsets of times."""
    components = committed["components"]["schemas"]
    for name in ("JobInput", "JobPatch", "Filters", "SearchRequest", "SearchBatch", "MatchRequest"):
        assert components[name]["additionalProperties"] is False, name
    title = components["JobInput"]["properties"]["title"]
    assert (title["minLength"], title["maxLength"]) == (2, 200)
    assert components["JobInput"]["properties"]["currency"]["anyOf"][0]["pattern"] == "^[A-Z]{3}$"
    assert components["SearchRequest"]["properties"]["top_k"] == {
        "description": "Postings wanted.", "type": "integer", "minimum": 1, "maximum": 100, "default": 10,
    }  # fmt: skip


def test_schemas_are_plain_enough_for_generators(committed: Json) -> None:
    """Enums have a type, moments a format, bounds of whole numbers are whole, and no choice has one arm."""
    for schema in schemas(committed["components"]["schemas"]):
        assert "enum" not in schema or schema.get("type") == "string"
        assert schema.get("type") != "integer" or not any(isinstance(value, float) for value in schema.values())
        assert len(schema.get("anyOf", (1, 2))) > 1
    moment = re.compile(r".*_(at|from|to|after|before)|since|at")
    for name, schema in committed["components"]["schemas"].items():
        for field, held in schema.get("properties", {}).items():
            if moment.fullmatch(field):
                texts = [arm for arm in held.get("anyOf", [held]) if arm.get("type") == "string"]
                assert all(arm.get("format") == "date-time" for arm in texts), f"{name}.{field}"


def test_every_body_has_an_example(committed: Json) -> None:
    """Requests and good answers have one in `service/openapi/examples/`, problems one for each of their codes."""
    for where, media_type, media in contents(committed):
        if media_type.endswith("json") and where != "check_ready 503":
            assert media.get("example") or media.get("examples"), f"{where} {media_type}"
    names = {name for name, _ in operations(committed)}
    assert {path.stem for path in (FOLDER / "examples").iterdir()} <= names


def test_examples_fit_their_schemas(committed: Json) -> None:
    """Each example of a body, a parameter and a problem is what its schema allows."""
    shown = [(f"{where} {media_type}", media["schema"], media["example"])
             for where, media_type, media in contents(committed) if "example" in media]  # fmt: skip
    shown += [(f"{name} {parameter['name']}", parameter["schema"], parameter["example"])
              for name, operation in operations(committed)
              for parameter in operation.get("parameters", ()) if "example" in parameter]  # fmt: skip
    problem = {"$ref": "#/components/schemas/Problem"}
    shown += [(code, problem, one["value"]) for code, one in committed["components"]["examples"].items()]
    assert len(shown) > len(list(operations(committed)))
    for where, schema, value in shown:
        whole = OAS31Validator(
            {**schema, "components": committed["components"]}, format_checker=OAS31Validator.FORMAT_CHECKER
        )
        assert [error.message for error in whole.iter_errors(value)] == [], where
