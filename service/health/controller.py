"""Health and metrics over HTTP."""

from typing import Any, cast

from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec

from service.health.domain import Health
from service.health.model import Live, Ready, Report
from service.telemetry.metrics import Metrics

NO_STORE = {"Cache-Control": "no-store"}
METRICS_KEY = "metrics"
"""Where the application keeps its Metrics."""


class HealthController(Controller):
    """/health, for probes and dashboards."""

    path = "/health"
    tags = ("health",)
    opt = {"public": True}  # noqa: RUF012 - Litestar's way to declare it

    @get("/live", sync_to_thread=False)
    def check_live(self) -> Response[Live]:
        """Say that the process runs."""
        return Response(Live("live"), headers=NO_STORE)

    @get("/ready", responses={503: ResponseSpec(Ready, description="Not now", generate_examples=False)})
    async def check_ready(self, health: NamedDependency[Health]) -> Response[Ready]:
        """Say whether requests can be served; 503 with the parts that keep it from that."""
        ready = await health.ready()
        return Response(ready, status_code=503 if ready.failing else 200, headers=NO_STORE)

    @get()
    async def report_health(self, health: NamedDependency[Health]) -> Response[Report]:
        """Report on every part."""
        return Response(await health.report(), headers=NO_STORE)


@get("/metrics", media_type="text/plain", sync_to_thread=False, tags=["health"], opt={"public": True})
def fetch_metrics(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Give the metrics in the Prometheus or the OpenMetrics text format."""
    metrics = cast("Metrics", request.app.state[METRICS_KEY])
    body, content_type = metrics.render(request.headers.get("accept", ""))
    # Litestar adds the charset to every kind of text itself, a second time if it is there.
    media_type = content_type.removesuffix("; charset=utf-8") if content_type.startswith("text/") else content_type
    return Response(body, media_type=media_type, headers=NO_STORE)
