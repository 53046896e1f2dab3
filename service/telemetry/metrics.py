"""Prometheus metrics of one process, made from the registry of names; `/metrics` in both text formats."""

from collections.abc import Callable
from typing import TypeAlias

from prometheus_client import CollectorRegistry, Counter, Gauge, GCCollector, Histogram, ProcessCollector
from prometheus_client.exposition import choose_encoder

from service.telemetry.names import METRICS, Metric

Child: TypeAlias = Counter | Gauge | Histogram


class Metrics:
    """All metrics by name; label values are given in the order of the registry. Safe from any thread."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry if registry is not None else CollectorRegistry()
        self._families: dict[str, Child] = {metric.name: _create(metric, self.registry) for metric in METRICS}
        # prometheus_client takes a lock and builds a tuple in labels(); a hit here costs a third of that.
        self._children: dict[tuple[str, ...], Child] = {}
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def observe(self, name: str, value: float, *labels: str, trace_id: str = "") -> None:
        """Add a value to a histogram, with the trace it came from when that is kept."""
        child = self._child(name, labels)
        if not isinstance(child, Histogram):
            raise TypeError(f"{name} is not a histogram")
        child.observe(value, {"trace_id": trace_id} if trace_id else None)

    def count(self, name: str, *labels: str, by: float = 1) -> None:
        """Raise a counter."""
        child = self._child(name, labels)
        if not isinstance(child, Counter):
            raise TypeError(f"{name} is not a counter")
        child.inc(by)

    def put(self, name: str, value: float, *labels: str) -> None:
        """Set a gauge."""
        self._gauge(name, labels).set(value)

    def add(self, name: str, value: float, *labels: str) -> None:
        """Move a gauge up or down."""
        self._gauge(name, labels).inc(value)

    def watch(self, name: str, read: Callable[[], float], *labels: str) -> None:
        """Let a gauge read its value when it is scraped; `read` must not block or raise."""
        self._gauge(name, labels).set_function(read)

    def render(self, accept: str) -> tuple[bytes, str]:
        """Write all metrics in the format that the `Accept` header prefers; returns the body and its content type.

        Exemplars are in the OpenMetrics format only.
        """
        try:
            encode, content_type = choose_encoder(accept)
        except (TypeError, ValueError):  # a version that is no number
            encode, content_type = choose_encoder("")
        return encode(self.registry), content_type

    def _gauge(self, name: str, labels: tuple[str, ...]) -> Gauge:
        child = self._child(name, labels)
        if not isinstance(child, Gauge):
            raise TypeError(f"{name} is not a gauge")
        return child

    def _child(self, name: str, labels: tuple[str, ...]) -> Child:
        key = (name, *labels)
        child = self._children.get(key)
        if child is None:
            family = self._families[name]
            child = self._children[key] = family.labels(*labels) if labels else family
        return child


def _create(metric: Metric, registry: CollectorRegistry) -> Child:
    if metric.kind == "counter":
        return Counter(metric.name, metric.help, metric.labels, registry=registry)
    if metric.kind == "gauge":
        return Gauge(metric.name, metric.help, metric.labels, registry=registry)
    return Histogram(metric.name, metric.help, metric.labels, registry=registry, buckets=metric.buckets)
