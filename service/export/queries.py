"""Statements of an export: signatures; the SQL is in sql/queries/export/. Those that list run inside COPY."""

from datetime import datetime

from service.db import Db, statement
from service.export.model import Cells


@statement
async def take_time(db: Db, *, timeout_ms: int) -> bool:
    """Let the statements of this transaction take longer than the pool allows."""


@statement
async def list_cells(
    db: Db,
    *,
    tenant_id: int,
    keyword: str | None,
    source: tuple[str, ...] | None,
    company: tuple[str, ...] | None,
    location: str | None,
    remote: bool | None,
    employment_type: tuple[str, ...] | None,
    posted_after: datetime | None,
    posted_before: datetime | None,
    active: bool | None,
    now: datetime,
    pay_currency: tuple[str, ...] | None,
    pay_low: tuple[float, ...] | None,
    pay_high: tuple[float, ...] | None,
    unpriced: bool,
    opening: tuple[int, ...],
) -> list[Cells]:
    """Postings of a tenant behind the filters as rows of a table, in the order of their ids."""


@statement
async def list_lines(
    db: Db,
    *,
    tenant_id: int,
    keyword: str | None,
    source: tuple[str, ...] | None,
    company: tuple[str, ...] | None,
    location: str | None,
    remote: bool | None,
    employment_type: tuple[str, ...] | None,
    posted_after: datetime | None,
    posted_before: datetime | None,
    active: bool | None,
    now: datetime,
    pay_currency: tuple[str, ...] | None,
    pay_low: tuple[float, ...] | None,
    pay_high: tuple[float, ...] | None,
    unpriced: bool,
) -> list[str]:
    """The same postings as JSON objects, as the API gives them."""
