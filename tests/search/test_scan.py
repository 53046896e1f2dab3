"""How the scan is chosen: by the planner's estimate of what the filters leave, asked once and kept for a while."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest

from service.db import Database, estimate_rows
from service.embedding.domain import LiveEmbedder
from service.jobs.domain import folded
from service.jobs.model import Filters
from service.jobs.pay import no_conversions, pay_bands
from service.search import scan
from service.search.model import Scan
from service.search.scan import ScanChooser, ef_search, needs_job, wider


@pytest.fixture
async def filled(db: Database, live: LiveEmbedder) -> Database:
    """Ten thousand passages of generation 1, a hundredth of them of source `rare`, with statistics."""
    assert live.generation is not None
    async with db.connection() as connection:
        await connection.execute(
            "insert into job (tenant_id, source, title, company, company_key, content_hash, text_hash, created_at,"
            " updated_at)"
            " select 1, case when n % 100 = 0 then 'rare' else 'usual' end, 'Clerk ' || n, 'Co', 'co', '', '',"
            " now(), now() from generate_series(1, 10000) n"
        )
        await connection.execute("drop index passage_g1_embedding_idx")
        await connection.execute(
            "insert into passage_g1 (job_id, passage_no, tenant_id, source, body_start, body_end, embedding)"
            " select id, 0, 1, source, 0, 0, array_fill(0.125::real, array[64])::halfvec(64) from job"
        )
        await connection.execute("analyze")
    return db


async def choose(chooser: ScanChooser, db: Database, filters: Filters, budget: int = 100) -> Scan:
    """The scan for these filters in tenant 1."""
    passing = folded(filters) | (await pay_bands(filters, no_conversions)).parameters()
    return await chooser.choose(
        db, generation=1, tenant_id=1, filters=filters, budget=budget, now=datetime.now(UTC), **passing
    )


async def test_narrow_filters_are_looked_at_whole_and_wide_ones_by_the_index(filled: Database) -> None:
    """A hundredth is scanned exactly; everything goes by the index; so does what is over the limit."""
    chooser = ScanChooser()
    narrow = await choose(chooser, filled, Filters(source=("rare",)))
    assert narrow.kind == "exact"
    assert 50 <= narrow.estimate <= 200
    assert (await choose(chooser, filled, Filters())).kind == "index"
    assert (await choose(chooser, filled, Filters(source=("rare", "usual")))).kind == "index"
    strict = ScanChooser(exact_scan_limit=10)
    assert (await choose(strict, filled, Filters(source=("rare",)))).kind == "index"


async def test_an_estimate_is_asked_once_and_forgotten_in_time(
    filled: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same filters ask the planner once a minute, and no more filters are remembered than are kept."""
    asked: list[str] = []

    async def counted(db: Database, run: Callable[..., Awaitable[object]], **given: object) -> int:
        asked.append(str(given["source"]))
        return await estimate_rows(db, run, **given)

    monkeypatch.setattr("service.search.scan.estimate_rows", counted)
    clock = [0.0]
    chooser = ScanChooser(kept=3, clock=lambda: clock[0])
    for _ in range(3):
        await choose(chooser, filled, Filters(source=("usual",)))
    assert len(asked) == 1
    clock[0] = scan.ESTIMATE_MAX_AGE_S + 1
    await choose(chooser, filled, Filters(source=("usual",)))
    assert len(asked) == 2
    for number in range(5):
        await choose(chooser, filled, Filters(source=(f"s{number}",)))
    await choose(chooser, filled, Filters(source=("usual",)))
    assert len(asked) == 8


async def test_growth_makes_no_filter_narrow(filled: Database) -> None:
    """What is behind filters is compared with what there was in all when it was counted, however much came since."""
    clock = [0.0]
    chooser = ScanChooser(clock=lambda: clock[0])
    await choose(chooser, filled, Filters(source=("usual",)))
    clock[0] = scan.ESTIMATE_MAX_AGE_S / 2
    assert (await choose(chooser, filled, Filters())).kind == "index"
    async with filled.connection() as connection:
        await connection.execute(
            "insert into passage_g1 (job_id, passage_no, tenant_id, source, body_start, body_end, embedding)"
            " select job_id, n, 1, source, 0, 0, embedding from passage_g1, generate_series(1, 2) n"
        )
        await connection.execute("analyze passage_g1")
    for passed in (1.1, 1.6):
        clock[0] = scan.ESTIMATE_MAX_AGE_S * passed
        assert (await choose(chooser, filled, Filters())).kind == "index"
        assert (await choose(chooser, filled, Filters(source=("usual",)))).kind == "index"


@pytest.mark.parametrize(("passages", "ef"), [(0, 200), (25_000, 200), (25_001, 400), (100_000, 400), (100_001, 800)])
def test_ef_search_grows_with_the_generation(passages: int, ef: int) -> None:
    """A larger index is searched wider."""
    assert ef_search(passages) == ef


async def test_ef_search_is_at_least_the_budget(filled: Database) -> None:
    """An index scan can give what the budget asks for; pgvector takes no more than 1,000."""
    assert (await choose(ScanChooser(), filled, Filters(), budget=5000)).ef == 1000


@pytest.mark.parametrize(
    ("filters", "needs"),
    [
        (Filters(), False),
        (Filters(source=("a",)), False),
        (Filters(remote=False), True),
        (Filters(company=("a",)), True),
        (Filters(active=True), True),
        (Filters(currency="KES"), True),
        (Filters(salary_min=1, currency="KES"), True),
    ],
)
def test_only_some_filters_read_the_posting(filters: Filters, needs: bool) -> None:
    """Source and dates stand beside the vectors; the rest needs the posting."""
    assert needs_job(filters) is needs


async def test_the_estimate_behind_a_filter_of_the_posting_is_true(filled: Database) -> None:
    """A company of forty is estimated as about forty, not as half of all, and so looked at whole."""
    async with filled.connection() as connection:
        await connection.execute("update job set company_key = 'small' where id % 250 = 0")
        await connection.execute("analyze job")
    chosen = await choose(ScanChooser(), filled, Filters(company=("Small",)))
    assert chosen.kind == "exact"
    assert chosen.estimate < 400
    assert (await choose(ScanChooser(), filled, Filters(company=("nobody",)))).estimate < 400


async def test_the_estimate_behind_a_filter_on_pay_fits(filled: Database) -> None:
    """Half of what has pay in a known currency is expected to pass, and with what has none nearly everything."""
    async with filled.connection() as connection:
        await connection.execute(
            "update job set salary_min = id, currency = 'KES', salary_period = 'month' where id % 5 = 0"
        )
        await connection.execute("analyze job")
    priced = Filters(salary_min=5000, currency="KES")
    assert 500 < (await choose(ScanChooser(), filled, priced)).estimate < 2000
    lenient = Filters(salary_min=5000, currency="KES", include_unpriced=True)
    assert (await choose(ScanChooser(), filled, lenient)).estimate > 7000


def test_looks_together_widen_while_they_are_cut() -> None:
    """Cut by its budget a scan goes on with four times that, up to the most; one that gave up is followed by all."""
    first = Scan("index", 5000, 200, 100)
    second = wider(first, is_cut=True, least_looked_at=100, most=400)
    assert second == Scan("index", 5000, 200, 400)
    assert wider(second, is_cut=True, least_looked_at=400, most=400) is None
    assert wider(first, is_cut=False, least_looked_at=99, most=400) == Scan("exact", 5000, 200, 100)
    assert wider(first, is_cut=False, least_looked_at=100, most=400) is None
    assert wider(Scan("exact", 50, 200, 100), is_cut=False, least_looked_at=50, most=400) is None
