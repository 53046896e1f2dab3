"""Statements on tenants and keys: signatures; the SQL is in sql/queries/access/."""

from datetime import datetime

from service.access.model import ApiKey, KeyListing
from service.db import Db, statement


@statement
async def fetch_api_key(db: Db, *, key_id: str) -> ApiKey | None:
    """A key that is not revoked."""


@statement
async def store_api_key(
    db: Db, *, key_id: str, tenant_id: int, name: str, secret_hash: bytes, scopes: list[str], now: datetime
) -> None:
    """Keep a new key."""


@statement
async def list_api_keys(db: Db) -> list[KeyListing]:
    """Every key, the newest first."""


@statement
async def revoke_api_key(db: Db, *, key_id: str, now: datetime) -> str | None:
    """End a key; its id, or None when there is no such living key."""


@statement
async def ensure_tenant(db: Db, *, name: str) -> int:
    """The number of a tenant, made if it is new."""
