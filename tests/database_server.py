"""Which Postgres a run of the tests takes: the one that is named, one in a container, or an embedded one."""

import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

import pytest

from service.embedded.program import FOLDERS
from service.embedded.server import EmbeddedPostgres

GIVEN = "JOBSENSE_TEST_DATABASE_URL"
WISH = "JOBSENSE_TEST_POSTGRES"
IMAGE = "pgvector/pgvector:pg17"
"""Taken without being asked for, where an engine has it already: nothing is fetched for a plain `make test`."""
NEWEST = max(FOLDERS)
_SOCKET = Path("/var/run/docker.sock")
_PATIENCE_S = 2
_DATA = "/tests/data"
_PASSWORD = "tests"  # noqa: S105 - of a server that only tests know


class Choice(NamedTuple):
    """The server of a run: a URL, an image or an embedded version, and why that one."""

    kind: Literal["given", "container", "embedded"]
    name: str
    why: str

    def __str__(self) -> str:
        """One line for the top of the run, without passwords."""
        shown = {"given": urlsplit(self.name).hostname or "a socket", "embedded": f"{self.name}, embedded"}
        return f"PostgreSQL: {shown.get(self.kind, f'{self.name} in a container')} ({self.why})"


CHOICE = pytest.StashKey[Choice]()
"""Where a run of pytest keeps its choice."""


def choose(environ: Mapping[str, str], has_image: Callable[[str], bool]) -> Choice:
    """What is named comes first, then what is wished for, then an image that is here, then the embedded one."""
    if url := environ.get(GIVEN):
        return Choice("given", url, f"named by {GIVEN}")
    wish = environ.get(WISH, "").strip()
    if wish.isdecimal() and int(wish) in FOLDERS:
        return Choice("embedded", wish, f"wished for by {WISH}")
    if ":" in wish:
        return Choice("container", wish, f"wished for by {WISH}")
    if wish:
        versions = ", ".join(map(str, FOLDERS))
        raise pytest.UsageError(f"{WISH}={wish}: embedded are {versions}; else an image, such as {IMAGE}")
    if has_image(IMAGE):
        return Choice("container", IMAGE, f"an engine is here and has it; {WISH}={NEWEST} for an embedded one")
    return Choice("embedded", str(NEWEST), f"no container engine with {IMAGE}")


def decide() -> Choice:
    """The choice of this run; the processes that it starts make the same one, and ask no engine again."""
    asked = choose(os.environ, has_image)
    if asked.kind != "given":
        os.environ[WISH] = asked.name
    return asked


def has_image(name: str) -> bool:
    """Whether a container engine answers, quickly, and has an image."""
    scheme, _, place = (os.environ.get("DOCKER_HOST") or f"unix://{_SOCKET}").partition("://")
    host, _, port = place.partition(":")
    if scheme != "unix" and not (scheme == "tcp" and port.isdecimal()):
        return False  # over ssh, say: too far away to be taken unasked
    # Not by the engine's own client, which takes 0.3 s to import and leaves its socket open where nobody answers.
    with socket.socket(socket.AF_UNIX if scheme == "unix" else socket.AF_INET) as connection:
        connection.settimeout(_PATIENCE_S)
        try:
            connection.connect(place if scheme == "unix" else (host, int(port)))
            wire = HTTPConnection("engine")
            wire.sock = connection
            wire.request("GET", f"/images/{name}/json")
            with wire.getresponse() as answer:
                return answer.status == HTTPStatus.OK
        except (OSError, HTTPException):
            return False


@asynccontextmanager
async def running(choice: Choice, folder: Path) -> AsyncIterator[str]:
    """The address of the chosen server's own database, as its superuser; what was started for it ends afterwards."""
    if choice.kind == "given":
        yield choice.name
    elif choice.kind == "container":
        with contained(choice.name) as dsn:
            yield dsn
    else:
        async with EmbeddedPostgres(folder, postgres_version=int(choice.name), memory=512 * 2**20) as embedded:
            yield embedded.dsn_of("postgres")


@contextmanager
def contained(image: str) -> Iterator[str]:
    """A server in a container, with the settings of its image but its data in memory."""
    from testcontainers.community.postgres import PostgresContainer  # noqa: PLC0415 - takes 0.3 s, and most runs need none
    from testcontainers.core.config import testcontainers_config  # noqa: PLC0415 - the same

    if not has_image(testcontainers_config.ryuk_image):
        # It clears up after a run that is killed, and would be fetched for it; the end of this block does without.
        testcontainers_config.ryuk_disabled = True
    made = PostgresContainer(image, username="postgres", password=_PASSWORD, dbname="postgres", driver=None)
    # Not the image's own folder, whose place and kind differ from version to version.
    made.with_env("PGDATA", _DATA).with_tmpfs_mount(str(Path(_DATA).parent))
    made.with_kwargs(shm_size=2**30)  # building an index in parallel takes more than the usual 64 MB
    with made:
        yield made.get_connection_url()
