"""Wraps the whole application: every answer, 404 and 500 too, gets its headers, log line, metrics and trace here."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, TypeAlias

from service.telemetry.keeping import describe
from service.telemetry.last_answer import internal_error
from service.telemetry.record import Record
from service.telemetry.recorder import Recorder, server_timing
from service.telemetry.security import security_headers
from service.telemetry.stages import begin, note_exception
from service.telemetry.w3c import format_traceparent, parse_traceparent

if TYPE_CHECKING:
    from service.telemetry.traces import Tracing

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
AsgiApp: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]

CLIENT_LEFT = 499
_SERVER_ERROR = 500
_NO_STATUS = 0
_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,128}", re.ASCII)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY"})
_WANTED = frozenset({b"traceparent", b"tracestate", b"x-request-id", b"user-agent"})
_EXCHANGE = "jobsense.exchange"
_LONGEST_VALUE = 256
_LONGEST_STATE = 512


class Observed:
    """An ASGI application around another one; it must be the outermost, because routing errors pass no middleware.

    `https` says that callers come over HTTPS even where the scope does not show it. Without `tracing` no span is made,
    and none of a request that an application with `turns_away(scope)` is about to turn away.
    """

    def __init__(
        self, app: AsgiApp, recorder: Recorder, *, tracing: "Tracing | None" = None, https: bool = False
    ) -> None:
        self._app = app
        self._recorder = recorder
        self._https = https
        self._stock = tracing.middleware(self._run_traced) if tracing is not None else None
        self._turns_away: Callable[[Scope], bool] = getattr(app, "turns_away", lambda _: False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; lifespan and the like pass through untouched."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(self._recorder, scope, receive, send, https=self._https)
        self._recorder.metrics.add("http_server_active_requests", 1)
        begin(exchange.record)
        try:
            if exchange.record.sampled and self._turns_away(scope):
                exchange.record.sampled = False
            if self._stock is not None and exchange.record.sampled:
                await self._stock(exchange.traced_scope(), receive, exchange.pass_on)
            else:
                await self._run(exchange)
        finally:
            self._recorder.metrics.add("http_server_active_requests", -1)
            exchange.report()
            begin(None)
        if exchange.failure is not None:
            raise exchange.failure

    async def _run_traced(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Run inside the stock instrumentation, which gets neither the query nor headers nor exceptions to see."""
        exchange: _Exchange = scope[_EXCHANGE]
        exchange.stock = send
        await self._run(exchange)

    async def _run(self, exchange: "_Exchange") -> None:
        try:
            await self._app(exchange.scope, exchange.receive, exchange.send)
        except asyncio.CancelledError:
            exchange.left = True
            raise
        except Exception as failure:  # noqa: BLE001 -- whatever it is, the caller gets an answer and the log a line
            begun = exchange.status != _NO_STATUS
            note_exception(failure.__cause__ or failure if begun else failure)  # then the framework only wraps it
            if exchange.status == _NO_STATUS:
                await exchange.send_failure()
            else:
                exchange.failure = failure  # the answer is cut off; the server must close the connection
        finally:
            exchange.settle()


class _Exchange:
    """One request and its answer."""

    __slots__ = (
        "_https",
        "_received",
        "_recorder",
        "downstream",
        "ended",
        "failure",
        "headers",
        "left",
        "message",
        "method",
        "record",
        "scope",
        "settled",
        "size",
        "status",
        "stock",
    )

    def __init__(
        self,
        recorder: Recorder,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        https: bool,
    ) -> None:
        self.scope = scope
        self.headers: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            if name in _WANTED:
                self.headers.setdefault(name, []).append(value)
        self.method: str = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        self.record = self._open(recorder)
        self.downstream = send
        self.stock: Send | None = None
        self.message: Message = {}
        self.status = _NO_STATUS
        self.size = 0
        self.ended = 0
        self.left = self.settled = False
        self.failure: Exception | None = None
        self._https = https
        self._received = receive
        self._recorder = recorder

    async def receive(self) -> Message:
        """Pass a message in; notice when the client is gone."""
        message = await self._received()
        if message["type"] == "http.disconnect" and not self.ended:
            self.left = True
        return message

    async def send(self, message: Message) -> None:
        """Pass a message out, with our headers on the first and the span completed before the last."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if (encoding := self.record.encoding) is not None:
                encoding.ended = time.perf_counter_ns()
            message = {**message, "headers": self._with_headers(list(message.get("headers", ())))}
        elif message["type"] == "http.response.body":
            self.size += len(message.get("body", b""))
            if not message.get("more_body", False):
                self.left = False
                self.ended = time.perf_counter_ns()
                self.settle()
        if self.stock is None:
            await self.downstream(message)
        else:
            self.message = message
            await self.stock({**message, "headers": ()})  # it would decode each of them, to no purpose here

    async def pass_on(self, _seen: Message) -> None:
        """Send what the stock instrumentation has been told of."""
        await self.downstream(self.message)

    async def send_failure(self) -> None:
        """Answer 500, as an application does that has no handler of its own."""
        headers, body = internal_error(self.record)
        await self.send({"type": "http.response.start", "status": _SERVER_ERROR, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    def settle(self) -> None:
        """Complete the record, and the root span with it; once, when the answer is complete or will never be."""
        if self.settled:
            return
        self.settled = True
        if not self.ended:
            self.ended = time.perf_counter_ns()
        record = self.record
        if self.left:
            self.status = CLIENT_LEFT
        elif self.status == _NO_STATUS:
            self.status = _SERVER_ERROR  # what servers answer for an application that says nothing
            record.error_type = "no_answer"
        elif self.status >= _SERVER_ERROR and not record.error_type:
            record.error_type = str(self.status)
        attributes = record.attributes
        if route := self.scope.get("path_template"):
            attributes["http.route"] = route
            record.name = f"{self.method} {route}"
        attributes["http.request.method"] = self.method
        attributes["http.response.status_code"] = self.status
        attributes["http.response.body.size"] = self.size
        for name, seconds in record.stage_seconds().items():
            attributes[f"jobsense.stage.{name}_ms"] = round(seconds * 1000, 3)
        record.ended = self.ended

    def report(self) -> None:
        """Hand the settled record to metrics, log and trace."""
        self.settle()
        record, recorder = self.record, self._recorder
        seconds = (self.ended - record.started) / 1e9
        probe = _is_quiet(self.scope["path"])
        if recorder.sink is not None and not (record.sampled or record.turned_away or probe):
            recorder.keeping.keep(record, seconds)
        route = str(record.attributes.get("http.route", ""))
        recorder.metrics.observe(
            "http_server_request_duration_seconds",
            seconds,
            self.method,
            route,
            str(self.status),
            record.error_type,
            trace_id=f"{record.trace_id:032x}" if record.sampled else "",
        )
        recorder.search_ended(record)
        path: str = self.scope["path"]
        quiet = record.turned_away or (probe and not record.error_type)
        level = "debug" if quiet else "error" if self.status >= _SERVER_ERROR or record.exception else "info"
        if not quiet or recorder.debug:
            client = self.scope.get("client")
            fields = {"client.address": client[0]} if client else {}
            recorder.write_line(
                level,
                "http.request",
                record,
                duration_ms=round(seconds * 1000, 3),
                **{"url.path": path[:_LONGEST_VALUE]},
                **fields,
            )
        if recorder.sink is not None and record.sampled:
            if record.kept_late:
                describe(record, self.scope, self.headers.get(b"user-agent", [b""])[0])
            recorder.sink.export(record)

    def traced_scope(self) -> Scope:
        """Make the scope that the stock instrumentation sees: no query, no headers but the harmless ones."""
        headers = [(b"user-agent", value[:_LONGEST_VALUE]) for value in self.headers.get(b"user-agent", ())[:1]]
        if (parent := self.record.parent) is not None:
            headers.append((b"traceparent", format_traceparent(*parent).encode()))
            headers.append((b"tracestate", self.record.tracestate.encode("latin-1")))
        path: str = self.scope["path"]
        return {
            **self.scope,
            "query_string": b"",
            "headers": headers,
            "path": path[:_LONGEST_VALUE],
            _EXCHANGE: self,
        }

    def _open(self, recorder: Recorder) -> Record:
        given = self.headers.get(b"x-request-id")
        request_id = given[0].decode("latin-1") if given is not None and len(given) == 1 else ""
        traceparents = self.headers.get(b"traceparent")
        parent = None
        if traceparents is not None and len(traceparents) == 1:  # two of them are as bad as none
            parent = parse_traceparent(traceparents[0].decode("latin-1"))
        record = Record(self.method, "server", recorder, parent=parent, request_id=request_id)
        if not _SANE_ID.fullmatch(request_id):
            record.request_id = f"{record.span_id:016x}"
        if parent is None and _is_quiet(self.scope["path"]):
            record.sampled = False  # probes and scrapes would be most of the traces
        if parent is not None and (states := self.headers.get(b"tracestate")):
            state = b",".join(states).decode("latin-1")
            record.tracestate = state if len(state) <= _LONGEST_STATE else ""
        return record

    def _with_headers(self, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """Add our headers; one that the application has set itself stays as it is."""
        record = self.record
        https = self._https or self.scope.get("scheme") == "https"
        present = {name.lower() for name, _ in headers}
        headers += [pair for pair in security_headers(self.scope["path"], https=https) if pair[0] not in present]
        headers.append((b"x-request-id", record.request_id.encode()))
        traced = format_traceparent(record.trace_id, record.span_id, record.flags)
        headers.append((b"traceresponse", traced.encode()))
        headers += record.headers
        if record.stages and (timing := server_timing(record)):
            headers.append((b"server-timing", timing.encode()))
        return headers


def _is_quiet(path: str) -> bool:
    return path in {"/metrics", "/health"} or path.startswith("/health/")
