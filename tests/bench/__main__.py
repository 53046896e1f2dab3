"""`make bench`: JobSense, a usual service and bare PostgreSQL side by side, with a report."""

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import uvloop

from tests.bench import agreement, backlog, importing, recall, starting
from tests.bench.about import about
from tests.bench.goals import Measured, verdicts
from tests.bench.profiling import Profile, profile
from tests.bench.report import REPORT, write
from tests.bench.rounds import QUICK, Plan, run
from tests.bench.stand import Stand, standing
from tests.bench.workloads import SERVICES, WORKLOADS, Workload
from tests.cli.conftest import REPOSITORY

SIZES = {"k": 1_000, "m": 1_000_000}
FOLDER = REPOSITORY / ".make/bench"
REPORTS = FOLDER / "report"
OTHERS = ("start", "backlog", "recall", "agreement")
PROFILED_ROUND = 50
"""The number of a round that no measurement has."""


def postings_of(text: str) -> int:
    """20k, 1m or a plain number. Raises ValueError."""
    unit = SIZES.get(text[-1:].lower(), 1)
    return int(text.rstrip("kKmM")) * unit


def say(line: str) -> None:
    """Tell how far it is."""
    sys.stderr.write(f"{datetime.now(UTC):%H:%M:%S} {line}\n")
    sys.stderr.flush()


async def bench(given: argparse.Namespace, plan: Plan) -> str:
    """Run what is wanted, write the report, and return the table of the goals."""
    postings = postings_of(given.size)
    async with standing(given.folder / f"{postings}", postings, say) as stand:
        wanted = set(given.only)
        workloads = {
            made.name: made for made in (make(stand) for make in WORKLOADS) if not wanted or made.name in wanted
        }
        measured = await measure(stand, plan, workloads, {name for name in OTHERS if not wanted or name in wanted})
        profiles = await profiles_of_missed(stand, plan, workloads, measured)
        return write(given.out, measured, profiles)


async def measure(stand: Stand, plan: Plan, workloads: dict[str, Workload], others: set[str]) -> Measured:
    """Everything in turn; what is wrong is found out first."""
    measured = Measured(
        {}, {side: [] for side in SERVICES}, {side: {} for side in SERVICES}, {}, {}, [], await about(stand, plan)
    )
    if "agreement" in others:
        measured.agreement = await agreement.check(stand)
    if "recall" in others:
        measured.recall = await recall.measure(stand)
        say(f"recall: {measured.recall}")
    for name, workload in workloads.items():
        measured.results[name] = await run(stand, workload, plan)
        for side, grown in measured.memory_mib.items():
            grown[name] = starting.memory_mib(stand.programs[side].process.pid, "VmHWM")
        (stand.folder / "so-far.json").write_bytes(msgspec.json.encode(measured))
    if "start" in others:
        measured.starts = await starting.starts(stand, plan.rounds)
    if "backlog" in others:
        measured.backlog = await backlog.measure(stand, plan.backlogs)
    return measured


async def profiles_of_missed(
    stand: Stand, plan: Plan, workloads: dict[str, Workload], measured: Measured
) -> Sequence[Profile]:
    """What JobSense does at each work of which a goal is missed."""
    missed = dict.fromkeys(verdict.workload for verdict in verdicts(measured) if not verdict.met)
    made = [
        await profile(stand, workloads[name], seconds=max(2.0, plan.seconds), number=PROFILED_ROUND)
        for name in missed
        if name in workloads
    ]
    if "backlog" in missed:
        made.append(await backlog.profile(stand))
    if "start" in missed:
        made.append(await importing.profile())
    return [one for one in made if one is not None]


def main() -> None:
    """Read arguments and environment."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--size", default=os.environ.get("SIZE") or "20k", help="postings: 20k, 200k, 1m")
    parser.add_argument("--quick", action="store_true", default=bool(os.environ.get("QUICK")), help="two minutes")
    parser.add_argument("--only", nargs="*", default=[], help="some workloads, start, backlog, recall, agreement")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the databases are kept")
    parser.add_argument("--out", type=Path, default=REPORTS, help="where the report goes")
    given = parser.parse_args()
    table = uvloop.run(bench(given, QUICK if given.quick else Plan()))
    sys.stdout.write(f"\n{table}\n\nThe whole report: {given.out / REPORT}\n")


if __name__ == "__main__":
    main()
