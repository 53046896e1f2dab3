"""The only home of asyncpg: the pool, transactions, and statements that are a file of SQL with a typed signature.

A statement is declared in a feature's `queries.py` as a signature and a docstring without a body:

    @statement
    async def fetch_job(db: Db, *, tenant_id: int, job_id: int) -> JobRow | None:
        \"\"\"The posting, if this tenant has it.\"\"\"

Its SQL is `sql/queries/jobs/fetch_job.sql` (feature, function name); the keyword parameters are `$1`, `$2`, ... in
their order; the return type says what comes back: `Struct | None`, `list[Struct]`, `int`, `str` or `None`.
"""

import asyncio
import inspect
import time
import types
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import wraps
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    NewType,
    TypeAlias,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
    overload,
)

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy
from pgvector import HalfVector
from pgvector.asyncpg import register_vector

from service.db_errors import POOL_TIMEOUT, Known, connecting, translated
from service.errors import SchemaError
from service.telemetry.stages import observe_pool_timeout, observe_pool_wait, stage

Fn = TypeVar("Fn", bound=Callable[..., Awaitable[Any]])
if TYPE_CHECKING:  # the driver's classes take parameters in its stubs only
    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
else:
    Connection: TypeAlias = asyncpg.Connection | PoolConnectionProxy
Json = NewType("Json", str)
"""JSON text, for a parameter of type json or jsonb."""
POOL_TIMEOUT_S = 5.0
STATEMENT_TIMEOUT_S = 30.0
OLDEST_PGVECTOR = (0, 8)


def sql_root() -> Path:
    """The folder of migrations and queries: inside the installed package, or beside it in a checkout."""
    packaged = Path(__file__).parent / "_sql"
    return packaged if packaged.is_dir() else Path(__file__).parent.parent / "sql"


class Database:
    """A pool of connections to one database."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool

    @classmethod
    async def open(
        cls,
        dsn: str,
        *,
        max_size: int = 16,
        statement_timeout_s: float = STATEMENT_TIMEOUT_S,
        application: str = "jobsense",
    ) -> "Database":
        """Connect; raises DatabaseUnavailable, SettingError (bad address) or SchemaError (pgvector missing or old)."""
        with connecting():
            pool = await asyncpg.create_pool(
                dsn,
                min_size=1,
                max_size=max_size,
                init=_prepare_connection,
                reset=_keep_settings,
                timeout=POOL_TIMEOUT_S,
                command_timeout=statement_timeout_s + POOL_TIMEOUT_S,
                server_settings={
                    "application_name": application,
                    "jit": "off",
                    "statement_timeout": f"{int(statement_timeout_s * 1000)}",
                    "idle_in_transaction_session_timeout": "60s",
                    "timezone": "UTC",
                },
            )
        return cls(pool)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Borrow a connection; the wait for it is a stage of its own."""
        start = time.perf_counter()
        with translated(timeout=POOL_TIMEOUT):
            try:
                connection = await self._pool.acquire(timeout=POOL_TIMEOUT_S)
            except TimeoutError:
                observe_pool_timeout()
                raise
        observe_pool_wait(time.perf_counter() - start)
        try:
            yield connection
        finally:
            with suppress(TimeoutError, asyncpg.InterfaceError):  # the pool cuts one whose server hangs
                await self._pool.release(connection)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Borrow a connection with an open transaction: committed at the end, rolled back by an exception."""
        async with self.connection() as connection:
            transaction = connection.transaction()
            with translated(connection=connection):
                await transaction.start()
            try:
                yield connection
            except BaseException:
                # What went wrong first says more than a lost connection; the pool rolls back or cuts what is left open.
                with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                    await transaction.rollback()
                raise
            with translated(connection=connection):
                await transaction.commit()

    def sizes(self) -> tuple[int, int, int]:
        """Connections open, idle, and the most there may be."""
        return self._pool.get_size(), self._pool.get_idle_size(), self._pool.get_max_size()

    async def close(self, *, timeout_s: float = 5.0) -> None:
        """Return every connection; those still busy after the time are cut."""
        try:
            await asyncio.wait_for(self._pool.close(), timeout_s)
        except TimeoutError:
            self._pool.terminate()


Db: TypeAlias = Database | Connection


@asynccontextmanager
async def session(dsn: str) -> AsyncIterator[Connection]:
    """One plain connection outside the pool, without statement timeout: for migrations and other data definition."""
    with connecting():
        connection = await asyncpg.connect(
            dsn,
            timeout=POOL_TIMEOUT_S,
            server_settings={"application_name": "jobsense-migrate", "statement_timeout": "0"},
        )
    try:
        with translated(connection=connection):
            yield connection
    finally:
        await connection.close(timeout=POOL_TIMEOUT_S)


class Statement(msgspec.Struct, frozen=True):
    """What the contract test reads: the file, the parameters in order with their types, and the type of a row."""

    name: str
    path: Path
    parameters: tuple[tuple[str, Any], ...]
    row: Any
    shape: str


STATEMENTS: dict[str, Statement] = {}


@overload
def statement(function: Fn) -> Fn: ...


@overload
def statement(*, on_constraint: Known) -> Callable[[Fn], Fn]: ...


def statement(function: Fn | None = None, *, on_constraint: Known | None = None) -> Fn | Callable[[Fn], Fn]:
    """Turn a bodiless signature into the statement of its name; `on_constraint` maps constraint names to errors."""
    if function is None:
        return lambda bare: _bound(bare, on_constraint or {})
    return _bound(function, {})


def _bound(function: Fn, known: Known) -> Fn:
    declared = _declare(function)
    names = tuple(name for name, _ in declared.parameters)
    text = declared.path.read_text(encoding="utf-8")
    fetch = _FETCH[declared.shape]

    @wraps(function)
    async def run(db: Db, **given: Any) -> Any:
        arguments = [given[name] for name in names]
        if isinstance(db, Database):
            async with db.connection() as connection:
                return await run(connection, **given)
        with translated(known, connection=db), stage("query", db_query_summary=declared.name):
            return await fetch(db, text, arguments, declared.row)

    return cast("Fn", run)


async def estimate_rows(db: Db, run: Callable[..., Awaitable[Any]], **given: Any) -> int:
    """How many rows the planner expects of a statement, which is explained and not run."""
    declared = STATEMENTS[f"{run.__module__.split('.')[-2]}.{run.__name__}"]
    if isinstance(db, Database):
        async with db.connection() as connection:
            return await estimate_rows(connection, run, **given)
    text = "explain (format json) " + declared.path.read_text(encoding="utf-8")
    with translated(connection=db), stage("query", db_query_summary=declared.name):
        plan = await db.fetchval(text, *(given[name] for name, _ in declared.parameters))
    return int(msgspec.json.decode(plan)[0]["Plan"]["Plan Rows"])


def _declare(function: Callable[..., Any]) -> Statement:
    feature = function.__module__.split(".")[-2]
    hints = get_type_hints(function)
    shape, row = _cardinality(hints.pop("return"))
    parameters = tuple((name, hints[name]) for name in list(inspect.signature(function).parameters)[1:])
    name = f"{feature}.{function.__name__}"
    path = sql_root() / "queries" / feature / f"{function.__name__}.sql"
    declared = Statement(name=name, path=path, parameters=parameters, row=row, shape=shape)
    STATEMENTS[name] = declared
    return declared


def _cardinality(returned: Any) -> tuple[str, Any]:
    if returned is type(None):
        return "none", None
    if get_origin(returned) is list:
        (row,) = get_args(returned)
        return ("structs" if _is_struct(row) else "values"), row
    if get_origin(returned) in {Union, types.UnionType}:
        (returned,) = [arm for arm in get_args(returned) if arm is not type(None)]
    return ("struct" if _is_struct(returned) else "value"), returned


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


async def _fetch_structs(db: Connection, text: str, arguments: Sequence[Any], row: Any) -> Any:
    return [row(*record) for record in await db.fetch(text, *arguments)]


async def _fetch_struct(db: Connection, text: str, arguments: Sequence[Any], row: Any) -> Any:
    record = await db.fetchrow(text, *arguments)
    return None if record is None else row(*record)


async def _fetch_values(db: Connection, text: str, arguments: Sequence[Any], _row: Any) -> Any:
    return [record[0] for record in await db.fetch(text, *arguments)]


async def _fetch_value(db: Connection, text: str, arguments: Sequence[Any], _row: Any) -> Any:
    return await db.fetchval(text, *arguments)


async def _fetch_none(db: Connection, text: str, arguments: Sequence[Any], _row: Any) -> Any:
    await db.execute(text, *arguments)


_FETCH: dict[str, Callable[[Connection, str, Sequence[Any], Any], Awaitable[Any]]] = {
    "structs": _fetch_structs,
    "struct": _fetch_struct,
    "values": _fetch_values,
    "value": _fetch_value,
    "none": _fetch_none,
}


async def _prepare_connection(connection: Connection) -> None:
    """Learn the vector types, wherever the extension is installed; raises SchemaError when this server cannot serve."""
    found = await connection.fetchrow(
        "select n.nspname, e.extversion from pg_extension e join pg_namespace n on n.oid = e.extnamespace"
        " where e.extname = 'vector'"
    )
    if found is None:
        raise SchemaError("the database has no pgvector extension yet: run `jobsense migrate up`")
    schema, version = found
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_PGVECTOR:
        raise SchemaError(
            f"pgvector {version} is too old, 0.8 is needed: run `alter extension vector update` as its owner"
        )
    await register_vector(cast("asyncpg.Connection[asyncpg.Record]", connection), schema=schema)


async def _keep_settings(_connection: Connection) -> None:
    """Nothing to reset: settings are local to a statement, and nothing listens. Saves a round trip a release."""


def half_vector(values: list[float]) -> HalfVector:
    """A vector as the parameter type of halfvec."""
    return HalfVector(values)
