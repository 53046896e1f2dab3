"""A cache of RFC 9111, as eager as that allows: it keeps and reuses whatever is not forbidden. For clients of tests."""

import time
from collections.abc import Callable

import httpx

HEURISTIC = frozenset({200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501})
"""Statuses that may be kept without a word on how long (RFC 9110, section 15.1)."""
HEURISTIC_S = 3600.0
CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
NOT_MODIFIED = 304


def directives(headers: httpx.Headers) -> dict[str, str]:
    """Cache-Control by name."""
    parts = (part.strip().partition("=") for part in headers.get("cache-control", "").split(","))
    return {name.lower(): value.strip('"') for name, _, value in parts if name}


class Kept:
    """One stored answer, with the request that it was for."""

    def __init__(self, request: httpx.Request, answer: httpx.Response, body: bytes, now: float) -> None:
        self.request = request
        self.status = answer.status_code
        self.headers = answer.headers
        self.body = body
        self.stored = now

    def fits(self, request: httpx.Request) -> bool:
        """Whether Vary lets another request have it (section 4.1)."""
        names = [name.strip() for name in self.headers.get("vary", "").split(",") if name.strip()]
        return "*" not in names and all(request.headers.get(name) == self.request.headers.get(name) for name in names)

    def is_fresh(self, now: float, *, shared: bool) -> bool:
        """Whether it may be given without asking (section 4.2)."""
        told = directives(self.headers)
        if "no-cache" in told:
            return False
        lifetime_s = HEURISTIC_S
        if "max-age" in told:
            lifetime_s = float(told["max-age"])
        if shared and "s-maxage" in told:
            lifetime_s = float(told["s-maxage"])
        return now - self.stored < lifetime_s

    def answer(self, request: httpx.Request) -> httpx.Response:
        """The same for another request."""
        return httpx.Response(self.status, headers=self.headers, content=self.body, request=request)


class Cache(httpx.AsyncBaseTransport):
    """Between a client and the service: `shared` as a proxy is, else as a browser is, whoever sits before it.

    `asked` has what the service was asked for, as (method, path, status); `given` what the cache answered by itself.
    """

    def __init__(
        self, service: httpx.AsyncBaseTransport, *, shared: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.asked: list[tuple[str, str, int]] = []
        self.given: list[str] = []
        self._service = service
        self._shared = shared
        self._clock = clock
        self._kept: dict[str, list[Kept]] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer from the store if that is allowed, else ask."""
        if request.method != "GET":
            answer, body = await self._ask(request)
            if request.method in CHANGING and answer.status_code < 400:
                for url in (str(request.url), str(request.url.join(answer.headers.get("location", "")))):
                    self._kept.pop(url, None)
            return self._whole(request, answer, body)
        stored = self._kept.setdefault(str(request.url), [])
        found = next((one for one in reversed(stored) if one.fits(request)), None)
        if found is not None and found.is_fresh(self._clock(), shared=self._shared):
            self.given.append(request.url.path)
            return found.answer(request)
        return await self._validate(request, stored)

    async def _validate(self, request: httpx.Request, stored: list[Kept]) -> httpx.Response:
        """Ask with the tags of all that is stored for the address, whoever it was for (section 4.3)."""
        tags = [one.headers["etag"] for one in stored if "etag" in one.headers]
        asking = httpx.Request(request.method, request.url, headers=request.headers)
        if tags and "if-none-match" not in request.headers:
            asking.headers["if-none-match"] = ", ".join(dict.fromkeys(tags))
        answer, body = await self._ask(asking)
        if answer.status_code == NOT_MODIFIED and "if-none-match" not in request.headers:
            tag = answer.headers["etag"]
            same = next(one for one in reversed(stored) if one.headers.get("etag") == tag)
            headers = httpx.Headers({**same.headers, **answer.headers})
            merged = httpx.Response(same.status, headers=headers, request=request)
            self._keep(request, merged, same.body, stored)
            return httpx.Response(same.status, headers=headers, content=same.body, request=request)
        self._keep(request, answer, body, stored)
        return self._whole(request, answer, body)

    async def _ask(self, request: httpx.Request) -> tuple[httpx.Response, bytes]:
        answer = await self._service.handle_async_request(request)
        body = b"".join([piece async for piece in answer.aiter_raw()])
        self.asked.append((request.method, request.url.path, answer.status_code))
        return answer, body

    def _whole(self, request: httpx.Request, answer: httpx.Response, body: bytes) -> httpx.Response:
        return httpx.Response(answer.status_code, headers=answer.headers, content=body, request=request)

    def _keep(self, request: httpx.Request, answer: httpx.Response, body: bytes, stored: list[Kept]) -> None:
        """Store unless that is forbidden (section 3)."""
        told = directives(answer.headers)
        lent = self._shared and "authorization" in request.headers
        if (
            "no-store" in told
            or (self._shared and "private" in told)
            or (lent and not told.keys() & {"public", "s-maxage", "must-revalidate"})
            or (answer.status_code not in HEURISTIC and not told.keys() & {"public", "private", "max-age", "s-maxage"})
            or answer.status_code == NOT_MODIFIED
        ):
            return
        stored[:] = [one for one in stored if not one.fits(request)]
        stored.append(Kept(request, answer, body, self._clock()))
