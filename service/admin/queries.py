"""Statements for the state of the service; the SQL is in sql/queries/admin/."""

from service.admin.model import DeadRow
from service.db import Db, statement


@statement
async def list_dead_tasks(db: Db, *, tenant_id: int, most: int) -> list[DeadRow]:
    """Postings of a tenant whose embedding was given up, the latest first."""
