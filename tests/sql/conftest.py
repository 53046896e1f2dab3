"""What the tests of the SQL layer share beside the fixtures of all tests."""

from collections.abc import AsyncIterator

import pytest

from service.db import Database


@pytest.fixture
async def narrow(dsn: str) -> AsyncIterator[Database]:
    """A pool of two connections with a short statement timeout."""
    opened = await Database.open(dsn, max_size=2, statement_timeout_s=0.2, application="jobsense-narrow")
    yield opened
    await opened.close()
