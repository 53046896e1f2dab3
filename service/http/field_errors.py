"""Find every field of a decoded JSON value that does not fit a type, where msgspec stops at the first one.

This runs only after a typed decode has failed, so it may take its time; the happy path never comes here.
"""

import functools
import itertools
import types
import typing
from collections.abc import Hashable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Annotated, Any, TypeAlias, cast

import msgspec

from service.errors import FieldError, Invalid

MAX_ERRORS = 50
"""An answer lists at most this many errors; mending those shows the rest."""

_MOST_ITEMS = 10_000
"""Of a longer array, which nothing here takes, the rest is not looked at: the array itself is what does not fit."""
_DETAIL_CHARS = 300
_POINTER_CHARS = 500


class Unfit(msgspec.Struct, frozen=True):
    """Stands in a decoded value for something that no field may hold, such as a number past every range."""

    detail: str
    code: str = "invalid"


NUL = Unfit("Text must not hold the character U+0000", "unstorable_text")
LONE_SURROGATE = Unfit("Text must not hold half of a surrogate pair", "unstorable_text")


def text_fault(text: str) -> Unfit | None:
    """Say why PostgreSQL could not store `text`, or None where it can."""
    if "\x00" in text:
        return NUL
    # ASCII text is marked as such, so the common case costs nothing.
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        return LONE_SURROGATE
    return None


def all_errors(annotation: Any, value: Any, pointer: str = "") -> list[FieldError]:
    """List what keeps `value` (JSON as Python builtins) from being an `annotation`, at most `MAX_ERRORS` entries.

    Codes: `missing`, `unknown`, `invalid`, `unstorable_text`. The list is empty exactly if the value fits, and this
    never raises.
    """
    walk = _Walk()
    try:
        walk.visit(annotation, walk.mark_unfit(value, pointer), pointer)
    except RecursionError:
        walk.add("invalid", "The value is nested too deeply", pointer)
    return walk.errors


def child(pointer: str, key: str | int) -> str:
    """Append one reference token to a JSON pointer (RFC 6901), escaped and free of anything UTF-8 cannot carry."""
    token = str(key).encode("utf-8", "replace").decode().replace("~", "~0").replace("/", "~1")
    return f"{pointer}/{token}"


def sentence(error: Exception) -> str:
    """Turn what msgspec raised into a sentence without the path it ends with."""
    if isinstance(error, UnicodeError):
        return LONE_SURROGATE.detail
    return str(error).rsplit(" - at `", 1)[0][:_DETAIL_CHARS] or "The value does not fit"


def without_annotated(annotation: Any) -> Any:
    """Take `Annotated` and `NewType` off the outside of a type."""
    while True:
        if typing.get_origin(annotation) is Annotated:
            annotation = typing.get_args(annotation)[0]
        elif isinstance(annotation, typing.NewType):
            annotation = annotation.__supertype__
        else:
            return annotation


def union_arms(annotation: Any) -> tuple[Any, ...]:
    """The members of a union, or the type itself as the only one; None and UNSET are left out."""
    plain = without_annotated(annotation)
    arms = typing.get_args(plain) if typing.get_origin(plain) in (typing.Union, types.UnionType) else (annotation,)
    return tuple(arm for arm in arms if arm not in (types.NoneType, msgspec.UnsetType))


def struct_class(annotation: Any) -> type[msgspec.Struct] | None:
    """The Struct class behind `annotation`, parameters of a generic one taken off; None for any other type."""
    plain = without_annotated(annotation)
    cls = typing.get_origin(plain) or plain
    return cls if isinstance(cls, type) and issubclass(cls, msgspec.Struct) else None


_Place: TypeAlias = "str | tuple[_Place, str | int]"
"""A pointer, or a place and a step below it."""


def _pointer(at: _Place) -> str:
    steps = []
    while not isinstance(at, str):
        at, step = at
        steps.append(step)
    return functools.reduce(child, reversed(steps), at)


def _is_sound(value: Any) -> bool:
    """Whether nothing in a value is unfit."""
    pending = [value]
    for node in pending:  # which grows meanwhile
        if isinstance(node, str):
            if text_fault(node):
                return False
        elif isinstance(node, dict):
            if any(map(text_fault, node)):
                return False
            pending.extend(node.values())
        elif isinstance(node, list):
            pending.extend(node)
        elif isinstance(node, Unfit):
            return False
    return True


class _Walk:
    """Compare a value with a type, node by node, and keep what does not fit."""

    def __init__(self) -> None:
        self.errors: list[FieldError] = []

    def add(self, code: str, detail: str, pointer: str) -> None:
        """Keep one error, unless the list is full."""
        if len(self.errors) < MAX_ERRORS:
            self.errors.append(FieldError(code=code, detail=detail, pointer=pointer[:_POINTER_CHARS]))

    def mark_unfit(self, value: Any, pointer: str) -> Any:
        """Copy `value` with every unfit text replaced by its mark, reporting each: no type check would find them."""
        return value if _is_sound(value) else self._mark(value, pointer)

    def _mark(self, value: Any, at: "_Place") -> Any:
        # A body of a megabyte has hundreds of thousands of nodes, so no pointer is made in vain.
        if isinstance(value, str):
            value = text_fault(value) or value
        if isinstance(value, Unfit):
            self.add(value.code, value.detail, _pointer(at))
            return value
        if isinstance(value, dict):
            for key in value:
                if fault := text_fault(key):
                    self.add(fault.code, fault.detail, _pointer((at, key)))
            return {key: self._mark(item, (at, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self._mark(item, (at, index)) for index, item in enumerate(value)]
        return value

    def visit(self, annotation: Any, value: Any, pointer: str) -> bool:
        """Report what is wrong with one node, inner nodes first; True if anything is."""
        if isinstance(value, Unfit):
            return True
        try:
            msgspec.convert(value, annotation, strict=True, str_keys=True)
        except Exception as error:  # noqa: BLE001 - a rule in __post_init__ may raise anything; each means "does not fit"
            if not self._descend(annotation, value, pointer):
                self._add_raised(error, pointer)
            return True
        return False

    def _add_raised(self, error: Exception, pointer: str) -> None:
        """Report what a whole node raised; a rule over several fields may name them by raising Invalid itself."""
        if isinstance(error, Invalid):
            for inner in error.errors:
                self.add(inner.code, inner.detail, pointer + (inner.pointer or ""))
        elif isinstance(error, (ValueError, TypeError)):
            self.add("invalid", sentence(error), pointer)
        else:
            self.add("invalid", "The value does not fit", pointer)

    def _descend(self, annotation: Any, value: Any, pointer: str) -> bool:
        """Visit the parts of a container; True if one of them is wrong."""
        arms = union_arms(annotation)
        if isinstance(value, dict):
            return self._descend_object(arms, value, pointer)
        if isinstance(value, list):
            lists = [arm for arm in arms if _is_list(arm)]
            return len(lists) == 1 and self._descend_array(lists[0], value, pointer)
        return False

    def _descend_object(self, arms: Sequence[Any], value: dict[str, Any], pointer: str) -> bool:
        structs = [arm for arm in arms if struct_class(arm)]
        tag_field = next((config.tag_field for arm in structs if (config := _config(arm)).tag_field), None)
        if tag_field is not None:
            tagged = [arm for arm in structs if _config(arm).tag == value.get(tag_field)]
            if tagged:
                return self._descend_struct(tagged[0], value, pointer)
            tags = ", ".join(repr(_config(arm).tag) for arm in structs)
            code = "invalid" if tag_field in value else "missing"
            self.add(code, f"Must be one of {tags}", child(pointer, tag_field))
            return True
        if len(structs) == 1:
            return self._descend_struct(structs[0], value, pointer)
        mappings = [arm for arm in arms if _origin_is(arm, Mapping)]
        if len(mappings) != 1 or len(args := typing.get_args(without_annotated(mappings[0]))) != 2:  # noqa: PLR2004 - key, value
            return False
        wrong = [self.visit(args[1], item, child(pointer, key)) for key, item in value.items()]
        return any(wrong)

    def _descend_struct(self, annotation: Any, value: dict[str, Any], pointer: str) -> bool:
        config = _config(annotation)
        fields = _fields(without_annotated(annotation))
        wrong = False
        for field in fields:
            at = child(pointer, field.encode_name)
            if field.encode_name in value:
                wrong |= self.visit(field.type, value[field.encode_name], at)
            elif field.required:
                self.add("missing", "This field is required", at)
                wrong = True
        if config.forbid_unknown_fields:
            known = {field.encode_name for field in fields} | {config.tag_field}
            for key in (key for key in value if key not in known):
                self.add("unknown", "This field is not known here", child(pointer, key))
                wrong = True
                if len(self.errors) >= MAX_ERRORS:
                    break
        return wrong

    def _descend_array(self, annotation: Any, value: list[Any], pointer: str) -> bool:
        plain = without_annotated(annotation)
        args = typing.get_args(plain)
        if typing.get_origin(plain) is tuple and args[-1] is not Ellipsis:
            inner: Iterable[Any] = args if len(args) == len(value) else ()
        else:
            inner = itertools.repeat(args[0]) if args else ()
        wrong = False
        for index, (item_type, item) in enumerate(zip(inner, value[:_MOST_ITEMS], strict=False)):
            wrong |= self.visit(item_type, item, child(pointer, index))
            if len(self.errors) >= MAX_ERRORS:
                break
        return wrong


@functools.lru_cache(maxsize=512)
def _fields(struct: Hashable) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(cast("type[msgspec.Struct]", struct))


def _config(annotation: Any) -> msgspec.structs.StructConfig:
    cls = struct_class(annotation)
    if cls is None:
        raise TypeError(f"{annotation!r} is not a Struct")
    return cls.__struct_config__


def _origin_is(annotation: Any, base: type) -> bool:
    plain = without_annotated(annotation)
    origin = typing.get_origin(plain) or plain
    return isinstance(origin, type) and issubclass(origin, base)


def _is_list(annotation: Any) -> bool:
    return not _origin_is(annotation, str) and (_origin_is(annotation, Sequence) or _origin_is(annotation, AbstractSet))
