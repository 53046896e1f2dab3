"""Plans of the statements on kept answers: what is looked up or removed is found by an index, however much is kept."""

from datetime import UTC, datetime, timedelta

import pytest

from service.db import Database
from service.idempotency import queries
from tests.sql.plans import MODES, Mode, explain

NOW = datetime(2026, 6, 1, tzinfo=UTC)
FILL = """
insert into idempotency_answer
select 1, sha256(int4send(n)), '', 201, '{}', '', '2026-06-01'::timestamptz - n * interval '10 seconds'
from generate_series(0, 9999) n
"""
OLD = 10_000 - 8_640


@pytest.mark.parametrize("mode", MODES)
async def test_answers_are_found_by_index(db: Database, mode: Mode) -> None:
    """One answer is read by the primary key; the oldest ones are removed by age, as many as are asked for."""
    since = NOW - timedelta(hours=24)
    async with db.connection() as connection:
        await connection.execute(FILL)
        await connection.execute("analyze idempotency_answer")
        some: bytes = await connection.fetchval(
            "select id from idempotency_answer where created_at > $1 limit 1", since
        )
        plan = await explain(connection, "idempotency.fetch_answer", mode, tenant_id=1, id=some, since=since)
        assert (plan.indexes(), plan.scanned()) == ({"idempotency_answer_pkey"}, set())
        plan = await explain(connection, "idempotency.discard_answers", mode, before=since, most=100)
        assert "idempotency_answer_created_at_idx" in plan.indexes()
        assert plan.scanned() == set()
        removed = [await queries.discard_answers(connection, before=since, most=1_000) for _ in range(3)]
    assert removed == [1_000, OLD - 1_000, 0]
