"""Callers, keys and scopes."""

from datetime import datetime
from typing import Literal, get_args

import msgspec

Scope = Literal["jobs:read", "jobs:write", "search", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
OPEN_SCOPES: frozenset[str] = frozenset({"jobs:read", "jobs:write", "search"})
"""What a caller without credentials may do where AUTH is open."""
PUBLIC_TENANT = 1
"""The tenant `public`, made by the first migration."""


class Caller(msgspec.Struct, frozen=True):
    """Who is calling: a tenant, with scopes, by a key (None: without credentials)."""

    tenant_id: int
    tenant: str
    scopes: frozenset[str]
    key_id: str | None = None

    @property
    def who(self) -> str:
        """Tells callers of one tenant apart: `key:<id>` or `anonymous`."""
        return "anonymous" if self.key_id is None else f"key:{self.key_id}"


class ApiKey(msgspec.Struct, frozen=True):
    """A living key as it is looked up."""

    id: str
    tenant_id: int
    tenant: str
    name: str
    secret_hash: bytes
    scopes: list[str]


class KeyListing(msgspec.Struct):
    """A key as it is shown: never its secret."""

    id: str
    tenant: str
    name: str
    scopes: list[str]
    created_at: datetime
    revoked_at: datetime | None
