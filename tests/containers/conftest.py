"""The stack that these tests share: built and started once, removed at the end with its data."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.containers.stack import Stack, no_engine, stack_of_tests

FOLDER = Path(__file__).parent


@pytest.hookimpl
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is in this folder, so that only `make test-containers` runs it."""
    for item in items:
        if FOLDER in item.path.parents:
            item.add_marker(pytest.mark.containers)


@pytest.fixture(scope="session")
def engine() -> None:
    """Skip where no engine answers; fail where it was asked for."""
    if reason := no_engine():
        if os.environ.get("JOBSENSE_TEST_CONTAINERS") == "required":
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def built(engine: None) -> Stack:  # noqa: ARG001 - asked for first
    """The stack with its images, not started."""
    made = stack_of_tests()
    made.build()
    return made


@pytest.fixture(scope="session")
def stack(built: Stack) -> Iterator[Stack]:
    """The stack, up."""
    built.down()
    try:
        built.up()
        yield built
    finally:
        built.down()
