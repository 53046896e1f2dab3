"""Plans of statements, as the server executed them."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec
from pgvector import HalfVector

from service.db import STATEMENTS, Connection

Mode = Literal["force_custom_plan", "force_generic_plan"]
MODES: tuple[Mode, ...] = ("force_custom_plan", "force_generic_plan")


class Plan:
    """The nodes of a plan, each a mapping as EXPLAIN gives it."""

    def __init__(self, tree: Mapping[str, Any]) -> None:
        self.nodes = list(_walk(tree))
        self.text = msgspec.json.encode(tree).decode()

    @property
    def executed(self) -> list[Mapping[str, Any]]:
        """The nodes that ran."""
        return [node for node in self.nodes if node["Actual Loops"] > 0]

    def indexes(self) -> set[str]:
        """The indexes that were looked into."""
        return {node["Index Name"] for node in self.executed if "Index Name" in node}

    def scanned(self) -> set[str]:
        """The tables that were read from end to end."""
        return {node["Relation Name"] for node in self.executed if node["Node Type"] == "Seq Scan"}

    def node(self, **wanted: str) -> Mapping[str, Any]:
        """The one node that ran and has these properties (`_` for a space)."""
        (found,) = [
            node
            for node in self.executed
            if all(node.get(name.replace("_", " ")) == value for name, value in wanted.items())
        ]
        return found


async def explain(connection: Connection, name: str, mode: Mode = "force_custom_plan", **given: Any) -> Plan:
    """Run a statement as prepared, planned for these values or for any, and undo what it wrote."""
    statement, values = STATEMENTS[name], values_of(name, **given)
    await connection.execute(f"set plan_cache_mode = {mode}")
    await connection.execute(f"prepare probe as {statement.path.read_text(encoding='utf-8')}")
    transaction = connection.transaction()
    await transaction.start()
    try:
        found = await connection.fetchval(f"explain (analyze, buffers, format json) execute probe ({values})")
    finally:
        await transaction.rollback()
        await connection.execute("deallocate probe; reset plan_cache_mode")
    return Plan(msgspec.json.decode(found)[0]["Plan"])


def values_of(name: str, **given: Any) -> str:
    """The values of a statement's parameters, as EXECUTE takes them."""
    return ", ".join(_literal(given[parameter]) for parameter, _ in STATEMENTS[name].parameters)


def _walk(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _walk(child)


def _literal(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, HalfVector):
        return f"'{value.to_list()}'"
    if isinstance(value, bytes):
        return f"'\\x{value.hex()}'"
    if isinstance(value, (list, tuple)):
        items = (item.to_list() if isinstance(item, HalfVector) else item for item in value)
        return "'{" + ",".join(f'"{item}"' for item in items) + "}'"
    text = value.isoformat() if isinstance(value, datetime) else str(value)
    return "'" + text.replace("'", "''") + "'"
