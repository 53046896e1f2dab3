"""What a new connection of the pool learns: whether this server can serve, its vector types, and where it is."""

from typing import Any

from pgvector.asyncpg import register_vector

from service.errors import SchemaError

OLDEST_PGVECTOR = (0, 8)


class Preparation:
    """Prepares each new connection of a pool; `where` names the database by the conventions of OpenTelemetry."""

    def __init__(self) -> None:
        self.where: dict[str, str | int] = {}

    async def __call__(self, connection: Any) -> None:
        """Learn the vector types, wherever the extension is; raises SchemaError when this server cannot serve."""
        found = await connection.fetchrow(
            "select n.nspname, e.extversion, concat_ws('|', current_database(), current_schema())"
            " from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'vector'"
        )
        if found is None:
            raise SchemaError("the database has no pgvector extension yet: run `jobsense migrate up`")
        schema, version, namespace = found
        if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_PGVECTOR:
            raise SchemaError(
                f"pgvector {version} is too old, 0.8 is needed: run `alter extension vector update` as its owner"
            )
        await register_vector(connection, schema=schema)
        address = connection._addr  # noqa: SLF001 -- where it got through, of the hosts that its DSN may name
        host, port = (address, None) if isinstance(address, str) else address[:2]
        self.where.update({"db.namespace": namespace, "server.address": host})
        if port is not None:
            self.where["server.port"] = port
