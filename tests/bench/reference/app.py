"""The routes of the reference service."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Body, Depends, FastAPI, HTTPException, Query, Response
from fastapi.responses import StreamingResponse
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from tests.bench.reference.embedding import client
from tests.bench.reference.export import lines
from tests.bench.reference.models import TENANT, Job, engine, new_session
from tests.bench.reference.schemas import BatchOut, EmbeddingOut, JobIn, JobOut, PageOut, SearchIn, SearchOut
from tests.bench.reference.search import search
from tests.bench.reference.writing import create, store_batch


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    """Close what was opened."""
    yield
    await client.aclose()
    await engine.dispose()


async def session() -> AsyncIterator[AsyncSession]:
    """A session for a request."""
    async with new_session() as opened:
        yield opened


Session = Annotated[AsyncSession, Depends(session)]
app = FastAPI(title="Reference", lifespan=lifespan)


def etag_of(job: JobOut) -> str:
    """Changes with the posting and with the state of its embedding."""
    return f'"{job.version}-{job.embedding.state}"'


@app.get("/health/ready")
async def ready(db: Session) -> dict[str, str]:
    """Whether requests can be served."""
    await db.execute(text("select 1"))
    return {"status": "up"}


@app.post("/api/v1/search")
async def search_jobs(asked: SearchIn, db: Session) -> SearchOut:
    """Search postings."""
    return await search(db, asked)


@app.get("/api/v1/jobs/{job_id}")
async def fetch_job(job_id: int, db: Session, response: Response) -> JobOut:
    """Give a posting."""
    found = (await db.scalars(select(Job).where(Job.tenant_id == TENANT, Job.id == job_id))).one_or_none()
    if found is None:
        raise HTTPException(404, f"there is no posting {job_id}")
    job = JobOut.model_validate(found)
    response.headers["ETag"] = etag_of(job)
    return job


@app.get("/api/v1/jobs")
async def list_jobs(db: Session, limit: Annotated[int, Query(ge=1, le=100)] = 20, cursor: str | None = None) -> PageOut:
    """List postings, the last received first."""
    wanted = select(Job).where(Job.tenant_id == TENANT).order_by(Job.id.desc()).limit(limit + 1)
    if cursor is not None:
        wanted = wanted.where(Job.id < int(base64.urlsafe_b64decode(cursor)))
    found = (await db.scalars(wanted)).all()
    items = [JobOut.model_validate(job) for job in found[:limit]]
    more = base64.urlsafe_b64encode(str(items[-1].id).encode()).decode() if len(found) > limit else None
    return PageOut(items=items, next_cursor=more)


@app.post("/api/v1/jobs", status_code=201)
async def create_job(job: JobIn, db: Session, response: Response) -> JobOut:
    """Store a posting."""
    made = await create(db, job)
    answer = JobOut(
        id=made.id,
        version=made.version,
        created_at=made.created_at,
        updated_at=made.updated_at,
        embedding=EmbeddingOut(state="pending", coverage=0.0),
        **job.model_dump(),
    )
    response.headers["Location"] = f"/api/v1/jobs/{answer.id}"
    response.headers["ETag"] = etag_of(answer)
    return answer


@app.post("/api/v1/jobs/batch")
async def store_jobs(rows: Annotated[list[Any], Body()], db: Session) -> BatchOut:
    """Create or replace up to 1,000 postings."""
    return await store_batch(db, rows)


@app.get("/api/v1/export/jobs.csv")
async def export_jobs() -> StreamingResponse:
    """All postings as CSV."""
    return StreamingResponse(lines(), media_type="text/csv; charset=utf-8")
