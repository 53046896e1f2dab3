"""Says what tests need and this machine lacks: at the start of `make test`, and in the header of pytest."""

import os
import shutil
from pathlib import Path

from tests.browser.chromium import chromium

PACKAGES = Path(__file__).parent / "clients" / "typescript" / "node_modules"


def node() -> str | None:
    """Where Node is, if it and the packages that the tests need are here."""
    return shutil.which("node") if PACKAGES.is_dir() else None


def missing() -> dict[str, str]:
    """What is not here, and what follows."""
    here = {
        "JOBSENSE_TEST_DATA": "JOBSENSE_TEST_DATA" in os.environ,
        "JOBSENSE_TEST_OLLAMA_URL": "JOBSENSE_TEST_OLLAMA_URL" in os.environ,
        "JOBSENSE_TEST_JAEGER_URL": "JOBSENSE_TEST_JAEGER_URL" in os.environ,
        "root": os.geteuid() == 0,
        "Valkey or Redis": any(shutil.which(name) for name in ("valkey-server", "redis-server")),
        "promtool": shutil.which("promtool") is not None,
        "Node": shutil.which("node") is not None,
        "npm packages": PACKAGES.is_dir(),
        "Chromium": chromium() is not None,
    }
    follows = {
        "JOBSENSE_TEST_DATA": "a folder with real postings; the tests on them are skipped",
        "JOBSENSE_TEST_OLLAMA_URL": "a real Ollama; the client is tested against the fake one alone",
        "JOBSENSE_TEST_JAEGER_URL": "a real Jaeger; traces are read by a collector of the tests alone",
        "root": "the tests of how the embedded database switches accounts are skipped",
        "Valkey or Redis": "the tests of limits over several processes are skipped",
        "promtool": "Debian: prometheus; the tests of alert rules and of the dashboard's queries are skipped",
        "Node": "the tests of the TypeScript client are skipped",
        "npm packages": "`make node` installs them; the tests of the TypeScript client are skipped",
        "Chromium": "the tests of the page at /docs are skipped",
    }
    return {name: follows[name] for name, is_here in here.items() if not is_here}


def main() -> None:
    """Say it, a line each."""
    for name, follows in missing().items():
        print(f"Not here: {name} ({follows}).")  # noqa: T201 - this is what it is for


if __name__ == "__main__":
    main()
