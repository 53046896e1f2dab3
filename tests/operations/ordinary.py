"""A database of an ordinary role, as a managed PostgreSQL gives one: it owns the database and is no superuser."""

import itertools
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from service.embedded.program import FOLDERS, _package_folder
from tests.conftest import Server

_NUMBER = itertools.count(1)
_PASSWORD = "ordinary"  # noqa: S105 - of roles that only tests know


class Ordinary:
    """A role that may log in and nothing else, and the databases that it owns."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.admin_dsn = server.admin_dsn
        self.role = f"jobsense_role_{os.getpid()}_{next(_NUMBER)}"
        self.databases: list[str] = []

    def name(self) -> str:
        """A name for a database of this role, which is dropped at the end."""
        self.databases.append(f"{self.role}_{len(self.databases)}")
        return self.databases[-1]

    def dsn_of(self, database: str) -> str:
        """Where this role finds a database."""
        parts = urlsplit(self._server.dsn_of(database))
        return urlunsplit(parts._replace(netloc=f"{self.role}:{_PASSWORD}@{parts.netloc.rpartition('@')[2]}"))

    async def create_database(self, *, extension: bool = True) -> str:
        """A database that this role owns, with pgvector in it unless told otherwise; its address."""
        name = self.name()
        await self._server.execute(f'create database "{name}" owner "{self.role}" template template0')
        if extension:
            connection = await asyncpg.connect(self._server.dsn_of(name))
            await connection.execute("create extension vector")
            await connection.close()
        return self.dsn_of(name)

    async def programs(self) -> Path:
        """The folder of pg_dump, pg_restore and psql that fit the server: of its version or the next newer one."""
        connection = await asyncpg.connect(self.admin_dsn)
        version = connection.get_server_version().major
        await connection.close()
        return _package_folder() / FOLDERS[min(known for known in FOLDERS if known >= version)] / "bin"


@asynccontextmanager
async def ordinary_role(server: Server) -> AsyncIterator[Ordinary]:
    """Such a role; it and its databases go afterwards."""
    made = Ordinary(server)
    await server.execute(
        f"create role \"{made.role}\" login nosuperuser nocreatedb nocreaterole password '{_PASSWORD}'"
    )
    try:
        yield made
    finally:
        for name in made.databases:
            await server.execute(f'drop database if exists "{name}" with (force)')
        await server.execute(f'drop role "{made.role}"')
