"""Fixtures of the worker's tests."""

import pytest

from service.db import Database
from tests.worker.scene import Scene


@pytest.fixture
async def scene(db: Database) -> Scene:
    """This test's database, seen from the side of the queue."""
    return await Scene.of(db)
