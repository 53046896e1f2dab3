"""What the tests of sign-in say again and again: a person, a form, tokens."""

from typing import Any

import httpx

from service.access.passwords import Passwords
from service.access.sign_in import create_user
from tests.conftest import Service

TOKEN = "/api/v1/auth/token"  # noqa: S105 - a path
REFRESH = "/api/v1/auth/refresh"
PROFILE = "/api/v1/profile"
PASSWORD = "correct horse battery"  # noqa: S105 - of people that only tests know
CHEAP = Passwords(time_cost=1, memory_kib=64)
"""Hashes that take no time; the service takes them for outdated and makes them anew at the first sign-in."""


async def add_person(api: Service, name: str = "amina", *, role: str = "writer", tenant: str = "acme") -> None:
    """Let a person in, with PASSWORD."""
    made = await CHEAP.make_hash(PASSWORD)
    await create_user(api.parts.db, tenant=tenant, name=name, role=role, password_hash=made)


async def post_form(api: Service, path: str, **fields: str) -> httpx.Response:
    """Send a form."""
    return await api.client.post(path, data=fields)


async def tokens_of(api: Service, name: str = "amina", **more: str) -> dict[str, Any]:
    """Sign in with PASSWORD; the answer, which must be good."""
    answer = await post_form(api, TOKEN, username=name, password=PASSWORD, **more)
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def bearer(tokens: dict[str, Any]) -> dict[str, str]:
    """The header of an access token."""
    return {"Authorization": f"Bearer {tokens['access_token']}"}
