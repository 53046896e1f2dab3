"""The requests being served: each can be given up, and is then answered 503 where no answer has begun."""

import asyncio
from typing import Any

from service.app import App
from service.errors import DatabaseUnavailable, TryLater
from service.http.problem import send_problem


class Requests:
    """The requests being served; they can be given up together, and those without an answer get one."""

    def __init__(self, app: App) -> None:
        self._app = app
        self.turns_away = app.turns_away
        self._limits: set[asyncio.Timeout] = set()
        self._given_up = False
        self._lifespan_fault: Exception | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request, or the lifespan."""
        if scope["type"] != "http":
            try:
                await self._app(scope, receive, send)
            except Exception as error:
                self._lifespan_fault = error
                raise
            return
        limit = asyncio.timeout(0 if self._given_up else None)

        async def answer(message: Any) -> None:
            self._limits.discard(limit)  # half an answer is worse than one that is cut: the caller cannot tell
            await send(message)

        try:
            async with limit:
                self._limits.add(limit)
                await self._app(scope, receive, answer)
        except TimeoutError:
            if not limit.expired():
                raise
            await send_problem(scope, send, TryLater("The service is being stopped; try again", reason="stopping"))
        finally:
            self._limits.discard(limit)

    def give_up(self) -> None:
        """Answer 503 where no answer has begun."""
        self._given_up = True
        for limit in self._limits:
            limit.reschedule(asyncio.get_running_loop().time())

    def database_fault(self) -> DatabaseUnavailable | None:
        """Why the application could not start, where that is the database."""
        return _database_fault(self._lifespan_fault)


def _database_fault(error: BaseException | None) -> DatabaseUnavailable | None:
    """The first one among what a lifespan ended with."""
    if isinstance(error, BaseExceptionGroup):
        return next((found for one in error.exceptions if (found := _database_fault(one)) is not None), None)
    return error if isinstance(error, DatabaseUnavailable) else None
