"""Postings over HTTP."""

from typing import Annotated, Any

import msgspec
from litestar import Controller, MediaType, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import HeaderParameter, JSONBody, PathParameter, RawBody

from service.access.controller import caller_of
from service.db import Db
from service.http.caching import NOT_MODIFIED, PRIVATE, PRIVATE_MINUTE, IfNoneMatch, tag_of
from service.http.decoding import JSON, MAX_BATCH_BYTES, NDJSON, StrictRequest, takes
from service.http.deprecation import deprecates
from service.http.operation import gives
from service.http.problem import problems
from service.idempotency.controller import OLD_SPELLING, REPLAYED, IdempotencyKey, XIdempotencyKey, answer_once
from service.jobs.batch import BatchAnswer, BatchResult, store_rows
from service.jobs.conditions import conditions_of
from service.jobs.domain import Jobs
from service.jobs.model import Job, JobInput, JobPatch, ListQuery, Page, Stats

JobId = Annotated[int, PathParameter(ge=1, le=2**63 - 1, description="The posting's number.")]
IfMatch = Annotated[
    str | None, HeaderParameter(name="If-Match", description="ETags, or `*`: 412 unless one has the posting's version.")
]
UnlessMatch = Annotated[
    str | None, HeaderParameter(name="If-None-Match", description="ETags, or `*`: 412 if one still holds.")
]


class JobController(Controller):
    """/api/v1/jobs: create, read, change and list postings."""

    path = "/jobs"
    tags = ("jobs",)

    @post(
        opt=gives("Location", "ETag") | deprecates(OLD_SPELLING) | {"scope": "jobs:write"},
        responses=problems("job_exists", "idempotency_in_progress", "idempotency_key_reused"),
        response_headers=[REPLAYED],
    )
    async def create_job(
        self,
        request: StrictRequest,
        data: JSONBody[JobInput],
        jobs: NamedDependency[Jobs],
        idempotency_key: IdempotencyKey = None,
        x_idempotency_key: XIdempotencyKey = None,
    ) -> Response[Job]:
        """Store a posting; it is found by its words at once and by meaning as soon as it is embedded.

        With an Idempotency-Key it can be repeated safely. Only a stored posting is remembered: after an error the key
        is free. While the first request runs, others with its key are 409 `idempotency_in_progress`.
        """

        async def create(db: Db | None) -> Response[Job]:
            job = await jobs.create(caller_of(request).tenant_id, data, db=db)
            location = f"{request.scope.get('root_path', '')}/api/v1/jobs/{job.id}"
            return Response(job, status_code=201, headers={"Location": location, "ETag": job.etag})

        return await answer_once(request, (idempotency_key, x_idempotency_key), data, create, jobs.created)

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

    @get(opt=takes(query=ListQuery) | {"scope": "jobs:read"}, responses=problems("cursor_stale") | NOT_MODIFIED)
    async def list_jobs(
        self,
        request: StrictRequest,
        jobs: NamedDependency[Jobs],
        if_none_match: IfNoneMatch = None,  # noqa: ARG002 - for the document; `http.caching` makes the 304
    ) -> Response[Page]:
        """List postings, the last received first."""
        query = request.query(ListQuery)
        page = await jobs.list(
            caller_of(request).tenant_id, query.bare(), keyword=query.keyword, after=query.cursor, limit=query.limit
        )
        body: Any = msgspec.json.encode(page)
        return Response(body, headers={"ETag": tag_of(body), "Cache-Control": PRIVATE}, media_type=MediaType.JSON)

    @get(
        "/{job_id:int}",
        opt=gives("ETag") | {"scope": "jobs:read"},
        responses=problems("job_not_found", "precondition_failed") | NOT_MODIFIED,
    )
    async def fetch_job(
        self,
        request: StrictRequest,
        job_id: JobId,
        jobs: NamedDependency[Jobs],
        if_match: IfMatch = None,
        if_none_match: IfNoneMatch = None,  # noqa: ARG002 - for the document; `http.caching` makes the 304
    ) -> Response[Job]:
        """Give a posting."""
        job = await jobs.fetch(caller_of(request).tenant_id, job_id)
        conditions_of(request.scope, if_match).require(job)
        return Response(job, headers={"ETag": job.etag, "Cache-Control": PRIVATE})

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
        if_none_match: UnlessMatch = None,
    ) -> Response[Job]:
        """Change the fields that are given; null clears one, leaving out keeps it."""
        conditions = conditions_of(request.scope, if_match, if_none_match)
        job = await jobs.patch(caller_of(request).tenant_id, job_id, data, conditions=conditions)
        return Response(job, headers={"ETag": job.etag})

    @delete("/{job_id:int}", opt={"scope": "jobs:write"}, responses=problems("job_not_found", "precondition_failed"))
    async def delete_job(
        self,
        request: StrictRequest,
        job_id: JobId,
        jobs: NamedDependency[Jobs],
        if_match: IfMatch = None,
        if_none_match: UnlessMatch = None,
    ) -> None:
        """Delete a posting with its words and vectors."""
        conditions = conditions_of(request.scope, if_match, if_none_match)
        await jobs.delete(caller_of(request).tenant_id, job_id, conditions=conditions)


class StatsController(Controller):
    """/api/v1/stats."""

    path = "/stats"
    tags = ("jobs",)

    @get(opt={"scope": "jobs:read"}, responses=NOT_MODIFIED)
    async def fetch_stats(
        self,
        request: StrictRequest,
        jobs: NamedDependency[Jobs],
        if_none_match: IfNoneMatch = None,  # noqa: ARG002 - for the document; `http.caching` makes the 304
    ) -> Response[Stats]:
        """Count postings by source, place and state of embedding; up to a minute old."""
        body: Any = msgspec.json.encode(await jobs.stats.fetch(caller_of(request).tenant_id))
        headers = {"ETag": tag_of(body), "Cache-Control": PRIVATE_MINUTE}
        return Response(body, headers=headers, media_type=MediaType.JSON)
