"""Looks at a pool from outside."""

from service.db import Database


async def show(db: Database, setting: str) -> str:
    """A setting as the pool's connections have it."""
    async with db.connection() as connection:
        return str(await connection.fetchval("select current_setting($1)", setting))


async def all_idle(db: Database) -> bool:
    """Whether every connection that the pool may have can be had, works, and has no transaction open."""
    opened, idle, most = db.sizes()
    held = [await db._pool.acquire() for _ in range(most)]
    clean = [await one.fetchval("select 1") == 1 and not one.is_in_transaction() for one in held]
    for one in held:
        await db._pool.release(one)
    return opened == idle and all(clean)
