"""No statement touches rows of a tenant that it was not told: proven from its text, but for a list with reasons."""

import importlib
import re
from pathlib import Path

import asyncpg
import pytest

from service.db import STATEMENTS
from tests.conftest import Server
from tests.sql.tenant_walk import Tables, leaks, tables_of

SERVICE = Path(__file__).parents[2] / "service"
for _module in sorted(SERVICE.glob("*/queries.py")):
    importlib.import_module(f"service.{_module.parent.name}.queries")

CREDENTIAL = "tells who is calling, and so of which tenant: the credential itself names one row"
OPERATOR = "a command of whoever operates the database, for all tenants"
WORKER = (
    "the worker embeds for all tenants; what it reads becomes vectors of the same posting, and no answer to anybody"
)
COUNTS = "counts over all tenants together: no row, no value and no tenant can be told from it"
EVALUATION = "a command of whoever operates the database, on tenants that it makes for one measurement"
EXCEPTIONS = {
    "access.ensure_tenant": "makes the tenant itself, by the name that an operator gives",
    "access.fetch_account": CREDENTIAL,
    "access.fetch_api_key": CREDENTIAL,
    "access.fetch_signed_in": CREDENTIAL,
    "access.list_every_account": OPERATOR,
    "access.list_every_api_key": OPERATOR,
    "access.note_key_use": "the ids are of keys that were verified; answers nothing",
    "access.rotate_sign_in": CREDENTIAL,
    "embedding.claim_tasks": WORKER,
    "embedding.copy_passages": WORKER,
    "embedding.create_generation": "data definition: the table it makes is empty",
    "embedding.discard_tasks": WORKER,
    "embedding.drop_settled": WORKER,
    "embedding.fetch_backlog": COUNTS,
    "embedding.fetch_term_stat_age": COUNTS,
    "embedding.fetch_trace": OPERATOR,
    "embedding.list_failed_tasks": OPERATOR,
    "embedding.lock_unchanged": WORKER,
    "embedding.refresh_term_stat": COUNTS,
    "embedding.renew_lease": WORKER,
    "embedding.retry_failed_task": OPERATOR,
    "embedding.retry_failed_tasks": OPERATOR,
    "embedding.retry_tasks": WORKER,
    "embedding.settle_tasks": WORKER,
    "embedding.store_passages": WORKER,
    "embedding.strike_tasks": WORKER,
    "evaluation.delete_some_jobs": EVALUATION,
    "evaluation.delete_tenant": EVALUATION,
    "evaluation.list_scratch_tenants": EVALUATION,
    "idempotency.discard_answers": "removes what counts no more, by its age alone; answers how many that were",
    "jobs.refresh_copies": "the ids are those that a statement of the tenant wrote in the same transaction",
}
"""Statements that are not proven, each with the reason why it may stand. A statement that answers a request of a caller
who is known already does not belong here: give it a tenant_id."""
TOLD = re.compile(r"tenant_id\s*=\s*\$\d+")
REDUNDANT = {"access.rotate_api_key"}
"""Statements of which one condition can go, since the row is bound by another."""


@pytest.fixture(scope="module")
async def tables(server: Server, template: str) -> Tables:
    """What holds rows of tenants, by the catalog."""
    connection = await asyncpg.connect(server.dsn_of(template))
    try:
        return await tables_of(connection)
    finally:
        await connection.close()


async def test_tables_of_tenants_are_found(tables: Tables) -> None:
    """Whatever has a tenant_id, refers to such a row or is a function on these counts; what all share does not."""
    assert tables.relations >= {"job", "job_word", "embedded", "embedding_task", "passage", "api_key", "account"}
    assert tables.relations >= {"sign_in", "tenant"}
    assert not tables.relations & {"exchange_rate", "term_stat", "generation", "live_generation", "kept_secret"}
    assert tables.functions >= {"copy_passages", "store_passages", "refresh_passage_copies"}
    assert not tables.functions & {"job_passes", "pay_low", "monthly_pay"}


async def test_every_statement_takes_the_tenant(tables: Tables) -> None:
    """Each statement binds all that it reads and writes to its tenant_id, or has its reason in the list."""
    found = {name: leaks(one.path.read_text(encoding="utf-8"), tables) for name, one in STATEMENTS.items()}
    open_ones = {name: why for name, why in found.items() if why}
    assert {name: why for name, why in open_ones.items() if name not in EXCEPTIONS} == {}
    assert set(EXCEPTIONS) - set(open_ones) == set(), "these need no exception any more"


async def test_no_condition_on_the_tenant_can_be_left_out(tables: Tables) -> None:
    """Take any one `tenant_id = $n` out of any statement, and the walk sees the leak: it does not count them."""
    tried = 0
    for name, one in STATEMENTS.items():
        text = one.path.read_text(encoding="utf-8")
        for told in [] if name in EXCEPTIONS | dict.fromkeys(REDUNDANT) else TOLD.finditer(text):
            for instead in ("tenant_id is not null", f"tenant_id is null or {told[0]}"):
                tried += 1
                assert leaks(text[: told.start()] + instead + text[told.end() :], tables), (name, told[0], instead)
    assert tried > 50
    for name in REDUNDANT:
        assert leaks(TOLD.sub("tenant_id > 0", STATEMENTS[name].path.read_text(encoding="utf-8")), tables)


SAMPLES = [
    ("select id from job where tenant_id = $1", []),
    ("select id from job where tenant_id = $2", ["the result"]),
    ("select id from job where ($1::integer is null or tenant_id = $1)", ["the result"]),
    ("select id from job where id = $2 or tenant_id = $1", ["the result"]),
    ("select j.id from job j join job_word w on w.job_id = j.id where j.tenant_id = $1", []),
    ("select j.id from job j join job_word w on w.words = j.words where j.tenant_id = $1", ["the result"]),
    ("select j.id from job j cross join job_word w where j.tenant_id = $1", ["the result"]),
    ("select w.job_id from job_word w left join job j on j.id = w.job_id and j.tenant_id = $1", ["the result"]),
    # sound, and refused all the same: whoever means a join says join
    ("select w.job_id from job_word w left join job j on j.id = w.job_id where j.tenant_id = $1", ["the result"]),
    ("select w.id from unnest($2::bigint[]) w (id) join job j on j.id = w.id", ["the result"]),
    ("with a as (select id from job) select id from a", ["the result"]),
    (
        "with a as (select id from job where tenant_id = $1) select w.job_id from a join job_word w on w.job_id = a.id",
        [],
    ),
    ("select id from job where tenant_id = $1 union all select id from job", ["the result"]),
    ("select 1 where exists (select from job where id = $2)", ["a subquery"]),
    ("select id, (select count(*) from job_word) from job where tenant_id = $1", ["a subquery"]),
    ("select j.id from job j where j.tenant_id = $1 and exists (select from job_word w where w.job_id = j.id)", []),
    ("with a as (update job set title = 'x' where id = $2 returning id) select 1", ["changes job"]),
    ("delete from job where id = $2 returning id", ["changes job"]),
    ("insert into job (tenant_id, title) values ($1, $2)", []),
    ("insert into job (tenant_id, title) values (7, $2)", ["writes job"]),
    ("insert into job_word (job_id) select id from unnest($2::bigint[]) as u (id)", ["writes job_word"]),
    ("select refresh_passage_copies($2)", ["calls refresh_passage_copies"]),
    ("select '-- tenant_id = $1' as x, id from job -- where tenant_id = $1", ["the result"]),
    ("select name from exchange_rate", []),
]


@pytest.mark.parametrize(("body", "complaints"), SAMPLES)
async def test_the_walk_tells_a_leak_from_none(tables: Tables, body: str, complaints: list[str]) -> None:
    """Each way to reach another tenant's rows is seen, and each way to stay with one's own is let through."""
    found = leaks(f"-- A sample.\n-- $1 tenant_id integer\n-- $2 other bigint\n{body}", tables)
    assert len(found) >= len(complaints)
    assert all(any(one.startswith(complaint) for one in found) for complaint in complaints), found
    assert bool(found) == bool(complaints), found
