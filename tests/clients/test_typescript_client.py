"""The types that openapi-typescript makes of the document: generated, checked, and used; and what Redocly says."""

import shutil
from pathlib import Path

import pytest

from tests.clients.conftest import DOCUMENT, Served, command_of_readme, run
from tests.missing import PACKAGES, node

pytestmark = pytest.mark.skipif(node() is None, reason="Node or the packages of `make node` are not here")

FOLDER = PACKAGES.parent
BIN = PACKAGES / ".bin"


async def test_generated_types_make_the_journeys(served: Served, workplace: Path) -> None:
    """The command in README.md makes types under which the journey compiles, strictly, and then passes."""
    program, *arguments = command_of_readme("openapi-typescript")
    said = await run(BIN / program, *arguments, cwd=workplace)
    assert "warn" not in said.lower(), said
    for name in ("journey.ts", "tsconfig.json", "package.json"):
        shutil.copy(FOLDER / name, workplace)
    (workplace / "node_modules").symlink_to(PACKAGES)
    assert await run(BIN / "tsc", "--project", ".", cwd=workplace) == ""
    told = await run("node", "journey.js", served.address, served.key, cwd=workplace)
    assert told.endswith("the journey is made\n")


async def test_redocly_finds_nothing_wrong() -> None:
    """The recommended rules of Redocly, a linter of OpenAPI documents, find neither errors nor warnings."""
    assert await run("node", FOLDER / "lint.mjs", DOCUMENT, cwd=FOLDER) == ""
