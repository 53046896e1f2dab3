"""Plans of prepared statements: made for the values of each call, or once for any where no filter depends on them."""

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import asyncpg

if TYPE_CHECKING:  # the driver's class takes parameters in its stubs only
    Base: TypeAlias = asyncpg.Connection[asyncpg.Record]
else:
    Base = asyncpg.Connection

Plans = Literal["auto", "force_generic_plan"]
"""Left to the server, which plans a statement with optional filters for its values each time; or one plan for all.

To plan a search takes 2.5 to 4 ms of 9 to 15, and without filters the plan is the same whatever is searched for.
"""


class PlanningConnection(Base):
    """A pooled connection that remembers how it plans, so that only a change costs a round trip."""

    __slots__ = ("_plans",)

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._plans: Plans | None = "auto"

    async def use_plans(self, plans: Plans) -> None:
        """Plan so from now on."""
        if self._plans != plans:
            self._plans = None  # until the server has said yes
            await self.execute(f"set plan_cache_mode = {plans}")
            self._plans = plans


async def keep_settings(_connection: object) -> None:
    """Nothing to reset: the next borrower says how it plans, all else is local to a statement, and nothing listens.

    Saves a round trip a release.
    """
