"""What the start of JobSense loads: time by package, for goals of the start that are missed."""

import asyncio
import re
import subprocess
import sys
from collections import Counter

from tests.bench.profiling import Profile

TIMES = 3
_LINE = re.compile(r"import time: +(\d+) \| +\d+ \| +([\w.]+)")


async def profile() -> Profile:
    """Microseconds that each package takes to be imported for `jobsense serve`, the least of some tries."""
    tries = [await asyncio.to_thread(_once) for _ in range(TIMES)]
    least = min(tries, key=lambda one: one.total())
    total = max(1, least.total())
    packages = Counter[str]()
    for module, taken in least.items():
        packages[module.partition(".")[0]] += taken
    return Profile(
        "start",
        total,
        "microseconds of imports by python -X importtime, which itself takes time",
        [(name, taken / total) for name, taken in packages.most_common(12)],
        [(name, taken / total) for name, taken in least.most_common(12)],
    )


def _once() -> Counter[str]:
    """Microseconds by module, without those that it imports."""
    code = "import service.shell.serving, service.ollama.client, service.telemetry.traces"
    told = subprocess.run([sys.executable, "-X", "importtime", "-c", code], capture_output=True, text=True, check=True)
    return Counter({name: int(taken) for taken, name in _LINE.findall(told.stderr)})
