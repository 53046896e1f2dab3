"""Statements of the health endpoints; the SQL is in sql/queries/health/."""

from service.db import Db, statement
from service.health.model import Versions


@statement
async def check_database(db: Db) -> Versions | None:
    """Whether the database answers, and with which versions."""
