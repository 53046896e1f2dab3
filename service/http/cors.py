"""Lets browsers of the listed origins call (CORS, https://fetch.spec.whatwg.org/#http-cors-protocol).

An origin that is not listed gets nothing, and learns nothing. No answer allows credentials: a caller proves itself with
a header that it sets itself, never with a cookie. Answers name Origin in Vary, also those to nobody in particular.
"""

from collections.abc import Iterable, Sequence

from service.telemetry.http import AsgiApp, Message, Receive, Scope, Send

MAX_AGE_S = 600
"""How long a browser may go without asking again."""
ALLOWED = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "X-API-Key",
    "X-Idempotency-Key",
    "X-Request-ID",
    "traceparent",
    "tracestate",
)
"""Request headers that a script may set, beyond those that it always may."""
EXPOSED = (
    "Content-Disposition",
    "Deprecation",
    "ETag",
    "Idempotent-Replayed",
    "Link",
    "Location",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "Server-Timing",
    "Sunset",
    "WWW-Authenticate",
    "X-Request-ID",
    "traceresponse",
)
"""Response headers that a script may read, beyond those that it always may."""
_ASKED = b"access-control-request-method"
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_NO_CONTENT = 204


class Cors:
    """An ASGI application around another one, which answers OPTIONS with the methods of the path in Allow."""

    def __init__(self, app: AsgiApp, origins: Sequence[str]) -> None:
        self._app = app
        self._origins = frozenset(map(_as_sent, origins))
        self._preflight = _headers(
            ("Access-Control-Allow-Headers", ", ".join(ALLOWED)), ("Access-Control-Max-Age", str(MAX_AGE_S))
        )
        self._exposed = _headers(("Access-Control-Expose-Headers", ", ".join(EXPOSED)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = [value for name, value in scope["headers"] if name == b"origin"]
        origin = given[0] if len(given) == 1 and given[0] in self._origins else None
        asked = scope["method"] == "OPTIONS" and any(name == _ASKED for name, _ in scope["headers"])

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", ()), (b"vary", b"Origin")]
                if origin is not None:
                    headers += self._granted(origin, headers, preflight=asked and message["status"] == _NO_CONTENT)
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, answer)

    def _granted(
        self, origin: bytes, headers: Iterable[tuple[bytes, bytes]], *, preflight: bool
    ) -> list[tuple[bytes, bytes]]:
        allowed = (b"access-control-allow-origin", origin)
        if not preflight:
            return [allowed, *self._exposed]
        methods = next((value for name, value in headers if name.lower() == b"allow"), b"")
        return [allowed, (b"access-control-allow-methods", methods), *self._preflight]


def _as_sent(origin: str) -> bytes:
    """An origin as browsers send it: in lower case, without the port that its scheme has anyway."""
    scheme, _, host = origin.lower().partition("://")
    return f"{scheme}://{host.removesuffix(_DEFAULT_PORTS[scheme])}".encode()


def _headers(*pairs: tuple[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in pairs]
