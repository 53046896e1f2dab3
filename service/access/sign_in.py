"""People sign in with a password, and go on with refresh tokens that are good once."""

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from service.access import queries
from service.access.model import ROLES, SCOPES, Account, PasswordForm, Tokens
from service.access.passwords import Passwords
from service.access.tokens import LIFETIME, AccessTokens
from service.db import Database
from service.errors import FieldError, Invalid, NotFound, Unauthenticated
from service.telemetry.logs import get_logger
from service.telemetry.stages import count

log = get_logger(__name__)

PREFIX = "jr"
REFRESH_LIFETIME = timedelta(days=7)
"""From the last refresh: who comes back within a week stays signed in."""


class SignIn:
    """Gives tokens for a password, and new tokens for a refresh token."""

    def __init__(self, db: Database, tokens: AccessTokens, passwords: Passwords) -> None:
        self._db = db
        self._tokens = tokens
        self._passwords = passwords

    async def sign_in(self, form: PasswordForm) -> Tokens:
        """Tokens for a name and a password; raises Unauthenticated, in the same words and time whatever is wrong."""
        account = await queries.fetch_account(self._db, name=form.username.casefold())
        good = await self._passwords.check(account.password_hash if account else None, form.password)
        if account is None or not good or account.is_disabled:
            reason = "unknown" if account is None else "password" if not good else "disabled"
            count("jobsense_sign_ins_total", "refused")
            # An unknown name is not told: it may be a password typed into the wrong field.
            log.warning("access.sign_in_failed", reason=reason, user_id=account.id if account else None)
            raise Unauthenticated("No user of this name has this password", code="invalid_credentials")
        scopes = _granted(account.role, (form.scope or "").split())
        if self._passwords.is_outdated(account.password_hash):
            await self._renew_hash(account, form.password)
        tokens = await self._begin(account, scopes)
        count("jobsense_sign_ins_total", "ok")
        return tokens

    async def refresh(self, token: str) -> Tokens:
        """New tokens for a refresh token, which is good no longer; raises Unauthenticated.

        One that was used before ends its whole family: a thief or the owner has the newer one.
        """
        prefix, sign_in_id, secret = (*token.split("_", 2), "", "")[:3]
        now, new_secret = datetime.now(UTC), secrets.token_urlsafe(32)
        found = None
        if prefix == PREFIX and sign_in_id.isalnum():
            found = await queries.rotate_sign_in(
                self._db,
                sign_in_id=sign_in_id,
                token_hash=_hash(secret),
                new_hash=_hash(new_secret),
                now=now,
                expires_at=now + REFRESH_LIFETIME,
            )
        if found is not None and not found.is_reused:
            person = await queries.fetch_signed_in(self._db, sign_in_id=sign_in_id, account_id=found.account_id)
            if person is not None:  # else disabled this moment
                count("jobsense_refreshes_total", "ok")
                scopes = [scope for scope in person.scopes if scope in ROLES[person.role]]
                return await self._tokens_of(person.id, sign_in_id, new_secret, scopes, now)
        if found is not None and found.is_reused:
            log.warning("access.refresh_reused", user_id=found.account_id)
        count("jobsense_refreshes_total", "reused" if found is not None and found.is_reused else "refused")
        raise Unauthenticated("Sign in again: this refresh token is not good", code="invalid_refresh_token", given=True)

    async def _begin(self, account: Account, scopes: Sequence[str]) -> Tokens:
        now, sign_in_id, secret = datetime.now(UTC), secrets.token_hex(12), secrets.token_urlsafe(32)
        await queries.store_sign_in(
            self._db,
            tenant_id=account.tenant_id,
            account_id=account.id,
            sign_in_id=sign_in_id,
            token_hash=_hash(secret),
            scopes=list(scopes),
            now=now,
            expires_at=now + REFRESH_LIFETIME,
        )
        return await self._tokens_of(account.id, sign_in_id, secret, scopes, now)

    async def _tokens_of(
        self, account_id: int, sign_in_id: str, secret: str, scopes: Sequence[str], now: datetime
    ) -> Tokens:
        return Tokens(
            access_token=await self._tokens.sign(account_id, sign_in_id, scopes, now),
            token_type="Bearer",  # noqa: S106 - the name of a scheme
            expires_in=int(LIFETIME.total_seconds()),
            refresh_token=f"{PREFIX}_{sign_in_id}_{secret}",
            scope=" ".join(scopes),
        )

    async def _renew_hash(self, account: Account, password: str) -> None:
        await queries.store_password(
            self._db,
            tenant_id=account.tenant_id,
            account_id=account.id,
            old_hash=account.password_hash,
            new_hash=await self._passwords.make_hash(password),
        )


async def create_user(db: Database, *, tenant: str, name: str, role: str, password_hash: str) -> None:
    """Keep a new person; raises Conflict when the name is taken, whatever the tenant."""
    tenant_id = await queries.ensure_tenant(db, name=tenant)
    await queries.store_account(
        db, tenant_id=tenant_id, name=name.casefold(), password_hash=password_hash, role=role, now=datetime.now(UTC)
    )
    log.info("access.user_created", user=name.casefold(), tenant=tenant, role=role)


async def disable_user(db: Database, name: str) -> None:
    """Keep a person out: no sign-in, no refresh, and the access tokens end as soon as they are asked for again."""
    account = await queries.fetch_account(db, name=name.casefold())
    now = datetime.now(UTC)
    if account is None or not await queries.disable_account(
        db, tenant_id=account.tenant_id, name=account.name, now=now
    ):
        raise NotFound(f"There is no user {name} who could be disabled")
    log.info("access.user_disabled", user=account.name, tenant=account.tenant)


async def replace_password(db: Database, *, name: str, password_hash: str) -> None:
    """Give a person another password: whoever signed in with the old one has to sign in again."""
    account = await queries.fetch_account(db, name=name.casefold())
    now = datetime.now(UTC)
    if account is None or not await queries.replace_password(
        db, tenant_id=account.tenant_id, name=account.name, password_hash=password_hash, now=now
    ):
        raise NotFound(f"There is no user {name} who may sign in")
    log.info("access.password_replaced", user=account.name, tenant=account.tenant)


def _granted(role: str, asked: Sequence[str]) -> list[str]:
    """The scopes of the role, in the order of all, or those of them that are asked for; raises Invalid for others."""
    allowed = ROLES[role]
    wrong = [scope for scope in asked if scope not in allowed]
    if wrong:
        raise Invalid([FieldError(code="invalid", detail=f"This user cannot have {' '.join(wrong)}", pointer="/scope")])
    return [scope for scope in SCOPES if scope in (asked or allowed)]


def _hash(secret: str) -> bytes:
    return sha256(secret.encode()).digest()
