"""Forged, foreign and broken access tokens are 401, whatever they try; and never more than that."""

import base64
import hashlib
import hmac
import itertools
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest

from service.access.keys import create_key
from service.config import Settings
from tests.api.calls import JOBS, problem
from tests.api.conftest import shared_service
from tests.api.people import PROFILE, add_person, bearer, tokens_of
from tests.conftest import Server, Service

SECRET = "0123456789abcdef0123456789abcdef"  # noqa: S105 - of a test
PUBLIC_KEY = "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA\n-----END PUBLIC KEY-----\n"


MINE = "the attacker's own"
NUMBER = itertools.count(1)


@pytest.fixture(scope="module")
async def api(server: Server, template: str) -> AsyncIterator[Service]:
    """The application with a secret that the tests know; for all of them, since none minds the others."""
    settings = Settings(embed_in_serve=False, migrate_on_start=False, auth="required", jwt_secret=SECRET)
    async with shared_service(server, template, settings) as made:
        yield made


def encoded(part: Any) -> str:
    """One part of a token."""
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(header: Any, payload: Any, secret: str = SECRET, digest: str = "sha256") -> str:
    """A token signed by hand, as a library would refuse to."""
    text = f"{encoded(header)}.{encoded(payload)}"
    return f"{text}.{encoded(hmac.new(secret.encode(), text.encode(), digest).digest())}"


async def refused(api: Service, token: str, code: str = "unauthenticated") -> dict[str, Any]:
    """The answer to a bad bearer, which says that the token is the reason."""
    answer = await api.client.get(JOBS, headers={"Authorization": f"Bearer {token}"})
    assert answer.headers["www-authenticate"] == 'Bearer realm="jobsense", error="invalid_token"'
    return problem(answer, 401, code)


async def tokens(api: Service) -> dict[str, Any]:
    """The tokens of a new person."""
    name = f"person-{next(NUMBER)}"
    await add_person(api, name)
    return await tokens_of(api, name)


async def claims_of(api: Service) -> dict[str, Any]:
    """The claims of a good token."""
    token = (await tokens(api))["access_token"]
    claims: dict[str, Any] = jwt.decode(token, SECRET, algorithms=["HS256"], audience="jobsense-api")
    return claims


HEADER = {"alg": "HS256", "typ": "at+jwt"}


async def test_what_a_token_holds(api: Service) -> None:
    """Issuer, audience, subject, times and an id of its own; one that is signed by hand like it is good, too."""
    claims = await claims_of(api)
    assert set(claims) == {"iss", "aud", "sub", "exp", "iat", "jti", "sid", "scope"}
    assert claims["exp"] - claims["iat"] == 1800
    assert (await api.client.get(JOBS, headers=bearer({"access_token": signed(HEADER, claims)}))).status_code == 200


async def test_the_algorithm_is_never_the_tokens_choice(api: Service) -> None:
    """`none` in any spelling, other algorithms and a public key used as a secret are refused."""
    claims = await claims_of(api)
    for name in ("none", "None", "NONE", "nOnE", "", None, ["HS256"], "HS256 ", 5):
        header = {"alg": name, "typ": "at+jwt"}
        await refused(api, f"{encoded(header)}.{encoded(claims)}.")
        await refused(api, signed(header, claims))
    await refused(api, signed({"alg": "HS512", "typ": "at+jwt"}, claims, digest="sha512"))
    await refused(api, signed({"alg": "HS384", "typ": "at+jwt"}, claims, digest="sha384"))
    await refused(api, signed({"alg": "RS256", "typ": "at+jwt"}, claims))
    await refused(api, signed(HEADER, claims, secret=PUBLIC_KEY))
    await refused(api, signed({**HEADER, "kid": "../../../../dev/null"}, claims, secret=""))
    await refused(api, signed({**HEADER, "jwk": {"kty": "oct", "k": encoded(MINE.encode())}}, claims, secret=MINE))
    await refused(api, signed({**HEADER, "crit": ["exp"]}, claims))
    await refused(api, signed({"alg": "HS256", "typ": "JWT"}, claims))
    await refused(api, signed({"alg": "HS256"}, claims))


async def test_every_claim_counts(api: Service) -> None:
    """A claim that is missing, of another service or of a wrong type is refused, although the signature is ours."""
    claims = await claims_of(api)
    for name in ("iss", "aud", "sub", "exp", "iat", "jti", "sid"):
        await refused(api, signed(HEADER, {key: value for key, value in claims.items() if key != name}))
    wrong: list[dict[str, Any]] = [
        {"iss": "other"},
        {"iss": ["jobsense"]},
        {"aud": "other"},
        {"aud": ["jobsense-api", "other"]},
        {"aud": None},
        {"sub": "2"},
        {"sub": "0"},
        {"sub": "-1"},
        {"sub": "1 or 1=1"},
        {"sub": "9" * 30},
        {"sub": "\u0661"},
        {"sub": 1},
        {"sub": None},
        {"sid": "0" * 24},
        {"sid": 1},
        {"sid": ["a"]},
        {"sid": "a\0b"},
        {"exp": "soon"},
        {"exp": None},
        {"exp": []},
        {"nbf": time.time() + 3600},
    ]
    for change in wrong:
        await refused(api, signed(HEADER, claims | change))
    for text in (b'{"exp": 1e999}', b'{"exp": NaN}', b"[]", b"1", b"", b"\xff", b"[" * 5000):
        await refused(api, signed(HEADER, text))
        await refused(api, signed(text, claims))


async def test_an_expired_token_says_so(api: Service) -> None:
    """Past its time a token is `token_expired`, which tells clients to refresh; a forged one learns nothing of that."""
    claims = await claims_of(api) | {"exp": int(time.time()) - 1}
    body = await refused(api, signed(HEADER, claims), "token_expired")
    assert "refresh" in body["detail"]
    await refused(api, signed(HEADER, claims, secret="x" * 32))


async def test_a_believed_token_ends_on_time(api: Service) -> None:
    """The cache keeps no token past its own end."""
    claims = await claims_of(api)
    now = time.time()
    token = signed(HEADER, claims | {"exp": int(now) + 3})
    assert (await api.client.get(JOBS, headers={"Authorization": f"Bearer {token}"})).status_code == 200
    until, _ = api.parts.access._known[hashlib.sha256(token.encode()).digest()]
    assert until - time.monotonic() <= int(now) + 3 - now


async def test_tampered_and_huge_tokens(api: Service) -> None:
    """One changed character anywhere breaks a token; a huge one is not even looked at."""
    good = (await tokens(api))["access_token"]
    for at in range(0, len(good) - 1, 7):  # of the last character of a signature some bits say nothing
        changed = good[:at] + ("A" if good[at] != "A" else "B") + good[at + 1 :]
        await refused(api, changed)
    for bad in (good[:-5], good + "AAAA", f"{good}.{good}", good.replace(".", ""), "..", ".", "a.b.c", "x" * 60_000):
        await refused(api, bad)
    padded = signed(HEADER, unchecked(good) | {"pad": "x" * 4000})
    assert "too long" in (await refused(api, padded))["detail"]


def unchecked(token: str) -> dict[str, Any]:
    """The claims of a token, unchecked."""
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


async def test_which_header_takes_what(api: Service) -> None:
    """A bearer is a key or a token, X-API-Key a key alone; two that differ, or one header twice, are refused."""
    made = await tokens(api)
    token = made["access_token"]
    key = await create_key(api.parts.db, tenant="acme", name="test", scopes=["jobs:read"])
    other = await create_key(api.parts.db, tenant="other", name="test", scopes=["jobs:read"])

    async def status(*headers: tuple[str, str]) -> int:
        return (await api.client.get(PROFILE, headers=list(headers))).status_code

    assert await status(("Authorization", f"Bearer {key}")) == 200
    assert await status(("X-API-Key", key), ("Authorization", f"bearer {key}")) == 200
    assert await status(("X-API-Key", key), ("Authorization", "Basic cHJveHk6cHJveHk=")) == 200
    assert await status(("Authorization", f"Bearer {token}")) == 200
    assert await status(("X-API-Key", token)) == 401
    assert await status(("X-API-Key", key), ("Authorization", f"Bearer {token}")) == 401
    assert await status(("X-API-Key", key), ("Authorization", f"Bearer {other}")) == 401
    assert await status(("X-API-Key", key), ("X-API-Key", other)) == 401
    assert await status(("Authorization", f"Bearer {key}"), ("Authorization", f"Bearer {key}")) == 401
    assert await status(("Authorization", f"Bearer {key}, Bearer {other}")) == 401
    assert await status(("Authorization", f"Bearer {made['refresh_token']}")) == 401
