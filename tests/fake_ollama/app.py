"""The fake's ASGI application: the routes of Ollama, row by row, and the control routes under /__fake."""

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable, Iterable
from urllib.parse import urlsplit

import msgspec

from tests.fake_ollama import routes
from tests.fake_ollama.engine import Engine
from tests.fake_ollama.http import Gone, Receive, Reply, Scope, Send, answer, plain, read_body, unless_gone
from tests.fake_ollama.knobs import Call, Counts, Knobs

Drop = Callable[[Scope, bool], None]
_LOCAL_SUFFIXES = (".localhost", ".local", ".internal")
_EMBED_PATHS = frozenset({"/api/embed", "/api/embeddings", "/v1/embeddings"})


class FakeApp:
    """One fake server. Everything here runs in the server's event loop; `drop` closes the connection of a request."""

    def __init__(self, drop: Drop) -> None:
        self.knobs = Knobs()
        self.counts = Counts()
        self.calls: list[Call] = []
        self.changed = asyncio.Condition()
        self.engine = Engine(lambda: self.knobs, self.counts)
        self._active = 0
        self._drop = drop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        self._active += 1
        try:
            await self._answer(scope, receive, send)
        except Gone:
            self.counts.disconnects += 1
        finally:
            async with self.changed:
                self._active -= 1
                self.changed.notify_all()

    async def reset(self) -> None:
        """Put every knob back, let all requests end, and forget what they counted."""
        await self.set_knobs({name: getattr(Knobs(), name) for name in Knobs.__struct_fields__})
        await self.wait_until(lambda: self._active == 0)
        await self.engine.wait_until_idle()
        self.calls.clear()
        for name in Counts.__struct_fields__:
            setattr(self.counts, name, getattr(Counts(), name))
        self.knobs.loaded = False

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(receive)
        path: str = scope["path"]
        if path.startswith("/__fake/"):
            await self._send(scope, send, await self._control(path, body), slow_s=0.0)
            return
        reply = await unless_gone(self._counted(scope, path, body), receive)
        await self._send(scope, send, reply, slow_s=self.knobs.slow_s)

    async def set_knobs(self, changes: dict[str, object]) -> None:
        """Change knobs and wake whoever waits for one."""
        async with self.changed:
            self.knobs = msgspec.convert({**msgspec.structs.asdict(self.knobs), **changes}, Knobs)
            self.changed.notify_all()

    async def wait_until(self, predicate: Callable[[], bool]) -> None:
        """Return once `predicate` holds; it is asked again after every change of knobs or counts."""
        async with self.changed:
            await self.changed.wait_for(predicate)

    async def _control(self, path: str, body: bytes) -> Reply:
        if path == "/__fake/counts":
            return answer(self.counts)
        if path == "/__fake/knobs":
            if body:
                try:
                    await self.set_knobs(msgspec.json.decode(body, type=dict[str, object]))
                except msgspec.MsgspecError as error:
                    return answer({"error": str(error)}, 400)
            return answer(self.knobs)
        return plain(404, "404 page not found")

    async def _counted(self, scope: Scope, path: str, body: bytes) -> Reply:
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        embeds = path in _EMBED_PATHS
        async with self.changed:
            texts = routes.texts_in(body) if embeds else ()
            self.calls.append(Call(scope["method"], path, texts, body, headers))
            self.counts.requests += 1
            self.counts.by_path[path] = self.counts.by_path.get(path, 0) + 1
            self.counts.embed_requests += embeds
            self.counts.texts += len(texts)
            self.counts.in_flight += embeds
            self.counts.most_in_flight = max(self.counts.most_in_flight, self.counts.in_flight)
            self.changed.notify_all()
        try:
            await self._wait_for_permit(texts, embeds=embeds)
            return await self._guarded(scope, path, headers, body)
        finally:
            async with self.changed:
                self.counts.in_flight -= embeds
                self.changed.notify_all()

    async def _wait_for_permit(self, texts: tuple[str, ...], *, embeds: bool) -> None:
        async with self.changed:
            await self.changed.wait_for(lambda: not self.knobs.hang and not _one_holds(texts, self.knobs.hang_for))
            if embeds and self.knobs.hold:
                await self.changed.wait_for(lambda: not self.knobs.hold or self.knobs.permits > 0)
                if self.knobs.hold:
                    self.knobs.permits -= 1

    async def _guarded(self, scope: Scope, path: str, headers: dict[str, str], body: bytes) -> Reply:
        """Answer behind the checks of Host and Origin and the router."""
        if self.knobs.check_host and not _is_local(urlsplit(f"//{headers.get('host', '')}").hostname or ""):
            return plain(403)
        origin = headers.get("origin")
        if origin is not None and not _is_local(urlsplit(origin).hostname or ""):
            return plain(403)
        method: str = scope["method"]
        if len(path) > 1 and path.endswith("/"):
            return plain(301 if method == "GET" else 307, location=path.rstrip("/"))
        route = ROUTES.get(path)
        if route is None:
            return plain(404, "404 page not found")
        if method not in route[0]:
            return plain(405, "405 method not allowed")
        return await route[1](self, body)

    async def _send(self, scope: Scope, send: Send, reply: Reply, *, slow_s: float) -> None:
        dropping = self.knobs.drop if self.knobs.drops and scope["path"] in _EMBED_PATHS else None
        if dropping:
            self.knobs.drops -= 1
        if dropping == "before":
            self._drop(scope, True)
            return
        headers = {"content-type": reply.content_type, **reply.headers}
        if len(reply.chunks) == 1:
            headers["content-length"] = str(len(reply.chunks[0]))
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": reply.status, "headers": raw})
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body", "body": b""})
            return
        chunks = reply.chunks if not (slow_s or dropping) else _quarters(b"".join(reply.chunks))
        for number, chunk in enumerate(chunks):
            if dropping and number == len(chunks) // 2:
                self._drop(scope, False)
                return
            if slow_s:
                await asyncio.sleep(slow_s)
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def _one_holds(texts: Iterable[str], part: str | None) -> bool:
    return part is not None and any(part in text for text in texts)


def _quarters(body: bytes) -> list[bytes]:
    step = max(1, -(-len(body) // 4))
    return [body[at : at + step] for at in range(0, len(body), step)]


def _is_local(host: str) -> bool:
    """Say whether Ollama, bound to loopback, takes this Host or Origin."""
    if host == "localhost" or host.endswith(_LOCAL_SUFFIXES):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_private


Route = Callable[[FakeApp, bytes], Awaitable[Reply]]
_READ = frozenset({"GET", "HEAD"})
_WRITE = frozenset({"POST"})
ROUTES: dict[str, tuple[frozenset[str], Route]] = {
    "/": (_READ, routes.root),
    "/api/version": (_READ, routes.version),
    "/api/tags": (_READ, routes.tags),
    "/api/ps": (_READ, routes.ps),
    "/api/show": (_WRITE, routes.show),
    "/api/pull": (_WRITE, routes.pull),
    "/api/embed": (_WRITE, routes.embed),
    "/api/embeddings": (_WRITE, routes.legacy_embeddings),
    "/v1/embeddings": (_WRITE, routes.openai_embeddings),
}
