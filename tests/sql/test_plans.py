"""Plans of the hot statements: which index each uses, planned for the values at hand and for any."""

import importlib
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from service.db import STATEMENTS, Connection, Database, half_vector
from service.jobs.model import Filters
from service.jobs.queries import list_jobs
from service.search.queries import search_semantic
from service.search.scan import plans_for
from tests.factories import new_job
from tests.sql.plans import MODES, Mode, Plan, explain, values_of
from tests.sql.samples import HALF, LARGE, NARROW, SMALL, WIDE, rows_of

for _feature in ("embedding", "jobs", "pay", "search"):
    importlib.import_module(f"service.{_feature}.queries")
NOW = datetime(2026, 6, 1, tzinfo=UTC)
FILTERS = ("source", "company", "location", "remote", "employment_type", "posted_after", "posted_before", "active")
PAY = ("pay_currency", "pay_low", "pay_high", "unpriced")
DIMENSIONS = {NARROW: 8, WIDE: 384}
PLENTY = 30
FIRST_PAGE = ("since", "inner", "after_score", "after_id", "half_life_days", "facets")


def semantic(generation: int = NARROW, **given: Any) -> dict[str, Any]:
    """A search by meaning without filters, open to change."""
    vector = half_vector([0.1 * (place % 7 - 3) for place in range(DIMENSIONS[generation])])
    return (
        dict.fromkeys(FILTERS + PAY)
        | {"vector": vector, "generation": generation, "tenant_id": LARGE, "now": NOW, "joined": False, "exact": False}
        | {"ef": 100, "budget": 100, "floor": -1.0, "count": 10, "explained": False}
        | dict.fromkeys(FIRST_PAGE)
        | given
    )


def listing(**given: Any) -> dict[str, Any]:
    """A list without filters, open to change."""
    wanted = {"tenant_id": LARGE, "before": None, "keyword": None, "now": NOW, "count": 20}
    return dict.fromkeys(FILTERS + PAY) | wanted | given


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("generation", [NARROW, WIDE])
@pytest.mark.parametrize("statement", ["search.search_semantic", "search.search_hybrid"])
async def test_search_uses_the_index_of_its_generation_alone(
    connection: Connection, statement: str, generation: int, mode: Mode
) -> None:
    """Without filters the vectors are found by the index of the generation named, and no other table is touched."""
    words: dict[str, Any] = {"text": "common w1", "weight": 0.25, "word_budget": 100, "unembedded": 0.25}
    words |= {"ndocs": None, "jobs": None}
    plan = await explain(connection, statement, mode, **semantic(generation), **words)
    assert f"passage_g{generation}_embedding_idx" in plan.indexes()
    other = f"passage_g{WIDE if generation == NARROW else NARROW}"
    assert not any(name.startswith(other) for name in plan.indexes() | plan.scanned())
    assert f"passage_g{generation}" not in plan.scanned()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("exact", [True, False])
async def test_generations_never_mix(connection: Connection, mode: Mode, exact: bool) -> None:
    """Side by side in the view, vectors of 8 and of 384 dimensions are found by their own kind only."""
    await connection.execute(f"set plan_cache_mode = {mode}")
    for generation, own in ((NARROW, range(1, HALF + 1)), (WIDE, range(HALF + 1, 2 * HALF + 1))):
        rows = await search_semantic(connection, **semantic(generation, exact=exact))
        assert len(rows) == 10
        assert all(row.id in own for row in rows)
    nothing = await search_semantic(connection, **semantic(NARROW, exact=exact) | {"generation": 99})
    assert [(row.place, row.total) for row in nothing] == [(None, 0)]


@pytest.mark.parametrize("mode", MODES)
async def test_exact_search_looks_at_every_row(connection: Connection, mode: Mode) -> None:
    """An exact search never uses the vectors' index, and finds what a plain sort finds."""
    given = semantic(WIDE, exact=True)
    plan = await explain(connection, "search.search_semantic", mode, **given)
    assert not any(name.endswith("_embedding_idx") for name in plan.indexes())
    nearest = await connection.fetch(
        "select job_id from passage_g2 where tenant_id = 1 order by (embedding <#> $1) + 0, job_id limit 10",
        given["vector"],
    )
    assert [row.id for row in await search_semantic(connection, **given)] == [job_id for (job_id,) in nearest]


async def test_narrow_filter_uses_the_copied_column(connection: Connection) -> None:
    """An exact search behind a narrow filter reads by the index of the filter, not the table."""
    after = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=HALF - 20)
    plan = await explain(connection, "search.search_semantic", **semantic(exact=True, posted_after=after))
    assert "passage_g1_posted_at_idx" in plan.indexes()
    assert "passage_g1" not in plan.scanned()


@pytest.mark.parametrize("mode", MODES)
async def test_settings_come_before_the_scan_and_go_with_it(connection: Connection, mode: Mode) -> None:
    """A search's own ef_search is what its scan works with, and the connection has the default again afterwards."""
    read = []
    for ef in (10, 400):
        plan = await explain(connection, "search.search_semantic", mode, **semantic(ef=ef, budget=5))
        scan = plan.node(Index_Name="passage_g1_embedding_idx")
        read.append(scan["Shared Hit Blocks"] + scan["Shared Read Blocks"])
    assert read[1] > 3 * read[0]
    await search_semantic(connection, **semantic(ef=400))
    assert await connection.fetchval("select current_setting('hnsw.ef_search')") == "40"
    assert await connection.fetchval("select current_setting('hnsw.iterative_scan')") == "off"


@pytest.mark.parametrize("before", [None, HALF])
async def test_page_of_a_list_reads_a_page(connection: Connection, before: int | None) -> None:
    """A page, the first or a deep one, is read off the index of a tenant's newest, as many rows as it holds."""
    plan = await explain(connection, "jobs.list_jobs", **listing(before=before, tenant_id=SMALL))
    scan = plan.node(Index_Name="job_newest_idx")
    assert scan["Actual Rows"] <= 21
    assert scan.get("Rows Removed by Filter", 0) == 0
    assert "job" not in plan.scanned()


@pytest.mark.parametrize("before", [None, HALF])
async def test_page_of_the_largest_tenant_reads_a_page(connection: Connection, before: int | None) -> None:
    """Where one tenant has nearly everything the primary key may do as well, for little more than a page of rows."""
    plan = await explain(connection, "jobs.list_jobs", **listing(before=before, tenant_id=LARGE))
    (scan,) = [node for node in plan.executed if node.get("Relation Name") == "job"]
    assert scan["Index Name"] in {"job_newest_idx", "job_pkey"}
    assert scan["Actual Rows"] + scan.get("Rows Removed by Filter", 0) <= PLENTY


async def test_deep_pages_stay_cheap_on_a_busy_connection(connection: Connection) -> None:
    """However often a list was read on a connection, the server does not fall back to a plan for any values."""
    for turn in range(12):
        await list_jobs(connection, **listing(before=100 + turn))
        await search_semantic(connection, **semantic())
    kept = await connection.fetch("select statement, generic_plans, custom_plans from pg_prepared_statements")
    ours = [row for row in kept if "job_passes" in row["statement"]]
    assert len(ours) == 2
    assert [(row["generic_plans"], row["custom_plans"]) for row in ours] == [(0, 12), (0, 12)]


@pytest.mark.parametrize("filters", [{}, {"remote": True}])
async def test_searches_without_filters_share_one_plan(filled: str, filters: dict[str, Any]) -> None:
    """A search without filters is planned once, one with filters each time, whoever else uses the connection."""
    db = await Database.open(filled, max_size=1)
    try:
        plans = plans_for(Filters(**filters))
        for _ in range(3):
            async with db.connection(plans) as connection:
                await search_semantic(connection, **semantic())
            await list_jobs(db, **listing())
        async with db.connection() as connection:
            kept = await connection.fetch("select statement, generic_plans, custom_plans from pg_prepared_statements")
    finally:
        await db.close()
    counts = {
        row["statement"].splitlines()[0]: (row["generic_plans"], row["custom_plans"])
        for row in kept
        if "job_passes" in row["statement"]
    }
    search, listed = sorted(counts)[::-1]
    assert (counts[search], counts[listed]) == ((0, 3) if filters else (3, 0), (0, 3))


@pytest.mark.parametrize("statement", ["search.search_semantic", "search.search_hybrid"])
async def test_a_plan_of_an_empty_queue_is_good_for_a_full_one(filled: str, statement: str) -> None:
    """The plan that a connection keeps reads no table from end to end, whatever came since it was made."""
    db = await Database.open(filled, max_size=1)
    given = semantic() | {"text": "w7 w8", "weight": 0.15, "word_budget": 100, "unembedded": 0.25}
    values = values_of(statement, **given | {"ndocs": None, "jobs": None})
    try:
        async with db.connection("once") as connection:
            await connection.execute("create temp table saved as table embedding_task; delete from embedding_task")
            await connection.execute("vacuum embedding_task")
            await connection.execute(f"prepare kept as {STATEMENTS[statement].path.read_text(encoding='utf-8')}")
            await connection.execute(f"execute kept ({values})")
            await connection.execute(
                "insert into embedding_task (job_id, text_hash, created_at, due_at)"
                " select id, text_hash, now(), now() from job"
            )
            found = await connection.fetchval(f"explain (analyze, format json) execute kept ({values})")
            await connection.execute("truncate embedding_task; insert into embedding_task table saved; deallocate kept")
            await connection.execute("analyze embedding_task")
    finally:
        await db.close()
    plan = Plan(msgspec.json.decode(found)[0]["Plan"])
    assert "embedding_task_pkey" in plan.indexes()
    assert not {"embedding_task", "embedded", "job", "job_word", "passage_g1"} & plan.scanned()


async def test_keyword_uses_the_index_of_words(connection: Connection) -> None:
    """A rare keyword in a list leads to its postings."""
    plan = await explain(connection, "jobs.list_jobs", **listing(keyword="w123"))
    assert "job_word_words_idx" in plan.indexes()
    assert not {"job", "job_word"} & plan.scanned()


async def test_filter_is_put_in_place(connection: Connection) -> None:
    """The filter function is never called: a filter that is given is a condition on its column, the others are gone."""
    plan = await explain(connection, "jobs.list_jobs", **listing(company=("company 7",)))
    assert "job_passes" not in plan.text
    assert "company_key" in plan.text
    assert "job_company_idx" in plan.indexes()
    absent = ("location_key", "remote", "employment_type", "expires_at", "currency", "salary", "websearch")
    conditions = [str(node[name]) for node in plan.nodes for name in node if name.endswith(("Filter", "Cond"))]
    assert not any(name in condition for name in absent for condition in conditions)


@pytest.mark.parametrize("mode", MODES)
async def test_pay_is_compared_in_place(connection: Connection, mode: Mode) -> None:
    """A filter on pay is a condition on the posting's own columns too: none of its functions is called."""
    given: dict[str, Any] = {"pay_currency": ("KES", "USD"), "pay_low": (1.0, 1.0), "pay_high": (9.0, 9.0)}
    plan = await explain(connection, "jobs.list_jobs", mode, **listing(**given, unpriced=True))
    assert "salary_period" in plan.text
    assert not any(name in plan.text for name in ("job_passes", "pay_low", "pay_high", "monthly_pay"))


@pytest.mark.parametrize("mode", MODES)
async def test_posting_is_read_by_its_key(connection: Connection, mode: Mode) -> None:
    """One posting is one look by its number, into the primary key or the index of tenant and number, and its states."""
    plan = await explain(connection, "jobs.fetch_job", mode, tenant_id=SMALL, job_id=HALF)
    (scan,) = [node for node in plan.executed if node.get("Relation Name") == "job"]
    assert scan["Index Name"] in {"job_pkey", "job_newest_idx"}
    assert "(id = " in scan["Index Cond"]
    assert scan["Actual Rows"] == 1
    assert "embedding_task_pkey" in plan.indexes()
    assert not plan.scanned() - {"live_generation"}


@pytest.mark.parametrize("mode", MODES)
async def test_claim_reads_due_tasks_in_order(connection: Connection, mode: Mode) -> None:
    """A claim takes the oldest due tasks off their index, however many wait."""
    given: dict[str, Any] = {"generation": NARROW, "lease": uuid4(), "lease_s": 30.0, "most": 16}
    plan = await explain(connection, "embedding.claim_tasks", mode, most_bytes=10**6, **given)
    scan = plan.node(Index_Name="embedding_task_due_idx")
    assert scan["Actual Rows"] <= 3 * 16  # an incremental sort by (due_at, job_id) takes 32 rows at least
    assert not plan.scanned() & {"embedding_task", "job", "embedded"}


@pytest.mark.parametrize("mode", MODES)
async def test_failed_tasks_are_read_in_order(connection: Connection, mode: Mode) -> None:
    """A page or a batch of the tasks set aside is read off their index, however many there are."""
    listed = await explain(connection, "embedding.list_failed_tasks", mode, count=10)
    assert listed.node(Index_Name="embedding_task_failed_idx")["Actual Rows"] == 10
    assert not listed.scanned() & {"embedding_task", "job"}
    after: dict[str, Any] = {"after_failed_at": NOW, "after_job_id": HALF}
    batch = await explain(connection, "embedding.retry_failed_tasks", mode, until="infinity", count=10, **after)
    scan = batch.node(Index_Name="embedding_task_failed_idx")
    assert scan["Actual Rows"] == 10
    assert "ROW(failed_at, job_id)" in scan["Index Cond"]
    assert not batch.scanned() & {"embedding_task"}


async def test_upsert_decides_by_the_external_id(connection: Connection) -> None:
    """Whether a posting exists already is decided by the index of (tenant, source, external_id)."""
    rows = rows_of(new_job(0, source="s8", external_id="x8"), new_job(1, source="s8", external_id="new"))
    given: dict[str, Any] = {"tenant_id": SMALL, "rows": rows, "replace": True, "now": NOW, "traceparent": None}
    plan = await explain(connection, "jobs.upsert_jobs", **given)
    assert plan.node(Node_Type="ModifyTable", Alias="job")["Conflict Arbiter Indexes"] == ["job_external_id_key"]
    assert not plan.scanned() & {"job", "embedding_task", "job_word"}
