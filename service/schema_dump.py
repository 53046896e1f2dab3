"""Writes down the schema that a database has, in one form whatever the server's version: sql/schema.sql is made by it.

pg_dump would do, but it has to be installed in the server's version, and its text changes with it. What is written can
be run on an empty database and gives the same schema there.
"""

import re
from collections.abc import Iterable

from service.db import Connection, session

HEADER = """\
-- The schema as the migrations make it, to be read in one place; made from the catalog of a migrated database, never
-- edited. A database is brought up by the migrations, which also put the first rows in. Each generation adds a table
-- passage_g<number> with its indexes (see create_generation) and an arm in the view.
set check_function_bodies = off;
"""

_TABLES = """
select c.oid, c.relname, c.reloptions
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'r' and n.nspname = 'public'
    and not exists (
        select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
    )
order by c.relname
"""
_COLUMNS = """
select
    a.attname, format_type(a.atttypid, a.atttypmod) as type, a.attnotnull, a.attidentity, a.attgenerated,
    pg_get_expr(d.adbin, d.adrelid) as value,
    case when a.attstorage <> t.typstorage
        then case a.attstorage when 'p' then 'plain' when 'e' then 'external' when 'm' then 'main' else 'extended' end
    end as storage
from pg_attribute a
join pg_type t on t.oid = a.atttypid
left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
where a.attrelid = $1 and a.attnum > 0 and not a.attisdropped
order by a.attnum
"""
# From version 18 on a column's `not null` is a constraint too; it is told with the column.
_CONSTRAINTS = """
select conname, contype, pg_get_constraintdef(oid, true) as definition
from pg_constraint
where conrelid = $1 and contype in ('p', 'u', 'c', 'x', 'f')
order by position(contype::text in 'pucxf'), conname
"""
_INDEXES = """
select pg_get_indexdef(i.indexrelid) as definition
from pg_index i join pg_class c on c.oid = i.indexrelid
where i.indrelid = $1
    and not exists (select from pg_constraint where conindid = i.indexrelid and contype in ('p', 'u', 'x'))
order by c.relname
"""
_VIEWS = """
select c.relname, pg_get_viewdef(c.oid, true) as definition
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'v' and n.nspname = 'public'
    and not exists (
        select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
    )
order by c.oid
"""
_FUNCTIONS = """
select
    p.proname, pg_get_function_arguments(p.oid) as arguments, pg_get_function_result(p.oid) as result, l.lanname,
    case p.provolatile when 'i' then ' immutable' when 's' then ' stable' else '' end
    || case when p.proisstrict then ' strict' else '' end
    || case when p.prosecdef then ' security definer' else '' end
    || case p.proparallel when 's' then ' parallel safe' when 'r' then ' parallel restricted' else '' end
    || coalesce((select string_agg(' set ' || s, '') from unnest(p.proconfig) s), '') as options,
    p.prosrc
from pg_proc p join pg_namespace n on n.oid = p.pronamespace join pg_language l on l.oid = p.prolang
where n.nspname = 'public'
    and not exists (
        select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
    )
order by p.proname, arguments
"""
_QUOTED = re.compile(r"('(?:[^']|'')*'|\"[^\"]*\")")


async def dump_schema(dsn: str) -> str:
    """The schema of a database as SQL: extension, tables with their indexes, references, functions and views."""
    async with session(dsn) as connection:
        tables = await connection.fetch(_TABLES)
        parts = [HEADER, "create extension vector;\n"]
        parts += [await _table(connection, *table) for table in tables]
        parts.append("".join([await _references(connection, *table) for table in tables]))
        parts += [_function(*row) for row in await connection.fetch(_FUNCTIONS)]
        parts += [f"create view {name} as\n{_spelt(text)}\n" for name, text in await connection.fetch(_VIEWS)]
    return "\n".join(parts)


async def _table(connection: Connection, oid: int, name: str, options: list[str] | None) -> str:
    lines = [_column(*row) for row in await connection.fetch(_COLUMNS, oid)]
    lines += [
        f"constraint {constraint} {_spelt(text)}"
        for constraint, kind, text in await connection.fetch(_CONSTRAINTS, oid)
        if kind != b"f"
    ]
    indexes = [_spelt(text).replace("public.", "") + ";\n" for (text,) in await connection.fetch(_INDEXES, oid)]
    held = f" with ({', '.join(options)})" if options else ""
    return f"create table {name} (\n    {_joined(lines)}\n){held};\n" + "".join(indexes)


async def _references(connection: Connection, oid: int, name: str, _options: list[str] | None) -> str:
    return "".join(
        f"alter table {name} add constraint {constraint} {_spelt(text)};\n"
        for constraint, kind, text in await connection.fetch(_CONSTRAINTS, oid)
        if kind == b"f"
    )


def _column(
    name: str, kind: str, is_required: bool, identity: bytes, generated: bytes, value: str | None, storage: str | None
) -> str:
    words = [name, _spelt(kind)]
    if storage:
        words.append(f"storage {storage}")
    if is_required:
        words.append("not null")
    if identity == b"d":
        words.append("generated by default as identity")
    elif identity == b"a":
        words.append("generated always as identity")
    elif value and generated == b"s":
        words.append(f"generated always as ({_spelt(value)}) stored")
    elif value:
        words.append(f"default {_spelt(value)}")
    return " ".join(words)


def _function(name: str, arguments: str, result: str, language: str, options: str, body: str) -> str:
    given = _joined(_spelt(arguments).split(", "))
    head = f"create function {name}(\n    {given}\n)" if given else f"create function {name}()"
    return f"{head} returns {_spelt(result)} language {language}{options} as $${body}$$;\n"


def _joined(lines: Iterable[str]) -> str:
    return ",\n    ".join(lines)


def _spelt(text: str) -> str:
    """Text of the catalog with its keywords in lower case; what is quoted stays."""
    return "".join(
        piece if at % 2 else piece.lower().replace("timestamp with time zone", "timestamptz")
        for at, piece in enumerate(_QUOTED.split(text))
    )
