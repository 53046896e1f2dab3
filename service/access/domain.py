"""Tells who is calling from a key, and makes and ends keys."""

import secrets
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from hmac import compare_digest

from service.access import queries
from service.access.model import OPEN_SCOPES, PUBLIC_TENANT, ApiKey, Caller
from service.db import Database
from service.errors import Forbidden, NotFound, Unauthenticated

PREFIX = "js"
KEPT_S = 10.0
"""How long a verified key is believed without asking the database again, and so how long a revoked one may live on."""
KEPT = 10_000

ANONYMOUS = Caller(PUBLIC_TENANT, "public", OPEN_SCOPES)


class Access:
    """Verifies credentials; `is_open` lets callers without any in as the tenant `public`."""

    def __init__(self, db: Database, *, is_open: bool) -> None:
        self._db = db
        self._is_open = is_open
        self._known: dict[bytes, tuple[float, Caller]] = {}

    async def caller(self, api_key: str | None, authorization: str | None) -> Caller:
        """Who sends these headers; raises Unauthenticated."""
        token = api_key if api_key is not None else _bearer(authorization)
        if token is None:
            if self._is_open:
                return ANONYMOUS
            raise Unauthenticated("Send an API key in X-API-Key, or in Authorization: Bearer")
        digest = sha256(token.encode()).digest()
        known = self._known.get(digest)
        if known is not None and known[0] > time.monotonic():
            return known[1]
        caller = await self._verify(token)
        while len(self._known) >= KEPT:
            self._known.pop(next(iter(self._known)))
        self._known[digest] = (time.monotonic() + KEPT_S, caller)
        return caller

    async def _verify(self, token: str) -> Caller:
        prefix, key_id, secret = (*token.split("_", 2), "", "")[:3]
        key: ApiKey | None = None
        if prefix == PREFIX and key_id.isalnum() and "\0" not in token:
            key = await queries.fetch_api_key(self._db, key_id=key_id)
        expected = key.secret_hash if key else b"\0" * 32
        # Compared even without a key, so that the time does not tell which ids exist.
        if not compare_digest(sha256(secret.encode()).digest(), expected) or key is None:
            raise Unauthenticated("The API key is unknown or revoked")
        return Caller(key.tenant_id, key.tenant, frozenset(key.scopes), key.id)


def require_scope(caller: Caller, scope: str) -> None:
    """Raise Forbidden unless the caller has the scope."""
    if scope not in caller.scopes:
        raise Forbidden(f"The credentials lack the scope {scope}")


async def create_key(db: Database, *, tenant: str, name: str, scopes: Sequence[str]) -> str:
    """Make a key and return it whole, the only time it is known: `js_<id>_<256 random bits>`."""
    tenant_id = await queries.ensure_tenant(db, name=tenant)
    key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    await queries.store_api_key(
        db,
        key_id=key_id,
        tenant_id=tenant_id,
        name=name,
        secret_hash=sha256(secret.encode()).digest(),
        scopes=list(scopes),
        now=datetime.now(UTC),
    )
    return f"{PREFIX}_{key_id}_{secret}"


async def revoke_key(db: Database, key_id: str) -> None:
    """End a key; raises NotFound."""
    if await queries.revoke_api_key(db, key_id=key_id, now=datetime.now(UTC)) is None:
        raise NotFound(f"There is no living key {key_id}", code="key_not_found")


def _bearer(authorization: str | None) -> str | None:
    if authorization is None:
        return None
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("Authorization must be `Bearer <key>`")
    return token.strip()
