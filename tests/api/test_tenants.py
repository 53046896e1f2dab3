"""A property: whatever three tenants do, through whichever endpoint, no answer holds anything of another's."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from litestar.routes import HTTPRoute

from service.access.keys import create_key
from service.access.model import SCOPES
from service.config import Settings
from tests.api.conftest import shared_service
from tests.api.tenants import ACTIONS, Tenants
from tests.conftest import Server, Service

NOT_OF_TENANTS = {("POST", "/api/v1/auth/token"), ("POST", "/api/v1/auth/refresh")}
"""Answered before it is known of which tenant the caller is."""


@pytest.fixture(scope="module")
async def place(server: Server, template: str) -> AsyncIterator[Service]:
    """One application for all examples; each has new tenants' rows, since it begins with an empty table."""
    chosen = Settings(embed_in_serve=False, migrate_on_start=False, auth="required")
    async with shared_service(server, template, chosen) as made:
        yield made


async def _fresh(place: Service) -> Tenants:
    async with place.parts.db.connection() as connection:
        await connection.execute("delete from job; delete from api_key")
    place.parts.access._known.clear()
    place.parts.jobs.stats._kept.clear()
    keys = [await create_key(place.parts.db, tenant=f"t{who}", name="root", scopes=SCOPES) for who in range(3)]
    return Tenants(place, keys)


STEP = st.tuples(st.sampled_from(range(len(ACTIONS))), st.integers(0, 2), st.integers(0, 59))


STEPS = st.lists(STEP, min_size=5, max_size=25)


async def _take(place: Service, steps: list[tuple[int, int, int]]) -> None:
    tenants = await _fresh(place)
    for action, who, draw in steps:
        await ACTIONS[action](tenants, who, draw)


@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(steps=STEPS)
async def test_no_answer_holds_anything_of_another_tenant(place: Service, steps: list[tuple[int, int, int]]) -> None:
    """Any order of anything by three tenants: only one's own is seen, and the others' is as if it were not."""
    await _take(place, steps)


@pytest.mark.long
@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS)
async def test_no_answer_holds_anything_of_another_tenant_at_length(
    place: Service, steps: list[tuple[int, int, int]]
) -> None:
    """The same with many more orders, other ones each time."""
    await _take(place, steps)


async def test_every_endpoint_is_asked(place: Service) -> None:
    """Each action by each tenant on a full table, whatever the draw: no route under /api/v1 is left out."""
    tenants = await _fresh(place)
    for who in range(3):
        for draw in range(6):
            await tenants.create(who, draw)
    await place.embed()
    for draw in range(6):
        for action in ACTIONS:
            await action(tenants, draw % 3, draw)
    served = {
        (method, route.path_format)
        for route in place.app.routes
        if isinstance(route, HTTPRoute) and route.path.startswith("/api/v1")
        for method in route.route_handler_map
        if method != "OPTIONS"
    }
    assert served - tenants.asked == NOT_OF_TENANTS


async def test_the_property_sees_a_leak(place: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a service that takes one tenant for another, the actions fail: they would notice."""
    tenants = await _fresh(place)
    for who in range(3):
        for draw in range(6):
            await tenants.create(who, draw)
    await place.embed()
    confused = await place.parts.access.caller(tenants.keys[1], None)

    async def mistaken(_api_key: str | None, _authorization: str | None) -> Any:
        return msgspec.structs.replace(confused)

    monkeypatch.setattr(place.parts.access, "caller", mistaken)
    for action in (Tenants.list_jobs, Tenants.search, Tenants.search_many, Tenants.match, Tenants.stats, Tenants.touch):
        noticed = 0
        for draw in range(1, 8):
            try:
                await action(tenants, 0, draw)
            except AssertionError:
                noticed += 1
        assert noticed, action
