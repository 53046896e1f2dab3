"""Statements on exchange rates: signatures; the SQL is in sql/queries/pay/."""

from datetime import datetime

from service.db import Db, statement
from service.pay.model import Rate


@statement
async def list_rates(db: Db, *, at: datetime) -> list[Rate]:
    """The last rate of every pair at a moment, by pair."""


@statement
async def store_rates(
    db: Db,
    *,
    base: list[str],
    quote: list[str],
    rate: list[float],
    valid_at: list[datetime],
    source: list[str],
    now: datetime,
) -> None:
    """Keep rates, replacing those that are there for their moment; the lists are parallel."""


@statement
async def lock_feed(db: Db) -> bool:
    """Be the one process that reads the feed until the transaction ends; False while another is."""


@statement
async def fetch_feed_time(db: Db, *, source: str) -> datetime | None:
    """When rates of a source were last stored."""
