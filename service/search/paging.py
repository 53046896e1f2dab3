"""Where a search goes on: what a cursor holds, so that later pages continue the search as it was on the first.

Scores are recomputed on every page and nothing is kept here, so everything that a score depends on is in the cursor:
the moment, the generation, how many postings held each word of the query. The matches are cut into rings, the nearest
first. A ring is everything from one similarity down to another, both in the cursor, so that postings that come and go
push nothing over its edge; within it hits follow by score and number.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
from msgspec import Meta

from service import cursor
from service.errors import Stale
from service.search.model import Degraded, HitRow, Mode, Scan

CURSOR_MAX_AGE = timedelta(hours=1)
"""After so long a search is better asked anew: postings have expired, others have come."""
SKEW = timedelta(minutes=1)
"""Clocks of processes may differ by so much."""
MOST_BUDGET = 4000
"""Passages that any search looks at, however far its pages go."""

Int32 = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Microseconds = Annotated[int, Meta(ge=0, le=2**52)]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def microseconds(moment: datetime) -> int:
    """A moment as a cursor holds it."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


class Position(msgspec.Struct, frozen=True, array_like=True):
    """The end of a page: `since` is when the first one was asked, in microseconds since 1970.

    `outer` is unknown where a ring has not been begun; `score` and `id` are those of the last hit in the ring; `shown`
    is how many hits came before. Callers can write one: whatever they write costs no more than a search.
    """

    since: Microseconds
    served: Mode
    generation: int | None = None
    budget: Annotated[int, Meta(ge=1, le=4 * MOST_BUDGET)] = 1
    inner: float | None = None
    outer: float | None = None
    score: float | None = None
    id: int | None = None
    ndocs: list[Int32] | None = None
    jobs: Int32 | None = None
    reason: Annotated[str, Meta(pattern="^[a-z_]{1,50}$")] | None = None
    degraded_since: Microseconds | None = None
    shown: Int32 = 0

    @property
    def moment(self) -> datetime:
        """When the first page was asked."""
        return _EPOCH + timedelta(microseconds=self.since)

    @property
    def degraded(self) -> Degraded | None:
        """Why the first page was less than asked for."""
        if self.reason is None or self.degraded_since is None:
            return None
        return Degraded(self.reason, _EPOCH + timedelta(microseconds=self.degraded_since))


class Look(msgspec.Struct, frozen=True):
    """One look at the vectors: how, down to which similarity, and after which hit.

    `fixed`: `floor` is the outer edge of a ring that was begun on an earlier page, and has to be reached.
    """

    scan: Scan
    floor: float
    inner: float | None = None
    after: tuple[float, int] | None = None
    fixed: bool = False

    def edge(self, whole: HitRow) -> float:
        """The similarity down to which everything has been seen."""
        return max(self.floor, whole.last_similarity) if self.is_cut(whole) else self.floor

    def is_cut(self, whole: HitRow) -> bool:
        """Whether the budget ended the look while passages were still near enough to match."""
        return whole.looked_at >= self.scan.budget and whole.last_similarity >= self.floor

    def gave_up(self, whole: HitRow) -> bool:
        """Whether the index ended its scan before the budget did: among rows of others, or that filters refuse."""
        return self.scan.kind == "index" and whole.looked_at < self.scan.budget

    def wider(self, whole: HitRow) -> "Look | None":
        """The next look when this one did not see enough; None when nothing more can match.

        A look that its budget cut goes on with four times the budget. An index scan that gave up among rows that the
        filters refused is followed by a look at all the filters' own rows.
        """
        if self.is_cut(whole):
            if self.scan.budget >= MOST_BUDGET:
                return None
            return msgspec.structs.replace(self, scan=_widened(self.scan))
        if self.gave_up(whole):
            return msgspec.structs.replace(self, scan=msgspec.structs.replace(self.scan, kind="exact"))
        return None

    def next_ring(self, whole: HitRow, floor: float) -> "Look | None":
        """The ring outside this one, or None where this one reached the floor or the most that is looked at."""
        edge = self.edge(whole)
        if edge <= floor or self.scan.budget >= MOST_BUDGET:
            return None
        return Look(_widened(self.scan), floor, inner=edge)


def _widened(scan: Scan) -> Scan:
    return msgspec.structs.replace(scan, budget=scan.budget * 4)


def read_position(text: str | None, bound: object, now: datetime) -> Position | None:
    """Where the search that a cursor is bound to goes on; None on its first page.

    Raises Invalid for what was never a cursor, Stale for one of another search or one that is too old.
    """
    if text is None:
        return None
    position = cursor.decode(text, bound, Position)
    if not now - CURSOR_MAX_AGE <= position.moment <= now + SKEW:
        raise Stale("the cursor is too old; start again without it")
    if (position.score is None) != (position.id is None):
        raise Stale("the cursor is not whole; start again without it")
    return position
