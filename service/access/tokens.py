"""Access tokens: JWTs signed with HS256 (RFC 9068 in form), good for half an hour; and the secret for it."""

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import msgspec

from service.access import queries
from service.db import Database
from service.errors import Unauthenticated

ISSUER, AUDIENCE = "jobsense", "jobsense-api"
LIFETIME = timedelta(minutes=30)
_ALGORITHM = "HS256"
_KIND = "at+jwt"
_SECRET_BYTES = 32
_NEEDED = ("iss", "aud", "sub", "exp", "iat", "jti", "sid")
_MOST_ID = 2**31 - 1


class Claims(msgspec.Struct, frozen=True):
    """What a good token says: of whom, from which sign-in, and until when."""

    account_id: int
    sign_in_id: str
    expires_at: datetime


class AccessTokens:
    """Signs and reads access tokens with the secret of the settings or, where none is set, one kept in the database."""

    def __init__(self, db: Database, secret: str | None) -> None:
        self._db = db
        self._secret = secret.encode("utf-8", "surrogateescape") if secret else None

    async def sign(self, account_id: int, sign_in_id: str, scopes: Sequence[str], now: datetime) -> str:
        """A token for a person who has signed in."""
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": str(account_id),
            "iat": int(now.timestamp()),
            "exp": int((now + LIFETIME).timestamp()),
            "jti": secrets.token_hex(16),
            "sid": sign_in_id,
            "scope": " ".join(scopes),
        }
        return jwt.encode(claims, await self._key(), algorithm=_ALGORITHM, headers={"typ": _KIND})

    async def read(self, token: str) -> Claims:
        """What a token says; raises Unauthenticated unless it is signed by us, for us, and still good.

        The algorithm is ours and never the token's. The signature is checked before anything else is believed.
        """
        try:
            told = jwt.decode_complete(
                token,
                await self._key(),
                algorithms=[_ALGORITHM],
                audience=AUDIENCE,
                issuer=ISSUER,
                # Clocks of processes differ by a little: when it was made decides nothing.
                options={"require": list(_NEEDED), "verify_iat": False, "strict_aud": True},
            )
            return _claims(told["header"], told["payload"])
        except jwt.ExpiredSignatureError:
            raise Unauthenticated(
                "The access token has expired; take a new one at /api/v1/auth/refresh", code="token_expired", given=True
            ) from None
        except (jwt.PyJWTError, ValueError, TypeError, ArithmeticError, RecursionError):
            raise Unauthenticated("The access token is not one of this service", given=True) from None

    async def _key(self) -> bytes:
        if self._secret is None:
            self._secret = await queries.keep_secret(self._db, name="jwt", secret=secrets.token_bytes(_SECRET_BYTES))
        return self._secret


def _claims(header: dict[str, Any], payload: dict[str, Any]) -> Claims:
    """Raises ValueError for what we would never have signed, whoever else has the secret."""
    subject, sign_in_id = payload["sub"], payload["sid"]
    if header.get("typ") != _KIND or not isinstance(sign_in_id, str) or not sign_in_id.isalnum():
        raise ValueError("another kind of token")
    if not (subject.isascii() and subject.isdecimal()) or not 0 < int(subject[:20]) <= _MOST_ID:
        raise ValueError("nobody's number")
    return Claims(int(subject), sign_in_id, datetime.fromtimestamp(payload["exp"], UTC))
