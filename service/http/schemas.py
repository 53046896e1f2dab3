"""JSON Schemas of Structs for the OpenAPI document, from msgspec, in the form that client generators read best.

What msgspec writes is kept (names, bounds, `additionalProperties: false`) and made plainer: an enum says its type, a
number its format, a description stands at the field rather than inside a choice, and an enum whose `Meta` has a title
is a schema of that name. In answers every field is there,
whatever its default, unless the Struct leaves defaults out: then such a field is absent, and never null.
"""

import inspect
import re
import typing
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from service.http.parameters import parameters_of

Json = dict[str, Any]

REF = "#/components/schemas/{name}"
_REF_START = REF.removesuffix("{name}")
_NULL = {"type": "null"}
_INT32 = 2**31
_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")


def reference(name: str) -> Json:
    """A reference to a named schema."""
    return {"$ref": REF.format(name=name)}


def schemas_of(sent: Iterable[Any], received: Iterable[Any]) -> tuple[dict[Any, Json], dict[str, Json]]:
    """Schemas by type, and the components they refer to; `Page[Job]` is called `Page_Job`.

    `sent` are the types that callers send, `received` those that they get; what is part of both is described as sent.
    """
    sent, received = list(sent), list(received)
    types = list(dict.fromkeys([*sent, *received]))
    found, components = msgspec.json.schema_components(types, ref_template=REF)
    rename = {name: re.sub(r"_+", "_", name).strip("_") for name in components}
    by_type = {tp: _plain(_renamed(schema, rename)) for tp, schema in zip(types, found, strict=True)}
    answers = set(structs_of(received)) - set(structs_of(sent))
    sparing = {struct.__name__: bool(struct.__struct_config__.omit_defaults) for struct in answers}
    for name, schema in components.items():
        # A generic one is called `Page_Job_` here.
        if (spares := sparing.get(name.partition("_")[0])) is not None and "properties" in schema:
            components[name] = _answered(schema, spares=spares)
    plain = {rename[name]: _plain(_renamed(schema, rename)) for name, schema in components.items()}
    named: dict[str, Json] = {}
    plain = {name: _with_named_enums(schema, named) for name, schema in plain.items()}
    return by_type, plain | named


def structs_of(types: Iterable[Any]) -> list[type[msgspec.Struct]]:
    """Every Struct that types are made of, at any depth; of generic ones the first that is met."""
    found: dict[type[msgspec.Struct], None] = {}
    pending: list[Any] = list(msgspec.inspect.multi_type_info(list(types)))
    while pending:
        node = pending.pop()
        if isinstance(node, (list, tuple)):
            pending.extend(node)
        elif isinstance(node, msgspec.inspect.StructType):
            struct = typing.get_origin(node.cls) or node.cls
            if struct not in found:
                found[struct] = None
                pending.extend(node.fields)
        elif isinstance(node, (msgspec.inspect.Type, msgspec.inspect.Field)):
            pending.extend(getattr(node, name) for name in node.__struct_fields__)
    return list(found)


def reachable(node: Any, components: Mapping[str, Json]) -> set[str]:
    """Names of the components that a part of the document refers to, directly or through others."""
    found: set[str] = set()
    pending = [node]
    while pending:
        current = pending.pop()
        if isinstance(current, dict):
            pending.extend(current.values())
        elif isinstance(current, list):
            pending.extend(current)
        elif isinstance(current, str) and current.startswith(_REF_START):
            name = current.removeprefix(_REF_START)
            if name not in found:
                found.add(name)
                pending.append(components[name])
    return found


def query_parameters(struct: type[msgspec.Struct], component: Json) -> list[Json]:
    """The parameters of a query Struct; they are left out rather than null."""
    required = component.get("required", [])
    return [
        tidy_parameter(
            {"name": name, "in": "query", "required": name in required, "schema": component["properties"][name]}
        )
        for name in parameters_of(struct)
    ]


def tidy_parameter(parameter: Json) -> Json:
    """Take null out of what a parameter may be, and say its description once, beside its schema."""
    schema = _plain(_not_null(parameter.get("schema", {})))
    description = schema.pop("description", None) or parameter.get("description")
    tidy = {key: value for key, value in parameter.items() if key != "description"} | {"schema": schema}
    return {**tidy, "description": description} if description else tidy


def _renamed(node: Any, names: Mapping[str, str]) -> Any:
    if isinstance(node, dict):
        return {
            key: REF.format(name=names[value.removeprefix(_REF_START)])
            if key == "$ref" and isinstance(value, str)
            else _renamed(value, names)
            for key, value in node.items()
        }
    return [_renamed(item, names) for item in node] if isinstance(node, list) else node


def _with_named_enums(node: Any, named: dict[str, Json]) -> Any:
    """Refer to each enum that has a title, so that clients have one type of it, and collect them by that name."""
    if isinstance(node, list):
        return [_with_named_enums(item, named) for item in node]
    if not isinstance(node, dict):
        return node
    if isinstance(node.get("enum"), list) and "title" in node:
        named[node["title"]] = {name: node[name] for name in ("title", "type", "enum")}
        return {**reference(node["title"]), **{name: node[name] for name in node.keys() - named[node["title"]].keys()}}
    return {key: _with_named_enums(value, named) for key, value in node.items()}


def _answered(component: Json, *, spares: bool) -> Json:
    """The schema of a Struct that is only ever answered; one that spares defaults leaves them out."""
    required = component["required"] if spares else list(component["properties"])
    fields = {
        name: {key: value for key, value in (one if name in required else _not_null(one)).items() if key != "default"}
        for name, one in component["properties"].items()
    }
    return {**component, "properties": fields, "required": required}


def _not_null(schema: Json) -> Json:
    tidy = {key: value for key, value in schema.items() if not (key == "default" and value is None)}
    for choice in ("oneOf", "anyOf"):
        arms = [_not_null(arm) for arm in tidy.pop(choice, []) if arm != _NULL]
        tidy |= arms[0] if len(arms) == 1 else {"anyOf": arms} if arms else {}
    if isinstance(tidy.get("enum"), list):
        tidy["enum"] = [value for value in tidy["enum"] if value is not None]
    return tidy


def _plain(node: Any) -> Any:
    """Write a schema, and every one inside it, as plainly as it can be."""
    if isinstance(node, list):
        return [_plain(item) for item in node]
    if not isinstance(node, dict):
        return node
    # Examples, defaults and enums hold values, not schemas.
    plain = {key: value if key in ("default", "enum", "examples") else _plain(value) for key, value in node.items()}
    if isinstance(plain.get("description"), str):
        plain["description"] = inspect.cleandoc(plain["description"])
    elif isinstance(plain.get("anyOf"), list) and _NULL in plain["anyOf"]:
        # Only of a choice between something and nothing is the description that of the whole.
        something = [arm for arm in plain["anyOf"] if arm != _NULL]
        if len(something) == 1 and "description" in something[0]:
            plain["description"] = something[0].pop("description")
    if "$ref" in plain and isinstance(plain.get("default"), dict):
        plain["default"] = {}  # the same as each of its defaults
    return _with_type(plain)


def _with_type(plain: Json) -> Json:
    """Name the type of an enum and the format of a number, whose bounds are of its kind."""
    kind = plain.get("type")
    if kind is None and plain.get("enum") and all(isinstance(value, str) for value in plain["enum"]):
        return {"type": "string", **plain}
    if kind == "integer":
        plain |= {key: int(plain[key]) for key in _BOUNDS if key in plain}
        if plain.get("maximum", _INT32) >= _INT32:
            plain.setdefault("format", "int64")
    elif kind == "number":
        plain.setdefault("format", "double")
    return plain
