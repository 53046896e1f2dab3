"""Statements on the scratch tenants of evaluations: signatures; the SQL is in sql/queries/evaluation/."""

from service.db import Db, statement


@statement
async def count_pending(db: Db, *, tenant_id: int) -> int:
    """Postings of a tenant that are still to be embedded."""


@statement
async def list_scratch_tenants(db: Db, *, pattern: str, made_before: str) -> list[int]:
    """Tenants by the pattern of their name, which begins with when they were made."""


@statement
async def delete_some_jobs(db: Db, *, tenant_id: int, most: int) -> int:
    """Delete postings of a tenant, with all that hangs on them; how many there were."""


@statement
async def delete_tenant(db: Db, *, tenant_id: int) -> None:
    """Remove a tenant that has nothing any more."""
