"""Does what is asked for under a key once: the answer is kept by the transaction that does it, or neither is."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import msgspec

from service.db import Database, Db, Json
from service.errors import InProgress, KeyReused
from service.idempotency import queries
from service.idempotency.model import Answer, Attempt
from service.telemetry.stages import count

KEPT = timedelta(hours=24)
SWEEP_EVERY_S = 300.0
SWEEP = 1_000
"""Answers that one statement of the sweep removes, so that it is short."""

Write = Callable[[Db], Awaitable[Answer]]


class Idempotency:
    """The kept answers of all tenants in one database."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def once(self, attempt: Attempt, write: Write) -> tuple[Answer, bool]:
        """Write, or give the answer of the attempt that did; and whether this one did.

        `write` works on the connection that it is given. What it raises is kept by nobody, so that the request can be
        repeated. Raises InProgress while another attempt runs, at once, since one that waited would hold a connection;
        and KeyReused.
        """
        async with self._db.transaction() as connection:
            if not await queries.lock_request(connection, request=attempt.lock):
                count("jobsense_idempotent_requests_total", "in_progress")
                raise InProgress("Another request with this Idempotency-Key is still being served")
            now = datetime.now(UTC)
            kept = await queries.fetch_answer(connection, tenant_id=attempt.tenant_id, id=attempt.id, since=now - KEPT)
            if kept is None:
                answer = await write(connection)
                await _store(connection, attempt, answer, now)
        if kept is None:
            count("jobsense_idempotent_requests_total", "first")
            return answer, True
        if kept.fingerprint != attempt.fingerprint:
            count("jobsense_idempotent_requests_total", "reused")
            raise KeyReused("This Idempotency-Key was used for another body within 24 hours; take a new one")
        count("jobsense_idempotent_requests_total", "replayed")
        return kept.answer(), False

    async def sweep(self) -> float:
        """Remove answers that are a day old; in how many seconds to look again."""
        gone = await queries.discard_answers(self._db, before=datetime.now(UTC) - KEPT, most=SWEEP)
        return 0.0 if gone == SWEEP else SWEEP_EVERY_S


async def _store(db: Db, attempt: Attempt, answer: Answer, now: datetime) -> None:
    await queries.store_answer(
        db,
        tenant_id=attempt.tenant_id,
        id=attempt.id,
        fingerprint=attempt.fingerprint,
        status=answer.status,
        headers=Json(msgspec.json.encode(answer.headers).decode()),
        body=answer.body,
        now=now,
    )
