"""How long a service takes from its start to its first good answer, and the memory it takes then."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import msgspec

from tests.bench.stand import Stand, jobsense_address, reference_address
from tests.load.stack import Program, until

LOOK_EVERY_S = 0.005
MIB = 1024


class Start(msgspec.Struct):
    """Seconds from the start of the process until it is ready, and its resident memory then, in MiB."""

    seconds: float
    memory_mib: float


async def measure(stand: Stand, side: str) -> Start:
    """Start another process of a side on the database that is there, beside the one that serves."""
    began = time.perf_counter()
    if side == "jobsense":
        return await _until_ready(stand, "starting", stand.begin_jobsense("starting"), jobsense_address, began)
    return await _until_ready(stand, "starting", stand.begin_reference("starting"), reference_address, began)


async def _until_ready(
    stand: Stand, name: str, program: Program, address_of: Callable[[Program], Awaitable[str]], began: float
) -> Start:
    address = await address_of(program)
    async with httpx.AsyncClient(trust_env=False) as client:

        async def ready() -> bool:
            try:
                return (await client.get(f"{address}/health/ready")).is_success
            except httpx.TransportError:
                return False

        await until(ready, every_s=LOOK_EVERY_S)
        start = Start(time.perf_counter() - began, memory_mib(program.process.pid))
    await stand.stop_program(name)
    return start


def memory_mib(pid: int, what: str = "VmRSS") -> float:
    """Resident memory of a process now, or with VmHWM the most that it ever was."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{what}:")) / MIB


async def starts(stand: Stand, rounds: int) -> dict[str, list[Start]]:
    """Both sides by turns."""
    made: dict[str, list[Start]] = {"jobsense": [], "reference": []}
    for _ in range(rounds):
        for side, found in made.items():
            found.append(await measure(stand, side))
            await asyncio.sleep(0)
    return made
