"""What the tests of the SQL layer share beside the fixtures of all tests."""

from collections.abc import AsyncIterator

import pytest

from service.db import Connection, Database, session
from tests.conftest import Server
from tests.sql.samples import FILL


@pytest.fixture
async def narrow(dsn: str) -> AsyncIterator[Database]:
    """A pool of two connections with a short statement timeout."""
    opened = await Database.open(dsn, max_size=2, statement_timeout_s=0.2, application="jobsense-narrow")
    yield opened
    await opened.close()


@pytest.fixture(scope="module")
async def filled(server: Server, template: str) -> AsyncIterator[str]:
    """A database with four thousand postings of two tenants, half of them in each of two generations."""
    made = await server.create_database(template)
    async with session(made) as connection:
        await connection.execute(FILL)
    yield made
    await server.drop_database(made)


@pytest.fixture
async def connection(filled: str) -> AsyncIterator[Connection]:
    """A connection to that database, with the settings of the pool that concern plans."""
    database = await Database.open(filled, max_size=1)
    async with database.connection() as borrowed:
        yield borrowed
    await database.close()
