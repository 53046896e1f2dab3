"""One search on its way: who asked what and when, and what of it the statements take."""

from datetime import datetime
from typing import Any

import msgspec

from service import cursor
from service.jobs.domain import folded, now_utc
from service.jobs.pay import Conversions, PayBands, pay_bands
from service.search.model import HitRow, Mode, SearchRequest
from service.search.paging import Position, microseconds, read_position


class Asked(msgspec.Struct, frozen=True):
    """A search, and where it goes on if this is not its first page; `since` is when that one was asked."""

    tenant_id: int
    request: SearchRequest
    since: datetime
    position: Position | None
    bands: PayBands
    filters: dict[str, Any]

    @classmethod
    async def now(cls, tenant_id: int, request: SearchRequest, conversions: Conversions) -> "Asked":
        """The search asked at this moment; raises Invalid or Stale for a cursor that does not fit it."""
        bands, now = await pay_bands(request.filters, conversions), now_utc()
        position = read_position(request.cursor, _bound(tenant_id, request, bands), now)
        since = now if position is None else position.moment
        return cls(tenant_id, request, since, position, bands, folded(request.filters) | bands.parameters())

    def parameters(self) -> dict[str, Any]:
        """What all statements take alike."""
        given: dict[str, Any] = {
            "tenant_id": self.tenant_id,
            "now": self.since,
            "since": None if self.position is None else self.since,
            "half_life_days": self.request.recency_half_life_days,
            "facets": self.request.facets or None,
            "explained": self.request.explain,
        }
        return given | self.filters

    def terms(self) -> dict[str, Any]:
        """What the statements that read words take besides."""
        position = self.position
        return {
            "text": self.request.text,
            "ndocs": None if position is None else position.ndocs,
            "jobs": None if position is None else position.jobs,
        }

    @property
    def shown(self) -> int:
        """How many hits the pages before held."""
        return 0 if self.position is None else self.position.shown

    def cursor_at(self, served: Mode, generation: int | None, whole: HitRow, *, shown: int, **where: Any) -> str:
        """The cursor at the end of a page that shows so many hits."""
        position = Position(
            since=microseconds(self.since),
            served=served,
            generation=generation,
            ndocs=whole.ndocs,
            jobs=whole.jobs,
            shown=self.shown + shown,
            **where,
        )
        return cursor.encode(_bound(self.tenant_id, self.request, self.bands), position)


def _bound(tenant_id: int, request: SearchRequest, bands: PayBands) -> object:
    """What a cursor is bound to: all that is asked and decides what matches; not today's rates, which may change."""
    return (
        tenant_id,
        request.text,
        request.mode,
        folded(request.filters),
        bands.asked(),
        request.min_score,
        request.recency_half_life_days,
    )
