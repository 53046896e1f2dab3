"""Turn a query string or a form into one Struct strictly, and name every parameter that is wrong.

A parameter is a field of the Struct: a list takes repeated parameters, anything else is given once. Numbers, `true`
and `false` (also `1` and `0`), and RFC 3339 times are read from text, and `Meta` constraints hold. An empty value is
refused (leave the parameter out instead), and so are `nan`, `inf` and text that PostgreSQL cannot store; the text
`null` is text. Text is trimmed of Unicode white space first.
"""

import functools
import operator
import re
import typing
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec

from service.errors import FieldError, Invalid
from service.http.field_errors import MAX_ERRORS, sentence, struct_class, text_fault, union_arms, without_annotated

MAX_PARAMETERS = 200
_NAME_CHARS = 100
_OFFSET_WITH_SPACE = re.compile(r"(?<=\d) (?=\d\d:\d\d$)")

StructT = TypeVar("StructT", bound=msgspec.Struct)
Place = Callable[[str, str, str], FieldError]


class _Parameter(msgspec.Struct, frozen=True):
    """How the text of one parameter becomes a value."""

    field: str
    item: Any
    whole: Any
    many: bool
    required: bool
    kind: Any


def decode_query(query_string: bytes, struct: type[StructT]) -> StructT:
    """Decode the raw query string of a URL; raises Invalid with every wrong, unknown and repeated parameter."""
    return _decode(query_string, struct, _as_parameter, refuse_unknown=True)


def decode_form(body: bytes, struct: type[StructT]) -> StructT:
    """Decode an `application/x-www-form-urlencoded` body; unknown fields are refused only if the Struct forbids them.

    (OAuth 2.0, RFC 6749 section 3.2, has a token endpoint pass over parameters that it does not know.)
    """
    return _decode(body, struct, _as_pointer, refuse_unknown=struct.__struct_config__.forbid_unknown_fields)


def undeclared_query(query_string: bytes) -> None:
    """Refuse every parameter of a route that takes none; raises Invalid."""
    names = dict.fromkeys(name for name, _ in _pairs(query_string, _as_parameter))
    if errors := [_as_parameter("unknown", "This path takes no such parameter", name) for name in names]:
        raise Invalid(errors[:MAX_ERRORS])


def _decode(raw: bytes, struct: type[StructT], place: Place, *, refuse_unknown: bool) -> StructT:
    known = parameters_of(struct)
    given: dict[str, list[bytes]] = {}
    errors: list[FieldError] = []
    for name, text in _pairs(raw, place):
        if name in known:
            given.setdefault(name, []).append(text)
        elif refuse_unknown and all(error.parameter != name for error in errors):
            errors.append(place("unknown", "This path takes no such parameter", name))
    values: dict[str, Any] = {}
    for name, parameter in known.items():
        if name not in given:
            if parameter.required:
                errors.append(place("missing", "This parameter is required", name))
            continue
        try:
            values[parameter.field] = _read(parameter, given[name])
        except _WrongError as wrong:
            errors.append(place(wrong.code, wrong.detail, name))
    if errors:
        raise Invalid(errors[:MAX_ERRORS])
    return _build(struct, values, place)


def _build(struct: type[StructT], values: dict[str, Any], place: Place) -> StructT:
    """Make the Struct, and so apply its rules over several fields, which name them by raising Invalid."""
    try:
        return struct(**values)
    except Invalid as error:
        raise Invalid(
            [place(inner.code, inner.detail, (inner.pointer or "").lstrip("/")) for inner in error.errors]
        ) from None
    except ValueError as error:
        raise Invalid([place("invalid", sentence(error), "")]) from None


@functools.cache
def parameters_of(struct: type[msgspec.Struct]) -> dict[str, _Parameter]:
    """The parameters that a Struct stands for, by the name they have in a URL."""
    return {field.encode_name: _parameter(field) for field in msgspec.structs.fields(struct)}


def _parameter(field: msgspec.structs.FieldInfo) -> _Parameter:
    arms = union_arms(field.type)
    whole: Any = functools.reduce(operator.or_, arms)
    plain = without_annotated(whole)
    many = typing.get_origin(plain) in (list, tuple, set, frozenset)
    item = typing.get_args(plain)[0] if many else whole
    if struct_class(item) or typing.get_origin(without_annotated(item)) in (dict, list):
        raise TypeError(f"{field.name!r} cannot be a parameter: it is more than one value deep")
    return _Parameter(field.name, item, whole, many, field.required, without_annotated(item))


class _WrongError(Exception):
    """One parameter cannot be read."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


def _read(parameter: _Parameter, texts: list[bytes]) -> Any:
    if not parameter.many:
        if len(texts) > 1:
            raise _WrongError("repeated", "This parameter is given more than once")
        return _read_item(parameter, texts[0], parameter.whole)
    items = [_read_item(parameter, text, parameter.item) for text in texts]
    return _convert(items, parameter.whole, strict=True)


def _read_item(parameter: _Parameter, raw: bytes, annotation: Any) -> Any:
    try:
        text = raw.decode("utf-8").strip()
    except UnicodeDecodeError:
        raise _WrongError("invalid", "The value is not UTF-8") from None
    if not text:
        raise _WrongError("invalid", "The value is empty; leave the parameter out instead")
    if fault := text_fault(text):
        raise _WrongError(fault.code, fault.detail)
    kind = parameter.kind
    if kind is datetime:
        # An unescaped "+03:00" arrives with a space, for that is what + means in a query string.
        return _convert(_OFFSET_WITH_SPACE.sub("+", text), annotation, strict=True)
    if kind is int and not text.removeprefix("-").isdecimal():
        raise _WrongError("invalid", "Expected a whole number")
    if kind is float and text.lower().lstrip("+-")[:1] in ("n", "i"):
        raise _WrongError("invalid", "Expected a finite number")
    return _convert(text, annotation, strict=kind not in (int, float, bool))


def _convert(value: Any, annotation: Any, *, strict: bool) -> Any:
    try:
        return msgspec.convert(value, annotation, strict=strict)
    except ValueError as error:
        # "Expected `int`, got `str`" would puzzle: every parameter is text.
        raise _WrongError("invalid", sentence(error).removesuffix(", got `str`")) from None


def _pairs(raw: bytes, place: Place) -> list[tuple[str, bytes]]:
    """Split a query string; values stay bytes, for one that is not UTF-8 is an error of that parameter alone."""
    try:
        pairs = parse_qsl(
            raw.decode("latin-1"), keep_blank_values=True, encoding="latin-1", max_num_fields=MAX_PARAMETERS
        )
    except ValueError:
        raise Invalid([place("invalid", f"At most {MAX_PARAMETERS} parameters can be given", "")]) from None
    return [(name.encode("latin-1").decode("utf-8", "replace"), value.encode("latin-1")) for name, value in pairs]


def _as_parameter(code: str, detail: str, name: str) -> FieldError:
    return FieldError(code=code, detail=detail, parameter=name[:_NAME_CHARS])


def _as_pointer(code: str, detail: str, name: str) -> FieldError:
    return FieldError(code=code, detail=detail, pointer=f"/{name[:_NAME_CHARS]}" if name else "")
