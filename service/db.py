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
import typing
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NewType, TypeAlias, TypeVar, Union, cast, overload

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy
from pgvector import HalfVector

from service.db_errors import LOST, POOL_TIMEOUT, Known, connecting, translated
from service.db_plans import PlanningConnection, Plans, keep_settings
from service.db_prepare import Preparation
from service.telemetry.stages import observe_pool_timeout, observe_pool_wait, stage

Fn = TypeVar("Fn", bound=Callable[..., Awaitable[Any]])
if TYPE_CHECKING:  # the driver's classes take parameters in its stubs only
    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
else:
    Connection: TypeAlias = asyncpg.Connection | PoolConnectionProxy
Json = NewType("Json", str)
"""JSON text, for a parameter of type json or jsonb."""
POOL_TIMEOUT_S = 2.0
CONNECT_TIMEOUT_S = 5.0
RELEASE_S = 1.0  # for a cancelled statement to end in the server; then its connection is cut
LOCK_TIMEOUT_S = 5.0
ABANDONED_S = 10.0  # for a transaction that does nothing: cut off, nobody will end it, and others wait for its rows
STATEMENT_TIMEOUT_S = 30.0
SILENCE_S = 2.0  # past its statement timeout, a server that says nothing hangs


def sql_root() -> Path:
    """The folder of migrations and queries: inside the installed package, or beside it in a checkout."""
    packaged = Path(__file__).parent / "_sql"
    return packaged if packaged.is_dir() else Path(__file__).parent.parent / "sql"


class Database:
    """A pool of connections to one database."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", where: Mapping[str, str | int]) -> None:
        self._pool = pool
        self.where = where
        """The database in the conventional names of telemetry."""
        self.waiting = 0
        """Calls that wait for a connection."""

    @classmethod
    async def open(
        cls,
        dsn: str,
        *,
        max_size: int = 16,
        statement_timeout_s: float | None = None,
        application: str = "jobsense",
    ) -> "Database":
        """Connect; raises DatabaseUnavailable, SettingError (bad address) or SchemaError (pgvector missing or old)."""
        statement_timeout_s, prepare = statement_timeout_s or STATEMENT_TIMEOUT_S, Preparation()
        with connecting():
            pool = await asyncpg.create_pool(
                dsn,
                min_size=1,
                max_size=max_size,
                connection_class=PlanningConnection,
                init=prepare,
                reset=keep_settings,
                timeout=CONNECT_TIMEOUT_S,
                command_timeout=statement_timeout_s + SILENCE_S,
                server_settings={
                    "application_name": application,
                    # A server's own defaults take searches off their indexes; others may share it, so ours go with us.
                    "jit": "off",
                    "random_page_cost": "1.1",
                    "statement_timeout": f"{int(statement_timeout_s * 1000)}",
                    "lock_timeout": f"{int(LOCK_TIMEOUT_S * 1000)}",
                    "idle_in_transaction_session_timeout": f"{int(ABANDONED_S * 1000)}",
                    "timezone": "UTC",
                },
            )
        return cls(pool, prepare.where)

    @asynccontextmanager
    async def connection(self, plans: Plans = "each_time") -> AsyncIterator[Connection]:
        """Borrow a connection; the wait for it is a stage of its own."""
        start = time.perf_counter()
        with translated(timeout=POOL_TIMEOUT):
            self.waiting += 1
            try:
                connection = await self._pool.acquire(timeout=POOL_TIMEOUT_S)
            except TimeoutError:
                observe_pool_timeout()
                raise
            finally:
                self.waiting -= 1
        observe_pool_wait(time.perf_counter() - start)
        try:
            pooled = cast("PlanningConnection", connection)
            if pooled.plans != plans:
                with translated(connection=connection):
                    await pooled.use_plans(plans)
            yield connection
        except BaseException:
            # In a task of its own, so that a second cancellation does not leave it alone with its failure.
            giving_back = asyncio.ensure_future(self._give_back(connection))
            giving_back.add_done_callback(lambda done: done.cancelled() or done.exception())
            await asyncio.shield(giving_back)
            raise
        await self._give_back(connection)

    async def _give_back(self, connection: "PoolConnectionProxy[asyncpg.Record]") -> None:
        with suppress(*LOST):  # the pool cuts one whose server hangs
            await self._pool.release(connection, timeout=RELEASE_S)

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
                with suppress(*LOST):
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
            timeout=CONNECT_TIMEOUT_S,
            server_settings={"application_name": "jobsense-migrate", "statement_timeout": "0"},
        )
    try:
        with translated(connection=connection):
            yield connection
    finally:
        with suppress(*LOST):
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
def statement(*, on_constraint: Known = ..., timeout_s: float = ...) -> Callable[[Fn], Fn]: ...


def statement(
    function: Fn | None = None, *, on_constraint: Known | None = None, timeout_s: float | None = None
) -> Fn | Callable[[Fn], Fn]:
    """Turn a bodiless signature into the statement of its name; `on_constraint` maps constraint names to errors.

    `timeout_s` is how long the answer may be waited for where that is longer than the pool's own time; the server's
    limit is the statement's or transaction's to lift.
    """
    if function is None:
        return lambda bare: _bound(bare, on_constraint or {}, timeout_s)
    return _bound(function, {}, None)


def _bound(function: Fn, known: Known, timeout_s: float | None) -> Fn:
    declared = _declare(function)
    names = tuple(name for name, _ in declared.parameters)
    text = declared.path.read_text(encoding="utf-8")

    @wraps(function)
    async def run(db: Db, **given: Any) -> Any:
        arguments = [given[name] for name in names]
        if isinstance(db, Database):
            async with db.connection() as connection:
                return await run(connection, **given)
        with translated(known, connection=db), stage("query", db_query_summary=declared.name) as noted:
            found = await _fetch(db, text, arguments, declared, timeout_s)
            if declared.shape in {"structs", "values"}:
                noted.set(db_response_returned_rows=len(found))
            return found

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
    hints = typing.get_type_hints(function)
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
    if typing.get_origin(returned) is list:
        (row,) = typing.get_args(returned)
        return ("structs" if _is_struct(row) else "values"), row
    if typing.get_origin(returned) in {Union, types.UnionType}:
        (returned,) = [arm for arm in typing.get_args(returned) if arm is not type(None)]
    return ("struct" if _is_struct(returned) else "value"), returned


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


async def _fetch(db: Connection, text: str, arguments: Sequence[Any], declared: Statement, wait_s: float | None) -> Any:
    """Run one statement and give its rows the declared form; `wait_s` None: the pool's own time."""
    row = declared.row
    match declared.shape:
        case "structs":
            return [row(*record) for record in await db.fetch(text, *arguments, timeout=wait_s)]
        case "values":
            return [record[0] for record in await db.fetch(text, *arguments, timeout=wait_s)]
        case "struct":
            record = await db.fetchrow(text, *arguments, timeout=wait_s)
            return None if record is None else row(*record)
        case "value":
            return await db.fetchval(text, *arguments, timeout=wait_s)
        case _:
            await db.execute(text, *arguments, timeout=wait_s)
            return None


def half_vector(values: list[float]) -> HalfVector:
    """A vector as the parameter type of halfvec."""
    return HalfVector(values)
