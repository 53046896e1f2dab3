"""The dashboard: its queries parse, speak of metrics that exist, and show every metric there is."""

import re
from pathlib import Path
from typing import Any

import msgspec

from service.telemetry.names import METRICS
from tests.otel.promtool import OTEL, read_yaml, run_promtool, unknown_names

DASHBOARD = OTEL / "grafana/dashboards/jobsense.json"


def read_dashboard() -> dict[str, Any]:
    """The dashboard, as Grafana reads it."""
    return dict(msgspec.json.decode(DASHBOARD.read_bytes()))


def queries() -> list[str]:
    """Every query of every panel and annotation."""
    read = read_dashboard()
    found = [target["expr"] for panel in read["panels"] for target in panel.get("targets", ())]
    return found + [each["expr"] for each in read["annotations"]["list"] if "expr" in each]


def test_every_query_parses(tmp_path: Path) -> None:
    """Each query is parsed by promtool with an interval in place of Grafana's."""
    rules = [
        {"record": f"query:number_{number}", "expr": query.replace("$__rate_interval", "5m")}
        for number, query in enumerate(queries())
    ]
    file = tmp_path / "queries.yml"
    file.write_bytes(msgspec.yaml.encode({"groups": [{"name": "queries", "rules": rules}]}))
    assert f"{len(rules)} rules found" in run_promtool("check", "rules", str(file))


def test_queries_speak_of_metrics_that_exist() -> None:
    """Every metric and label of a query is in the register or recorded by a rule, and no variable is undefined."""
    found = {query: unknown_names(query.replace("$__rate_interval", "5m")) for query in queries()}
    assert {query: unknown for query, unknown in found.items() if unknown} == {}
    assert not [query for query in queries() if "$" in query.replace("$__rate_interval", "")]


def test_every_metric_is_shown() -> None:
    """Nothing is measured that nobody can see."""
    shown = " ".join(queries())
    assert [
        metric.name for metric in METRICS if not re.search(rf"\b{metric.name}(_bucket|_count|_sum)?\b", shown)
    ] == []


def test_panels_lie_beside_one_another() -> None:
    """Each panel has its own number and place, a title, and a known source of data."""
    panels = read_dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for panel in panels
        for at in [panel["gridPos"]]
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24
    provisioned = read_yaml(OTEL / "grafana/provisioning/datasources/jobsense.yml")["datasources"]
    sources = {source["uid"]: source["type"] for source in provisioned}
    for panel in panels:
        assert panel["title"]
        for target in panel.get("targets", ()):
            assert sources[target["datasource"]["uid"]] == target["datasource"]["type"] == "prometheus"
    (to_trace,) = provisioned[0]["jsonData"]["exemplarTraceIdDestinations"]
    assert sources[to_trace["datasourceUid"]] == "jaeger"
    assert to_trace["name"] == "trace_id", "the label that exemplars have"
