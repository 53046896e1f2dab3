"""Decides at the start of a trace whether it is kept, by the standard `OTEL_TRACES_SAMPLER` names."""

import math
from collections.abc import Mapping

import msgspec

from service.errors import SettingError
from service.telemetry.w3c import Traceparent

SAMPLERS = (
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
)
_LOW_64_BITS = 0xFFFF_FFFF_FFFF_FFFF
_LAST_PORT = 65535


class Sampling(msgspec.Struct, frozen=True):
    """A share of new traces, 0..1, and whether a caller's own decision comes first."""

    ratio: float = 1.0
    follow_parent: bool = True

    def keeps(self, parent: Traceparent | None, trace_id: int) -> bool:
        """Decide by the trace id alone, as services with the same ratio do (OpenTelemetry's TraceIdRatioBased)."""
        if parent is not None and self.follow_parent:
            return parent.sampled
        return trace_id & _LOW_64_BITS < round(self.ratio * (_LOW_64_BITS + 1))


class OtelSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The standard OpenTelemetry settings that JobSense reads; `endpoint` None means that nothing is traced."""

    endpoint: str | None = None
    sampling: Sampling = Sampling()
    service_name: str = "jobsense"
    timeout_s: float = 3.0
    metrics_host: str = "localhost"
    metrics_port: int | None = None
    """Where a process that shares its port with others, or has none, answers scrapes; None is nowhere."""


def read_otel(environ: Mapping[str, str]) -> OtelSettings:
    """Read `OTEL_*` from `environ`; raises SettingError. Headers and certificates are read by the exporter itself."""
    endpoint = environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "").strip() or None
    base = environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip()
    if endpoint is None and base:
        endpoint = base.rstrip("/") + "/v1/traces"
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or environ.get("OTEL_TRACES_EXPORTER", "") == "none":
        endpoint = None
    if endpoint is not None and not endpoint.startswith(("http://", "https://")):
        raise SettingError(f"OTEL_EXPORTER_OTLP_ENDPOINT is {endpoint!r}; a URL that starts with http:// is allowed")
    return OtelSettings(
        endpoint=endpoint,
        sampling=_read_sampling(environ),
        service_name=environ.get("OTEL_SERVICE_NAME", "") or "jobsense",
        metrics_host=environ.get("OTEL_EXPORTER_PROMETHEUS_HOST", "") or "localhost",
        metrics_port=_read_port(environ.get("OTEL_EXPORTER_PROMETHEUS_PORT", "")),
    )


def _read_port(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and 0 < int(text) <= _LAST_PORT):
        raise SettingError(f"OTEL_EXPORTER_PROMETHEUS_PORT is {text!r}; a number from 1 to {_LAST_PORT} is allowed")
    return int(text)


def _read_sampling(environ: Mapping[str, str]) -> Sampling:
    name = environ.get("OTEL_TRACES_SAMPLER", "") or "parentbased_traceidratio"
    if name not in SAMPLERS:
        raise SettingError(f"OTEL_TRACES_SAMPLER is {name!r}; allowed are {', '.join(SAMPLERS)}")
    argument = environ.get("OTEL_TRACES_SAMPLER_ARG", "") or "1.0"
    try:
        ratio = float(argument)
    except ValueError:
        ratio = math.nan
    if not 0 <= ratio <= 1:
        raise SettingError(f"OTEL_TRACES_SAMPLER_ARG is {argument!r}; a number from 0 to 1 is allowed")
    kind = name.removeprefix("parentbased_")
    return Sampling({"always_on": 1.0, "always_off": 0.0}.get(kind, ratio), name.startswith("parentbased_"))
