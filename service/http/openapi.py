"""The OpenAPI 3.1 document: paths from Litestar, every schema from msgspec, problems and security on each operation.

Litestar's own schemas lose constraints inside lists, `additionalProperties: false` and lower bounds of 0, and clients
are generated from this document; so bodies, answers and query strings are described by `msgspec.json` here.

What a handler says for it: `operation_id` or its name, a docstring (first line: the summary), `tags`, `takes(...)`,
`responses=problems(...)` for its own codes, and in `opt` either `public=True` or `scope="jobs:read"`; `parts` names
types there that the schema of its answer only refers to, `gives(...)` its headers and further media types, and
`deprecates(...)` what is old. Its example stands in `service/openapi/examples/`; `operation.py` brings all together.
"""

from collections.abc import Iterator
from typing import Any

import msgspec
from litestar import Litestar, Router
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.spec import Components, License, SecurityScheme, Tag
from litestar.routes import HTTPRoute

from service.http.examples import example_problem
from service.http.operation import HEADERS, Operation
from service.http.problem import PROBLEMS, Problem
from service.http.schemas import Json, reachable, schemas_of

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
    schemas, components = schemas_of(
        [tp for operation in operations for tp in operation.sent()],
        [Problem, *(tp for operation in operations for tp in operation.received())],
    )
    for operation in operations:
        operation.describe(schemas, components)
    written["paths"] = dict(sorted(written["paths"].items()))
    written["components"] |= {
        "schemas": {name: components[name] for name in sorted(reachable(written["paths"], components))},
        "headers": dict(sorted(HEADERS.items())),
        "examples": {
            code: {"summary": PROBLEMS[code].title, "value": example_problem(code)}
            for code in sorted({code for operation in operations for code in operation.codes})
        },
    }
    spoken = {tag for operation in operations for tag in operation.written.get("tags", ())}
    written["tags"] = [tag for tag in written["tags"] if tag["name"] in spoken]
    # The host that the document came from.
    written["servers"] = [{"url": "/"}]
    # Defaults of Structs may be tuples; what is returned is what will be read from the encoded document.
    plain: Json = msgspec.json.decode(msgspec.json.encode(written))
    return plain


def _operation_id(handler: HTTPRouteHandler, _method: object, _path: object) -> str:
    return handler.handler_name


def _operations(app: Litestar, written: Json) -> Iterator[Operation]:
    for route in app.routes:
        if not isinstance(route, HTTPRoute):
            continue
        for method, (handler, _) in route.route_handler_map.items():
            if handler.resolve_include_in_schema():
                yield Operation(written["paths"][route.path_format or "/"][method.lower()], handler, route)
