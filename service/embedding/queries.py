"""Statements on tasks, vectors and generations: signatures; the SQL is in sql/queries/embedding/."""

from datetime import datetime
from uuid import UUID

from pgvector import HalfVector

from service.db import Db, statement
from service.embedding.model import Backlog, ClaimedTask, FailedTask, Generation, RetriedTask, TermStatAge, TraceOfJob

PATIENCE_S = 610.0
"""For what goes over all postings: a little over the time to which its transaction lifts the server's limit."""


@statement
async def claim_tasks(
    db: Db, *, generation: int, lease: UUID, lease_s: float, most: int, most_bytes: int
) -> list[ClaimedTask]:
    """Take due tasks under a lease, oldest first: at most so many, and no more once they hold so much text."""


@statement
async def renew_lease(db: Db, *, lease: UUID, lease_s: float) -> None:
    """Keep the tasks of a claim for so long from now."""


@statement
async def lock_unchanged(db: Db, *, lease: UUID, job_ids: list[int], text_hashes: list[bytes]) -> list[int]:
    """The postings that still have the text that was embedded, locked; the arrays are parallel."""


@statement
async def store_passages(
    db: Db,
    *,
    generation: int,
    replaced: list[int],
    job_id: list[int],
    passage_no: list[int],
    body_start: list[int],
    body_end: list[int],
    embedding: list[HalfVector],
) -> bool:
    """Replace the passages of postings; the arrays after `replaced` are parallel, one element a passage."""


@statement
async def copy_passages(db: Db, *, generation: int, twin: int, job_id: int, text_hash: bytes) -> int:
    """Give a posting the passages of another with the same text; how many, 0 when one of them has changed."""


@statement
async def settle_tasks(
    db: Db,
    *,
    generation: int,
    lease: UUID,
    job_ids: list[int],
    text_hashes: list[bytes],
    passages: list[int],
    coverages: list[float],
    now: datetime,
    trace_id: str | None,
) -> None:
    """Note what is embedded now and take the tasks away; the arrays are parallel."""


@statement
async def drop_settled(db: Db, *, generation: int, lease: UUID, job_ids: list[int]) -> list[int]:
    """Take away tasks of postings whose current text is embedded already; those postings."""


@statement
async def retry_tasks(db: Db, *, lease: UUID, wait_s: float, reason: str | None) -> list[int]:
    """Give back all that is under a lease, to be tried again after a while; without a reason it was no attempt."""


@statement
async def discard_tasks(db: Db, *, lease: UUID, job_ids: list[int], reasons: list[str]) -> list[int]:
    """Set tasks aside, each with its reason; the postings of those still under the lease."""


@statement
async def strike_tasks(
    db: Db,
    *,
    lease: UUID,
    job_ids: list[int],
    reasons: list[str],
    waits_s: list[float],
    most_strikes: int,
) -> list[int]:
    """Note a strike against tasks, the last of which sets them aside; the postings of those still under the lease."""


@statement
async def fetch_time(db: Db) -> datetime:
    """What time it is by the database's clock, by which tasks are due and set aside."""


@statement
async def list_failed_tasks(db: Db, *, count: int) -> list[FailedTask]:
    """Tasks that were set aside, the longest ago first."""


@statement
async def fetch_trace(db: Db, *, job_id: int) -> TraceOfJob | None:
    """The traces that wrote and embedded a posting; None when there is no such posting."""


@statement
async def retry_failed_task(db: Db, *, job_id: int) -> int | None:
    """Put one task that was set aside back into the queue; its posting, None when there is no such task."""


@statement
async def retry_failed_tasks(
    db: Db, *, until: datetime, after_failed_at: datetime | None, after_job_id: int | None, count: int
) -> list[RetriedTask]:
    """Put the next batch of tasks set aside until then back into the queue, the longest ago first; empty at the end."""


@statement
async def fetch_backlog(db: Db, *, now: datetime) -> Backlog:
    """How far the embedding is behind."""


@statement
async def fetch_live_generation(db: Db) -> Generation | None:
    """The generation that searches use."""


@statement
async def create_generation(
    db: Db,
    *,
    provider: str,
    model: str,
    digest: str,
    dimensions: int,
    max_tokens: int,
    query_template: str,
    document_template: str,
    passage_tokens: int,
    passage_overlap: int,
    similarity_floor: float,
    coverage_weight: float,
    now: datetime,
) -> int:
    """Make a generation with its table and index; it goes live when none is."""


@statement
async def lock_generations(db: Db) -> bool:
    """Hold off everybody else who wants to make a generation, until the transaction ends."""


@statement
async def fetch_term_stat_age(db: Db) -> TermStatAge:
    """How far the word statistics are behind."""


@statement
async def lock_term_stat(db: Db, *, timeout_ms: int) -> bool:
    """Be the only one who counts words in this transaction, with so long for a statement; False: another is at it."""


@statement(timeout_s=PATIENCE_S)
async def refresh_term_stat(db: Db, *, now: datetime) -> None:
    """Count anew in how many postings each word occurs."""


@statement
async def count_workers(db: Db) -> int:
    """How many processes that embed are connected to this database."""


@statement
async def gather_statistics(db: Db) -> None:
    """Let the planner know what is there now."""


@statement
async def announce_queries(db: Db, *, server: str) -> None:
    """Let other processes know that queries are about at a model server."""


@statement
async def fetch_query_age(db: Db, *, server: str) -> float | None:
    """Seconds since queries were last announced at a model server; None when they never were."""


@statement
async def take_bulk_turn(db: Db, *, server: str, lease: UUID, seconds: float) -> bool:
    """Be the one process that does bulk work at a model server, or stay it for longer; False while another is."""


@statement
async def give_up_bulk_turn(db: Db, *, server: str, lease: UUID) -> None:
    """Let another process do bulk work at a model server."""
