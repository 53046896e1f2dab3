"""Who may call: the guard of every route under /api/v1, sign-in, the caller's profile, and the keys of a tenant."""

from datetime import timedelta
from functools import partial
from typing import Annotated, Any, cast

from litestar import Controller, Request, Response, delete, get, post
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.handlers.base import BaseRouteHandler
from litestar.params import JSONBody, PathParameter, RawBody

from service.access.domain import Access, profile_of, require_scope
from service.access.keys import Keys
from service.access.model import (
    Caller,
    KeyInput,
    KeyListing,
    KeyPage,
    NewKey,
    PasswordForm,
    Profile,
    RefreshForm,
    RotateQuery,
    Tokens,
)
from service.access.sign_in import SignIn
from service.errors import Unauthenticated
from service.http.decoding import FORM, StrictRequest, takes
from service.http.operation import gives
from service.http.parameters import decode_form
from service.http.problem import problems
from service.http.rate_limits import RateLimits
from service.telemetry.stages import stage

STATE_KEY = "access"
"""Where the application keeps its Access."""
RATE_LIMITS_KEY = "rate_limits"
"""And its RateLimits."""
ANY_CALLER = {"any_caller": True}
"""The `opt` of a route that every caller may ask who could ask any other; all others name a scope, or are public."""

KeyId = Annotated[str, PathParameter(pattern="^[0-9a-f]{12}$", description="The public half of the key.")]

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
"""Secrets are kept by nobody in between (RFC 6749 section 5.1)."""
PRIVATE = {"Cache-Control": "private, no-cache"}


async def authenticate(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Let callers through who have the scope that the handler names in its `opt`."""
    if handler.opt.get("public"):
        return
    access = cast("Access", connection.app.state[STATE_KEY])
    limits = cast("RateLimits", connection.app.state[RATE_LIMITS_KEY])
    scope, given = connection.scope, _sent(connection.scope["headers"])
    anonymous = given == (None, None)
    if anonymous:  # whether they are let in or not
        await limits.admit(scope, handler.opt)
    with stage("authenticate"):
        verify = partial(access.caller, *given)
        caller = await (verify() if anonymous else limits.authenticated(scope, given, verify))
    if not anonymous:
        await limits.admit(scope, handler.opt, caller.who, caller.rate)
    if not handler.opt.get("any_caller"):
        require_scope(caller, handler.opt["scope"])
    scope["state"]["caller"] = caller


def caller_of(request: Request[Any, Any, Any]) -> Caller:
    """The caller that the guard found."""
    return cast("Caller", request.scope["state"]["caller"])


def _sent(headers: Any) -> tuple[str | None, str | None]:
    """X-API-Key and Authorization; raises Unauthenticated for two of one kind, of which a proxy may take the other."""
    api_key: str | None = None
    authorization: str | None = None
    for name, value in headers:
        if name == b"x-api-key":
            if api_key is not None:
                raise Unauthenticated("X-API-Key is sent more than once", given=True)
            api_key = value.decode("latin-1")
        elif name == b"authorization":
            if authorization is not None:
                raise Unauthenticated("Authorization is sent more than once", given=True)
            authorization = value.decode("latin-1")
    return api_key, authorization


class SignInController(Controller):
    """/api/v1/auth: tokens for people."""

    path = "/auth"
    tags = ("access",)
    opt = {"public": True}  # noqa: RUF012 - Litestar's way to declare it

    @post("/token", status_code=200, opt=takes(body={FORM: PasswordForm}), responses=problems("invalid_credentials"))
    async def sign_in(self, body: RawBody, people: NamedDependency[SignIn]) -> Response[Tokens]:
        """Sign in with a name and a password (OAuth 2.0 password form).

        The access token is good for 30 minutes, the refresh token once, within seven days.
        """
        return Response(await people.sign_in(decode_form(body, PasswordForm)), headers=NO_STORE)

    @post(
        "/refresh",
        status_code=200,
        opt=takes(body={FORM: RefreshForm}),
        responses=problems("invalid_refresh_token"),
    )
    async def refresh_tokens(self, body: RawBody, people: NamedDependency[SignIn]) -> Response[Tokens]:
        """Take a refresh token for new tokens; it is good no longer.

        One that is used twice ends the sign-in, for it was stolen or its thief is served: refresh once at a time.
        """
        return Response(await people.refresh(decode_form(body, RefreshForm).refresh_token), headers=NO_STORE)


class ProfileController(Controller):
    """/api/v1/profile."""

    path = "/profile"
    tags = ("access",)

    @get(opt=ANY_CALLER, sync_to_thread=False)
    def fetch_profile(self, request: StrictRequest) -> Response[Profile]:
        """Say who calls: a key, a user or nobody known, of which tenant and with which scopes."""
        return Response(profile_of(caller_of(request)), headers=PRIVATE)


class KeyController(Controller):
    """/api/v1/admin/keys: the keys of the caller's tenant."""

    path = "/admin/keys"
    tags = ("admin",)
    opt = {"scope": "admin"}  # noqa: RUF012 - Litestar's way to declare it

    @post(opt=gives("Location"))
    async def create_key(
        self, request: StrictRequest, data: JSONBody[KeyInput], keys: NamedDependency[Keys]
    ) -> Response[NewKey]:
        """Make a key of the caller's tenant. It is told this once."""
        made = await keys.create(caller_of(request).tenant_id, data)
        return Response(made, status_code=201, headers=NO_STORE | {"Location": _address(request, made.id)})

    @get()
    async def list_keys(self, request: StrictRequest, keys: NamedDependency[Keys]) -> Response[KeyPage]:
        """List keys, the newest first, without their secrets; those that ended too."""
        return Response(KeyPage(await keys.list(caller_of(request).tenant_id)), headers=PRIVATE)

    @get("/{key_id:str}", responses=problems("key_not_found"))
    async def fetch_key(
        self, request: StrictRequest, key_id: KeyId, keys: NamedDependency[Keys]
    ) -> Response[KeyListing]:
        """Give a key, without its secret."""
        return Response(await keys.fetch(caller_of(request).tenant_id, key_id), headers=PRIVATE)

    @delete("/{key_id:str}", responses=problems("key_not_found"))
    async def revoke_key(self, request: StrictRequest, key_id: KeyId, keys: NamedDependency[Keys]) -> None:
        """End a key; every process refuses it within ten seconds."""
        await keys.revoke(caller_of(request).tenant_id, key_id)

    @post("/{key_id:str}/rotate", opt=takes(query=RotateQuery) | gives("Location"), responses=problems("key_not_found"))
    async def rotate_key(self, request: StrictRequest, key_id: KeyId, keys: NamedDependency[Keys]) -> Response[NewKey]:
        """Make a key in the place of another, which goes on for a while. It is told this once."""
        overlap = timedelta(seconds=request.query(RotateQuery).overlap_s)
        made = await keys.rotate(caller_of(request).tenant_id, key_id, overlap)
        return Response(made, status_code=201, headers=NO_STORE | {"Location": _address(request, made.id)})


def _address(request: StrictRequest, key_id: str) -> str:
    return f"{request.scope.get('root_path', '')}/api/v1/admin/keys/{key_id}"
