"""Clients of the toy applications."""

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.toy_pets import toy_pets
from tests.toy_postings import toy_postings


@pytest.fixture(scope="module")
async def postings() -> AsyncIterator[httpx.AsyncClient]:
    """A client of the toy application with postings."""
    async with toy_postings() as client:
        yield client


@pytest.fixture(scope="module")
async def pets() -> AsyncIterator[httpx.AsyncClient]:
    """A client of the toy application with pets."""
    async with toy_pets() as client:
        yield client
