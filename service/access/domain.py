"""Tells who is calling from a key or an access token, and how lately keys were used."""

import time
from datetime import UTC, datetime
from hashlib import sha256
from hmac import compare_digest

from service.access import queries
from service.access.model import OPEN_SCOPES, PUBLIC_TENANT, ROLES, ApiKey, Caller, Profile
from service.access.tokens import AccessTokens
from service.db import Database
from service.errors import Forbidden, Unauthenticated

PREFIX = "js"
KEPT_S = 10.0
"""How long a verified credential is believed without asking the database again, and so how long one that was revoked,
or a person who was disabled, may live on. What ends at a time of its own ends at that time."""
KEPT = 10_000
MOST_CHARS = 2048
"""Longer than any key or token of ours; nothing longer is looked at."""
NOTE_EVERY_S = 60.0

ANONYMOUS = Caller(PUBLIC_TENANT, "public", OPEN_SCOPES)


class Access:
    """Verifies credentials; `is_open` lets callers without any in as the tenant `public`."""

    def __init__(self, db: Database, *, is_open: bool, tokens: AccessTokens | None = None) -> None:
        self._db = db
        self._is_open = is_open
        self._tokens = tokens
        self._known: dict[bytes, tuple[float, Caller]] = {}
        self._used: dict[str, datetime] = {}

    async def caller(self, api_key: str | None, authorization: str | None) -> Caller:
        """Who sends these headers; raises Unauthenticated.

        A bearer is a key or an access token; X-API-Key takes keys alone. Both may be sent if they hold the same.
        """
        token = _credential(api_key, authorization)
        if token is None:
            if self._is_open:
                return ANONYMOUS
            raise Unauthenticated("Send an API key in X-API-Key, or a key or token in Authorization: Bearer")
        digest = sha256(token.encode()).digest()
        known = self._known.get(digest)
        if known is not None and known[0] > time.monotonic():
            return known[1]
        caller = await (self._of_key(token) if token.startswith(f"{PREFIX}_") else self._of_token(token))
        kept_s = KEPT_S
        if caller.expires_at is not None:
            kept_s = min(kept_s, (caller.expires_at - utc_now()).total_seconds())
        self._known.pop(digest, None)
        while len(self._known) >= KEPT:
            self._known.pop(next(iter(self._known)))
        self._known[digest] = (time.monotonic() + kept_s, caller)
        return caller

    def size(self) -> int:
        """Credentials that are remembered."""
        return len(self._known)

    async def note_use(self) -> float:
        """Write down when keys were used last, many at once and off the requests; the step of a loop."""
        if self._used:
            used, self._used = self._used, {}
            await queries.note_key_use(self._db, key_ids=list(used), used_at=list(used.values()))
        return NOTE_EVERY_S

    async def _of_key(self, token: str) -> Caller:
        _, key_id, secret = (*token.split("_", 2), "")[:3]
        key: ApiKey | None = None
        if key_id.isalnum() and "\0" not in token:
            key = await queries.fetch_api_key(self._db, key_id=key_id)
        expected = key.secret_hash if key else b"\0" * 32
        # Compared even without a key, so that the time does not tell which ids exist.
        if not compare_digest(sha256(secret.encode()).digest(), expected) or key is None:
            raise Unauthenticated("The API key is unknown or revoked", given=True)
        now = utc_now()
        if key.expires_at is not None and key.expires_at <= now:
            raise Unauthenticated("The API key has expired", code="key_expired", given=True)
        # Once in the time that a key is believed, which is often enough: nothing is added to the other requests.
        self._used[key.id] = now
        return Caller(
            key.tenant_id,
            key.tenant,
            frozenset(key.scopes),
            key.id,
            rate=key.rate,
            name=key.name,
            expires_at=key.expires_at,
        )

    async def _of_token(self, token: str) -> Caller:
        if self._tokens is None:
            raise Unauthenticated("The API key is unknown or revoked", given=True)
        claims = await self._tokens.read(token)
        person = await queries.fetch_signed_in(self._db, sign_in_id=claims.sign_in_id, account_id=claims.account_id)
        if person is None:
            raise Unauthenticated("The sign-in has ended; sign in again", given=True)
        return Caller(
            person.tenant_id,
            person.tenant,
            ROLES[person.role].intersection(person.scopes),
            user_id=person.id,
            name=person.name,
            role=person.role,
            expires_at=claims.expires_at,
        )


def require_scope(caller: Caller, scope: str) -> None:
    """Raise Forbidden unless the caller has the scope, or Unauthenticated if there may be credentials that have."""
    if scope in caller.scopes:
        return
    if caller is ANONYMOUS:
        raise Unauthenticated(f"This needs a key or token with the scope {scope}")
    raise Forbidden(f"The credentials lack the scope {scope}", scope=scope)


def profile_of(caller: Caller) -> Profile:
    """A caller as they see themselves."""
    return Profile(
        kind="anonymous" if caller is ANONYMOUS else "user" if caller.user_id is not None else "key",
        tenant=caller.tenant,
        scopes=sorted(caller.scopes),
        name=caller.name,
        key_id=caller.key_id,
        role=caller.role,
        rate=caller.rate,
        expires_at=caller.expires_at,
    )


def utc_now() -> datetime:
    """The time by which keys end."""
    return datetime.now(UTC)


def _credential(api_key: str | None, authorization: str | None) -> str | None:
    """The one credential of a request, None without any; raises Unauthenticated."""
    if api_key is None:
        if authorization is None:
            return None
        token = _bearer(authorization)
        if token is None:
            raise Unauthenticated("Authorization must be `Bearer <key or token>`", given=True)
    else:
        token = api_key
        if not token.startswith(f"{PREFIX}_"):
            raise Unauthenticated("X-API-Key takes an API key", given=True)
        # Another scheme is for somebody in between, such as a proxy; a second credential of ours is not.
        if authorization is not None and _bearer(authorization) not in (None, token):
            raise Unauthenticated("X-API-Key and Authorization hold different credentials; send one", given=True)
    if len(token) > MOST_CHARS:
        raise Unauthenticated("The credentials are too long", given=True)
    return token


def _bearer(authorization: str) -> str | None:
    """The token of a header; None for another scheme."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None
