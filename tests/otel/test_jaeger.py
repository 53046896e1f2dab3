"""The two configurations of Jaeger v2 against what its own configurations and those of its parts know.

Jaeger is not run here: what a key may be is kept below by hand, from Jaeger 2.20 (cmd/jaeger/builder.yaml and
config*.yaml there) and from the READMEs of the collector's parts. That Jaeger starts is not proven by this.
"""

import re
from pathlib import Path
from typing import Any

import pytest

from service.telemetry.names import ATTRIBUTES, STAGES
from tests.otel.promtool import OTEL, read_yaml

FILES = sorted(OTEL.glob("jaeger*.yaml"))
ADDRESS = {"endpoint": str}
ANYWHERE = "0.0.0.0"  # noqa: S104 - what is read, not what is bound
KNOWN: dict[str, dict[str, Any]] = {
    "extensions": {
        "healthcheckv2": {"use_v2": bool, "http": ADDRESS},
        "jaeger_query": {"storage": {"traces": str, "metrics": str}, "http": ADDRESS, "grpc": ADDRESS},
        "jaeger_storage": {
            "backends": {"*": {"memory": {"max_traces": int}}},
            "metric_backends": {
                "*": {
                    "prometheus": {
                        "endpoint": str,
                        "normalize_calls": bool,
                        "normalize_duration": bool,
                        "latency_unit": str,
                    }
                }
            },
        },
    },
    "receivers": {"otlp": {"protocols": {"grpc": ADDRESS, "http": ADDRESS}}},
    "connectors": {
        "forward": None,
        "spanmetrics": {
            "histogram": {"unit": str, "explicit": {"buckets": list}},
            "dimensions": list,
            "exemplars": {"enabled": bool},
            "metrics_flush_interval": str,
            "metrics_expiration": str,
        },
    },
    "processors": {
        "batch": {"timeout": str},
        "memory_limiter": {"check_interval": str, "limit_percentage": int, "spike_limit_percentage": int},
        "tail_sampling": {
            "decision_wait": str,
            "num_traces": int,
            "decision_cache": {"sampled_cache_size": int, "non_sampled_cache_size": int},
            "policies": list,
        },
    },
    "exporters": {
        "jaeger_storage_exporter": {"trace_storage": str},
        "prometheus": {"endpoint": str, "enable_open_metrics": bool},
    },
    "service": {
        "extensions": list,
        "pipelines": {"*": {"receivers": list, "processors": list, "exporters": list}},
        "telemetry": {
            "resource": {"service.name": str},
            "logs": {"level": str},
            "metrics": {"level": str, "readers": list},
        },
    },
}
POLICIES: dict[str, dict[str, Any]] = {
    "status_code": {"status_codes": list},
    "latency": {"threshold_ms": int},
    "boolean_attribute": {"key": str, "value": bool},
    "string_attribute": {"key": str, "values": list},
    "probabilistic": {"sampling_percentage": int},
}


def misfits(value: Any, known: Any, at: str = "") -> list[str]:
    """The keys that nobody knows, and the values of another type than is known."""
    if value is None:
        return []  # a part with its defaults
    if not isinstance(known, dict):
        return [] if known is not None and isinstance(value, known) else [at]
    if not isinstance(value, dict):
        return [at]
    found = list[str]()
    for key, inner in value.items():
        place = f"{at}.{key}"
        found += misfits(inner, known.get(key, known.get("*")), place) if key in known or "*" in known else [place]
    return found


@pytest.fixture(params=FILES, ids=lambda path: str(path.stem))
def config(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Each configuration."""
    path: Path = request.param
    return dict(read_yaml(path))


def test_both_configurations_are_there() -> None:
    """One for production, one for one's own machine."""
    assert [path.name for path in FILES] == ["jaeger.dev.yaml", "jaeger.yaml"]


def test_keys_are_known(config: dict[str, Any]) -> None:
    """No key is misspelt or in the wrong place, and no value has another type."""
    assert misfits(config, KNOWN) == []
    assert misfits({"receivers": {"otlp": {"protocols": {"htp": {}}}}, "x": 1}, KNOWN) == [
        ".receivers.otlp.protocols.htp",
        ".x",
    ]


def test_what_is_named_is_defined_and_used(config: dict[str, Any]) -> None:
    """Pipelines and extensions name parts that exist, and each part that is configured has its use."""
    service = config["service"]
    assert set(service["extensions"]) == set(config["extensions"])
    connectors = set(config.get("connectors", ()))
    used: dict[str, set[str]] = {"receivers": set(), "processors": set(), "exporters": set()}
    for pipeline in service["pipelines"].values():
        for kind, names in pipeline.items():
            used[kind] |= set(names)
    assert used["receivers"] == set(config["receivers"]) | connectors
    assert used["exporters"] == set(config["exporters"]) | connectors
    assert used["processors"] == set(config["processors"])
    backends = config["extensions"]["jaeger_storage"]
    assert set(backends["backends"]) == {config["extensions"]["jaeger_query"]["storage"]["traces"]}
    assert set(backends["backends"]) == {config["exporters"]["jaeger_storage_exporter"]["trace_storage"]}
    assert set(backends.get("metric_backends", ())) == set(
        filter(None, [config["extensions"]["jaeger_query"]["storage"].get("metrics")])
    )


def test_parts_listen_to_the_network(config: dict[str, Any]) -> None:
    """Every part has an address, since without one it would hear its own container alone; no port is there twice."""
    addresses = re.findall(r"'endpoint': '(0\.0\.0\.0:\d+|[^']*)'", str(config))
    assert all(address.startswith((f"{ANYWHERE}:", "http://prometheus:9090")) for address in addresses)
    assert len(set(addresses)) == len(addresses) >= 5
    assert config["receivers"]["otlp"]["protocols"]["http"] == {"endpoint": f"{ANYWHERE}:4318"}


def test_sampling_keeps_what_is_asked_for() -> None:
    """Errors, slow and degraded traces and those that embed are kept whole, by attributes that the service sets."""
    config = read_yaml(OTEL / "jaeger.yaml")
    policies = {policy["name"]: policy for policy in config["processors"]["tail_sampling"]["policies"]}
    assert list(policies) == ["failed", "slow", "degraded", "embedding", "others"]
    attributes = {attribute.name for attribute in ATTRIBUTES} | {key for s in STAGES.values() for key in s.constants}
    for policy in policies.values():
        settings = policy[policy["type"]]
        assert set(policy) == {"name", "type", policy["type"]}
        assert misfits(settings, POLICIES[policy["type"]]) == []
        assert settings.get("key", "messaging.operation.type") in attributes
    for dimension in config["connectors"]["spanmetrics"]["dimensions"]:
        assert dimension["name"] in attributes


def test_prometheus_reads_what_jaeger_offers() -> None:
    """The ports that Prometheus scrapes at Jaeger are those on which it tells its spans and its own metrics."""
    config = read_yaml(OTEL / "jaeger.yaml")
    scrapes = read_yaml(OTEL / "prometheus.yml")["scrape_configs"]
    fixed = [scrape for scrape in scrapes if "static_configs" in scrape]
    targets = {scrape["job_name"]: scrape["static_configs"][0]["targets"] for scrape in fixed}
    (reader,) = config["service"]["telemetry"]["metrics"]["readers"]
    assert targets["spans"] == [config["exporters"]["prometheus"]["endpoint"].replace(ANYWHERE, "jaeger")]
    assert targets["jaeger"] == [f"jaeger:{reader['pull']['exporter']['prometheus']['port']}"]
