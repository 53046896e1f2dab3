"""Tells whether each value that one JSON Schema allows is allowed by another one too, and if not, why.

What callers send under the old document must be allowed by the new one; what they get under the new one must have been
allowed by the old one. A keyword that this comparison does not know counts as a difference as soon as it changes.
"""

from collections.abc import Iterator, Mapping
from typing import Any

Json = Mapping[str, Any]

PROSE = {"title", "description", "example", "examples", "deprecated", "default", "summary", "externalDocs"}
"""What says nothing about which values are allowed. Defaults are looked at by themselves."""
WALKED = {"$ref", "type", "enum", "const", "anyOf", "oneOf", "properties", "required", "additionalProperties", "items"}
LOWER = {"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"}
UPPER = {"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"}


def resolved(document: Json, node: Json) -> Json:
    """What a node stands for, references followed."""
    while "$ref" in node:
        at: Any = document
        for key in node["$ref"].removeprefix("#/").split("/"):
            at = at[key.replace("~1", "/").replace("~0", "~")]
        node = {**at, **{name: value for name, value in node.items() if name != "$ref"}}
    return node


class Subset:
    """Compares schemas of two documents, of which one should allow all that the other does."""

    def __init__(self, *, wide_in: Json, narrow_in: Json, sent: bool) -> None:
        self.wide_in = wide_in
        self.narrow_in = narrow_in
        self.sent = sent
        self._walking: set[tuple[str | int, str | int]] = set()

    def beyond(self, wide: Json, narrow: Json, at: str) -> Iterator[str]:
        """Why a value that `narrow` allows may not be allowed by `wide`; nothing if each one is."""
        pair = (wide.get("$ref", id(wide)), narrow.get("$ref", id(narrow)))
        if pair in self._walking:
            return
        if pair[0] == pair[1] and "$ref" in wide:
            # Said once, at the schema, and not wherever it is used.
            at = f"{wide['$ref'].rsplit('/', 1)[1]} {'sent' if self.sent else 'received'}"
        self._walking.add(pair)
        wide, narrow = resolved(self.wide_in, wide), resolved(self.narrow_in, narrow)
        if self.sent and "default" in narrow and narrow["default"] != wide.get("default"):
            yield self._told(at, "default", wide.get("default"), narrow["default"])
        for arm in _arms(narrow):
            reasons = [list(self._arm(one, arm, at)) for one in _arms(wide)]
            if all(reasons):
                yield from min(reasons, key=len)  # the choice that comes nearest says best what is missing
        self._walking.discard(pair)

    def _arm(self, wide: Json, narrow: Json, at: str) -> Iterator[str]:
        if not (_is_one(wide) and _is_one(narrow)):
            yield from self.beyond(wide, narrow, at)
            return
        kind, allowed = narrow.get("type"), wide.get("type")
        if allowed not in (None, kind) and (allowed, kind) != ("number", "integer"):
            yield self._told(at, "type", allowed, kind)
            return
        yield from self._values(wide, narrow, at)
        yield from self._bounds(wide, narrow, at)
        yield from self._fields(wide, narrow, at)
        yield from self._further_fields(wide, narrow, at)
        if "items" in wide:
            yield from self.beyond(wide["items"], narrow.get("items", {}), f"{at}[]")

    def _values(self, wide: Json, narrow: Json, at: str) -> Iterator[str]:
        allowed, possible = _choices(wide), _choices(narrow)
        if allowed is not None and (possible is None or not all(value in allowed for value in possible)):
            yield self._told(at, "enum", allowed, possible)
        for name in sorted((wide.keys() | narrow.keys()) - PROSE - WALKED - LOWER - UPPER):
            if name in wide and wide[name] != narrow.get(name):
                yield self._told(at, name, wide[name], narrow.get(name))

    def _bounds(self, wide: Json, narrow: Json, at: str) -> Iterator[str]:
        for name in sorted(wide.keys() & (LOWER | UPPER)):
            bound, reached = wide[name], narrow.get(name)
            if reached is None or (reached < bound if name in LOWER else reached > bound):
                yield self._told(at, name, bound, reached)

    def _fields(self, wide: Json, narrow: Json, at: str) -> Iterator[str]:
        allowed, possible = wide.get("properties", {}), narrow.get("properties", {})
        for name in sorted(set(wide.get("required", ())) - set(narrow.get("required", ()))):
            if self.sent or name in possible:
                yield f"{at}.{name}: {'newly required' if self.sent else 'may be missing now'}"
        if not self.sent:
            yield from (f"{at}.{name}: removed" for name in allowed if name not in possible)
        for name, schema in possible.items():
            if name in allowed:
                yield from self.beyond(allowed[name], schema, f"{at}.{name}")
            elif wide.get("additionalProperties", True) is False:
                yield f"{at}.{name}: {'removed' if self.sent else 'added, where no more were to come'}"
            elif isinstance(wide.get("additionalProperties"), Mapping):
                yield from self.beyond(wide["additionalProperties"], schema, f"{at}.{name}")

    def _further_fields(self, wide: Json, narrow: Json, at: str) -> Iterator[str]:
        allowed, possible = wide.get("additionalProperties", True), narrow.get("additionalProperties", True)
        if possible is False or allowed is True:
            return
        if allowed is False:
            yield self._told(at, "additionalProperties", allowed, possible)
        else:
            yield from self.beyond(allowed, {} if possible is True else possible, f"{at}.*")

    def _told(self, at: str, what: str, wide: object, narrow: object) -> str:
        was, now = (narrow, wide) if self.sent else (wide, narrow)
        return f"{at}: {what} was {was}, is {now}"


def _arms(schema: Json) -> list[Json]:
    """The choices that a schema is made of; itself if it is none."""
    for choice in ("anyOf", "oneOf"):
        if choice in schema:
            rest = {name: value for name, value in schema.items() if name not in (choice, *PROSE)}
            return [{**rest, **arm} for arm in schema[choice]]
    kinds = schema.get("type")
    return [{**schema, "type": kind} for kind in kinds] if isinstance(kinds, list) else [schema]


def _is_one(schema: Json) -> bool:
    return not ({"$ref", "anyOf", "oneOf"} & schema.keys() or isinstance(schema.get("type"), list))


def _choices(schema: Json) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")
