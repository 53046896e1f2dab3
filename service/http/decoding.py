"""Turn the bytes of a request into Structs strictly, and name every field that is wrong.

What a caller can count on:

- Types are strict: `"1"` is not a number, and neither is `1.0` a whole number. Where a key is repeated, its last value
  counts (what nearly every JSON reader does). NaN, Infinity and a byte order mark are not JSON.
- Text is trimmed of Unicode white space at both ends before it is checked.
- Text that PostgreSQL cannot store (U+0000, half a surrogate pair) is refused by field.
- A body is read only if its content type is one the route reads (415) and it is not compressed (415); its size is
  counted as it arrives (413), whatever `Content-Length` says.

What a handler does: declare `data: JSONBody[X]` for a JSON body, or `body: RawBody` and `opt=takes(body={...})` for
anything else; declare `opt=takes(query=X)` and call `request.query(X)` for the query string.
"""

import asyncio
import functools
import json
import math
import typing
from collections.abc import Hashable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, TypeVar, cast

import msgspec
from litestar import Request
from litestar.datastructures import State
from litestar.enums import RequestEncodingType
from litestar.exceptions import InternalServerException
from litestar.handlers import HTTPRouteHandler
from litestar.params import BodyKwarg

from service.errors import FieldError, Invalid, NotFound, UnreadableBody, UnsupportedMediaType
from service.http.deprecation import note_deprecated
from service.http.field_errors import MAX_ERRORS, Unfit, all_errors
from service.http.parameters import decode_query, undeclared_query

MAX_BODY_BYTES = 1_048_576
"""What one posting or one search may weigh; the `request_max_body_size` of the application."""

MAX_BATCH_BYTES = 16 * MAX_BODY_BYTES
"""What a batch may weigh; the `request_max_body_size` of a handler that takes one."""

JSON = "application/json"
NDJSON = "application/x-ndjson"
FORM = "application/x-www-form-urlencoded"

T = TypeVar("T")
StructT = TypeVar("StructT", bound=msgspec.Struct)


class _Refused:
    """Stands for a body that was refused, so that Litestar goes on to check headers and path before it gives up."""


_REFUSED = _Refused()
_OUT_OF_RANGE = Unfit("Number out of range")
_TRIMMED = frozenset((str, list, dict))
_AT_ONCE_BYTES = 16_384
_READERS = ThreadPoolExecutor(2, thread_name_prefix="decoding")  # more would only take turns from the event loop
_INT_DIGITS = 4000  # Python refuses to read more than 4300 digits


def takes(*, query: type[msgspec.Struct] | None = None, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Declare for a handler's `opt` the Struct of its query string, and the body types of a `body: RawBody` handler.

    `body` maps each media type that the route reads to the type that one body (NDJSON: one line) holds; the OpenAPI
    document is written from both.
    """
    declared: dict[str, Any] = {}
    if query is not None:
        declared["query"] = query
    if body is not None:
        declared["body"] = dict(body)
    return declared


def decode_json(body: bytes, annotation: type[T]) -> T:
    """Decode a JSON body; raises UnreadableBody if it is not JSON, Invalid with every failing field otherwise."""
    value = _decode_typed(body, annotation)
    return _decode_slowly(body, annotation) if isinstance(value, _Refused) else value


def _decode_typed(body: bytes, annotation: type[T]) -> T | _Refused:
    """Decode what nothing is wrong with, and nothing has to be trimmed of: nearly every body."""
    try:
        value: T = _decoder(cast("Hashable", annotation)).decode(body)
        plain = not (b"\\" in body and b"\\u0000" in body) and not _untrimmed(value)
    except (ValueError, RecursionError, Invalid):
        # A broken body can fail its type first, and msgspec takes half a surrogate pair for broken JSON: reading the
        # body again without a type tells them apart.
        return _REFUSED
    return value if plain else _REFUSED


def read_json(body: bytes) -> Any:
    """Read any JSON into builtins, with numbers past every range marked; raises UnreadableBody."""
    try:
        return json.loads(
            body.decode("utf-8"), parse_float=_read_float, parse_int=_read_int, parse_constant=_refuse_constant
        )
    except UnicodeDecodeError as error:
        raise UnreadableBody(f"The body is not UTF-8: byte {error.start} cannot be read") from None
    except json.JSONDecodeError as error:
        raise UnreadableBody(f"The body is not JSON: {error}") from None
    except RecursionError:
        raise UnreadableBody("The body is nested too deeply") from None


class StrictRequest(Request[Any, Any, State]):
    """The request class of the application: strict bodies, and the query string as a Struct."""

    @property
    def media_type(self) -> str:
        """The content type of the body in lower case and without its options; empty if none is given."""
        return self.content_type[0].lower()

    def query(self, struct: type[StructT]) -> StructT:
        """Return the query string as the Struct that the handler declares with `takes`; raises Invalid."""
        found = _state(self).get("query")
        return found if isinstance(found, struct) else decode_query(self.scope["query_string"], struct)

    async def body(self) -> bytes:
        """Read the body; raises UnsupportedMediaType before that, UnreadableBody if it is empty or cut off."""
        expected = _reading(self.route_handler).media_types
        if expected:
            _check_headers(self, expected)
        try:
            body = await super().body()
        except InternalServerException:
            raise UnreadableBody("The connection closed before the body was complete") from None
        if expected and not body:
            raise UnreadableBody(f"The body is empty; send {' or '.join(expected)}")
        return body

    async def json(self) -> Any:
        """Decode the body into the type of the handler's `data`."""
        annotation = _reading(self.route_handler).annotation
        body = await super().body()  # Litestar has called `body` before, and so checked the headers
        refused: list[FieldError] = _state(self).get("field_errors", [])
        try:
            value = _decode_typed(body, annotation)
            if value is _REFUSED:
                value = await _decode_aside(body, annotation)
        except Invalid as error:
            refused = [*refused, *error.errors]
        if not refused:
            return value
        if annotation is Any:
            raise Invalid(refused[:MAX_ERRORS])
        _state(self)["field_errors"] = refused
        return _REFUSED


async def check_parameters(request: Request[Any, Any, Any]) -> None:
    """Refuse what the path and the query string may not hold: the `before_request` of every route under `/api/v1`.

    Unknown and repeated parameters are named. Where a JSON body follows, the errors of both are answered together.
    """
    for value in request.path_params.values():
        # int() reads "+5", "007" and "1_000" too: one thing has one address.
        if isinstance(value, int) and str(value) not in request.scope["path"].split("/"):
            raise NotFound("Nothing is at this path")
    opt = request.route_handler.opt
    if deprecated := opt.get("deprecated"):
        note_deprecated(request.scope, request.route_handler.handler_name, deprecated)
    struct = opt.get("query")
    raw = request.scope["query_string"]
    try:
        if struct is not None:
            _state(request)["query"] = decode_query(raw, struct)
        elif raw:
            undeclared_query(raw)
    except Invalid as error:
        if not _reading(request.route_handler).json_data:
            raise
        _state(request)["field_errors"] = list(error.errors)


def _state(request: Request[Any, Any, Any]) -> dict[str, Any]:
    state: dict[str, Any] = request.scope.setdefault("state", {})
    return state


class _Reading(msgspec.Struct, frozen=True):
    """What a handler reads as its body: none if there are no media types."""

    media_types: tuple[str, ...] = ()
    annotation: Any = Any
    json_data: bool = False


@functools.lru_cache(maxsize=1024)
def _reading(handler: HTTPRouteHandler) -> _Reading:
    if declared := handler.opt.get("body"):
        return _Reading(tuple(declared))
    field = handler.parsed_fn_signature.parameters.get("data")
    if field is None:
        return _Reading()
    kwarg = field.kwarg_definition
    media_type = kwarg.media_type if isinstance(kwarg, BodyKwarg) else RequestEncodingType.JSON
    name = media_type.value if isinstance(media_type, RequestEncodingType) else media_type
    return _Reading((name,), _constraints_alone(field.raw), name == JSON)


def _constraints_alone(annotation: Any) -> Any:
    """Take Litestar's marks off a type and leave msgspec's; hashing the marks would take longer than decoding does."""
    if typing.get_origin(annotation) is not Annotated:
        return annotation
    plain, *marks = typing.get_args(annotation)
    kept = [mark for mark in marks if isinstance(mark, msgspec.Meta)]
    return Annotated[(plain, *kept)] if kept else plain


def _check_headers(request: StrictRequest, expected: tuple[str, ...]) -> None:
    given, options = request.content_type
    if given == expected[0] and not options and "content-encoding" not in request.headers:
        return  # nearly every request
    given = given.lower()
    if given not in expected and not (
        JSON in expected and given.startswith("application/") and given.endswith("+json")
    ):
        raise UnsupportedMediaType(f"This path reads {' or '.join(expected)}, named in Content-Type")
    if options.get("charset", "utf-8").lower() not in ("utf-8", "utf8", "us-ascii"):
        raise UnsupportedMediaType("The body must be UTF-8")
    codings = ",".join(request.headers.getall("content-encoding", [])).lower().split(",")
    if any(coding.strip() not in ("identity", "") for coding in codings):
        raise UnsupportedMediaType("The body must not be compressed")


@functools.lru_cache(maxsize=512)
def _decoder(annotation: Hashable) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(annotation)


def _decode_slowly(body: bytes, annotation: type[T]) -> T:
    """Decode what the typed decoder refused, or text that has to be trimmed before its length counts."""
    try:
        value = _trimmed(read_json(body))
    except RecursionError:
        raise UnreadableBody("The body is nested too deeply") from None
    if errors := all_errors(annotation, value):
        raise Invalid(errors)
    return msgspec.convert(value, annotation, strict=True, str_keys=True)


async def _decode_aside(body: bytes, annotation: type[T]) -> T:
    """Decode slowly; a large body in a thread, since reading one that is made for it takes longer than others wait."""
    if len(body) <= _AT_ONCE_BYTES:
        return _decode_slowly(body, annotation)
    return await asyncio.get_running_loop().run_in_executor(_READERS, _decode_slowly, body, annotation)


def _untrimmed(value: Any) -> bool:
    if isinstance(value, str):
        return value[:1].isspace() or value[-1:].isspace()
    if isinstance(value, msgspec.Struct):
        return any(_untrimmed(getattr(value, name)) for name in value.__struct_fields__)
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, (list, tuple, set, frozenset)):
        return False
    return any(_untrimmed(item) for item in value)


def _trimmed(value: Any) -> Any:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list):
        return [_trimmed(item) if type(item) in _TRIMMED else item for item in value]
    if isinstance(value, dict):
        return {key: _trimmed(item) if type(item) in _TRIMMED else item for key, item in value.items()}
    return value


def _read_float(text: str) -> float | Unfit:
    number = float(text)
    return number if math.isfinite(number) else _OUT_OF_RANGE


def _read_int(text: str) -> int | Unfit:
    return int(text) if len(text) <= _INT_DIGITS else _OUT_OF_RANGE


def _refuse_constant(name: str) -> Any:
    raise UnreadableBody(f"The body is not JSON: {name} is not a number there")
