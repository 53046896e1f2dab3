"""What a statement has to be: its file, its signature and the database agree on every name and type."""

import re
import types
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin
from uuid import UUID

import asyncpg
import msgspec
from pgvector import HalfVector

from service.db import Json, Statement

PG_TYPES: dict[Any, frozenset[str]] = {
    bool: frozenset({"bool"}),
    int: frozenset({"int2", "int4", "int8"}),
    float: frozenset({"float4", "float8"}),
    str: frozenset({"text", "varchar", "name"}),
    bytes: frozenset({"bytea"}),
    datetime: frozenset({"timestamptz"}),
    UUID: frozenset({"uuid"}),
    HalfVector: frozenset({"halfvec"}),
    Json: frozenset({"json", "jsonb"}),
}
_PARAMETER = re.compile(r"-- \$(?P<number>\d+) (?P<name>[a-z_]+) (?P<type>[a-z ]+(?:\[\])?)(?:: .+)?")
_SENTENCE = re.compile(r"[A-Z].*?[.:](?: |$)", re.DOTALL)
_QUOTED = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"")
_STAR = re.compile(r"\b(?:select|returning)\s+(?:distinct\s+)?(?:[a-z_]+\.)?\*|,\s*(?:[a-z_]+\.)?\*")


class Header(NamedTuple):
    """The comment above a statement: its sentence, and the lines of its parameters as (number, name, type)."""

    sentence: str
    parameters: list[tuple[int, str, str]]


async def complaints(connection: "asyncpg.Connection[Any] | Any", statement: Statement) -> list[str]:
    """Everything that is wrong with a statement; empty when all agrees."""
    text = statement.path.read_text(encoding="utf-8")
    found = list(_of_text(text))
    try:
        header = read_header(text)
    except ValueError as error:
        return [*found, str(error)]
    try:
        prepared = await connection.prepare(text)
    except asyncpg.PostgresError as error:
        return [*found, f"cannot be prepared: {error}"]
    declared = [await connection.fetchval("select to_regtype($1)::oid", kind) for _, _, kind in header.parameters]
    found += _of_parameters(statement, header, declared, prepared.get_parameters())
    found += _of_row(statement, [(one.name, one.type.name) for one in prepared.get_attributes()])
    return found


def read_header(text: str) -> Header:
    """The header of a statement; raises ValueError when it is not one sentence or more and a line a parameter."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("-- "):
            break
        lines.append(line)
    first = next((at for at, line in enumerate(lines) if line.startswith("-- $")), len(lines))
    sentence = "\n".join(line[3:] for line in lines[:first])
    if not _SENTENCE.match(sentence):
        raise ValueError("the header does not begin with a sentence")
    parameters = []
    for line in lines[first:]:
        match = _PARAMETER.fullmatch(line)
        if match is None:
            raise ValueError(f"not `-- $n name type` or `-- $n name type: remark`: {line}")
        parameters.append((int(match["number"]), match["name"], match["type"]))
    return Header(sentence, parameters)


def _of_text(text: str) -> Iterator[str]:
    body = "\n".join(line.partition("--")[0] for line in _QUOTED.sub("''", _without_header(text)).splitlines())
    if body != body.lower():
        yield "not in lower case"
    if _STAR.search(_outermost(body)):
        yield "`*` in the outermost select or returning"
    if body.rstrip().endswith(";"):
        yield "ends with a semicolon"


def _without_header(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--"))


def _outermost(body: str) -> str:
    """The text outside all parentheses: neither CTE steps nor subqueries nor function calls."""
    kept, depth = [], 0
    for char in body:
        depth -= char == ")"
        if depth == 0:
            kept.append(char)
        depth += char == "("
    return "".join(kept)


def _of_parameters(
    statement: Statement, header: Header, declared: list[int | None], prepared: Sequence[asyncpg.Type]
) -> Iterator[str]:
    if [number for number, _, _ in header.parameters] != list(range(1, len(prepared) + 1)):
        yield f"the header does not number ${1}..${len(prepared)}, each once and in order"
    names = [name for name, _ in statement.parameters]
    if [name for _, name, _ in header.parameters] != names:
        yield f"the header names {[name for _, name, _ in header.parameters]}, the signature {names}"
    if len(names) != len(prepared):
        yield f"the signature has {len(names)} parameters, the statement {len(prepared)}"
    for (_, name, kind), known, real in zip(header.parameters, declared, prepared, strict=False):
        if known != real.oid:
            yield f"{name} is {real.name}, and the header says {kind}"
    for (name, kind), real in zip(statement.parameters, prepared, strict=False):
        if not fits(kind, real.name):
            yield f"{name} is {real.name}, and the signature says {kind}"


def _of_row(statement: Statement, columns: list[tuple[str, str]]) -> Iterator[str]:
    if statement.shape == "none":
        if columns:
            yield f"gives {columns}, and the signature says None"
        return
    if statement.shape in {"struct", "structs"}:
        fields = [(field.name, field.type) for field in msgspec.structs.fields(statement.row)]
        if [name for name, _ in columns] != [name for name, _ in fields]:
            yield f"the columns are {[name for name, _ in columns]}, the fields {[name for name, _ in fields]}"
            return
    else:
        fields = [("the value", statement.row)]
        if len(columns) != 1:
            yield f"gives {len(columns)} columns, and the signature says one value"
            return
    for (_, real), (name, kind) in zip(columns, fields, strict=True):
        if not fits(kind, real):
            yield f"{name} is {real}, and the signature says {kind}"


def fits(kind: Any, real: str) -> bool:
    """Whether values of a Python type and of a Postgres type (arrays end with `[]`) are the same things."""
    origin = get_origin(kind)
    if origin is Annotated:
        return fits(get_args(kind)[0], real)
    if origin in {Union, types.UnionType}:
        arms = [arm for arm in get_args(kind) if arm is not type(None)]
        return len(arms) == 1 and fits(arms[0], real)
    if origin in {list, tuple}:
        return real.endswith("[]") and fits(get_args(kind)[0], real.removesuffix("[]"))
    if origin is Literal:
        return all(fits(type(value), real) for value in get_args(kind))
    return real in PG_TYPES.get(kind, frozenset())
