"""Where a service spends its time: samples by py-spy while a workload runs, summed by package and by function."""

import asyncio
import re
from collections import Counter
from pathlib import Path

import msgspec

from tests.bench.stand import REFERENCE_PYTHON, Stand
from tests.bench.workloads import Workload

PY_SPY = REFERENCE_PYTHON.parent / "py-spy"
SAMPLES_A_SECOND = 250
FUNCTIONS = 15
_PACKAGE = re.compile(r"\(([\w-]+?)(?:\.\w+)?[/:)]")


class Profile(msgspec.Struct):
    """Shares of the samples: of a package whose function was at the top of the stack, and of single functions."""

    title: str
    samples: int
    unit: str
    packages: list[tuple[str, float]]
    functions: list[tuple[str, float]]


async def profile(stand: Stand, workload: Workload, *, seconds: float, number: int) -> Profile | None:
    """Run the workload once more at JobSense and look on; None where py-spy may not."""
    if workload.before is not None:
        await workload.before(seconds, number)
    turn = workload.sides["jobsense"](seconds + 0.5, number)
    made, _ = await asyncio.gather(look_on(stand, workload.name, workload.title, seconds), turn())
    if workload.after is not None:
        await workload.after()
    return made


async def look_on(stand: Stand, name: str, title: str, seconds: float) -> Profile | None:
    """Take samples of JobSense for so long, whatever it does; None where py-spy may not."""
    written = stand.folder / f"{name}.stacks"
    pid = stand.programs["jobsense"].process.pid
    arguments = ["record", "--pid", str(pid), "--format", "raw", "--output", str(written), "--nonblocking"]
    limits = ["--duration", str(max(1, round(seconds))), "--rate", str(SAMPLES_A_SECOND)]
    looking = await asyncio.create_subprocess_exec(
        PY_SPY, *arguments, *limits, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    _, said = await looking.communicate()
    if looking.returncode:
        stand.say(f"no profile of {title}: {said.decode(errors='replace').strip()[:300]}")
        return None
    return summed(title, written)


def summed(title: str, path: Path) -> Profile:
    """Sum the stacks of a file of py-spy, one a line with its count, by what was at their top."""
    functions, packages = Counter[str](), Counter[str]()
    for line in path.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        top = stack.rsplit(";", 1)[-1]
        functions[re.sub(r":\d+\)$", ")", top)] += int(count)
        packages[_package(stack)] += int(count)
    total = max(1, functions.total())
    return Profile(
        title,
        total,
        "samples of its busy threads",
        [(name, count / total) for name, count in packages.most_common(10)],
        [(name, count / total) for name, count in functions.most_common(FUNCTIONS)],
    )


def _package(stack: str) -> str:
    """The package of the innermost function that has one: `name (package/module.py:12)`."""
    for frame in reversed(stack.split(";")):
        if found := _PACKAGE.search(frame):
            return found[1]
    return "other"
