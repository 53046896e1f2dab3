"""What would move a goal that is missed: the time that there is for it beside the time it takes, and where to look."""

from tests.bench.goals import Measured, Verdict
from tests.bench.turn import Result, Spread

_LEVERS = {
    "semantic": "less for PostgreSQL to do, which every side pays alike: a smaller `hnsw.ef_search` where recall allows"
    " it (`make scale` draws both) or binary quantisation with re-ranking; and fewer layers around the call of the"
    " model, of which httpx is the largest",
    "zipf": "less for PostgreSQL to do, which every side pays alike: a smaller `hnsw.ef_search` where recall allows it"
    " (`make scale` draws both); vectors of repeated texts are remembered already",
    "get": "a second process (`JOBSENSE_WORKERS=2`) for throughput; for one process less of what stands around the"
    " statement: routing, access, quota, headers, metrics and log line",
    "list": "a second process (`JOBSENSE_WORKERS=2`) for throughput; for one process less of what stands around the"
    " statement, and rows that PostgreSQL writes as JSON itself",
    "create": "a second process (`JOBSENSE_WORKERS=2`) for throughput; the transaction is the same for all sides",
    "batch": "indexes of words that are brought up to date afterwards, which would let a search miss what was stored",
    "export": "columns kept ready in the form of the export, for room in the table: PostgreSQL spends the difference on"
    " what plain COPY TO does not do, moments as in the API, cells that no spreadsheet takes for a formula, and states",
    "start": "batches of 1,000 postings bring the memory, since they are decoded, checked and sent whole: smaller ones"
    " take less. The time goes into imports, below",
    "backlog": "longer rests beside searches (`embedding/portions.py`), for which the backlog waits",
}
"""By workload: what the profiles and the processor time of each process point at."""


def what_moves(verdict: Verdict, measured: Measured, processors: int) -> str:
    """A sentence or two for a goal that is missed."""
    lever = _LEVERS.get(verdict.workload, "the profile below says where the time goes")
    result = measured.results.get(verdict.workload)
    side = {"throughput, reference": "reference", "throughput, bare asyncpg": "limit"}.get(verdict.against)
    if result is None or side is None:
        return f"What would move it: {lever}."
    return f"{_room(result, side, verdict.goal, processors)} What would move it: {lever}."


def _room(result: Result, side: str, goal: float, processors: int) -> str:
    """How long the service may take for a unit at the goal's rate: on its one processor, and beside all else on all."""
    wanted = goal * result.rate(side).median
    each = {name: _median_ms(result, name) for name in result.turns["jobsense"][0].cpu_s}
    own = each.pop("jobsense", 0.0)
    rest = sum(each.values())
    room = min(1000 / wanted, processors * 1000 / wanted - rest)
    begin = f"{wanted:,.0f} {result.unit} a second on {processors} processors"
    if room <= 0:
        return (
            f"{begin} leave {processors * 1000 / wanted:.2f} ms for each, and everything but the service takes"
            f" {rest:.2f} (PostgreSQL {each.get('postgres', 0.0):.2f}): no service could be quick enough, whatever it"
            " is written in."
        )
    return f"{begin} leave the service {room:.2f} ms for each; it takes {own:.2f}, all else {rest:.2f}."


def _median_ms(result: Result, process: str) -> float:
    turns = result.turns["jobsense"]
    return Spread.of([1000 * turn.cpu_s.get(process, 0.0) / max(turn.units, 1) for turn in turns]).median
