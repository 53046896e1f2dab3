"""A store for the tests that need one; they are skipped with a clear word where there is no server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.valkey import MISSING, Valkey, program


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """A running server for the tests of a module."""
    if program() is None:
        pytest.skip(MISSING)
    server = Valkey(Path(tmp_path_factory.mktemp("valkey")))
    server.start()
    yield server
    server.stop()
