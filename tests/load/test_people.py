"""Users of the load test send what the OpenAPI document takes, and notice what is wrong in an answer."""

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest
from openapi_schema_validator import OAS31Validator

from tests.load import people

DOCUMENT = Path(__file__).parents[2] / "service" / "openapi" / "jobsense.json"
TRIES = 200

Json = dict[str, Any]


def calls() -> Iterator[people.Call]:
    """Every kind of request that users send, of one dice after the other."""
    for seed in range(TRIES):
        dice = random.Random(seed)  # noqa: S311 - what users ask, no secrets
        found, listed = people.search(dice), people.listing(dice)
        made = people.creation(dice, "linkedin")
        yield from (found, people.next_results(found, "c" * 80), listed, people.next_items(listed, "c"))
        yield from (people.opening(7), people.opening(7, '"1-done"'), people.similar(7), made, people.again(made))
        yield from (people.amendment(dice, 7, '"1-done"'), people.batch(dice, "linkedin"), people.withdrawal(7))


@pytest.fixture(scope="module")
def document() -> Json:
    """The OpenAPI document."""
    read: Json = msgspec.json.decode(DOCUMENT.read_bytes())
    return read


def operation_of(document: Json, call: people.Call) -> Json:
    """The operation that a request is of."""
    path = urlsplit(call.path).path
    for template, item in document["paths"].items():
        if re.fullmatch(re.sub(r"\{\w+\}", r"\\d+", template), path) and call.method.lower() in item:
            found: Json = item[call.method.lower()]
            return found
    raise AssertionError(f"{call.method} {path} is not in the document")


def test_requests_are_what_the_document_takes(document: Json) -> None:
    """Operation, parameters, headers, body and good statuses of every request are in the document."""
    for call in calls():
        operation = operation_of(document, call)
        known = {(one["in"], one["name"]): one for one in operation.get("parameters", [])}
        asked = {("query", name) for name, _ in parse_qsl(urlsplit(call.path).query)}
        asked |= {("header", name) for name in call.headers}
        assert asked <= known.keys(), call
        assert {str(status) for status in call.expected} <= operation["responses"].keys(), call
        assert (call.body is not None) == ("requestBody" in operation), call
        if call.body is not None:
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            OAS31Validator({**schema, "components": document["components"]}).validate(call.body)


def test_a_repeated_request_is_the_same() -> None:
    """What is sent again has the key and the body of before, and a new posting has a key of its own."""
    dice = random.Random(1)  # noqa: S311 - what users ask, no secrets
    first, other = people.creation(dice, "linkedin"), people.creation(dice, "linkedin")
    repeated = people.again(first)
    assert (repeated.body, repeated.headers, repeated.path) == (first.body, first.headers, first.path)
    assert other.headers["Idempotency-Key"] != first.headers["Idempotency-Key"]


def test_a_next_page_asks_what_the_first_asked() -> None:
    """A cursor goes with the search and the filters that it was given for, through every page."""
    for seed in range(TRIES):
        dice = random.Random(seed)  # noqa: S311 - what users ask, no secrets
        for first, turn in ((people.search(dice), people.next_results), (people.listing(dice), people.next_items)):
            second = turn(turn(first, "a"), "b")
            asked, before = (dict(parse_qsl(urlsplit(call.path).query)) for call in (second, first))
            if isinstance(second.body, dict) and isinstance(first.body, dict):
                asked, before = second.body, first.body
            assert asked == before | {"cursor": "b"}


def test_searches_repeat_as_those_of_people_do() -> None:
    """Some texts are asked often, and there are many more: neither a cache alone is measured, nor its absence."""
    dice = random.Random(2)  # noqa: S311 - what users ask, no secrets
    calls = [people.search(dice) for _ in range(1000)]
    texts = [call.body["text"] for call in calls if isinstance(call.body, dict)]
    often = max(texts.count(text) for text in set(texts))
    assert often > 30
    assert len(set(texts)) > 400


def _answer(*ids: int, degraded: str | None = None) -> bytes:
    body = {"results": [{"job": {"id": job_id}} for job_id in ids], "degraded": degraded and {"reason": degraded}}
    return json.dumps(body).encode()


def test_faults_are_named() -> None:
    """No answer, another status, words instead of meaning, a repeated posting and nonsense are faults, each by name."""
    search = people.Call("search", "POST", "/api/v1/search", {"text": "x"})
    assert people.fault_of(search, 0, b"") == "no answer"
    assert people.fault_of(search, 503, b'{"code": "overloaded"}') == "503 overloaded"
    assert people.fault_of(search, 502, b"<html>") == "502"
    assert people.fault_of(search, 200, _answer(1), people.whole) == ""
    assert people.fault_of(search, 200, _answer(1, degraded="timeout"), people.whole) == "degraded: timeout"
    assert people.fault_of(search, 200, b"{}", people.whole) == "not the answer that is documented: KeyError"
    seen = set[int]()
    pages = [_answer(1, 2), _answer(3), _answer(4, 2)]
    found = [
        people.fault_of(search, 200, page, lambda answer: people.fresh(seen, people.ids_of_results(answer)))
        for page in pages
    ]
    assert found == ["", "", "a posting came twice"]


def test_statuses_that_are_meant_are_no_faults() -> None:
    """A posting that is gone or unchanged is an answer; on a search either would be a fault."""
    assert people.fault_of(people.opening(1), 404, b"{}") == ""
    assert people.fault_of(people.opening(1, '"1-done"'), 304, b"") == ""
    assert people.fault_of(people.Call("search", "POST", "/"), 404, b"{}") == "404"
