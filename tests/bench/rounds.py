"""Runs the workloads: round by round, the sides one after the other in another order each time."""

import time

import msgspec

from tests.bench.stand import Stand, busy
from tests.bench.turn import Result, Turn
from tests.bench.workloads import Side, Workload


class Plan(msgspec.Struct, frozen=True):
    """How long it may take: rounds that count, and seconds of each turn; the round before them counts for nothing."""

    rounds: int = 5
    seconds: float = 3.0
    warm_up_s: float = 1.5
    backlogs: int = 5


QUICK = Plan(rounds=3, seconds=1.0, warm_up_s=0.5, backlogs=1)


async def run(stand: Stand, workload: Workload, plan: Plan) -> Result:
    """All rounds of one workload."""
    result = Result(workload.name, workload.title, workload.unit, {side: [] for side in workload.sides})
    order = [*workload.sides]
    for number in range(plan.rounds + 1):
        seconds = plan.seconds if number else plan.warm_up_s
        if workload.before is not None:
            await workload.before(seconds, number)
        for side in order:
            turn = await _turn(stand, workload.sides[side], seconds, number)
            if workload.after is not None:
                await workload.after()
            if number:
                result.turns[side].append(turn)
        order = order[1:] + order[:1]
    for side in result.turns:
        stand.say(f"{workload.title}, {side}: {described(result, side)} (load {busy()})")
    return result


async def _turn(stand: Stand, side: Side, seconds: float, number: int) -> Turn:
    """One side's turn, with the processor time that was used meanwhile, the generator's included."""
    ready = side(seconds, number)
    before, own = await stand.cpu_s(), time.process_time()
    turn = await ready()
    after, own = await stand.cpu_s(), time.process_time() - own
    turn.cpu_s = {name: used - before.get(name, 0.0) for name, used in after.items()} | {"driver": own}
    return turn


def described(result: Result, side: str) -> str:
    """The figures of a side, in a line."""
    rate, p99 = result.rate(side), result.p99_ms(side)
    turns = result.turns[side]
    each = sum(turn.cpu_ms_each for turn in turns) / len(turns)
    return (
        f"{rate.median:,.0f} {result.unit}/s ({rate.least:,.0f} to {rate.most:,.0f}), p99 {p99.median:.1f} ms,"
        f" {each:.2f} ms of processor each"
    )
