"""Chooses how vectors are looked through: narrow filters break the index silently, wide ones make a full look dear."""

import time
from collections.abc import Awaitable, Callable

import msgspec

from service.db import Db, estimate_rows
from service.db_plans import Plans
from service.jobs.model import Filters
from service.search import queries
from service.search.model import Scan, ScanKind

EXACT_SCAN_LIMIT = 50_000
"""Passages behind the filters up to which all are looked at: recall 1.0 in at most 25 ms (with copied columns)."""
SMALL = 2_000
"""Passages in all up to which a full look is as fast as the index, whatever the filters."""
WIDE = 0.9
"""Share of all passages from which a filter is no narrower than none."""
ESTIMATE_MAX_AGE_S = 60.0
FIRST_ESTIMATE_MAX_AGE_S = 2.0
"""While a generation fills up its statistics are young: an estimate of few rows is asked for again soon."""
KEPT = 1024
"""Estimates kept; past that the oldest go."""

EF_SEARCH = ((25_000, 200), (100_000, 400))
"""Up to so many passages, so wide a scan of the index: holds recall@10 at 0.98 (m 16, ef_construction 200).

Measured; see the decision in sql/README.md.
"""
LARGEST_EF_SEARCH = 800
"""The same for any more passages."""

Ask = Callable[[], Awaitable[tuple[int, int]]]
"""Passages of the generation in all, and behind the filters: of one moment, since their ratio decides."""
JOINED = ("company", "location", "remote", "employment_type", "active", "currency")
"""Filters on what only the posting has; every filter on pay names its currency."""
NO_FILTERS = Filters()


def needs_job(filters: Filters) -> bool:
    """Whether a filter reads the posting itself, and not only what is copied beside its vectors."""
    return any(getattr(filters, name) is not None for name in JOINED)


def plans_for(filters: Filters) -> Plans:
    """One plan for all searches without filters; else one for these, since which index serves depends on them."""
    return "once" if filters == NO_FILTERS else "each_time"


def ef_search(passages: int) -> int:
    """hnsw.ef_search by size of the generation, see `EF_SEARCH`."""
    return next((ef for most, ef in EF_SEARCH if passages <= most), LARGEST_EF_SEARCH)


class ScanChooser:
    """Estimates of rows behind filters, asked of the planner and kept for a minute."""

    def __init__(
        self,
        *,
        exact_scan_limit: int = EXACT_SCAN_LIMIT,
        kept: int = KEPT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = exact_scan_limit
        self._most = kept
        self._clock = clock
        self._kept: dict[bytes, tuple[float, tuple[int, int]]] = {}

    async def choose(
        self, db: Db, *, generation: int, tenant_id: int, filters: Filters, budget: int, **folded: object
    ) -> Scan:
        """The scan for these filters."""
        key = msgspec.msgpack.encode((generation, tenant_id, filters))

        async def ask() -> tuple[int, int]:
            total = await queries.count_passages(db, generation=generation)
            behind = await estimate_rows(
                db,
                queries.list_behind_filters,
                generation=generation,
                tenant_id=tenant_id,
                joined=needs_job(filters),
                **folded,
            )
            return total, behind

        total, behind = await self._estimate(key, ask)
        narrow = behind < total * WIDE and behind <= self._limit
        kind: ScanKind = "exact" if narrow or total <= SMALL else "index"
        return Scan(kind, behind, max(ef_search(total), min(budget, 1000)), budget, max(0, total - behind))

    async def _estimate(self, key: bytes, ask: Ask) -> tuple[int, int]:
        known = self._kept.get(key)
        now = self._clock()
        if known is not None and known[0] > now:
            return known[1]
        total, behind = rows = await ask()
        age_s = ESTIMATE_MAX_AGE_S if min(total, behind) > SMALL else FIRST_ESTIMATE_MAX_AGE_S
        while len(self._kept) >= self._most:
            self._kept.pop(next(iter(self._kept)))
        self._kept[key] = (now + age_s, rows)
        return rows


def wider(scan: Scan, *, is_cut: bool, least_looked_at: int, most: int) -> Scan | None:
    """The next scan of several looks at once that did not see enough; None when nothing more can match.

    One that its budget cut (`is_cut`) goes on with four times the budget. An index scan of which a look ended before
    the budget did, among rows that the filters refused, is followed by one of all the filters' own rows.
    """
    if is_cut and scan.budget < most:
        return msgspec.structs.replace(scan, budget=scan.budget * 4)
    if scan.kind == "index" and least_looked_at < scan.budget:
        return msgspec.structs.replace(scan, kind="exact")
    return None
