"""What the tests of operations share: a role as managed servers give one."""

from collections.abc import AsyncIterator

import pytest

from tests.conftest import Server
from tests.operations.ordinary import Ordinary, ordinary_role


@pytest.fixture
async def ordinary(server: Server) -> AsyncIterator[Ordinary]:
    """A role that owns its databases and is no superuser."""
    async with ordinary_role(server) as made:
        yield made
