"""Postings over HTTP."""

from typing import Annotated, Any

import msgspec
from litestar import Controller, MediaType, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import HeaderParameter, JSONBody, PathParameter, RawBody

from service.access.controller import caller_of
from service.http.decoding import JSON, MAX_BATCH_BYTES, NDJSON, StrictRequest, takes
from service.http.operation import gives
from service.http.problem import problems
from service.jobs.batch import BatchAnswer, BatchResult, store_rows
from service.jobs.conditions import is_fresh
from service.jobs.domain import Jobs
from service.jobs.model import Job, JobInput, JobPatch, ListQuery, Page, Stats

JobId = Annotated[int, PathParameter(ge=1, le=2**63 - 1, description="The posting's number.")]
IfMatch = Annotated[str | None, HeaderParameter(name="If-Match", description="An ETag: change only this version.")]
IfNoneMatch = Annotated[
    str | None, HeaderParameter(name="If-None-Match", description="An ETag: 304 if it still holds.")
]

PRIVATE = "private, no-cache"
"""A caller may keep an answer for itself and must ask whether it still holds."""


class JobController(Controller):
    """/api/v1/jobs: create, read, change and list postings."""

    path = "/jobs"
    tags = ("jobs",)

    @post(opt=gives("Location", "ETag") | {"scope": "jobs:write"}, responses=problems("job_exists"))
    async def create_job(
        self, request: StrictRequest, data: JSONBody[JobInput], jobs: NamedDependency[Jobs]
    ) -> Response[Job]:
        """Store a posting; it is found by its words at once and by meaning as soon as it is embedded."""
        job = await jobs.create(caller_of(request).tenant_id, data)
        location = f"{request.scope.get('root_path', '')}/api/v1/jobs/{job.id}"
        return Response(job, status_code=201, headers={"Location": location, "ETag": job.etag})

    @post(
        "/batch",
        status_code=200,
        request_max_body_size=MAX_BATCH_BYTES,
        opt=takes(body={JSON: list[JobInput], NDJSON: JobInput})
        | gives(answers={NDJSON: BatchResult})
        | {"scope": "jobs:write"},
    )
    async def store_jobs(
        self, request: StrictRequest, body: RawBody, jobs: NamedDependency[Jobs]
    ) -> Response[BatchAnswer]:
        """Create or replace up to 1,000 postings by (source, external_id); one bad row does not sink the rest.

        A row without external_id is always created; of rows with one key the last wins. NDJSON in gives NDJSON out.
        """
        answer = BatchAnswer(await store_rows(jobs, caller_of(request).tenant_id, body, request.media_type))
        if request.media_type == NDJSON:
            lines: Any = msgspec.json.Encoder().encode_lines(answer.results)
            return Response(lines, media_type=NDJSON)
        return Response(answer, media_type=MediaType.JSON)

    @get(opt=takes(query=ListQuery) | {"scope": "jobs:read"}, responses=problems("cursor_stale"))
    async def list_jobs(self, request: StrictRequest, jobs: NamedDependency[Jobs]) -> Response[Page]:
        """List postings, the last received first."""
        query = request.query(ListQuery)
        page = await jobs.list(
            caller_of(request).tenant_id, query.bare(), keyword=query.keyword, after=query.cursor, limit=query.limit
        )
        return Response(page, headers={"Cache-Control": PRIVATE})

    @get(
        "/{job_id:int}",
        opt=gives("ETag") | {"scope": "jobs:read"},
        responses=problems("job_not_found")
        | {304: ResponseSpec(None, description="The caller's copy still holds", generate_examples=False)},
    )
    async def fetch_job(
        self, request: StrictRequest, job_id: JobId, jobs: NamedDependency[Jobs], if_none_match: IfNoneMatch = None
    ) -> Response[Job]:
        """Give a posting."""
        job = await jobs.fetch(caller_of(request).tenant_id, job_id)
        headers = {"ETag": job.etag, "Cache-Control": PRIVATE}
        if is_fresh(job.etag, if_none_match):
            empty: Any = None
            return Response(empty, status_code=304, headers=headers)
        return Response(job, headers=headers)

    @patch(
        "/{job_id:int}",
        opt=gives("ETag") | {"scope": "jobs:write"},
        responses=problems("job_not_found", "job_exists", "precondition_failed"),
    )
    async def patch_job(
        self,
        request: StrictRequest,
        job_id: JobId,
        data: JSONBody[JobPatch],
        jobs: NamedDependency[Jobs],
        if_match: IfMatch = None,
    ) -> Response[Job]:
        """Change the fields that are given; null clears one, leaving out keeps it."""
        job = await jobs.patch(caller_of(request).tenant_id, job_id, data, if_match=if_match)
        return Response(job, headers={"ETag": job.etag})

    @delete("/{job_id:int}", opt={"scope": "jobs:write"}, responses=problems("job_not_found", "precondition_failed"))
    async def delete_job(
        self, request: StrictRequest, job_id: JobId, jobs: NamedDependency[Jobs], if_match: IfMatch = None
    ) -> None:
        """Delete a posting with its words and vectors."""
        await jobs.delete(caller_of(request).tenant_id, job_id, if_match=if_match)


class StatsController(Controller):
    """/api/v1/stats."""

    path = "/stats"
    tags = ("jobs",)

    @get(opt={"scope": "jobs:read"})
    async def fetch_stats(self, request: StrictRequest, jobs: NamedDependency[Jobs]) -> Response[Stats]:
        """Count postings by source, place and state of embedding; up to a minute old."""
        stats = await jobs.stats.fetch(caller_of(request).tenant_id)
        return Response(stats, headers={"Cache-Control": "private, max-age=60"})
