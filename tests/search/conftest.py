"""A shelf of postings that several modules page through."""

from collections.abc import AsyncIterator

import pytest

from service.db import Database
from service.embedding.domain import LiveEmbedder
from tests.conftest import Server
from tests.fakes import WordEmbedder
from tests.search.shelf import Shelf


@pytest.fixture(scope="module")
async def shelf(server: Server, template: str) -> AsyncIterator[Shelf]:
    """Four hundred postings, embedded."""
    dsn = await server.create_database(template)
    db = await Database.open(dsn)
    live = LiveEmbedder(db, lambda _generation: [WordEmbedder()])
    await live.connect()
    made = Shelf(db, live)
    await made.store(range(400))
    await made.embed()
    yield made
    await live.close()
    await db.close()
    await server.drop_database(dsn)
