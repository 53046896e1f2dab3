"""Data for the tests of statements: postings as parameters, and thousands of rows made by the server itself."""

import msgspec

from service.db import Json
from service.jobs.model import NewJob


def rows_of(*jobs: NewJob) -> Json:
    """Postings as the parameter of `upsert_jobs`."""
    return Json(msgspec.json.encode(jobs).decode())
