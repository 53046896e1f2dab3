"""One operation of the OpenAPI document: what its handler declares, as parameters, bodies, answers and problems."""

import inspect
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler
from litestar.params import ParameterKwarg
from litestar.routes import HTTPRoute

from service.http.decoding import JSON
from service.http.deprecation import Deprecation
from service.http.examples import Example, example_of
from service.http.problem import MEDIA_TYPE, PROBLEMS, Problem, codes_in, described
from service.http.schemas import Json, query_parameters, reference, tidy_parameter

API_PREFIX = "/api/v1"
_EVERY = ("bad_request", "rate_limited", "overloaded", "database_unavailable", "internal_error")
_PROBES = ("internal_error",)
_GUARDED = ("unauthenticated", "key_expired", "token_expired", "forbidden")
_BODY = ("unreadable_body", "body_too_large", "unsupported_media_type", "invalid")
HEADERS: dict[str, Json] = {
    "ETag": {"description": "Stands for this version; for If-None-Match and If-Match", "schema": {"type": "string"}},
    "Location": {"description": "The path of what was made", "schema": {"type": "string"}},
    "RateLimit": {
        "description": "What is left of the limit, and the seconds until it is whole again",
        "schema": {"type": "string"},
    },
    "RateLimit-Policy": {"description": "The limit and its window in seconds", "schema": {"type": "string"}},
    "Retry-After": {
        "description": "Seconds to wait before the request is repeated",
        "schema": {"type": "integer", "minimum": 0},
    },
    "WWW-Authenticate": {
        "description": "How to authenticate (RFC 9110, section 11.6.1)",
        "schema": {"type": "string"},
    },
    "X-Request-ID": {
        "description": "The caller's, if it was sane, else a new one; in the log too",
        "schema": {"type": "string", "maxLength": 128},
    },
}
"""Headers of answers that the document knows; `gives` names those of an operation."""
_HEADERS_OF = {
    "401": ("WWW-Authenticate",),
    "429": ("RateLimit", "RateLimit-Policy", "Retry-After"),
    "503": ("Retry-After",),
    "idempotency_in_progress": ("Retry-After",),
}
"""Headers of problems, by status or code."""


def gives(*headers: str, answers: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Declare for a handler's `opt` the headers of its good answer, and its types in further media types."""
    return {"gives": headers, "answers": dict(answers or {})}


class Operation:
    """One operation of the document with the handler behind it."""

    def __init__(self, written: Json, handler: HTTPRouteHandler, route: HTTPRoute) -> None:
        self.written = written
        self.handler = handler
        self.route = route
        self.query: type[msgspec.Struct] | None = handler.opt.get("query")
        self.example: Example = example_of(written["operationId"])
        self.bodies = self._bodies()
        self.result = self._result()
        self.codes: set[str] = set()

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

    def _others(self) -> dict[str, Any]:
        """What further statuses of the handler hold, where that is no problem."""
        specs = {str(status): spec.data_container for status, spec in (self.handler.responses or {}).items()}
        return {status: tp for status, tp in specs.items() if tp not in (None, Problem)}

    def sent(self) -> list[Any]:
        """Every type of a body or query string that callers send."""
        return [*self.bodies.values(), *([self.query] if self.query is not None else [])]

    def received(self) -> list[Any]:
        """Every type of an answer that callers get."""
        found = [*([self.result] if self.result is not None else []), *self._others().values()]
        return [*found, *self.handler.opt.get("parts", ()), *self.handler.opt.get("answers", {}).values()]

    def describe(self, schemas: dict[Any, Json], components: dict[str, Json]) -> None:
        """Put the schemas, the parameters, the problems, the security, the examples and the summary in place."""
        parameters = self._parameters(schemas, components)
        if parameters:
            self.written["parameters"] = parameters
        if self.bodies:
            content = {media_type: {"schema": schemas[tp]} for media_type, tp in self.bodies.items()}
            self.written["requestBody"] = {"required": True, "content": content}
            _show(content, self.example.request)
        self._describe_answers(schemas, components)
        self._describe_problems(bool(parameters))
        self._describe_security()
        self._describe_summary()
        self._drop_defaults()

    def _parameters(self, schemas: dict[Any, Json], components: dict[str, Json]) -> list[Json]:
        parameters = [self._exact(parameter) for parameter in self.written.get("parameters", [])]
        if self.query is not None:
            parameters += query_parameters(self.query, components[schemas[self.query]["$ref"].rsplit("/", 1)[1]])
        for parameter in parameters:
            if parameter["name"] in self.example.parameters:
                parameter["example"] = self.example.parameters[parameter["name"]]
        deprecated: tuple[Deprecation, ...] = self.handler.opt.get("deprecated", ())
        for old in deprecated:
            found = self.written
            if old.name:
                found = next(one for one in parameters if one["name"].lower() == old.name.lower())
            found["deprecated"] = True
            found["description"] = "\n\n".join(filter(None, (found.get("description"), old.sentence)))
        return parameters

    def _exact(self, parameter: Json) -> Json:
        """A parameter as the handler declares it: Litestar writes bounds as floats, which rounds the largest."""
        tidy = tidy_parameter(parameter)
        for field in self.handler.parsed_fn_signature.parameters.values():
            kwarg = field.kwarg_definition
            if isinstance(kwarg, ParameterKwarg) and (kwarg.name or field.name) == tidy["name"]:
                bounds = {"minimum": kwarg.ge, "maximum": kwarg.le}
                tidy["schema"] |= {name: bound for name, bound in bounds.items() if bound is not None}
        return tidy

    def _describe_answers(self, schemas: dict[Any, Json], components: dict[str, Json]) -> None:
        others = self._others()
        for status, response in self.written["responses"].items():
            answer = self.result if status.startswith("2") else others.get(status)
            content = response.get("content", {})
            if answer is not None:
                for media in content.values():
                    media["schema"] = schemas[answer]
                component = components.get(schemas[answer].get("$ref", "").rsplit("/", 1)[-1], {})
                said = str(component.get("description", response["description"])).split("\n", 1)[0]
                if response["description"] == HTTPStatus(int(status)).description:
                    response["description"] = said
            if status.startswith("2"):
                more: dict[str, Any] = self.handler.opt.get("answers", {})
                content |= {media_type: {"schema": schemas[tp]} for media_type, tp in more.items()}
                _show(content, self.example.answer)
                response.setdefault("headers", {}).update(
                    {name: _header(name) for name in self.handler.opt.get("gives", ())}
                )

    def _describe_problems(self, parameters: bool) -> None:
        responses, others = self.written["responses"], self._others()
        own = self.handler.responses or {}
        for status in [status for status in responses if status >= "400" and int(status) not in own]:
            del responses[status]  # Litestar's own 400, whose shape nobody ever sees
        codes = dict.fromkeys(_EVERY if self.route.path.startswith(API_PREFIX) else _PROBES)
        codes |= dict.fromkeys(() if self.handler.opt.get("public") else _GUARDED)
        codes |= dict.fromkeys(_BODY if self.bodies else ())
        codes |= dict.fromkeys(("invalid",) if parameters or self.route.path.startswith(API_PREFIX) else ())
        codes |= dict.fromkeys(("not_found",) if self.route.path_parameters else ())
        by_status: dict[str, list[str]] = {}
        for code in codes:
            by_status.setdefault(str(PROBLEMS[code].status), []).append(code)
        for status in {*by_status, *(status for status in responses if status >= "400")} - set(others):
            said = responses[status]["description"] if status in responses else ""
            usual = described(*(code for code in by_status.get(status, ()) if f"`{code}`" not in said))
            responses[status] = _problem_response(status, "; ".join(filter(None, (said, usual))))
            self.codes.update(codes_in(responses[status]["description"]))
        for response in responses.values():
            response.setdefault("headers", {})["X-Request-ID"] = _header("X-Request-ID")
        self.written["responses"] = dict(sorted(responses.items()))

    def _drop_defaults(self) -> None:
        """Leave out what Litestar writes although it says nothing."""
        headers = [one for response in self.written["responses"].values() for one in response["headers"].values()]
        for part in (self.written, *self.written.get("parameters", ()), *headers):
            for name in ("deprecated", "required", "allowEmptyValue", "allowReserved"):
                if part.get(name) is False:
                    del part[name]

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


def _header(name: str) -> Json:
    return {"$ref": f"#/components/headers/{name}"}


def _show(content: dict[str, Json], examples: Mapping[str, Any]) -> None:
    """Put examples beside the schemas of their media types."""
    for media_type, media in content.items():
        if media_type in examples:
            media["example"] = examples[media_type]


def _problem_response(status: str, description: str) -> Json:
    shown = {code: {"$ref": f"#/components/examples/{code}"} for code in codes_in(description)}
    content = {MEDIA_TYPE: {"schema": reference("Problem"), "examples": shown}}
    names = [name for key in (status, *shown) for name in _HEADERS_OF.get(key, ())]
    return {"description": description, "headers": {name: _header(name) for name in names}, "content": content}
