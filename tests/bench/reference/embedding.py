"""The model server, over httpx; and the worker that embeds what waits, a process of its own."""

import asyncio
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

import httpx
from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import undefer

from tests.bench.reference.models import GENERATION, Embedded, EmbeddingTask, Job, Passage, new_session

MODEL = "nomic-embed-text"
AT_ONCE = 32
IDLE_S = 0.5
_TEXT = (undefer(Job.body),)

client = httpx.AsyncClient(base_url=os.environ["OLLAMA_URL"], timeout=30.0)


async def embed(texts: Sequence[str]) -> list[list[float]]:
    """The vectors of texts, in one call."""
    response = await client.post("/api/embed", json={"model": MODEL, "input": list(texts)})
    response.raise_for_status()
    vectors: list[list[float]] = response.json()["embeddings"]
    return vectors


async def embed_query(text: str) -> list[float]:
    """The vector of a search text."""
    (vector,) = await embed([f"search_query: {text}"])
    return vector


def passage_of(job: Job) -> str:
    """The text that is embedded."""
    return f"{job.title}\n{', '.join(part for part in (job.company, job.location) if part)}\n{job.body}"


async def embed_some() -> int:
    """Embed the postings that have waited longest; how many they were."""
    async with new_session() as session, session.begin():
        tasks = (
            select(EmbeddingTask.job_id, EmbeddingTask.text_hash)
            .where(EmbeddingTask.failed_at.is_(None), EmbeddingTask.due_at <= func.now())
            .order_by(EmbeddingTask.due_at, EmbeddingTask.job_id)
            .limit(AT_ONCE)
            .with_for_update(skip_locked=True)
        )
        hashes = dict((await session.execute(tasks)).tuples().all())
        if not hashes:
            return 0
        jobs = (await session.scalars(select(Job).where(Job.id.in_(hashes)).options(*_TEXT))).all()
        vectors = await embed([f"search_document: {passage_of(job)}" for job in jobs])
        await session.execute(delete(Passage).where(Passage.job_id.in_(hashes)))
        now = datetime.now(UTC)
        session.add_all(
            Passage(
                job_id=job.id,
                passage_no=0,
                tenant_id=job.tenant_id,
                source=job.source,
                posted_at=job.posted_at,
                body_start=0,
                body_end=len(job.body or ""),
                embedding=vector,
            )
            for job, vector in zip(jobs, vectors, strict=True)
        )
        done = [
            {
                "job_id": job.id,
                "generation": GENERATION,
                "text_hash": hashes[job.id],
                "passages": 1,
                "coverage": 1.0,
                "embedded_at": now,
            }
            for job in jobs
        ]
        stored = insert(Embedded).values(done)
        await session.execute(
            stored.on_conflict_do_update(
                constraint="embedded_pkey",
                set_={"text_hash": stored.excluded.text_hash, "embedded_at": stored.excluded.embedded_at},
            )
        )
        await session.execute(delete(EmbeddingTask).where(EmbeddingTask.job_id.in_(hashes)))
        return len(jobs)


async def work() -> None:
    """Embed until told to stop; look again after a while when there is nothing to embed."""
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    while not stopped.is_set():
        if not await embed_some():
            with suppress(TimeoutError):
                await asyncio.wait_for(stopped.wait(), IDLE_S)


if __name__ == "__main__":
    asyncio.run(work())
