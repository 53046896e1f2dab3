"""The stack of compose.yaml under a name of its own, driven by the docker command as a person would drive it."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import asyncpg

REPOSITORY = Path(__file__).parents[2]
PROJECT = "jobsense-test"
FILES = ("compose.yaml", "tests/containers/compose.yaml")
PATIENCE_S = 240.0
START_S = 120
MANY = "1000000/minute"

Connection: TypeAlias = (
    "asyncpg.Connection[asyncpg.Record]"  # quoted: the driver's class takes parameters in its stubs only
)


def no_engine() -> str | None:
    """Why containers cannot be run here; None where they can."""
    if shutil.which("docker") is None:
        return "no docker command here"
    asked = subprocess.run(["docker", "compose", "version"], check=False, capture_output=True, text=True)
    if asked.returncode != 0:
        return "no docker compose here"
    asked = subprocess.run(["docker", "info", "--format", "{{.ID}}"], check=False, capture_output=True, text=True)
    return None if asked.returncode == 0 else f"no engine answers: {asked.stderr.strip()}"


def docker(*words: str, said: str | None = None, env: dict[str, str] | None = None) -> str:
    """What a docker command wrote; raises AssertionError with its complaint where it fails."""
    done = subprocess.run(
        ["docker", *words],
        check=False,
        capture_output=True,
        text=True,
        input="" if said is None else said,
        cwd=REPOSITORY,
        env=env,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, f"docker {' '.join(words)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


class Stack:
    """The parts by the names of compose.yaml; blocking, save where it says otherwise."""

    def __init__(self, **settings: str) -> None:
        unwanted = ("JOBSENSE_", "OTEL_", "COMPOSE_")
        self._env = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
        self._env |= {f"JOBSENSE_{name.upper()}": value for name, value in settings.items()}
        self._password: str | None = None
        self._files = [word for file in FILES for word in ("--file", file)]

    def compose(self, *words: str, said: str | None = None) -> str:
        """Run docker compose on this stack."""
        return docker("compose", "--project-name", PROJECT, *self._files, *words, said=said, env=self._env)

    def build(self) -> None:
        """Build the image, and the one of what stands beside it."""
        self.compose("build", "service")
        self.compose("build", "proxy")

    def up(self) -> None:
        """Start everything, and wait until it is healthy."""
        self.compose("up", "--detach", "--wait", "--wait-timeout", str(START_S))

    def down(self) -> None:
        """Remove everything, data too."""
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "5")

    def containers(self, part: str) -> list[str]:
        """The ids of a part's containers that run, the oldest first."""
        found = self.compose("ps", "--quiet", part).split()
        return sorted(found, key=lambda one: docker("inspect", "--format", "{{.State.StartedAt}}", one))

    def container(self, part: str) -> str:
        """The id of the one container of a part, running or not."""
        (found,) = self.compose("ps", "--all", "--quiet", part).split()
        return found

    def address(self, part: str, port: int) -> str:
        """Where a port of a part is published; it changes when the container is started anew."""
        return docker("port", self.containers(part)[0], f"{port}/tcp").strip()

    def url(self, part: str = "service", port: int = 8000) -> str:
        """The same as a URL."""
        return f"http://{self.address(part, port)}"

    def inside(self, part: str, *words: str, said: str | None = None) -> str:
        """What a command in a part's container wrote; its standard input is attached only where there is some."""
        given = () if said is None else ("--interactive",)
        return docker("exec", *given, self.containers(part)[0], *words, said=said)

    async def do(self, *words: str) -> str:
        """Run docker without holding up the event loop."""
        return await asyncio.to_thread(docker, *words)

    @asynccontextmanager
    async def database(self) -> AsyncIterator[Connection]:
        """A connection of the superuser."""
        host, _, port = (await asyncio.to_thread(self.address, "postgres", 5432)).rpartition(":")
        if self._password is None:
            self._password = await asyncio.to_thread(
                self.inside, "postgres", "cat", "/run/secrets/jobsense/superuser_password"
            )
        connection = await asyncpg.connect(
            host=host, port=int(port), user="postgres", password=self._password.strip(), database="jobsense", timeout=10
        )
        try:
            yield connection
        finally:
            await connection.close()


def stack_of_tests() -> Stack:
    """The stack of these tests: any source, and limits that are counted and never reached."""
    return Stack(sources="*", rate_limit_search=MANY, rate_limit_write=MANY, rate_limit_read=MANY)
