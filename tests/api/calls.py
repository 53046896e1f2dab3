"""What the tests of the API say again and again: make a posting, read ids, look at a problem."""

import csv
import io
from typing import Any

import httpx
import msgspec
from prometheus_client import CollectorRegistry

from tests.conftest import Service
from tests.factories import job_body

Parameters = list[tuple[str, str | int | float | bool | None]]

JOBS = "/api/v1/jobs"
SEARCH = "/api/v1/search"
EXPORT = "/api/v1/export/jobs"


async def create(api: Service, **fields: Any) -> dict[str, Any]:
    """Store a posting through the API; its answer."""
    response = await api.client.post(JOBS, json=job_body(**fields))
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


async def fetch(api: Service, job_id: int) -> dict[str, Any]:
    """Read a posting through the API."""
    response = await api.client.get(f"{JOBS}/{job_id}")
    assert response.status_code == 200, response.text
    read: dict[str, Any] = response.json()
    return read


async def search(api: Service, text: str, **more: Any) -> dict[str, Any]:
    """Search through the API; the answer."""
    response = await api.client.post(SEARCH, json={"text": text, **more})
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


async def exported(api: Service, parameters: Any = None, headers: dict[str, str] | None = None) -> list[dict[str, Any]]:
    """All postings behind filters, out of the export as NDJSON; that as CSV holds the same ones."""
    lines = await api.client.get(f"{EXPORT}.ndjson", params=parameters, headers=headers)
    cells = await api.client.get(f"{EXPORT}.csv", params=parameters, headers=headers)
    assert (lines.status_code, cells.status_code) == (200, 200), lines.text
    jobs = [msgspec.json.decode(line) for line in lines.content.splitlines()]
    assert [int(row["id"]) for row in csv.DictReader(io.StringIO(cells.text, newline=""))] == [
        job["id"] for job in jobs
    ]
    return jobs


def found_ids(answer: dict[str, Any]) -> list[int]:
    """The postings of a search answer, in order."""
    return [hit["job"]["id"] for hit in answer["results"]]


def problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The body of an error, whose shape and identifiers are checked as every error's must be."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert (body["status"], body["code"]) == (status, code), body
    assert body["type"] == f"urn:jobsense:problem:{code}"
    assert body["title"]
    assert body["detail"]
    assert body["request_id"] == response.headers["x-request-id"]
    assert body["trace_id"] == response.headers["traceresponse"].split("-")[1]
    return body


def sample(api: Service, name: str, **labels: str) -> float:
    """The value of a metric of the application; 0 before it is first fed."""
    registry: CollectorRegistry = api.app.state["metrics"].registry
    return registry.get_sample_value(name, labels) or 0.0


class Clock:
    """Stands in for the module `time` where a test says what time it is."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        """The time that the test says."""
        return self.now


def faults(response: httpx.Response) -> dict[str, str]:
    """What a 422 lists: codes by pointer or parameter."""
    errors = problem(response, 422, "invalid")["errors"]
    assert all(("pointer" in error) != ("parameter" in error) and error["detail"] for error in errors)
    return {error.get("pointer", error.get("parameter")): error["code"] for error in errors}
