"""What the driver's errors mean: known constraints, "the database is away or too slow", "its address is wrong".

Everything else (a bad statement, a value that does not fit, a connection used twice at once) is a fault of ours and
passes through, so that it shows as one.
"""

import types
from collections.abc import Callable, Mapping
from typing import Protocol

import asyncpg

from service.errors import DatabaseUnavailable, JobSenseError, SchemaError, SettingError

Known = Mapping[str, Callable[[], JobSenseError]]
"""The errors that broken constraints mean, by the constraints' names."""

_AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.PostgresSystemError,
    asyncpg.TransactionRollbackError,
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InternalClientError,  # the server has said goodbye, and the end of the connection is still on its way
    OSError,  # and with it TimeoutError and ConnectionError
)
_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (asyncpg.QueryCanceledError, "statement_timeout"),
    (asyncpg.TransactionRollbackError, "deadlock"),
    (asyncpg.LockNotAvailableError, "lock_timeout"),
    (asyncpg.DiskFullError, "disk_full"),
    (asyncpg.TooManyConnectionsError, "too_many_connections"),
    (asyncpg.ReadOnlySQLTransactionError, "read_only"),
)
LOST = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""What giving a connection back may raise when it is lost or its server hangs; what went wrong before says more."""
UNREACHABLE = "unreachable"
POOL_TIMEOUT = "pool_timeout"


class Closable(Protocol):
    """A connection, of the pool or not."""

    def is_closed(self) -> bool:
        """Whether it is lost or ended."""


class translated:  # noqa: N801 - reads as a word in a with statement
    """Turns the driver's errors into DatabaseUnavailable or into what `known` says of a constraint.

    `connection` is the one that works inside; without one, a connection is being had, and `timeout` is the reason to
    give when that takes too long.
    """

    def __init__(
        self,
        known: Known | None = None,
        *,
        connection: Closable | None = None,
        timeout: str = UNREACHABLE,
    ) -> None:
        self._known = known or {}
        self._connection = connection
        self._timeout = timeout

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: types.TracebackType | None
    ) -> None:
        if isinstance(error, asyncpg.IntegrityConstraintViolationError):
            means = self._known.get(error.constraint_name or "")
            if means is not None:
                raise means() from error
        elif isinstance(error, _AWAY) or (isinstance(error, asyncpg.InterfaceError) and self._is_gone()):
            raise DatabaseUnavailable(
                "the database did not answer; try again", reason=self._reason(error), retry_after_s=1
            ) from error

    def _is_gone(self) -> bool:
        """Whether a complaint of the driver's own follows from a lost connection or a closed pool."""
        try:
            return self._connection is None or self._connection.is_closed()
        except asyncpg.InterfaceError:
            return True  # the pool takes a lost connection back at once, and then it answers nothing more

    def _reason(self, error: BaseException) -> str:
        if isinstance(error, TimeoutError):
            return self._timeout
        return next((reason for kind, reason in _REASONS if isinstance(error, kind)), UNREACHABLE)


class connecting(translated):  # noqa: N801 - reads as a word in a with statement
    """The same for a first connection, where a refused name, password or setting is a wrong address."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        if isinstance(
            error,
            (
                asyncpg.InvalidCatalogNameError,
                asyncpg.InvalidAuthorizationSpecificationError,
                asyncpg.ProtocolViolationError,  # a pooler that does not pass our settings on
                asyncpg.exceptions.ClientConfigurationError,
            ),
        ):
            raise SettingError(f"JOBSENSE_DATABASE_URL is not usable: {error}") from error
        super().__exit__(kind, error, trace)


class migrating(translated):  # noqa: N801 - reads as a word in a with statement
    """The same for data definition: a script that the database refuses is named, with the database's reason."""

    def __init__(self, script: str, connection: Closable | None) -> None:
        super().__init__(connection=connection)
        self._script = script

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        if isinstance(error, asyncpg.PostgresError):
            raise SchemaError(f"{self._script} was refused and nothing of it kept: {error}") from error
