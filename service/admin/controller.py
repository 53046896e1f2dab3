"""The state of the service over HTTP."""

from litestar import Controller, Response, get
from litestar.di import NamedDependency

from service.access.controller import caller_of
from service.admin.domain import Administration
from service.admin.model import AdminStats
from service.http.decoding import StrictRequest


class AdminController(Controller):
    """/api/v1/admin: for those who run the service."""

    path = "/admin"
    tags = ("admin",)

    @get("/stats", opt={"scope": "admin"})
    async def fetch_admin_stats(
        self, request: StrictRequest, admin: NamedDependency[Administration]
    ) -> Response[AdminStats]:
        """Tell of the pool, the backlog, dead tasks and caches.

        Pool and caches are of the process that answers, the backlog of all tenants, dead tasks of the caller's.
        """
        stats = await admin.stats(caller_of(request).tenant_id)
        return Response(stats, headers={"Cache-Control": "private, no-store"})
