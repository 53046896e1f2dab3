"""Makes postings for tests: valid by default, each different, every field open to change."""

import itertools
from typing import Any

import msgspec

from service.jobs.model import JobInput, NewJob
from service.jobs.prepare import prepare

_NUMBER = itertools.count(1)


def job_body(**fields: Any) -> dict[str, Any]:
    """A posting as a JSON body."""
    number = next(_NUMBER)
    body = {
        "title": f"Accountant {number}",
        "company": "Tumaini Traders",
        "source": "linkedin",
        "external_id": f"x-{number}",
        "description": f"Keep the books of shop number {number} in town.",
        "location": "Nairobi",
    }
    return {name: value for name, value in (body | fields).items() if value is not ...}


def job_input(**fields: Any) -> JobInput:
    """A posting as the domain takes it; `...` leaves a field out."""
    return msgspec.convert(job_body(**fields), JobInput)


def new_job(index: int = 0, **fields: Any) -> NewJob:
    """A posting as the statements take it."""
    return prepare(job_input(**fields), index=index)
