"""A running service for schemathesis, a run of it, and what it has called."""

import json
import os
import re
import subprocess
import sys
import sysconfig
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from tests.cli.conftest import REPOSITORY, Running

CONFIG = Path(__file__).with_name("schemathesis.toml")
SCOPES = ("jobs:read", "jobs:write", "search", "admin")


def make_key(env: Mapping[str, str], folder: Path) -> str:
    """A key for everything, made as an operator makes one."""
    scopes = [word for scope in SCOPES for word in ("--scope", scope)]
    command = [sys.executable, "-m", "service", "keys", "create", "--name", "fuzz", *scopes]
    made = subprocess.run(command, cwd=folder, env=dict(env), capture_output=True, text=True, check=True)
    return made.stdout.strip()


def begin(folder: Path, env: Mapping[str, str]) -> tuple[Running, str]:
    """Serve as a process of its own; the process and its address."""
    running = Running(folder, ("serve",), env, stdin=subprocess.DEVNULL, on_pty=False)
    return running, running.wait_for(r'"service.starting".*"address":"(http://[^"]+)"')[1]


class Run(msgspec.Struct):
    """A run of schemathesis: how it ended, what it said, and the statuses of what it called, by operation."""

    code: int
    said: str
    statuses: dict[str, Counter[int]]

    @property
    def answered(self) -> set[str]:
        """Operations that succeeded at least once."""
        return {name for name, statuses in self.statuses.items() if any(status < 300 for status in statuses)}


def run(address: str, key: str, document: Mapping[str, Any], folder: Path, *options: str) -> Run:
    """Run schemathesis on the whole document; failures are printed with a curl line each, and the seed."""
    har = folder / "called.har"
    program = str(Path(sysconfig.get_path("scripts")) / "schemathesis")
    command = [program, "--config-file", str(CONFIG), "run", f"{address}/openapi.json", *options]
    env = {**os.environ, "JOBSENSE_FUZZ_KEY": key, "PYTHONPATH": str(REPOSITORY)}
    ended = subprocess.run(
        [*command, "--report-har-path", str(har)], cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    statuses: dict[str, Counter[int]] = {name: Counter() for name in operations(document)}
    for entry in json.loads(har.read_text())["log"]["entries"] if har.exists() else ():
        name = operation_of(entry["request"]["method"], urlsplit(entry["request"]["url"]).path, document)
        if name is not None:
            statuses[name][entry["response"]["status"]] += 1
    return Run(ended.returncode, ended.stdout + ended.stderr, statuses)


def operations(document: Mapping[str, Any]) -> Iterator[str]:
    """The operations of a document, as in "GET /health"."""
    for path, item in document["paths"].items():
        yield from (f"{method.upper()} {path}" for method in item if method in _METHODS)


_METHODS = frozenset(("get", "post", "put", "patch", "delete"))


def operation_of(method: str, path: str, document: Mapping[str, Any]) -> str | None:
    """The operation that a request is for; one without parameters before one with them."""
    found = [
        template
        for template, item in document["paths"].items()
        if method.lower() in item and re.fullmatch(re.sub(r"\\\{[^/]+?\\\}", "[^/]+", re.escape(template)), path)
    ]
    return f"{method} {min(found, key=lambda template: template.count('{'))}" if found else None
