"""Makes postings for tests: valid by default, each different, every field open to change; and generations."""

import itertools
from typing import Any

import msgspec

from service.embedder import Embedder
from service.embedding.model import PASSAGE_OVERLAP, Generation
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


def generation_of(embedder: Embedder) -> Generation:
    """A generation that an embedder fits, as if it were the first of a database."""
    model = embedder.identity
    return Generation(
        id=1,
        provider=model.provider,
        model=model.model,
        digest=model.digest,
        dimensions=model.dimensions,
        max_tokens=model.max_tokens,
        query_template=model.query_template,
        document_template=model.document_template,
        passage_tokens=model.max_tokens,
        passage_overlap=PASSAGE_OVERLAP,
        similarity_floor=0.25,
        coverage_weight=0.15,
    )
