"""What would move a goal that is missed: the time that there is for it beside the time it takes, and where to look."""

from tests.bench.goals import Measured, Verdict
from tests.bench.turn import Result

_SEARCHED = (
    "less for PostgreSQL to do, which every side pays alike: a smaller `hnsw.ef_search` where recall allows it"
    " (`make scale` draws both), or binary quantisation with re-ranking"
)
_PROCESSES = (
    "a second process (`JOBSENSE_WORKERS=2`) for throughput; for one process less of what stands around the statement:"
    " routing, access, quota, headers, metrics and log line"
)
_LEVERS = {
    "semantic": f"{_SEARCHED}; and fewer layers around the call of the model, of which httpx is the largest",
    "zipf": f"{_SEARCHED}; vectors of repeated texts are remembered already",
    "get": _PROCESSES,
    "list": f"{_PROCESSES}; and rows that PostgreSQL writes as JSON itself",
    "create": "a second process (`JOBSENSE_WORKERS=2`) for throughput; the transaction is the same for all sides",
    "batch": "indexes of words that are brought up to date afterwards, which would let a search miss what was stored",
    "export": "columns kept ready in the form of the export, for room in the table: PostgreSQL spends the difference on"
    " what plain COPY TO does not do, moments as in the API, cells that no spreadsheet takes for a formula, and states",
    "start to ready": "fewer imports, which are below; the largest packages are needed to serve",
    "memory of a worker": "less at the works that raise it, under Memory below: bodies of batches are decoded, checked"
    " and sent whole, and vectors of search texts are remembered (8 MB)",
    "backlog": "longer rests beside searches (`embedding/portions.py`), for which the backlog waits",
}
"""By workload, or by the measure where a workload has two: what profiles, processor time and memory point at."""


def what_moves(verdict: Verdict, measured: Measured, processors: int) -> str:
    """A sentence or two for a goal that is missed."""
    lever = _LEVERS.get(verdict.against) or _LEVERS[verdict.workload]
    result = measured.results.get(verdict.workload)
    side = {"throughput, reference": "reference", "throughput, bare asyncpg": "limit"}.get(verdict.against)
    if result is None or side is None:
        return f"What would move it: {lever}."
    return f"{_room(result, side, verdict.goal, processors)} What would move it: {lever}."


def _room(result: Result, side: str, goal: float, processors: int) -> str:
    """How long the service may take for a unit at the goal's rate: on its one processor, and beside all else on all."""
    wanted = goal * result.rate(side).median
    each = result.cpu_ms_of("jobsense")
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
