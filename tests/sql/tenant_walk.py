"""Reads a statement as far as needed to prove that every row it touches is of the tenant that its parameter names.

A relation is `bound` where its scope says `alias.tenant_id = $n`, n the parameter tenant_id, or where it is joined
by a key to one that is. It is `open` where it holds rows of tenants and is not bound (yet: an outer scope may still
bind it), and `free` where it holds none. Only conditions that must hold count: nothing within parentheses or behind an
`or`, and for the left side of a left join nothing in its `on`.
"""

import re
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import asyncpg

State = Literal["bound", "open", "free"]

_KEYS = r"(?:id|job_id|account_id|tenant_id)"
_SUBQUERY = re.compile(r"\s*(?:with|select|insert|update|delete|values)\b")
_CTE = re.compile(r"\s*,?\s*(\w+)\s+as\s+(?:(?:not\s+)?materialized\s+)?<(\d+)>")
_JOIN = re.compile(
    r"\b(delete\s+from|insert\s+into|from|using|update(?!\s+set\b|\s+of\b|\s+skip\b)"
    r"|left\s+join|cross\s+join|join)\s+(?:lateral\s+)?(?:(\w+)\s*<(\d+)>|<(\d+)>|(\w+))"
    r"(?:\s+(?:as\s+)?(?!on\b|where\b|set\b|join\b|left\b|cross\b|using\b|order\b|group\b|limit\b|for\b|from\b"
    r"|union\b|returning\b|select\b|values\b|with\b)(\w+))?"
)
_ENDS = re.compile(
    r"\b(?:where|group\s+by|order\s+by|limit|returning|for\s+(?:update|no|share)|window|on\s+conflict)\b"
)


class Tables(NamedTuple):
    """What holds rows of tenants: relations, and functions that read or write these."""

    relations: frozenset[str]
    functions: frozenset[str]


class _Source(NamedTuple):
    kind: str
    alias: str
    name: str
    group: str | None
    condition: str


async def tables_of(connection: "asyncpg.Connection[Any] | Any") -> Tables:
    """Tables and views with a tenant_id, what refers to them by a foreign key, `tenant`, and functions on these."""
    found = await connection.fetch(
        "with recursive held (oid) as ("
        " select a.attrelid from pg_attribute a join pg_class c on c.oid = a.attrelid"
        "  where a.attname = 'tenant_id' and c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'v')"
        " union select 'tenant'::regclass"
        " union select f.conrelid from held h join pg_constraint f on f.confrelid = h.oid and f.contype = 'f'"
        ") select c.relname from held h join pg_class c on c.oid = h.oid where c.relkind in ('r', 'v')"
    )
    relations = frozenset(name for (name,) in found)
    functions = await connection.fetch(
        "select proname, prosrc from pg_proc p join pg_language l on l.oid = p.prolang"
        " where pronamespace = 'public'::regnamespace and l.lanname in ('sql', 'plpgsql')"
    )
    words = re.compile(rf"\b(?:{'|'.join(relations)}|passage_g)")
    return Tables(relations, frozenset(name for name, source in functions if words.search(source)))


def leaks(text: str, tables: Tables) -> list[str]:
    """Where a statement may touch rows of a tenant that it was not told; empty when it is proven that it cannot."""
    parameter = re.search(r"^-- \$(\d+) tenant_id integer\b", text, re.MULTILINE)
    groups: list[str] = []
    return list(_Walk(tables, groups, parameter[1] if parameter else None).whole(_folded(text, groups)))


def _folded(text: str, groups: list[str]) -> str:
    """The text without comments and literals, each pair of parentheses put away as `<n>`, its inside as groups[n]."""
    bare = re.sub(r"--[^\n]*|'(?:[^']|'')*'", lambda found: "" if found[0].startswith("--") else "''", text)
    bare = bare.translate({ord("<"): "\N{LESS-THAN OR EQUAL TO}", ord(">"): "\N{GREATER-THAN OR EQUAL TO}"}).lower()
    while inner := re.search(r"\(([^()]*)\)", bare):
        groups.append(inner[1])
        bare = f"{bare[: inner.start()]}<{len(groups) - 1}>{bare[inner.end() :]}"
    return bare


class _Walk:
    def __init__(self, tables: Tables, groups: list[str], parameter: str | None) -> None:
        self._tables = tables
        self._groups = groups
        self._told = rf"\${parameter}(?!\d)" if parameter else r"(?!)"
        self.found: list[str] = []

    def whole(self, text: str) -> Iterator[str]:
        if self._scope(text, {}, {}) == "open":
            self.found.append("the result holds rows of any tenant")
        yield from dict.fromkeys(self.found)

    def _scope(self, text: str, outer: dict[str, State], ctes: dict[str, State]) -> State:
        """The state of what a query gives."""
        known = dict(ctes)
        if re.match(r"\s*with\b", text):
            text = re.sub(r"^\s*with\b(?:\s+recursive\b)?", "", text)
            while cte := _CTE.match(text):
                known[cte[1]] = self._scope(self._groups[int(cte[2])], outer, known)
                text = text[cte.end() :]
        states = [self._arm(arm, outer, known) for arm in re.split(r"\bunion(?:\s+all)?\b", text)]
        return next((state for state in ("open", "bound") if state in states), "free")

    def _arm(self, text: str, outer: dict[str, State], ctes: dict[str, State]) -> State:
        if lone := re.fullmatch(r"\s*<(\d+)>\s*", text):
            return self._scope(self._groups[int(lone[1])], outer, ctes)
        sources = list(_sources(text))
        states: dict[str, State] = {}
        for source in sources:
            states[source.alias] = self._state(source, outer | states, ctes)
        self._bind(text, sources, states, outer)
        self._targets(text, sources, states)
        self._expressions(text, sources, outer | states, ctes)
        written = {source.alias for source in sources if source.kind == "insert into"}
        read = [state for alias, state in states.items() if alias not in written]
        return next((state for state in ("open", "bound") if state in read), "bound" if written else "free")

    def _state(self, source: _Source, outer: dict[str, State], ctes: dict[str, State]) -> State:
        if source.group is not None and not source.name:
            return self._scope(self._groups[int(source.group)], outer, ctes)
        if source.group is not None and source.kind != "insert into":
            return "open" if source.name in self._tables.functions else "free"
        return ctes.get(source.name, "open" if source.name in self._tables.relations else "free")

    def _bind(self, text: str, sources: list[_Source], states: dict[str, State], outer: dict[str, State]) -> None:
        """Let conditions that must hold bind what they speak of, until nothing more follows."""
        where = re.search(
            r"\bwhere\b(.*?)(?=\b(?:group\s+by|order\s+by|limit|returning|for\s|window)|$)", text, re.DOTALL
        )
        must: list[tuple[str | None, str]] = [
            (None, "" if where is None or re.search(r"\bor\b", where[1]) else where[1])
        ]
        must += [
            (source.alias if source.kind.startswith("left") else None, source.condition)
            for source in sources
            if not re.search(r"\bor\b", source.condition)
        ]
        changed = True
        while changed:
            changed = False
            for only, condition in must:
                for alias in [one for one, state in states.items() if state == "open" and only in (None, one)]:
                    if self._binds(condition, alias, len(sources) == 1, outer | states):
                        states[alias] = "bound"
                        changed = True

    def _binds(self, condition: str, alias: str, alone: bool, states: dict[str, State]) -> bool:
        unqualified = r"|(?<![.\w])" if alone else ""
        if re.search(rf"(?:\b{alias}\.{unqualified})tenant_id\s*=\s*{self._told}", condition):
            return True
        pairs = re.findall(rf"\b(\w+)\.{_KEYS}\s*=\s*(\w+)\.{_KEYS}\b", condition)
        others = {right if left == alias else left for left, right in pairs if alias in (left, right)} - {alias}
        return any(states.get(other) == "bound" for other in others)

    def _targets(self, text: str, sources: list[_Source], states: dict[str, State]) -> None:
        """What is written must be of the tenant by itself: nothing outside can bind it."""
        for source in sources:
            name = source.name
            if source.kind == "insert into" and name in self._tables.relations:
                told = re.search(self._told, self._unfolded(text)) is not None
                if not told and "bound" not in [state for one, state in states.items() if one != source.alias]:
                    self.found.append(f"writes {name} of any tenant")
                states[source.alias] = "bound"
            elif source.kind in ("update", "delete from") and states[source.alias] == "open":
                self.found.append(f"changes {name} of any tenant")

    def _expressions(self, text: str, sources: list[_Source], states: dict[str, State], ctes: dict[str, State]) -> None:
        """A subquery in an expression is bound by what it names of the outside alone; a function not at all."""
        done = {source.group for source in sources if not source.name or source.kind == "insert into"}
        for call in re.finditer(r"(\w+)\s*<", text):
            if call[1] in self._tables.functions:
                self.found.append(f"calls {call[1]}")
        for number in re.findall(r"<(\d+)>", text):
            group = self._groups[int(number)]
            if number in done:
                continue
            if not _SUBQUERY.match(group):
                self._expressions(group, [], states, ctes)
            elif self._scope(group, states, ctes) == "open":
                self.found.append("a subquery holds rows of any tenant")

    def _unfolded(self, text: str) -> str:
        return re.sub(r"<(\d+)>", lambda group: f"({self._unfolded(self._groups[int(group[1])])})", text)


def _sources(text: str) -> Iterator[_Source]:
    """The relations of one query in order, each with the condition that joins it."""
    found = list(_JOIN.finditer(text))
    for at, match in enumerate(found):
        end = found[at + 1].start() if at + 1 < len(found) else len(text)
        rest = text[match.end() : end]
        on = re.search(r"\bon\b(?!\s+conflict)(.*)", rest, re.DOTALL)
        condition = on[1] if on and not _ENDS.search(rest[: on.start()]) else ""
        if stop := _ENDS.search(condition):
            condition = condition[: stop.start()]
        name = match[2] or match[5] or ""
        kind = re.sub(r"\s+", " ", match[1])
        yield _Source(kind, match[6] or name, name, match[3] or match[4], condition)
