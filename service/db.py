"""The only home of asyncpg: the pool, transactions, and statements that are a file of SQL with a typed signature.

A statement is declared in a feature's `queries.py` as a signature and a docstring without a body:

    @statement
    async def fetch_job(db: Db, *, tenant_id: int, job_id: int) -> JobRow | None:
        \"\"\"The posting, if this tenant has it.\"\"\"

Its SQL is `sql/queries/jobs/fetch_job.sql` (feature, function name); the keyword parameters are `$1`, `$2`, ... in
their order; the return type says what comes back: `Struct | None`, `list[Struct]`, `int`, `str` or `None`.
A test prepares every statement on a migrated database and compares names and types on both sides.
"""

import asyncio
import inspect
import time
import types
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
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

from service.errors import DatabaseUnavailable, JobSenseError, SchemaError
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
        """Connect; raises DatabaseUnavailable when the server does not answer, SchemaError without pgvector."""
        with _translated():
            pool = await asyncpg.create_pool(
                dsn,
                min_size=1,
                max_size=max_size,
                init=_prepare_connection,
                reset=_keep_settings,
                timeout=POOL_TIMEOUT_S,
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
        with _translated():
            try:
                connection = await self._pool.acquire(timeout=POOL_TIMEOUT_S)
            except TimeoutError:
                observe_pool_timeout()
                raise
        observe_pool_wait(time.perf_counter() - start)
        try:
            yield connection
        finally:
            await self._pool.release(connection)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Borrow a connection with an open transaction: committed at the end, rolled back by an exception."""
        async with self.connection() as connection:
            transaction = connection.transaction()
            with _translated():
                await transaction.start()
            try:
                yield connection
            except BaseException:
                if not connection.is_closed():
                    await transaction.rollback()
                raise
            with _translated():
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
    with _translated():
        connection = await asyncpg.connect(
            dsn, timeout=POOL_TIMEOUT_S, server_settings={"application_name": "jobsense-migrate"}
        )
    try:
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
def statement(*, on_constraint: Mapping[str, Callable[[], JobSenseError]]) -> Callable[[Fn], Fn]: ...


def statement(
    function: Fn | None = None, *, on_constraint: Mapping[str, Callable[[], JobSenseError]] | None = None
) -> Fn | Callable[[Fn], Fn]:
    """Turn a bodiless signature into the statement of its name; `on_constraint` maps constraint names to errors."""
    if function is None:
        return lambda bare: _bound(bare, on_constraint or {})
    return _bound(function, {})


def _bound(function: Fn, known: Mapping[str, Callable[[], JobSenseError]]) -> Fn:
    declared = _declare(function)
    names = tuple(name for name, _ in declared.parameters)
    text = declared.path.read_text(encoding="utf-8")
    fetch = _FETCH[declared.shape]
    row = declared.row

    @wraps(function)
    async def run(db: Db, **given: Any) -> Any:
        arguments = [given[name] for name in names]
        if isinstance(db, Database):
            async with db.connection() as connection:
                return await run(connection, **given)
        with _translated(known), stage("query", db_query_summary=declared.name):
            return await fetch(db, text, arguments, row)

    return cast("Fn", run)


async def estimate_rows(db: Db, run: Callable[..., Awaitable[Any]], **given: Any) -> int:
    """How many rows the planner expects of a statement, which is explained and not run."""
    declared = STATEMENTS[f"{run.__module__.split('.')[-2]}.{run.__name__}"]
    if isinstance(db, Database):
        async with db.connection() as connection:
            return await estimate_rows(connection, run, **given)
    text = "explain (format json) " + declared.path.read_text(encoding="utf-8")
    with _translated(), stage("query", db_query_summary=declared.name):
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
        (row,) = [arm for arm in get_args(returned) if arm is not type(None)]
        return ("struct" if _is_struct(row) else "value"), row
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
    try:
        await register_vector(cast("asyncpg.Connection[asyncpg.Record]", connection))
    except ValueError:
        raise SchemaError("the database has no pgvector extension yet: run `jobsense migrate up`") from None


async def _keep_settings(_connection: Connection) -> None:
    """Nothing to reset: settings are local to a statement, and nothing listens. Saves a round trip a release."""


class _translated:  # noqa: N801 - reads as a word in a with statement
    """Turns the driver's errors into ours: known constraints, and "the database is away or too slow"."""

    def __init__(self, known: Mapping[str, Callable[[], JobSenseError]] | None = None) -> None:
        self._known = known or {}

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: types.TracebackType | None
    ) -> None:
        if isinstance(error, asyncpg.IntegrityConstraintViolationError):
            known = self._known.get(error.constraint_name or "")
            if known is not None:
                mapped = known()
                raise mapped from error
        if isinstance(error, _UNAVAILABLE) and not isinstance(error, asyncpg.DataError):
            raise DatabaseUnavailable(
                "the database did not answer; try again", reason=_reason(error), retry_after_s=1
            ) from error


_UNAVAILABLE = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.QueryCanceledError,
    asyncpg.TooManyConnectionsError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.DiskFullError,
    asyncpg.DeadlockDetectedError,
    asyncpg.ReadOnlySQLTransactionError,
    ConnectionError,
    TimeoutError,
    OSError,
)


def _reason(error: BaseException) -> str:
    if isinstance(error, asyncpg.QueryCanceledError):
        return "statement_timeout"
    if isinstance(error, TimeoutError):
        return "pool_timeout"
    if isinstance(error, asyncpg.DiskFullError):
        return "disk_full"
    return "unreachable"


def half_vector(values: list[float]) -> HalfVector:
    """A vector as the parameter type of halfvec."""
    return HalfVector(values)
