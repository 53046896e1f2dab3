"""Starts and stops telemetry; the composition root makes one `Telemetry` for each process."""

import asyncio
import logging
import threading
from typing import TYPE_CHECKING, BinaryIO
from wsgiref.simple_server import WSGIServer

import msgspec
from prometheus_client import CollectorRegistry, start_http_server

from service.errors import SettingError
from service.telemetry.http import AsgiApp, Observed
from service.telemetry.logs import LogFormat, LogLevel, configure_logs, get_logger, release_logs
from service.telemetry.metrics import Metrics
from service.telemetry.record import default_outputs, set_default_outputs
from service.telemetry.recorder import Recorder
from service.telemetry.sampling import OtelSettings

if TYPE_CHECKING:
    from service.telemetry.traces import Tracing

STOP_S = 4.5


class Identification(msgspec.Struct, frozen=True, kw_only=True):
    """What runs, on every log line, trace and in `jobsense_build_info`."""

    version: str
    revision: str = ""
    environment: str = "development"


class Telemetry:
    """What `start_telemetry` started: `metrics` for `/metrics` and gauges, `observe` for the application."""

    def __init__(self, recorder: Recorder, tracing: "Tracing | None", handler: logging.Handler) -> None:
        self.metrics = recorder.metrics
        self.recorder = recorder
        self._tracing = tracing
        self._handler = handler
        self._scraped: WSGIServer | None = None

    def observe(self, app: AsgiApp, *, https: bool = False) -> Observed:
        """Wrap the whole application; hand the result to the server."""
        return Observed(app, self.recorder, tracing=self._tracing, https=https)

    def offer_metrics(self, otel: OtelSettings, number: int = 0) -> None:
        """Answer scrapes where `otel` says, in a thread, until stopped, apart from what else the process serves.

        The process of this number among several takes the port that many further on; raises SettingError.
        """
        if otel.metrics_port is None:
            return
        port = otel.metrics_port + number
        try:
            self._scraped = start_http_server(port, otel.metrics_host, self.metrics.registry)[0]
        except (OSError, OverflowError) as error:
            where = f"{otel.metrics_host}:{port}"
            raise SettingError(f"cannot offer metrics on {where} (OTEL_EXPORTER_PROMETHEUS_PORT): {error}") from error

    async def flush(self) -> None:
        """Deliver the spans that wait; for tests and short commands."""
        if self._tracing is not None:
            await asyncio.to_thread(self._tracing.flush)

    async def end_traces(self, *, timeout_s: float = STOP_S) -> None:
        """Deliver the spans that wait and make no more, within this time whatever the collector does."""
        tracing, self._tracing = self._tracing, None
        self.recorder.sink = None
        if tracing is not None:
            await _run_bounded(tracing, timeout_s)

    async def stop(self, *, timeout_s: float = STOP_S) -> None:
        """End the traces and let go of the logs; safe to call twice."""
        await self.end_traces(timeout_s=timeout_s)
        if (scraped := self._scraped) is not None:
            self._scraped = None
            await asyncio.to_thread(scraped.shutdown)
            scraped.server_close()
        if default_outputs() is self.recorder:
            set_default_outputs(None)
        release_logs(self._handler)


def start_telemetry(
    *,
    what: Identification,
    otel: OtelSettings,
    log_format: LogFormat = "json",
    log_level: LogLevel = "info",
    log_stream: BinaryIO | None = None,
    registry: CollectorRegistry | None = None,
) -> Telemetry:
    """Configure logs, make the metrics and, if `otel.endpoint` is set, begin to trace.

    Call it in each serving process, after any fork. `log_stream` None is standard output; commands pass standard error.
    """
    handler = configure_logs(
        log_format=log_format,
        level=log_level,
        stream=log_stream,
        **{"service.name": otel.service_name, "service.version": what.version},
    )
    log = get_logger("service.telemetry").bind()
    metrics = Metrics(registry)
    metrics.put("jobsense_build_info", 1, what.version, what.revision)
    tracing = None
    if otel.endpoint is not None:
        # The SDK and the exporter take a tenth of a second and 13 MB to import, which commands need not pay.
        from service.telemetry.traces import Tracing  # noqa: PLC0415 -- see above

        tracing = Tracing(
            endpoint=otel.endpoint,
            timeout_s=otel.timeout_s,
            resource={
                "service.name": otel.service_name,
                "service.version": what.version,
                "deployment.environment.name": what.environment,
            },
            log=log,
            metrics=metrics,
        )
    recorder = Recorder(log, metrics, otel.sampling, tracing, debug=log_level == "debug")
    set_default_outputs(recorder)
    return Telemetry(recorder, tracing, handler)


async def _run_bounded(tracing: "Tracing", timeout_s: float) -> None:
    # A daemon thread, not to_thread: the loop and the interpreter wait for threads of the default executor to end.
    loop = asyncio.get_running_loop()
    done = asyncio.Event()

    def stop() -> None:
        try:
            tracing.stop()
        finally:
            if not loop.is_closed():
                loop.call_soon_threadsafe(done.set)

    threading.Thread(target=stop, name="telemetry-stop", daemon=True).start()
    try:
        await asyncio.wait_for(done.wait(), timeout_s)
    except TimeoutError:
        get_logger(__name__).warning("telemetry.export_failed", reason="the collector did not answer before the end")
