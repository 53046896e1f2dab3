"""Plans of prepared statements: made for the values of each call, or once for any where no filter depends on them."""

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import asyncpg

if TYPE_CHECKING:  # the driver's class takes parameters in its stubs only
    Base: TypeAlias = asyncpg.Connection[asyncpg.Record]
else:
    Base = asyncpg.Connection

Plans = Literal["each_time", "once"]
"""Planned for its values each time, as the server does with optional filters; or one plan for all.

To plan a search takes 2.5 to 4 ms of 9 to 15, and without filters the plan is the same whatever is searched for.
"""

_SETTINGS: dict[Plans, str] = {
    "each_time": "reset plan_cache_mode; reset enable_seqscan",
    # A plan that is kept is of a moment when tables may have been empty: the queue is, most of the time, and to read it
    # from end to end for each hit cost 100 ms when ten thousand postings came.
    "once": "set plan_cache_mode = force_generic_plan; set enable_seqscan = off",
}


class PlanningConnection(Base):
    """A pooled connection that remembers how it plans, so that only a change costs a round trip."""

    __slots__ = ("plans",)

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.plans: Plans | None = "each_time"

    async def use_plans(self, plans: Plans) -> None:
        """Plan so from now on."""
        self.plans = None  # until the server has said yes
        await self.execute(_SETTINGS[plans])
        self.plans = plans


async def keep_settings(_connection: object) -> None:
    """Nothing to reset: the next borrower says how it plans, all else is local to a statement, and nothing listens.

    Saves a round trip a release.
    """
