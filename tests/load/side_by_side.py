"""Several services side by side, which take turns at the same requests, so that what else happens hits all alike."""

import itertools
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from tests.conftest import Server
from tests.load.generator import closed_loop
from tests.load.material import searches
from tests.load.report import Answer
from tests.load.stack import Program, Stack, passing, running_stack

CLIENTS = 4
SHARED = {"PYTHONHASHSEED": "0"}
"""What makes two processes of the same program more alike."""


class Side(msgspec.Struct):
    """One service among several on the same database and model, and what it used in each round."""

    address: str
    program: Program
    requests: Iterator[bytes] = iter(())
    cpu_ms: list[float] = []
    """Processor time for each request."""
    rates: list[float] = []
    """Requests a second while it was its turn."""
    answers: list[Answer] = []

    def begin(self, requests: Iterator[bytes]) -> None:
        """Forget what was, and go on with other requests."""
        self.requests, self.cpu_ms, self.rates, self.answers = requests, [], [], []


@asynccontextmanager
async def side_by_side(
    server: Server, template: str, folder: Path, variants: Mapping[str, Mapping[str, str]], *, postings: int
) -> AsyncIterator[tuple[Stack, dict[str, Side]]]:
    """A service for each set of environment variables, on one database with postings whose vectors are stored."""
    dsn = await server.create_database(template)
    async with running_stack(folder, dsn, embed_in_serve="off") as stack:
        await stack.store(postings)
        worker = await stack.start_worker()
        await stack.until_embedded()
        worker.stop()
        await stack.analyze()
        sides = {}
        for name, variables in variants.items():
            address, program = await stack.start_another(name.replace(" ", "-"), **SHARED, **variables)
            sides[name] = Side(address, program)
        yield stack, sides
    await server.drop_database(dsn)


async def take_turns(sides: Mapping[str, Side], *, turns: int, each: int, rest_s: float) -> None:
    """One round: every service answers `each` requests in each turn; what follows within `rest_s` counts as well."""
    before = {name: side.program.cpu_ns() for name, side in sides.items()}
    took = dict.fromkeys(sides, 0.0)
    names = list(sides)
    for turn in range(turns):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            side = sides[name]
            report = await closed_loop(side.address, side.requests, clients=CLIENTS, seconds=30, count=each)
            assert report.statuses() == {200: each}, (name, report.statuses())
            took[name] += max(answer.answered_s for answer in report.answers)
            side.answers += report.answers
    await passing(rest_s)
    for name, side in sides.items():
        side.cpu_ms.append((side.program.cpu_ns() - before[name]) / (turns * each) / 1e6)
        side.rates.append(turns * each / took[name])


async def requests_of(kind: str, stack: Stack, address: str, *, seed: int = 1) -> Iterator[bytes]:
    """Requests without end for a service: `search`, each of another text, or `get`, one posting after the other."""
    if kind == "search":
        return searches(address, seed=seed)
    host = urlsplit(address).netloc
    heads = [f"GET /api/v1/jobs/{job_id} HTTP/1.1\r\nHost: {host}\r\n\r\n" for job_id in await stack.job_ids(200)]
    return itertools.cycle([head.encode() for head in heads])
