"""The service that generated clients are used against: on a socket, with a key, embedding as it goes."""

import asyncio
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from service.access.keys import create_key
from service.access.model import SCOPES
from service.config import Settings
from service.telemetry.lifecycle import Telemetry
from tests.api.conftest import on_socket
from tests.conftest import Service

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "service" / "openapi" / "jobsense.json"
README = (ROOT / "README.md").read_text(encoding="utf-8")


class Served(msgspec.Struct, frozen=True):
    """Where the service is, and a key with every scope of a tenant of its own."""

    address: str
    key: str


@pytest.fixture
def settings() -> Settings:
    """Settings as in development; what is stored is embedded in the background."""
    return Settings(embed_in_serve=True, migrate_on_start=False)


@pytest.fixture
async def served(api: Service, telemetry: Telemetry) -> AsyncIterator[Served]:
    """The running service."""
    key = await create_key(api.parts.db, tenant="clients", name="journey", scopes=SCOPES)
    async with on_socket(api, telemetry) as client:
        yield Served(str(client.base_url).rstrip("/"), key)


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """An empty folder with the document in it, where a client is generated."""
    shutil.copy(DOCUMENT, tmp_path / "openapi.json")
    return tmp_path


def command_of_readme(program: str) -> list[str]:
    """The command of README.md that generates a client, in words."""
    (found,) = re.findall(rf"^(?:npx )?({program} .*)$", README, re.MULTILINE)
    return str(found).split()


async def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """Run a program to its end, beside the service in this process; what it said. Fails with that if it fails."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    process = await asyncio.create_subprocess_exec(
        *command, cwd=cwd, env={**os.environ, "PATH": path, **environment},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said = (await process.communicate())[0].decode()
    assert process.returncode == 0, said
    return said
