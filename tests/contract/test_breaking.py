"""The check for breaking changes: each kind of change, planted into a small document, is found or rightly let pass."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.contract.breaking import breaking_changes

Document = dict[str, Any]

TEXT = {"type": "string", "minLength": 1, "maxLength": 10}
DOCUMENT: Document = {
    "openapi": "3.1.0",
    "paths": {
        "/things": {
            "post": {
                "operationId": "make_thing",
                "security": [{"Key": ["write"]}, {"Token": ["write"]}],
                "parameters": [
                    {"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": 9, "default": 5}},
                    {"name": "kind", "in": "query", "schema": {"type": "string", "enum": ["a", "b"]}},
                ],
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/Input"}},
                        "text/csv": {"schema": {"type": "string"}},
                    },
                },
                "responses": {
                    "200": {
                        "headers": {"ETag": {"schema": {"type": "string"}}},
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}},
                    },
                    "404": {"content": {}},
                },
            },
        },
        "/open": {"get": {"operationId": "look", "security": [], "responses": {"204": {}}}},
    },
    "components": {
        "schemas": {
            "Input": {
                "type": "object",
                "properties": {
                    "name": TEXT,
                    "note": {"anyOf": [TEXT, {"type": "null"}], "default": None},
                    "size": {"type": "number", "minimum": 0},
                    "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Input"}},
                },
                "required": ["name"],
                "additionalProperties": False,
            },
            "Thing": {
                "type": "object",
                "properties": {
                    "id": {"type": "integer"},
                    "state": {"type": "string", "enum": ["new", "done"]},
                    "made_at": {"type": "string", "format": "date-time"},
                    "hint": {"type": "string"},
                    "counts": {"type": "object", "additionalProperties": {"type": "integer"}},
                    "next": {"anyOf": [{"$ref": "#/components/schemas/Thing"}, {"type": "null"}]},
                },
                "required": ["id", "state"],
            },
        }
    },
}

Change = Callable[[Document], object]


def _post(document: Document) -> Any:
    return document["paths"]["/things"]["post"]


def _input(document: Document) -> Any:
    return document["components"]["schemas"]["Input"]


def _thing(document: Document) -> Any:
    return document["components"]["schemas"]["Thing"]


def _body(document: Document) -> Any:
    return _post(document)["requestBody"]


BREAKING: dict[str, Change] = {
    "GET /open: removed": lambda d: d["paths"].pop("/open"),
    "POST /things: operationId was make_thing, is create_thing": lambda d: _post(d).update(operationId="create_thing"),
    "POST /things query limit: removed": lambda d: _post(d)["parameters"].pop(0),
    "POST /things query kind: newly required": lambda d: _post(d)["parameters"][1].update(required=True),
    "POST /things header Why: newly required": lambda d: _post(d)["parameters"].append(
        {"name": "Why", "in": "header", "required": True, "schema": {"type": "string"}}
    ),
    "POST /things query limit: maximum was 9, is 8": lambda d: _post(d)["parameters"][0]["schema"].update(maximum=8),
    "POST /things query limit: default was 5, is 6": lambda d: _post(d)["parameters"][0]["schema"].update(default=6),
    "POST /things query kind: enum was ['a', 'b'], is ['a']": lambda d: _post(d)["parameters"][1]["schema"].update(
        enum=["a"]
    ),
    "POST /things query kind: type was string, is integer": lambda d: _post(d)["parameters"][1].update(
        schema={"type": "integer"}
    ),
    "POST /things request text/csv: removed": lambda d: _body(d)["content"].pop("text/csv"),
    "Input sent.size: newly required": lambda d: _input(d)["required"].append("size"),
    "Input sent.colour: newly required": lambda d: (
        _input(d)["properties"].update(colour=TEXT),
        _input(d)["required"].append("colour"),
    ),
    "Input sent.size: removed": lambda d: _input(d)["properties"].pop("size"),
    "Input sent.size: type was number, is integer": lambda d: _input(d)["properties"]["size"].update(type="integer"),
    "Input sent.size: minimum was 0, is 1": lambda d: _input(d)["properties"]["size"].update(minimum=1),
    "Input sent.size: exclusiveMaximum was None, is 5": lambda d: _input(d)["properties"]["size"].update(
        exclusiveMaximum=5
    ),
    "Input sent.name: minLength was 1, is 2": lambda d: _input(d)["properties"].update(name={**TEXT, "minLength": 2}),
    "Input sent.name: pattern was None, is ^x": lambda d: _input(d)["properties"].update(
        name={**TEXT, "pattern": "^x"}
    ),
    "Input sent.name: enum was None, is ['x']": lambda d: _input(d)["properties"].update(name={**TEXT, "enum": ["x"]}),
    "Input sent.note: type was null, is string": lambda d: _input(d)["properties"].update(
        note={**TEXT, "default": None}
    ),
    "Input sent.parts: maxItems was None, is 3": lambda d: _input(d)["properties"]["parts"].update(maxItems=3),
    "Input sent.parts: uniqueItems was None, is True": lambda d: _input(d)["properties"]["parts"].update(
        uniqueItems=True
    ),
    "POST /things 200: removed": lambda d: _post(d)["responses"].pop("200"),
    "POST /things 202: added": lambda d: _post(d)["responses"].update({"202": {}}),
    "POST /things 200 header ETag: removed": lambda d: _post(d)["responses"]["200"]["headers"].pop("ETag"),
    "POST /things 200 application/json: removed": lambda d: _post(d)["responses"]["200"].update(
        content={"text/csv": {}}
    ),
    "Thing received.hint: removed": lambda d: _thing(d)["properties"].pop("hint"),
    "Thing received.state: may be missing now": lambda d: _thing(d)["required"].remove("state"),
    "Thing received.id: type was integer, is number": lambda d: _thing(d)["properties"]["id"].update(type="number"),
    "Thing received.id: type was integer, is null": lambda d: _thing(d)["properties"].update(
        id={"anyOf": [{"type": "integer"}, {"type": "null"}]}
    ),
    "Thing received.hint: type was string, is null": lambda d: _thing(d)["properties"]["hint"].update(
        type=["string", "null"]
    ),
    "Thing received.state: enum was ['new', 'done'], is ['new', 'done', 'lost']": lambda d: _thing(d)["properties"][
        "state"
    ].update(enum=["new", "done", "lost"]),
    "Thing received.made_at: format was date-time, is None": lambda d: _thing(d)["properties"]["made_at"].pop("format"),
    "Thing received.counts.*: type was integer, is string": lambda d: _thing(d)["properties"]["counts"].update(
        additionalProperties={"type": "string"}
    ),
    "POST /things: security was [{'Key': ['write']}, {'Token': ['write']}], is [{'Key': ['write']}]": lambda d: _post(
        d
    ).update(security=[{"Key": ["write"]}]),
    "POST /things: security was [{'Key': ['write']}, {'Token': ['write']}], is "
    "[{'Key': ['admin']}, {'Token': ['write']}]": lambda d: _post(d).update(
        security=[{"Key": ["admin"]}, {"Token": ["write"]}]
    ),
    "GET /open: security was [], is [{'Key': []}]": lambda d: d["paths"]["/open"]["get"].update(security=[{"Key": []}]),
}

HARMLESS: dict[str, Change] = {
    "nothing": lambda _: None,
    "a path more": lambda d: d["paths"].update({"/more": d["paths"]["/open"]}),
    "a method more": lambda d: d["paths"]["/open"].update(put=d["paths"]["/open"]["get"]),
    "other words": lambda d: (_thing(d).update(description="new"), _post(d).update(summary="new", deprecated=True)),
    "an optional parameter more": lambda d: _post(d)["parameters"].append(
        {"name": "x", "in": "query", "schema": {"type": "string"}}
    ),
    "a wider parameter": lambda d: (
        _post(d)["parameters"][0]["schema"].update(maximum=10, minimum=-1)
        or _post(d)["parameters"][0]["schema"].pop("minimum")
    ),
    "a choice more to send": lambda d: _post(d)["parameters"][1]["schema"]["enum"].append("c"),
    "an optional field more to send": lambda d: _input(d)["properties"].update(colour=TEXT),
    "a field that was required may be left out": lambda d: _input(d)["required"].clear(),
    "null may be sent": lambda d: _input(d)["properties"].update(name={"anyOf": [TEXT, {"type": "null"}]}),
    "anything more may be sent": lambda d: _input(d).pop("additionalProperties"),
    "longer texts may be sent": lambda d: _input(d)["properties"].update(name={**TEXT, "maxLength": 11}),
    "another body may be sent": lambda d: _body(d)["content"].update({"text/plain": {"schema": {"type": "string"}}}),
    "the body may be left out": lambda d: _body(d).update(required=False),
    "a field more to get": lambda d: _thing(d)["properties"].update(colour={"type": "string"}),
    "always there from now on": lambda d: _thing(d)["required"].append("hint"),
    "a state less to get": lambda d: _thing(d)["properties"]["state"].update(enum=["done"]),
    "never null from now on": lambda d: _thing(d)["properties"].update(next={"$ref": "#/components/schemas/Thing"}),
    "an error more": lambda d: _post(d)["responses"].update({"429": {}}),
    "not modified, for who asks": lambda d: _post(d)["responses"].update({"304": {}}),
    "an error less": lambda d: _post(d)["responses"].pop("404"),
    "a header more": lambda d: _post(d)["responses"]["200"]["headers"].update(Age={"schema": {"type": "integer"}}),
    "a scope less": lambda d: _post(d).update(security=[{"Key": []}, {"Token": ["write"]}]),
    "public from now on": lambda d: _post(d).update(security=[]),
    "another credential too": lambda d: _post(d)["security"].append({"Cookie": []}),
    "one choice in other clothes": lambda d: _thing(d)["properties"].update(
        hint={"anyOf": [{"type": "string"}], "description": "same"}
    ),
}


def _changed(change: Change) -> Document:
    document = copy.deepcopy(DOCUMENT)
    change(document)
    return document


@pytest.mark.parametrize("told", BREAKING)
def test_a_breaking_change_is_found(told: str) -> None:
    """What callers can no longer send, or must newly expect, is told in one line, and nothing else is."""
    assert breaking_changes(DOCUMENT, _changed(BREAKING[told])) == [told]


@pytest.mark.parametrize("what", HARMLESS)
def test_a_harmless_change_passes(what: str) -> None:
    """What asks nothing new of callers, and shows them nothing that they could not have met, is let pass."""
    assert breaking_changes(DOCUMENT, _changed(HARMLESS[what])) == []


def test_the_way_back_is_told_too() -> None:
    """Adding a field is harmless, and taking the same away again is not: the documents are not interchangeable."""
    more = _changed(HARMLESS["a field more to get"])
    assert breaking_changes(DOCUMENT, more) == []
    assert breaking_changes(more, DOCUMENT) == ["Thing received.colour: removed"]
