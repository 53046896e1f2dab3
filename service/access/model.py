"""Callers, keys, people and scopes; and what of them goes over the wire."""

from datetime import datetime
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta

from service.setting_parsers import RATE_PATTERN

Scope = Literal["jobs:read", "jobs:write", "search", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
OPEN_SCOPES: frozenset[str] = frozenset({"jobs:read", "jobs:write", "search"})
"""What a caller without credentials may do where AUTH is open."""
PUBLIC_TENANT = 1
"""The tenant `public`, made by the first migration."""

Moment = Annotated[datetime, Meta(tz=True)]
"""A time with an offset, which the document calls `date-time`."""

Role = Literal["reader", "writer", "admin"]
ROLES: dict[str, frozenset[str]] = {
    "reader": frozenset({"jobs:read", "search"}),
    "writer": OPEN_SCOPES,
    "admin": frozenset(SCOPES),
}
"""What a person of each role may do."""


class Caller(msgspec.Struct, frozen=True):
    """Who is calling: a tenant, with scopes, by a key, as a person, or (both None) without credentials."""

    tenant_id: int
    tenant: str
    scopes: frozenset[str]
    key_id: str | None = None
    rate: str | None = None
    """The key's own limit, such as `100/minute`, in place of those of the settings."""
    user_id: int | None = None
    name: str | None = None
    role: str | None = None
    expires_at: datetime | None = None

    @property
    def who(self) -> str:
        """Tells callers of one tenant apart: `key:<id>`, `user:<id>` or `anonymous`."""
        if self.key_id is not None:
            return f"key:{self.key_id}"
        return "anonymous" if self.user_id is None else f"user:{self.user_id}"


class ApiKey(msgspec.Struct, frozen=True):
    """A key that is not revoked, as it is looked up."""

    id: str
    tenant_id: int
    tenant: str
    name: str
    secret_hash: bytes
    scopes: list[str]
    rate: str | None
    expires_at: datetime | None


class KeyListing(msgspec.Struct):
    """A key as it is shown: never its secret."""

    id: Annotated[str, Meta(description="The public half of the key")]
    tenant: str
    name: str
    scopes: list[str]
    rate: Annotated[str | None, Meta(description="Its own rate limit; null: the usual ones")]
    created_at: Moment
    expires_at: Annotated[Moment | None, Meta(description="When it ends by itself; null: never")]
    last_used_at: Annotated[Moment | None, Meta(description="To about a minute")]
    revoked_at: Moment | None
    replaced_by: Annotated[str | None, Meta(description="The key that it was rotated into")]


class KeyInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key to make."""

    name: Annotated[str, Meta(min_length=1, max_length=200, description="What it is for")]
    scopes: Annotated[list[Scope], Meta(min_length=1, max_length=20, description="What it may do")]
    expires_at: Annotated[datetime, Meta(tz=True, description="When it ends; left out: never")] | None = None
    rate: (
        Annotated[str, Meta(pattern=f"^{RATE_PATTERN}$", description="Its own rate limit, such as `100/minute`")] | None
    ) = None


class KeyPage(msgspec.Struct):
    """The keys of the caller's tenant, the newest first, at most 1,000."""

    items: list[KeyListing]


class NewKey(KeyListing):
    """A key with its secret, which is told this once."""

    key: Annotated[str, Meta(description="The whole key: `js_<id>_<secret>`; only its hash is kept")]


class RotateQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long the old key goes on beside the new one."""

    overlap_s: Annotated[
        int, Meta(ge=0, le=30 * 86400, description="Seconds for which the old key is still good; at most 30 days")
    ] = 86400


class Account(msgspec.Struct, frozen=True):
    """A person as looked up for a password."""

    id: int
    tenant_id: int
    tenant: str
    name: str
    role: str
    password_hash: str
    is_disabled: bool


class AccountListing(msgspec.Struct):
    """A person as shown to operators."""

    name: str
    tenant: str
    role: str
    created_at: datetime
    signed_in_at: datetime | None
    disabled_at: datetime | None


class SignedIn(msgspec.Struct, frozen=True):
    """The person behind an access token, with the scopes that the sign-in asked for."""

    id: int
    tenant_id: int
    tenant: str
    name: str
    role: str
    scopes: list[str]


class Rotation(msgspec.Struct, frozen=True):
    """What became of a family of refresh tokens: it goes on, or it ended because an old one was used."""

    account_id: int
    scopes: list[str]
    is_reused: bool


class PasswordForm(msgspec.Struct, frozen=True):
    """The password form of OAuth 2.0 (RFC 6749 section 4.3); fields that it does not know are passed over."""

    username: Annotated[str, Meta(min_length=1, max_length=100)]
    password: Annotated[str, Meta(min_length=1, max_length=200, extra_json_schema={"format": "password"})]
    grant_type: Literal["password"] = "password"
    scope: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=200,
                description="Scopes separated by spaces, to have fewer than the role allows",
            ),
        ]
        | None
    ) = None


class RefreshForm(msgspec.Struct, frozen=True):
    """A refresh token to be taken for new ones (RFC 6749 section 6)."""

    refresh_token: Annotated[str, Meta(min_length=1, max_length=200)]
    grant_type: Literal["refresh_token"] = "refresh_token"


class Tokens(msgspec.Struct, frozen=True):
    """What a sign-in gives (RFC 6749 section 5.1)."""

    access_token: Annotated[str, Meta(description="For `Authorization: Bearer`")]
    token_type: Annotated[str, Meta(description="Always `Bearer`")]
    expires_in: Annotated[int, Meta(description="Seconds for which the access token is good")]
    refresh_token: Annotated[str, Meta(description="Good once, for seven days")]
    scope: Annotated[str, Meta(description="Scopes of the access token, separated by spaces")]


class Profile(msgspec.Struct, frozen=True):
    """Who calls, as the service sees it."""

    kind: Literal["key", "user", "anonymous"]
    tenant: str
    scopes: list[str]
    name: Annotated[str | None, Meta(description="Of the key or the person")]
    key_id: str | None
    role: str | None
    rate: Annotated[str | None, Meta(description="The key's own rate limit; null: the usual ones")]
    expires_at: Annotated[Moment | None, Meta(description="When the key or the access token ends; null: never")]
