"""The guard of every route under /api/v1: authenticates before anything of the request is read."""

from typing import Any, cast

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler

from service.access.domain import Access, require_scope
from service.access.model import Caller
from service.telemetry.stages import stage

STATE_KEY = "access"
"""Where the application keeps its Access."""


async def authenticate(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Let callers through who have the scope that the handler names in its `opt`."""
    access = cast("Access", connection.app.state[STATE_KEY])
    with stage("authenticate"):
        caller = await access.caller(connection.headers.get("x-api-key"), connection.headers.get("authorization"))
    require_scope(caller, handler.opt["scope"])
    connection.scope["state"]["caller"] = caller


def caller_of(request: Request[Any, Any, Any]) -> Caller:
    """The caller that the guard found."""
    return cast("Caller", request.scope["state"]["caller"])
