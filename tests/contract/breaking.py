"""Finds what breaks callers between two OpenAPI documents: what they may no longer send, or must newly expect.

Parameters, bodies, statuses, headers and credentials are compared here, the schemas behind them in `subset.py`.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tests.contract.subset import Json, Subset, resolved

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
ERRORS, NOT_MODIFIED = "400", "304"
"""Statuses from the first on are problems; the second comes to those alone who ask with a condition."""


def breaking_changes(old: Json, new: Json) -> list[str]:
    """What breaks callers of the old document at a service of the new one, a line each, in the old one's order."""
    return list(dict.fromkeys(_Comparison(old, new).changes()))


def _operations(document: Json) -> Iterator[tuple[str, Json]]:
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield f"{method.upper()} {path}", item[method]


class _Comparison:
    """Two documents side by side."""

    def __init__(self, old: Json, new: Json) -> None:
        self.old = old
        self.new = new
        self.sent = Subset(wide_in=new, narrow_in=old, sent=True)
        self.received = Subset(wide_in=old, narrow_in=new, sent=False)

    def changes(self) -> Iterator[str]:
        """Every breaking change."""
        after = dict(_operations(self.new))
        for name, operation in _operations(self.old):
            if name in after:
                yield from self._operation(operation, after[name], name)
            else:
                yield f"{name}: removed"

    def _operation(self, old: Json, new: Json, at: str) -> Iterator[str]:
        if old.get("operationId") != new.get("operationId"):
            yield f"{at}: operationId was {old.get('operationId')}, is {new.get('operationId')}"
        yield from self._parameters(old, new, at)
        yield from self._request(old.get("requestBody"), new.get("requestBody"), f"{at} request")
        yield from self._answers(old["responses"], new["responses"], at)
        if not all(_still_do(asked, new.get("security", [])) for asked in old.get("security", []) or [{}]):
            yield f"{at}: security was {old.get('security', [])}, is {new.get('security', [])}"

    def _parameters(self, old: Json, new: Json, at: str) -> Iterator[str]:
        before = {(one["in"], one["name"]): one for one in _all(self.old, old.get("parameters", ()))}
        after = {(one["in"], one["name"]): one for one in _all(self.new, new.get("parameters", ()))}
        for key, parameter in after.items():
            if parameter.get("required") and not before.get(key, {}).get("required"):
                yield f"{at} {' '.join(key)}: newly required"
        for key, parameter in before.items():
            where = f"{at} {' '.join(key)}"
            if key not in after:
                yield f"{where}: removed"
            else:
                yield from self.sent.beyond(after[key].get("schema", {}), parameter.get("schema", {}), where)

    def _request(self, old: Json | None, new: Json | None, at: str) -> Iterator[str]:
        if new is not None and new.get("required") and not (old or {}).get("required"):
            yield f"{at}: newly required"
        for media_type, before, after in _contents(old or {}, new or {}):
            if after is None:
                yield f"{at} {media_type}: removed"
            else:
                yield from self.sent.beyond(after, before, f"{at} {media_type}")

    def _answers(self, old: Json, new: Json, at: str) -> Iterator[str]:
        for status, before in old.items():
            where = f"{at} {status}"
            if status not in new:
                # One error less is a relief.
                yield from [f"{where}: removed"] if status < ERRORS else []
                continue
            gone = before.get("headers", {}).keys() - new[status].get("headers", {}).keys()
            yield from (f"{where} header {name}: removed" for name in sorted(gone))
            for media_type, was, now in _contents(before, new[status]):
                if now is None:
                    yield f"{where} {media_type}: removed"
                else:
                    yield from self.received.beyond(was, now, f"{where} {media_type}")
        added = (status for status in new if status < ERRORS and status not in old)
        yield from (f"{at} {status}: added" for status in added if status != NOT_MODIFIED)


def _all(document: Json, nodes: Iterable[Json]) -> list[Json]:
    return [resolved(document, node) for node in nodes]


def _contents(old: Json, new: Json) -> Iterator[tuple[str, Any, Any]]:
    """The schemas of each media type of the old body, before and after; None after: no longer there."""
    after = new.get("content", {})
    for media_type, media in old.get("content", {}).items():
        yield media_type, media.get("schema", {}), after[media_type].get("schema", {}) if media_type in after else None


def _still_do(held: Mapping[str, list[str]], asked: list[Mapping[str, list[str]]]) -> bool:
    """Whether callers with these credentials and scopes still have what one of the alternatives asks for."""
    return not asked or any(
        all(name in held and set(scopes) <= set(held[name]) for name, scopes in one.items()) for one in asked
    )
