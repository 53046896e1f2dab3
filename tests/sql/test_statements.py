"""The contract of statements: one file, one function, and the database agrees with both; and that it can be broken."""

import importlib
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from service.db import STATEMENTS, Database, Statement, sql_root
from tests.sql.statement_contract import complaints, fits, read_header

SERVICE = Path(__file__).parents[2] / "service"
for _module in sorted(SERVICE.glob("*/queries.py")):
    importlib.import_module(f"service.{_module.parent.name}.queries")


class Row(msgspec.Struct):
    """A row of the samples."""

    id: int
    name: str


def files() -> set[str]:
    """Every file of a statement as `feature.statement`."""
    return {f"{path.parent.name}.{path.stem}" for path in (sql_root() / "queries").rglob("*") if path.is_file()}


def functions() -> set[str]:
    """Every function in a queries.py as `feature.function`, by its text."""
    return {
        f"{path.parent.name}.{name}"
        for path in SERVICE.glob("*/queries.py")
        for name in re.findall(r"^async def (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }


def test_every_file_has_one_function_and_every_function_one_file() -> None:
    """No statement lies about unused, no function lacks its statement, and each is declared as a statement."""
    assert files() == functions() == set(STATEMENTS)
    assert len(files()) > 30


@pytest.mark.parametrize("name", sorted(STATEMENTS))
async def test_statement_keeps_the_contract(db: Database, name: str) -> None:
    """Header, signature and database agree on every parameter and column; the text keeps the habits."""
    async with db.connection() as connection:
        assert await complaints(connection, STATEMENTS[name]) == []


GOOD = "-- A tenant.\n-- $1 tenant_id integer: of whom\nselect id, name from tenant where id = $1\n"
STAR = "-- A.\n-- $1 tenant_id integer\nselect t.* from tenant t where id = $1"


@pytest.mark.parametrize(
    ("text", "parameters", "row", "shape", "complaint"),
    [
        (GOOD, {"tenant_id": int}, Row, "struct", None),
        (GOOD, {"job_id": int}, Row, "struct", r"header names \['tenant_id'\], the signature \['job_id'\]"),
        (GOOD, {"tenant_id": str}, Row, "struct", "tenant_id is int4, and the signature says <class 'str'>"),
        (GOOD, {"tenant_id": int | None}, Row, "structs", None),
        (GOOD, {"tenant_id": list[int]}, Row, "struct", "tenant_id is int4, and the signature says list"),
        (GOOD, {}, Row, "struct", "the signature has 0 parameters, the statement 1"),
        (GOOD, {"tenant_id": int}, int, "value", "gives 2 columns"),
        (GOOD, {"tenant_id": int}, None, "none", "and the signature says None"),
        (GOOD.replace("integer", "bigint"), {"tenant_id": int}, Row, "struct", "is int4, and the header says bigint"),
        (GOOD.replace("integer", "number"), {"tenant_id": int}, Row, "struct", "is int4, and the header says number"),
        (GOOD.replace("$1 tenant", "$2 tenant"), {"tenant_id": int}, Row, "struct", "does not number"),
        (GOOD.replace("-- $1", "-- $1:"), {"tenant_id": int}, Row, "struct", "not `-- .n name type`"),
        (GOOD.replace("id, name", "name, id"), {"tenant_id": int}, Row, "struct", "the columns are .'name', 'id'"),
        (GOOD.replace("id, name", "id, id as name"), {"tenant_id": int}, Row, "struct", "name is int4, and the sign"),
        (GOOD.replace("select", "SELECT"), {"tenant_id": int}, Row, "struct", "not in lower case"),
        (GOOD.replace("$1\n", "$1;\n"), {"tenant_id": int}, Row, "struct", "ends with a semicolon"),
        (GOOD.replace("from tenant", "from absent"), {"tenant_id": int}, Row, "struct", "cannot be prepared"),
        (GOOD.replace("-- A tenant.\n", ""), {"tenant_id": int}, Row, "struct", "does not begin with a sentence"),
        (GOOD.replace("A tenant.", "tenant"), {"tenant_id": int}, Row, "struct", "does not begin with a sentence"),
        (STAR, {"tenant_id": int}, Row, "struct", "`.` in the outermost select"),
        ("-- A.\nselect * from (select id, name from tenant) t", {}, Row, "structs", "`.` in the outermost select"),
        ("-- A.\nselect id, t.* from tenant t", {}, Row, "structs", "`.` in the outermost select"),
        ("-- A.\ndelete from tenant returning *", {}, Row, "structs", "`.` in the outermost select"),
        ("-- A.\nwith t as (select * from tenant)\nselect 'A * B' as x, count(*) from t", {}, Row, "struct", "columns"),
        ("-- A.\nselect count(*) as n from tenant", {}, int, "value", None),
        ("-- A.\nselect array['a'] as names", {}, list[str], "value", None),
        ("-- A.\nselect '{}'::jsonb as o", {}, int, "value", "is jsonb, and the signature says"),
    ],
)
async def test_contract_sees_what_is_broken(
    db: Database, tmp_path: Path, text: str, parameters: dict[str, Any], row: Any, shape: str, complaint: str | None
) -> None:
    """A statement that breaks one rule is complained about for it, and a good one is not."""
    path = tmp_path / "sample.sql"
    path.write_text(text)
    sample = Statement(name="t.sample", path=path, parameters=tuple(parameters.items()), row=row, shape=shape)
    async with db.connection() as connection:
        found = await complaints(connection, sample)
    if complaint is None:
        assert found == []
    else:
        assert any(re.search(complaint, one) for one in found), found


def test_header_may_run_over_lines() -> None:
    """A sentence may go on, and a parameter may have a remark."""
    header = read_header("-- The first.\n-- And more.\n-- $1 a bigint[]\n-- $2 b double precision: of $1\nselect 1")
    assert header.sentence == "The first.\nAnd more."
    assert header.parameters == [(1, "a", "bigint[]"), (2, "b", "double precision")]


def test_types_fit_only_themselves() -> None:
    """A bool is no int, an array is no scalar, and a union of two types is neither."""
    assert not fits(int, "bool")
    assert not fits(int, "int4[]")
    assert fits(tuple[str, ...] | None, "text[]")
    assert not fits(int | str, "int4")


async def test_constraints_and_indexes_have_names_of_our_own(db: Database) -> None:
    """Every constraint and index, those of a generation's table too, is named in a migration, none by the server."""
    written = "\n".join(path.read_text() for path in sorted((sql_root() / "migrations").glob("*.up.sql")))
    written += (SERVICE / "migrate.py").read_text()
    async with db.connection() as connection:
        made = await connection.fetchval(
            "select create_generation('p', 'm', 'd', 8, 9, '', '', 9, 1, 0, 0, now()) as generation"
        )
        names = await connection.fetch(
            "select conname from pg_constraint where connamespace = 'public'::regnamespace and contype <> 'n'"
            " union select indexname from pg_indexes where schemaname = 'public'"
        )
    spelt = [name.replace(f"passage_g{made}_", "passage_g%1$s_") for (name,) in names]
    assert len(spelt) > 30
    assert [name for name in spelt if not re.search(rf"(constraint|index) {re.escape(name)}\b", written)] == []
