"""Statements on tenants, keys and people: signatures; the SQL is in sql/queries/access/."""

from datetime import datetime

from service.access.model import Account, AccountListing, ApiKey, KeyListing, Rotation, SignedIn
from service.db import Db, statement
from service.errors import Conflict


@statement
async def fetch_api_key(db: Db, *, key_id: str) -> ApiKey | None:
    """A key that is not revoked; it may have expired."""


@statement
async def fetch_key_listing(db: Db, *, tenant_id: int, key_id: str) -> KeyListing | None:
    """A key of a tenant as it is shown."""


@statement
async def store_api_key(
    db: Db,
    *,
    tenant_id: int,
    key_id: str,
    name: str,
    secret_hash: bytes,
    scopes: list[str],
    rate: str | None,
    now: datetime,
    expires_at: datetime | None,
) -> None:
    """Keep a new key."""


@statement
async def list_api_keys(db: Db, *, tenant_id: int, most: int) -> list[KeyListing]:
    """The keys of a tenant, the newest first."""


@statement
async def list_every_api_key(db: Db) -> list[KeyListing]:
    """Every key of every tenant, the newest first."""


@statement
async def rotate_api_key(
    db: Db, *, tenant_id: int, key_id: str, new_id: str, secret_hash: bytes, now: datetime, ends_at: datetime
) -> str | None:
    """Put a new key in a living one's place; the new id, or None when there is no such key."""


@statement
async def revoke_api_key(db: Db, *, tenant_id: int, key_id: str, now: datetime) -> str | None:
    """End a key; its id, or None when the tenant has no such living key."""


@statement
async def note_key_use(db: Db, *, key_ids: list[str], used_at: list[datetime]) -> None:
    """Note when keys were used last."""


@statement
async def ensure_tenant(db: Db, *, name: str) -> int:
    """The number of a tenant, made if it is new."""


@statement
async def fetch_account(db: Db, *, name: str) -> Account | None:
    """The person of a name, disabled or not."""


@statement
async def list_every_account(db: Db) -> list[AccountListing]:
    """Everybody of every tenant."""


def _is_taken() -> Conflict:
    return Conflict("There is a user of this name already")


@statement(on_constraint={"account_name_key": _is_taken})
async def store_account(db: Db, *, tenant_id: int, name: str, password_hash: str, role: str, now: datetime) -> None:
    """Keep a new person; raises Conflict when the name is taken."""


@statement
async def store_password(db: Db, *, tenant_id: int, account_id: int, old_hash: str, new_hash: str) -> None:
    """Replace the hash of a password."""


@statement
async def replace_password(db: Db, *, tenant_id: int, name: str, password_hash: str, now: datetime) -> str | None:
    """Give a person another password and end every sign-in; the name, or None."""


@statement
async def disable_account(db: Db, *, tenant_id: int, name: str, now: datetime) -> str | None:
    """Keep a person out and end every sign-in; the name, or None."""


@statement
async def store_sign_in(
    db: Db,
    *,
    tenant_id: int,
    account_id: int,
    sign_in_id: str,
    token_hash: bytes,
    scopes: list[str],
    now: datetime,
    expires_at: datetime,
) -> None:
    """Begin a family of refresh tokens."""


@statement
async def rotate_sign_in(
    db: Db, *, sign_in_id: str, token_hash: bytes, new_hash: bytes, now: datetime, expires_at: datetime
) -> Rotation | None:
    """Take a refresh token for a new one, or end its family when it was used before; None when there is no family."""


@statement
async def fetch_signed_in(db: Db, *, sign_in_id: str, account_id: int) -> SignedIn | None:
    """Who is behind an access token, as long as the sign-in goes on."""


@statement
async def keep_secret(db: Db, *, name: str, secret: bytes) -> bytes:
    """The secret of a name, this one if there is none yet."""
