"""The corpora of real postings that several long tests measure on, made once."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.conftest import Server
from tests.long.corpus import Corpus, enlarge, fill, searching, texts_of


@pytest.fixture(scope="session")
async def corpora(
    server: Server, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[dict[str, str]]:
    """Databases with all real postings, embedded the way the service does, and with twelve times as many."""
    if "JOBSENSE_TEST_DATA" not in os.environ:
        pytest.skip("JOBSENSE_TEST_DATA names no folder of postings")
    real = await server.create_database(template)
    async with searching(real, []) as corpus:
        await fill(corpus, tmp_path_factory.mktemp("corpus"))
    large = await server.create_database(urlsplit(real).path[1:])
    await enlarge(large)
    yield {"real": real, "large": large}
    for dsn in (real, large):
        await server.drop_database(dsn)


@pytest.fixture(scope="module", params=["real", "large"])
async def corpus(request: pytest.FixtureRequest, corpora: dict[str, str]) -> AsyncIterator[Corpus]:
    """All real postings, then twelve times as many."""
    texts = texts_of(Path(os.environ["JOBSENSE_TEST_DATA"]))
    async with searching(corpora[request.param], texts) as made:
        yield made
