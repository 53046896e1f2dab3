"""What is deprecated says so: in the document, on every answer to who still uses it, in the log and in the metrics."""

import io
from datetime import date
from typing import Any

import httpx
import msgspec
import pytest

from service.http.deprecation import Deprecation
from service.http.openapi import document
from service.telemetry.lifecycle import Telemetry
from tests.toy_pets import make_app

PETS = "/api/v1/pets"
PET = {"name": "Simba", "animal": {"kind": "cat", "lives": 9}}
MARCH = {"deprecation": "@1772323200", "sunset": "Thu, 01 Apr 2027 00:00:00 GMT"}


@pytest.fixture
def pets(telemetry: Telemetry) -> httpx.AsyncClient:
    """A client of the toy application."""
    app: Any = telemetry.observe(make_app())
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://test")


def _said(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name in ("deprecation", "sunset")}


async def test_a_deprecated_header_is_answered_with_its_end(pets: httpx.AsyncClient) -> None:
    """Who sends it is told since when (RFC 9745) and until when (RFC 8594) it serves, and is served; others are not."""
    old = await pets.post(PETS, json=PET, headers={"X-Idempotency-Key": "a"})
    assert (old.status_code, old.json()["name"], _said(old)) == (201, "a", MARCH)
    new = await pets.post(PETS, json=PET, headers={"Idempotency-Key": "b"})
    assert (new.status_code, new.json()["name"], _said(new)) == (201, "b", {})


async def test_refusals_say_it_too(pets: httpx.AsyncClient) -> None:
    """An answer that refuses the request for another reason still tells that something in it is old."""
    refused = await pets.post(PETS, json={}, headers={"x-idempotency-key": "a"})
    assert (refused.status_code, _said(refused)) == (422, MARCH)
    broken = await pets.get(f"{PETS}?kind=%ff&near=x")
    assert (broken.status_code, _said(broken)) == (422, MARCH)


@pytest.mark.parametrize(("query", "is_told"), [("near=x&kind=cat", True), ("near=kind", False), ("near=x", False)])
async def test_a_deprecated_parameter_is_told_apart(pets: httpx.AsyncClient, query: str, is_told: bool) -> None:
    """Only the parameter of that name counts, whatever the values of others hold."""
    answer = await pets.get(f"{PETS}?{query}")
    assert (answer.status_code, _said(answer)) == (200, MARCH if is_told else {})


async def test_a_deprecated_operation_always_says_so(pets: httpx.AsyncClient) -> None:
    """Every answer of the operation has the headers."""
    answer = await pets.get("/api/v1/export/pets.csv")
    assert _said(answer) == {"deprecation": "@1769904000", "sunset": "Sat, 01 Jan 2028 00:00:00 GMT"}


async def test_uses_are_counted_and_logged(pets: httpx.AsyncClient, telemetry: Telemetry, log: io.BytesIO) -> None:
    """Each use is in the metrics by operation, and in the access line, so that operators see who still needs it."""
    await pets.post(PETS, json=PET, headers={"X-Idempotency-Key": "a"})
    await pets.post(PETS, json=PET)
    await pets.get("/api/v1/export/pets.csv")
    labels = {"operation": "create_pet", "what": "X-Idempotency-Key"}
    assert telemetry.metrics.registry.get_sample_value("jobsense_deprecated_total", labels) == 1
    lines = [msgspec.json.decode(line) for line in log.getvalue().splitlines()]
    told = [line.get("jobsense.deprecated") for line in lines if line["event"] == "http.request"]
    assert told == ["X-Idempotency-Key", None, "export_pets"]


def test_the_document_flags_what_is_deprecated() -> None:
    """The parameter or the operation has the flag, and a sentence that says what to use instead; nothing else has."""
    paths = document(make_app())["paths"]
    flagged = {
        (operation["operationId"], part.get("name", ""))
        for item in paths.values()
        for operation in item.values()
        for part in (operation, *operation.get("parameters", ()))
        if part.get("deprecated")
    }
    assert flagged == {("create_pet", "X-Idempotency-Key"), ("list_pets", "kind"), ("export_pets", "")}
    sentence = "Deprecated since 2026-02-01, served until 2028-01-01 at least; use GET /pets instead."
    assert paths["/api/v1/export/pets.csv"]["get"]["description"] == sentence


def test_an_end_before_the_beginning_is_refused() -> None:
    """A sunset before the deprecation would contradict RFC 9745, and cannot be declared."""
    with pytest.raises(ValueError, match="before the deprecation"):
        Deprecation(since=date(2026, 2, 1), sunset=date(2026, 1, 1), instead="something")
