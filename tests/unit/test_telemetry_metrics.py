"""Metrics are written under their registered names and kinds only, and gauges are read when they are scraped."""

from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families as parse_text

from service.telemetry.metrics import Metrics
from service.telemetry.names import METRICS

COUNTER = next(metric for metric in METRICS if metric.kind == "counter")
GAUGE = next(metric for metric in METRICS if metric.kind == "gauge")
HISTOGRAM = next(metric for metric in METRICS if metric.kind == "histogram")


@pytest.fixture
def metrics() -> Metrics:
    """Metrics of their own."""
    return Metrics(CollectorRegistry())


def read(metrics: Metrics, name: str) -> float:
    """The value of the one sample of this name that has the labels of `labels_of`."""
    families = parse_text(metrics.render("")[0].decode())
    (value,) = (sample.value for family in families for sample in family.samples if sample.name == name)
    return float(value)


@pytest.mark.parametrize(
    "misuse",
    [
        lambda metrics: metrics.observe(COUNTER.name, 1, *COUNTER.labels),
        lambda metrics: metrics.observe(GAUGE.name, 1, *GAUGE.labels),
        lambda metrics: metrics.count(GAUGE.name, *GAUGE.labels),
        lambda metrics: metrics.count(HISTOGRAM.name, *HISTOGRAM.labels),
        lambda metrics: metrics.put(COUNTER.name, 1, *COUNTER.labels),
        lambda metrics: metrics.add(HISTOGRAM.name, 1, *HISTOGRAM.labels),
        lambda metrics: metrics.watch(COUNTER.name, float, *COUNTER.labels),
    ],
)
def test_a_metric_is_used_as_its_kind(metrics: Metrics, misuse: Callable[[Metrics], None]) -> None:
    """A counter cannot be set, a gauge not observed: the mistake shows where it is made."""
    with pytest.raises(TypeError, match=r"is not a (histogram|counter|gauge)"):
        misuse(metrics)


def test_a_name_that_is_not_registered_is_refused(metrics: Metrics) -> None:
    """No metric comes into being by a slip of the pen, and none with labels missing."""
    with pytest.raises(KeyError):
        metrics.count("jobsense_no_such_total")
    labelled = next(metric for metric in METRICS if len(metric.labels) > 1 and metric.kind == "counter")
    with pytest.raises(ValueError, match="label"):
        metrics.count(labelled.name, "one")


def test_counters_and_gauges_have_their_sums(metrics: Metrics) -> None:
    """Counts add up, a gauge goes up and down, and setting it forgets what was."""
    metrics.count(COUNTER.name, *COUNTER.labels)
    metrics.count(COUNTER.name, *COUNTER.labels, by=2)
    assert read(metrics, COUNTER.name) == 3
    metrics.add(GAUGE.name, 5, *GAUGE.labels)
    metrics.add(GAUGE.name, -2, *GAUGE.labels)
    assert read(metrics, GAUGE.name) == 3
    metrics.put(GAUGE.name, 7, *GAUGE.labels)
    assert read(metrics, GAUGE.name) == 7


def test_a_watched_gauge_is_read_when_it_is_scraped(metrics: Metrics) -> None:
    """Each scrape shows the value of that moment, with nobody having to write it."""
    waiting: list[int] = []
    metrics.watch(GAUGE.name, lambda: len(waiting), *GAUGE.labels)
    assert read(metrics, GAUGE.name) == 0
    waiting.extend([1, 2])
    assert read(metrics, GAUGE.name) == 2


def test_processes_do_not_share_metrics() -> None:
    """Two sets of metrics in one interpreter, as tests have, count apart without being told to."""
    first, second = Metrics(), Metrics()
    first.count(COUNTER.name, *COUNTER.labels)
    second.count(COUNTER.name, *COUNTER.labels, by=5)
    assert (read(first, COUNTER.name), read(second, COUNTER.name)) == (1, 5)
