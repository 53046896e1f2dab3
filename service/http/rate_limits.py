"""Who may still ask how often, by class of request, told on every answer that is limited.

A caller is a key, else a person, else an address; each has a quota of its own in each class. The headers are those of
draft-ietf-httpapi-ratelimit-headers-11: `RateLimit-Policy: "search";q=600;w=60` (quota, window in seconds) and
`RateLimit: "search";r=599;t=60` (what is left, and for how many seconds no more than that).
"""

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from functools import lru_cache
from math import ceil
from typing import Any, Literal, NoReturn, TypeVar, get_args

from service.errors import RateLimited, Unauthenticated
from service.http.addresses import address_of
from service.http.methods import UNROUTED
from service.http.problem import send_problem
from service.quota.limiter import Limiter
from service.quota.model import Rate, Verdict, read_rate
from service.telemetry.http import AsgiApp, Message, Receive, Scope, Send
from service.telemetry.stages import count, note_turned_away

RateClass = Literal["search", "write", "read", "auth"]
RATE_CLASSES: tuple[RateClass, ...] = get_args(RateClass)
KEPT = 10_000
_STATE, _HEADERS = "rate_limits", "rate_limit_headers"
_AUTH = ["api", "v1", "auth"]

T = TypeVar("T")
_Headers = tuple[tuple[bytes, bytes], tuple[bytes, bytes]]


class RateLimits:
    """The quotas of one process's callers; a class whose rate is None has no limit."""

    def __init__(self, limiter: Limiter, rates: Mapping[RateClass, str | None]) -> None:
        self.limiter = limiter
        self._rates = {name: read_rate(text) if text else None for name, text in rates.items()}
        # Credentials that were good lately: a neighbour behind one address who tries bad ones must not shut them out.
        self._good: dict[int, None] = {}

    async def admit(
        self, scope: Any, opt: Mapping[str, Any], who: str | None = None, own: str | None = None, cost: int = 1
    ) -> None:
        """Take from the quota of a caller (None: of the address) for a handler with this `opt`; raises RateLimited.

        `own` is a rate of the caller's own, which stands in for those of the settings.
        """
        name = _class_of(scope["method"], opt)
        if (rate := read_rate(own) if own else self._rates[name]) is None:
            return
        scope["state"][_STATE] = (self, name, rate, caller := who or address_of(scope))
        await self._spend(scope, name, rate, caller, cost)

    async def authenticated(self, scope: Any, credentials: Hashable, verify: Callable[[], Awaitable[T]]) -> T:
        """Verify credentials, where the address has not sent too many bad ones; raises RateLimited then."""
        rate = self._rates["auth"]
        if rate is None:
            return await verify()
        known, address = hash(credentials), address_of(scope)
        if known not in self._good and (refused := self.limiter.exhausted(f"auth:{address}", rate)) is not None:
            _note(scope, "auth", rate, refused)
            _refuse("auth", rate, refused)
        try:
            found = await verify()
        except Unauthenticated:
            self._good.pop(known, None)
            await self._spend(scope, "auth", rate, address, 1)
            raise
        if known not in self._good:
            while len(self._good) >= KEPT:
                del self._good[next(iter(self._good))]
            self._good[known] = None
        return found

    async def serve(self, app: AsgiApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request with the headers of its quota; one under /auth takes from that of its address first."""
        state = scope.setdefault("state", {})

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start" and (headers := state.get(_HEADERS)) is not None:
                message = {**message, "headers": [*message.get("headers", ()), *headers]}
            await send(message)

        rate = self._rates["auth"]
        if rate is not None and scope["method"] != UNROUTED and _parts(scope["path"])[:3] == _AUTH:
            try:
                await self._spend(scope, "auth", rate, address_of(scope), 1)
            except RateLimited as refusal:
                await send_problem(scope, told, refusal)  # type: ignore[arg-type] # Litestar's types of the same
                return
        await app(scope, receive, told)

    async def _spend(self, scope: Scope, name: RateClass, rate: Rate, who: str, cost: int) -> None:
        verdict = await self.limiter.take(f"{name}:{who}", rate, cost)
        _note(scope, name, rate, verdict)
        if not verdict.allowed:
            _refuse(name, rate, verdict)


async def spend_more(scope: Any, cost: int) -> None:
    """Take from the quota of a request that was admitted what it costs above one; raises RateLimited."""
    if cost > 0 and (admitted := scope["state"].get(_STATE)) is not None:
        limits, name, rate, who = admitted
        await limits._spend(scope, name, rate, who, cost)  # noqa: SLF001 - of this module


def _class_of(method: str, opt: Mapping[str, Any]) -> RateClass:
    if opt.get("scope") == "search":
        return "search"
    return "read" if method in ("GET", "HEAD") else "write"


def _parts(path: str) -> Sequence[str]:
    """A path as routing reads it: `//auth/` is `/auth`; nothing of most others."""
    return [] if "/auth" not in path else [part for part in path.split("/") if part]


def _note(scope: Scope, name: RateClass, rate: Rate, verdict: Verdict) -> None:
    limit = b'"%b";r=%d;t=%d' % (name.encode(), verdict.remaining, ceil(verdict.reset_s))
    scope["state"][_HEADERS] = (_policy(name, rate), (b"ratelimit", limit))


@lru_cache(maxsize=1024)
def _policy(name: RateClass, rate: Rate) -> tuple[bytes, bytes]:
    return (b"ratelimit-policy", b'"%b";q=%d;w=%d' % (name.encode(), rate.amount, rate.window_s))


def _refuse(name: RateClass, rate: Rate, verdict: Verdict) -> NoReturn:
    count("jobsense_rate_limited_total", name)
    note_turned_away()
    raise RateLimited(
        f"The limit {name!r} of {rate.amount} in {rate.window_s} s leaves too little for this request",
        reason="rate_limited",
        retry_after_s=max(1, ceil(verdict.retry_s)),
    )
