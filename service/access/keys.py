"""Makes, shows, rotates and ends API keys."""

import secrets
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import msgspec

from service.access import queries
from service.access.domain import PREFIX
from service.access.model import SCOPES, KeyInput, KeyListing, NewKey
from service.db import Database
from service.errors import FieldError, Invalid, NotFound
from service.telemetry.logs import get_logger

log = get_logger(__name__)

MOST_LISTED = 1000


class Keys:
    """The keys of tenants; nothing here reaches those of another tenant than the given one."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def create(self, tenant_id: int, key: KeyInput) -> NewKey:
        """Make a key; the answer holds it whole, the only time it is known. Raises Invalid."""
        now = datetime.now(UTC)
        if key.expires_at is not None and key.expires_at <= now:
            raise Invalid([FieldError(code="invalid", detail="This time is past", pointer="/expires_at")])
        key_id, secret = _new()
        await queries.store_api_key(
            self._db,
            tenant_id=tenant_id,
            key_id=key_id,
            name=key.name,
            secret_hash=_hash(secret),
            scopes=_ordered(key.scopes),
            rate=key.rate,
            now=now,
            expires_at=key.expires_at,
        )
        log.info("access.key_created", key_id=key_id, tenant_id=tenant_id, scopes=_ordered(key.scopes))
        return await self._shown_once(tenant_id, key_id, secret)

    async def list(self, tenant_id: int) -> list[KeyListing]:
        """Keys, the newest first; those that ended too."""
        return await queries.list_api_keys(self._db, tenant_id=tenant_id, most=MOST_LISTED)

    async def fetch(self, tenant_id: int, key_id: str) -> KeyListing:
        """One key; raises NotFound."""
        found = await queries.fetch_key_listing(self._db, tenant_id=tenant_id, key_id=key_id)
        if found is None:
            raise NotFound("There is no such key", code="key_not_found")
        return found

    async def rotate(self, tenant_id: int, key_id: str, overlap: timedelta) -> NewKey:
        """A new key with the scopes, rate and life of an old one, which ends after the overlap; raises NotFound."""
        now = datetime.now(UTC)
        new_id, secret = _new()
        made = await queries.rotate_api_key(
            self._db,
            tenant_id=tenant_id,
            key_id=key_id,
            new_id=new_id,
            secret_hash=_hash(secret),
            now=now,
            ends_at=now + overlap,
        )
        if made is None:
            raise NotFound("There is no such living key that was not rotated before", code="key_not_found")
        log.info("access.key_rotated", key_id=key_id, new_key_id=new_id, tenant_id=tenant_id)
        return await self._shown_once(tenant_id, new_id, secret)

    async def revoke(self, tenant_id: int, key_id: str) -> None:
        """End a key; raises NotFound."""
        if await queries.revoke_api_key(self._db, tenant_id=tenant_id, key_id=key_id, now=datetime.now(UTC)) is None:
            raise NotFound("There is no such living key", code="key_not_found")
        log.info("access.key_revoked", key_id=key_id, tenant_id=tenant_id)

    async def _shown_once(self, tenant_id: int, key_id: str, secret: str) -> NewKey:
        listing = await self.fetch(tenant_id, key_id)
        return NewKey(**msgspec.structs.asdict(listing), key=f"{PREFIX}_{key_id}_{secret}")


async def create_key(
    db: Database,
    *,
    tenant: str,
    name: str,
    scopes: Iterable[str],
    expires_at: datetime | None = None,
    rate: str | None = None,
) -> str:
    """Make a key of a tenant, which is made if it is new; the whole key: `js_<id>_<256 random bits>`."""
    tenant_id = await queries.ensure_tenant(db, name=tenant)
    asked = KeyInput(name=name, scopes=list(scopes), expires_at=expires_at, rate=rate)  # type: ignore[arg-type] # callers name scopes of SCOPES
    return (await Keys(db).create(tenant_id, asked)).key


async def rotate_key(db: Database, key_id: str, overlap: timedelta) -> str:
    """Rotate a key of whatever tenant; the whole new key. Raises NotFound."""
    return (await Keys(db).rotate(await _tenant_of(db, key_id), key_id, overlap)).key


async def revoke_key(db: Database, key_id: str) -> None:
    """End a key of whatever tenant; raises NotFound."""
    await Keys(db).revoke(await _tenant_of(db, key_id), key_id)


async def _tenant_of(db: Database, key_id: str) -> int:
    found = await queries.fetch_api_key(db, key_id=key_id)
    if found is None:
        raise NotFound(f"There is no living key {key_id}", code="key_not_found")
    return found.tenant_id


def _new() -> tuple[str, str]:
    """A key's public half, and its secret half of 256 random bits."""
    return secrets.token_hex(6), secrets.token_urlsafe(32)


def _hash(secret: str) -> bytes:
    return sha256(secret.encode()).digest()


def _ordered(scopes: Iterable[str]) -> list[str]:
    given = frozenset(scopes)
    return [scope for scope in SCOPES if scope in given]
