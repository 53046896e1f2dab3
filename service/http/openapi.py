"""The OpenAPI 3.1 document: paths from Litestar, every schema from msgspec, problems and security on each operation.

Litestar's own schemas lose constraints inside lists, `additionalProperties: false` and lower bounds of 0, and clients
are generated from this document; so bodies, answers and query strings are described by `msgspec.json` here.

What a handler says for it: `operation_id` or its name, a docstring (first line: the summary), `tags`, `takes(...)`,
`responses=problems(...)` for its own codes, and in `opt` either `public=True` or `scope="jobs:read"`; `parts` names
types there that the schema of its answer only refers to.
"""

import inspect
import re
from collections.abc import Iterator
from typing import Any

import msgspec
from litestar import Litestar, Response, Router
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.spec import Components, License, SecurityScheme, Tag
from litestar.routes import HTTPRoute

from service.http.decoding import JSON
from service.http.parameters import parameters_of
from service.http.problem import MEDIA_TYPE, PROBLEMS, Problem, described

Json = dict[str, Any]

API_PREFIX = "/api/v1"
_REF = "#/components/schemas/{name}"
_EVERY = ("overloaded", "database_unavailable", "internal_error")
_GUARDED = ("unauthenticated", "key_expired", "token_expired", "forbidden", "rate_limited")
_QUOTA = {
    "RateLimit-Policy": {"description": 'Class, quota, seconds: `"search";q=600;w=60`', "schema": {"type": "string"}},
    "RateLimit": {"description": 'What is left, for how long: `"search";r=0;t=42`', "schema": {"type": "string"}},
}
_BODY = ("unreadable_body", "body_too_large", "unsupported_media_type", "invalid")
_TAGS = {
    "jobs": "Postings: create, read, change, list, import",
    "search": "Search by meaning and by words",
    "export": "All postings as CSV or NDJSON",
    "pay": "Exchange rates",
    "access": "Tokens and the caller's profile",
    "admin": "Keys and the state of the service; scope `admin`",
    "health": "For probes and dashboards",
}
_DESCRIPTION = """\
Semantic search over job postings.

Send an API key in `X-API-Key`, or a token in `Authorization: Bearer`. Every error is `application/problem+json`
(RFC 9457) and names all failing fields at once. Unknown fields and parameters are refused. Types are strict: `"1"` is
not a number, and `1.0` is not a whole one. Text is trimmed of white space at both ends. Times are RFC 3339 with an
offset.
"""


class _Unserved(Router):
    """Litestar's own documentation pages, none of which is served: they load scripts from outside hosts."""

    def register(self, value: Any) -> list[Any]:  # noqa: ARG002 - the parameter is Router's
        """Register nothing."""
        return []


def openapi_config(version: str) -> OpenAPIConfig:
    """The `openapi_config` of the application; `document` writes the document."""
    schemes: dict[str, Any] = {
        "ApiKey": SecurityScheme(type="apiKey", name="X-API-Key", security_scheme_in="header"),
        "Bearer": SecurityScheme(type="http", scheme="bearer", bearer_format="JWT"),
    }
    return OpenAPIConfig(
        title="JobSense",
        version=version,
        description=_DESCRIPTION,
        license=License(name="MIT", identifier="MIT"),
        tags=[Tag(name=name, description=description) for name, description in _TAGS.items()],
        servers=[],
        components=Components(security_schemes=schemes),
        use_handler_docstrings=True,
        operation_id_creator=_operation_id,
        openapi_router=_Unserved("/", route_handlers=[]),
    )


def document(app: Litestar) -> Json:
    """Write the OpenAPI document of an application, in a stable order."""
    written: Json = app.openapi_schema.to_schema()
    operations = list(_operations(app, written))
    types = list(dict.fromkeys([Problem, *(tp for operation in operations for tp in operation.types())]))
    schemas, components = _schemas(types)
    for operation in operations:
        operation.describe(schemas, components)
    used = _reachable(written["paths"], components)
    written["components"]["schemas"] = {name: components[name] for name in sorted(used)}
    written["paths"] = dict(sorted(written["paths"].items()))
    spoken = {tag for operation in operations for tag in operation.written.get("tags", ())}
    written["tags"] = [tag for tag in written["tags"] if tag["name"] in spoken]
    # Defaults of Structs may be tuples; what is returned is what will be read from the encoded document.
    plain: Json = msgspec.json.decode(msgspec.json.encode(written))
    return plain


def _operation_id(handler: HTTPRouteHandler, _method: object, _path: object) -> str:
    return handler.handler_name


def _operations(app: Litestar, written: Json) -> Iterator["_Operation"]:
    for route in app.routes:
        if not isinstance(route, HTTPRoute):
            continue
        for method, (handler, _) in route.route_handler_map.items():
            if handler.resolve_include_in_schema():
                yield _Operation(written["paths"][route.path_format or "/"][method.lower()], handler, route)


def _schemas(types: list[Any]) -> tuple[dict[Any, Json], dict[str, Json]]:
    """Schemas by type, and the components they refer to; `Page[Job]` is called `Page_Job`."""
    found, components = msgspec.json.schema_components(types, ref_template=_REF)
    rename = {name: re.sub(r"_+", "_", name).strip("_") for name in components}
    by_type = {tp: _renamed(schema, rename) for tp, schema in zip(types, found, strict=True)}
    return by_type, {rename[name]: _renamed(schema, rename) for name, schema in components.items()}


def _renamed(node: Any, names: dict[str, str]) -> Any:
    if isinstance(node, dict):
        return {
            key: _REF.format(name=names[value.rsplit("/", 1)[1]])
            if isinstance(value, str) and value.startswith(_REF[:-6]) and key != "description"
            else _renamed(value, names)
            for key, value in node.items()
        }
    return [_renamed(item, names) for item in node] if isinstance(node, list) else node


def _reachable(node: Any, components: dict[str, Json]) -> set[str]:
    """Names of the components that a part of the document refers to, directly or through others."""
    found: set[str] = set()
    pending = [node]
    while pending:
        current = pending.pop()
        if isinstance(current, dict):
            pending.extend(current.values())
        elif isinstance(current, list):
            pending.extend(current)
        elif (
            isinstance(current, str)
            and current.startswith(_REF[:-6])
            and (name := current[len(_REF) - 6 :]) not in found
        ):
            found.add(name)
            pending.append(components[name])
    return found


class _Operation:
    """One operation of the document with the handler behind it."""

    def __init__(self, written: Json, handler: HTTPRouteHandler, route: HTTPRoute) -> None:
        self.written = written
        self.handler = handler
        self.route = route
        self.query: type[msgspec.Struct] | None = handler.opt.get("query")
        self.bodies = self._bodies()
        self.result = self._result()

    def _bodies(self) -> dict[str, Any]:
        """What the handler reads, by media type."""
        if declared := self.handler.opt.get("body"):
            return dict(declared)
        field = self.handler.parsed_fn_signature.parameters.get("data")
        if field is None:
            return {}
        return dict.fromkeys(self.written.get("requestBody", {}).get("content") or (JSON,), field.raw)

    def _result(self) -> Any:
        """What the handler answers, out of its `Response[...]`; None where msgspec has nothing to describe."""
        field = self.handler.parsed_fn_signature.return_type
        if field.is_subclass_of(Response):
            inner = field.inner_types[0] if field.inner_types else None
            field = inner if inner is not None else field
        annotation = field.raw
        media_type = str(getattr(self.handler.media_type, "value", self.handler.media_type) or JSON)
        if annotation in (None, type(None), bytes, str, Any, inspect.Signature.empty) or not media_type.endswith(
            "json"
        ):
            return None
        return None if field.is_subclass_of(Response) else annotation

    def types(self) -> list[Any]:
        """Every type whose schema this operation needs."""
        found = [*self.bodies.values(), *([self.result] if self.result is not None else [])]
        found += self.handler.opt.get("parts", ())
        return [*found, self.query] if self.query is not None else found

    def describe(self, schemas: dict[Any, Json], components: dict[str, Json]) -> None:
        """Put the schemas, the query parameters, the problems, the security and the summary in place."""
        parameters = [_tidy_parameter(parameter) for parameter in self.written.get("parameters", [])]
        if self.query is not None:
            name = schemas[self.query]["$ref"].rsplit("/", 1)[1]
            parameters += _query_parameters(self.query, components[name])
        if parameters:
            self.written["parameters"] = parameters
        if self.bodies:
            content = {media_type: {"schema": schemas[tp]} for media_type, tp in self.bodies.items()}
            self.written["requestBody"] = {"required": True, "content": content}
        if self.result is not None:
            for status, response in self.written["responses"].items():
                if status.startswith("2"):
                    for media in response.get("content", {}).values():
                        media["schema"] = schemas[self.result]
        self._describe_problems(bool(parameters))
        self._describe_security()
        self._describe_summary()
        self._drop_defaults()

    def _describe_problems(self, parameters: bool) -> None:
        responses = self.written["responses"]
        own = self.handler.responses or {}
        for status in [status for status in responses if status >= "400" and int(status) not in own]:
            del responses[status]  # Litestar's own 400, whose shape nobody ever sees
        codes = dict.fromkeys(_EVERY if self.route.path.startswith(API_PREFIX) else ("internal_error",))
        codes |= dict.fromkeys(() if self.handler.opt.get("public") else _GUARDED)
        codes |= dict.fromkeys(_BODY if self.bodies else ())
        codes |= dict.fromkeys(("invalid",) if parameters or self.route.path.startswith(API_PREFIX) else ())
        codes |= dict.fromkeys(("not_found",) if self.route.path_parameters else ())
        by_status: dict[str, list[str]] = {}
        for code in codes:
            by_status.setdefault(str(PROBLEMS[code].status), []).append(code)
        for status in {*by_status, *(status for status in responses if status >= "400")}:
            said = responses[status]["description"] if status in responses else ""
            usual = described(*(code for code in by_status.get(status, ()) if f"`{code}`" not in said))
            responses[status] = _problem_response(status, "; ".join(filter(None, (said, usual))))
        self.written["responses"] = dict(sorted(responses.items()))

    def _drop_defaults(self) -> None:
        """Leave out what Litestar writes although it says nothing."""
        for part in (self.written, *self.written.get("parameters", ()), *self.written["responses"].values()):
            for key in ("deprecated", "headers"):
                if key in part and not part[key]:
                    del part[key]

    def _describe_security(self) -> None:
        scope = self.handler.opt.get("scope")
        names = [scope] if isinstance(scope, str) else []
        public = bool(self.handler.opt.get("public"))
        self.written["security"] = [] if public else [{"ApiKey": names}, {"Bearer": names}]

    def _describe_summary(self) -> None:
        """Take the first line of the docstring for the summary, unless the handler names one."""
        lines = str(self.written.get("description") or "").split("\n", 1)
        if lines[0] and self.handler.summary is None:
            self.written["summary"] = lines[0].rstrip(".")
            self.written["description"] = lines[1].strip() if len(lines) > 1 else ""
        if not self.written.get("description"):
            self.written.pop("description", None)


def _problem_response(status: str, description: str) -> Json:
    content = {MEDIA_TYPE: {"schema": {"$ref": _REF.format(name="Problem")}}}
    if status not in ("429", "503") and "`idempotency_in_progress`" not in description:
        return {"description": description, "content": content}
    wait = {
        "description": "Seconds to wait before the request is repeated",
        "schema": {"type": "integer", "minimum": 0},
    }
    headers = {"Retry-After": wait} | (_QUOTA if status == "429" else {})
    return {"description": description, "headers": headers, "content": content}


def _query_parameters(struct: type[msgspec.Struct], component: Json) -> list[Json]:
    """The parameters of a query Struct; they are left out rather than null."""
    required = component.get("required", [])
    found = []
    for name in parameters_of(struct):
        schema = _tidy(component["properties"][name])
        description = schema.pop("description", None)
        parameter = {"name": name, "in": "query", "required": name in required, "schema": schema}
        found.append({**parameter, **({"description": description} if description else {})})
    return found


def _tidy_parameter(parameter: Json) -> Json:
    return {**parameter, "schema": _tidy(parameter.get("schema", {}))}


def _tidy(schema: Json) -> Json:
    """Take null out of what a parameter may be, fold a choice of one, and write bounds of integers as integers."""
    tidy = {key: value for key, value in schema.items() if not (key == "default" and value is None)}
    for choice in ("oneOf", "anyOf"):
        arms = [_tidy(arm) for arm in tidy.pop(choice, []) if arm != {"type": "null"}]
        tidy |= arms[0] if len(arms) == 1 else {"anyOf": arms} if arms else {}
    if isinstance(tidy.get("enum"), list):
        tidy["enum"] = [value for value in tidy["enum"] if value is not None]
    if tidy.get("type") == "integer":
        tidy = {key: int(value) if isinstance(value, float) else value for key, value in tidy.items()}
    return tidy
