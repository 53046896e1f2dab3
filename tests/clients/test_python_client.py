"""The Python client that openapi-python-client makes of the document: generated, type-checked, and used."""

import re
import shutil
from pathlib import Path

from tests.clients.conftest import ROOT, Served, command_of_readme, run

FOLDER = Path(__file__).parent / "python"
EXPLAINED = re.compile(r"application/x-ndjson|text/csv")
"""What the generator has no code for, and leaves out: batches are sent as JSON, and exports read with plain HTTP."""


async def test_a_generated_client_makes_the_journeys(served: Served, workplace: Path) -> None:
    """The command in README.md makes a client that mypy accepts, strictly, with the journey that then passes."""
    said = await run(*command_of_readme("openapi-python-client"), cwd=workplace)
    warnings = [part for part in re.split(r"\n(?=WARNING)", said) if part.startswith("WARNING")]
    assert [warning for warning in warnings if not EXPLAINED.search(warning)] == []
    for name in ("journey.py", "mypy.ini"):
        shutil.copy(FOLDER / name, workplace)
    cache = ROOT / ".mypy_cache" / "clients"
    checked = await run("mypy", "--cache-dir", cache, "journey.py", "jobsense_client", cwd=workplace)
    assert checked.startswith("Success")
    told = await run("python", "-W", "error", "journey.py", served.address, served.key, cwd=workplace)
    assert told.endswith("the journey is made\n")
