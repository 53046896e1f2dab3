"""Exports over HTTP."""

from functools import partial

from litestar import Controller, Response, get
from litestar.di import NamedDependency

from service.access.controller import caller_of
from service.export.domain import Exports
from service.export.model import ExportQuery, Form
from service.http.decoding import NDJSON, StrictRequest, takes
from service.http.streaming import Streamed
from service.jobs.model import Job

CSV = "text/csv"
_CONTENT_TYPES: dict[Form, str] = {"csv": f"{CSV}; charset=utf-8; header=present", "ndjson": NDJSON}


class ExportController(Controller):
    """/api/v1/export: all postings behind filters as a file."""

    path = "/export"
    tags = ("export",)

    @get("/jobs.csv", media_type=CSV, opt=takes(query=ExportQuery) | {"scope": "jobs:read"})
    async def export_jobs_as_csv(self, request: StrictRequest, exports: NamedDependency[Exports]) -> Response[str]:
        """Stream all postings behind the filters as CSV, as of one moment, in the order of their ids.

        RFC 4180: a header row, commas, CRLF, UTF-8 without a byte order mark. Times are RFC 3339 in UTC. A text that
        begins with a character from which a program might read a formula (`=`, `+`, `-`, `@`, white space, quotes) has
        an apostrophe before it: take one off every text that begins with one, or use NDJSON. A stream that ends without
        the last chunk is not complete. Two exports of a tenant may run at once, for half an hour each; a reader that
        takes nothing for a minute is cut off.
        """
        return _streamed(request, exports, "csv")

    @get("/jobs.ndjson", media_type=NDJSON, opt=takes(query=ExportQuery) | {"scope": "jobs:read"})
    async def export_jobs_as_ndjson(self, request: StrictRequest, exports: NamedDependency[Exports]) -> Response[Job]:
        """Stream all postings behind the filters as NDJSON, as of one moment, in the order of their ids.

        Each line is a posting as GET /jobs/{job_id} gives it. A stream that ends without the last chunk is not
        complete. Two exports of a tenant may run at once, for half an hour each; a reader that takes nothing for a
        minute is cut off.
        """
        return _streamed(request, exports, "ndjson")


def _streamed(request: StrictRequest, exports: Exports, form: Form) -> Streamed:
    produce = partial(exports.stream, caller_of(request).tenant_id, request.query(ExportQuery), form)
    headers = {"Content-Disposition": f'attachment; filename="jobs.{form}"', "Cache-Control": "no-store"}
    return Streamed(produce, media_type=_CONTENT_TYPES[form], headers=headers)
