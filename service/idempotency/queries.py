"""Statements on kept answers: signatures; the SQL is in sql/queries/idempotency/."""

from datetime import datetime

from service.db import Db, Json, statement
from service.idempotency.model import AnswerRow


@statement
async def lock_request(db: Db, *, request: int) -> bool:
    """Take a request until the transaction ends; False while another transaction has it."""


@statement
async def fetch_answer(db: Db, *, tenant_id: int, id: bytes, since: datetime) -> AnswerRow | None:  # noqa: A002 - the column
    """The answer that a request was given since then; ask for it after `lock_request`."""


@statement
async def store_answer(
    db: Db,
    *,
    tenant_id: int,
    id: bytes,  # noqa: A002 - the column
    fingerprint: bytes,
    status: int,
    headers: Json,
    body: bytes,
    now: datetime,
) -> None:
    """Keep the answer to a request."""


@statement
async def discard_answers(db: Db, *, before: datetime, most: int) -> int:
    """Remove answers of all tenants from before then, so many at most; how many."""
