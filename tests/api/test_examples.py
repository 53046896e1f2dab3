"""The examples of the OpenAPI document are what the service takes and answers: each is sent, and answers compared."""

from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec
import pytest

from service.http.decoding import FORM, JSON, NDJSON
from service.http.openapi import document
from service.pay.model import Rate
from tests.api.calls import create
from tests.conftest import Service

Json = dict[str, Any]
SAFE = {"jobs", "search", "export", "pay", "health"}
"""Tags of the operations that are tried; the others need accounts and admin keys, and have tests of their own."""


def _operations(api: Service) -> list[tuple[str, str, Json]]:
    """Every operation that is tried, those that take something away last."""
    paths = document(api.app)["paths"]
    found = [(path, method, operation) for path, item in paths.items() for method, operation in item.items()]
    return sorted((one for one in found if SAFE & set(one[2]["tags"])), key=lambda one: one[1] == "delete")


async def _ask(api: Service, path: str, method: str, operation: Json, job_id: int) -> list[httpx.Response]:
    """Send the example of an operation in each media type that it has one for; the answers."""
    parameters = {one["name"]: one["example"] for one in operation.get("parameters", ()) if "example" in one}
    query = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"}
    bodies = {
        media_type: media["example"]
        for media_type, media in operation.get("requestBody", {}).get("content", {}).items()
        if "example" in media and media_type != FORM
    }
    url = path.format(**{**parameters, "job_id": job_id})
    shown = {name: value for name, value in parameters.items() if name in query}
    return [
        await api.client.request(
            method,
            url,
            params=shown,
            headers={} if media_type is None else {"Content-Type": media_type},
            content=None if body is None else msgspec.json.encode(body),
        )
        for media_type, body in (bodies or {None: None}).items()
    ]


def _unlike(example: Any, answer: Any, at: str) -> list[str]:
    """Where an answer has other fields than the example, or values of another kind; null may stand for anything."""
    if example is None or answer is None:
        return []
    if isinstance(example, dict) and isinstance(answer, dict):
        other = [f"{at}.{name}" for name in sorted(example.keys() ^ answer.keys())]
        shared = [name for name in example if name in answer]
        return other + [one for name in shared for one in _unlike(example[name], answer[name], f"{at}.{name}")]
    if isinstance(example, list) and isinstance(answer, list):
        return [one for pair in zip(example, answer, strict=False) for one in _unlike(*pair, f"{at}[]")]
    same = isinstance(answer, type(example)) or {type(example), type(answer)} == {int, float}
    return [] if same else [f"{at}: {answer!r}"]


@pytest.fixture
async def stocked(api: Service) -> Service:
    """The application with a few postings that the examples are about, embedded."""
    for number in range(3):
        await create(api, title=f"Children's nurse {number}", company="Lakeside Hospital", location="Kisumu")
        await create(
            api,
            title=f"Electrician {number}",
            company="Jua Power",
            location="Kisumu",
            description="You install and repair solar panels on roofs of homes.",
            salary_min=1000,
            currency="USD",
            salary_period="month",
        )
    await api.embed()
    await api.parts.rates.store([Rate("USD", "KES", 129.2, datetime(2026, 11, 19, tzinfo=UTC), "bank")])
    return api


async def test_examples_are_taken_and_answered_as_shown(stocked: Service) -> None:
    """The service takes the example of each request, and answers with the fields that the example of the answer has."""
    tried, wrong = 0, []
    for path, method, operation in _operations(stocked):
        job = await create(stocked, title="Electrician for roofs", company="Jua Power", location="Kisumu")
        await stocked.embed()
        expected, shown = next((status, one) for status, one in operation["responses"].items() if status < "300")
        for answer in await _ask(stocked, path, method, operation, job["id"]):
            name, tried = operation["operationId"], tried + 1
            if str(answer.status_code) != expected:
                wrong.append(f"{name}: {answer.status_code} {answer.text}")
                continue
            kind = answer.headers.get("content-type", "").split(";")[0]
            media = shown.get("content", {}).get(kind, {})
            if kind in (JSON, NDJSON):
                first = answer.content.splitlines()[0] if kind == NDJSON else answer.content
                wrong += _unlike(media["example"], msgspec.json.decode(first), name)
    assert wrong == []
    assert tried >= 17
