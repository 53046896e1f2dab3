"""Answers HEAD like GET without the body, and OPTIONS with the methods of the path: Litestar's routing does neither."""

from collections.abc import Iterable

from service.telemetry.http import AsgiApp, Message, Receive, Scope, Send

ONLY_HEAD = "jobsense.only_head"
"""In the scope of a GET that was asked for as HEAD, for answers that should not be made to be thrown away."""
UNROUTED = "-"
"""A method that no route has: asked for it, routing answers 405 with the methods there are, or 404."""
_METHOD_NOT_ALLOWED = 405
_NO_CONTENT = 204


async def serve_methods(app: AsgiApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one request with an application that knows neither HEAD nor OPTIONS."""
    method = scope.get("method")
    if method == "HEAD":
        await _head(app, scope, receive, send)
    elif method == "OPTIONS":
        await _options(app, scope, receive, send)
    else:
        await app(scope, receive, _with_allow(send))


async def _head(app: AsgiApp, scope: Scope, receive: Receive, send: Send) -> None:
    # A copy: the server reads the method of its own scope to leave out the body and keep Content-Length.
    inner = {**scope, "method": "GET", ONLY_HEAD: True}

    async def blank(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        elif "path_template" in inner:
            scope["path_template"] = inner["path_template"]  # routing found it; logs and metrics want it
        await send(message)

    await app(inner, receive, _with_allow(blank))


async def _options(app: AsgiApp, scope: Scope, receive: Receive, send: Send) -> None:
    found = False

    async def turn(message: Message) -> None:
        nonlocal found
        if message["type"] == "http.response.start" and message["status"] == _METHOD_NOT_ALLOWED:
            found = True
            kept = [pair for pair in message["headers"] if not pair[0].lower().startswith((b"content-", b"vary"))]
            message = {**message, "status": _NO_CONTENT, "headers": kept}
        elif message["type"] == "http.response.body" and found:
            message = {**message, "body": b""}
        await send(message)

    await app({**scope, "method": UNROUTED}, receive, _with_allow(turn))


def _with_allow(send: Send) -> Send:
    """Name HEAD and OPTIONS in the Allow header of a 405, since they are answered here."""

    async def complete(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == _METHOD_NOT_ALLOWED:
            headers = [
                (name, _allow(value) if name.lower() == b"allow" else value) for name, value in message["headers"]
            ]
            message = {**message, "headers": headers}
        await send(message)

    return complete


def _allow(value: bytes) -> bytes:
    methods: Iterable[bytes] = (method.strip() for method in value.split(b","))
    known = {*methods, b"OPTIONS"}
    return b", ".join(sorted(known | {b"HEAD"} if b"GET" in known else known))
