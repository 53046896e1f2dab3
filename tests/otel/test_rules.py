"""The alert rules: they parse, their unit tests pass, they speak of metrics that exist, and each has its runbook."""

import re
from collections.abc import Callable

import pytest
from prometheus_client.utils import floatToGoString

from service.telemetry.names import METRICS
from tests.otel.promtool import OTEL, RULES, read_yaml, rules, run_promtool, unknown_names

TESTS = sorted((OTEL / "rules/tests").glob("*_test.yml"))
ALERTS = sorted({rule["alert"] for rule in rules() if "alert" in rule})


def test_rules_and_scrapes_parse() -> None:
    """Prometheus takes the configuration with all rule files that it names."""
    said = run_promtool("check", "config", str(OTEL / "prometheus.yml"))
    assert all(path.name in said for path in RULES)


@pytest.mark.parametrize("path", TESTS, ids=lambda path: str(path.stem))
def test_unit_tests_of_rules_pass(path: object) -> None:
    """Each alert comes when it should, with its labels and text, and not when something near it happens."""
    assert "SUCCESS" in run_promtool("test", "rules", str(path))


def test_each_alert_is_tested_to_come_and_not_to_come() -> None:
    """No alert is without a case in which it fires; where it must not, there is an empty case or another instance."""
    cases = [case for path in TESTS for test in read_yaml(path)["tests"] for case in test.get("alert_rule_test", ())]
    assert {case["alertname"] for case in cases if case["exp_alerts"]} == set(ALERTS)


def test_rules_speak_of_metrics_that_exist() -> None:
    """Every metric and label in a rule is in the register, or is recorded by another rule."""
    found = {str(rule.get("alert") or rule["record"]): unknown_names(rule["expr"]) for rule in rules()}
    assert {name: unknown for name, unknown in found.items() if unknown} == {}


def test_rules_name_buckets_that_exist() -> None:
    """A bound that a rule asks for is one of its histogram's, spelt as it is exported."""
    # Of the client library, which writes 1.0 for 1; it is not annotated.
    spelt: Callable[[float], str] = floatToGoString
    bounds = {metric.name: {spelt(bound) for bound in metric.buckets} for metric in METRICS}
    named = [found for rule in rules() for found in re.findall(r'(\w+)_bucket\{[^}]*le="([^"]+)"', rule["expr"])]
    assert len(named) == 3
    assert [(name, bound) for name, bound in named if bound not in bounds[name]] == []


def test_objectives_are_of_the_routes_that_search() -> None:
    """Of the routes of the README, those with the scope `search` and no others are searches to the rules."""
    rows = re.findall(r"^\| [A-Z]+ `(\S+)` \| ([\w:]*)", (OTEL.parent / "README.md").read_text(), re.MULTILINE)
    searches = {route for route, scope in rows if scope == "search"}
    patterns = {pattern for rule in rules() for pattern in re.findall(r'route=~"([^"]+)"', rule["expr"])}
    assert len(rows) > 10
    wide, narrow = sorted(patterns, key=len, reverse=True)
    assert {route for route, _ in rows if re.fullmatch(wide, route)} == searches
    assert {route for route, _ in rows if re.fullmatch(narrow, route)} == {
        route for route in searches if route.endswith(("/search", "/similar"))
    }


def test_unknown_names_are_noticed() -> None:
    """The check above can fail."""
    assert unknown_names('sum by (reason) (rate(jobsense_no_such_total{statuss="200"}[5m]))') == {
        "jobsense_no_such_total",
        "statuss",
    }
    assert unknown_names("http_server_request_duration_seconds") == {"http_server_request_duration_seconds"}


def test_each_alert_has_its_runbook_and_back() -> None:
    """The README has an entry for each alert and for nothing else; the alert's annotation leads to it."""
    text = (OTEL / "README.md").read_text(encoding="utf-8")
    runbook = text.split("\n## Runbook\n", 1)[1].split("\n## ", 1)[0]
    assert sorted(re.findall(r"^### (\w+)$", runbook, re.MULTILINE)) == ALERTS
    for rule in rules():
        if "alert" in rule:
            assert rule["annotations"]["runbook"] == f"otel/README.md#{rule['alert'].lower()}"
            assert rule["labels"]["severity"] in {"page", "ticket"}
            assert rule["annotations"]["summary"]


def test_objectives_are_those_of_the_readme() -> None:
    """The table of objectives has the budget of each, and its alert."""
    budgets = {
        rule["labels"]["slo"]: float(rule["expr"].removeprefix("vector(").removesuffix(")"))
        for rule in rules()
        if rule.get("record") == "jobsense:slo_budget"
    }
    text = (OTEL / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\| ([\d.]+) % \| \[(\w+)\]", text, re.MULTILINE)
    assert {slo: round(1 - float(share) / 100, 6) for slo, share, _ in rows} == budgets
    burning = {rule["alert"] for rule in rules() if "alert" in rule and "jobsense:slo_burn" in rule["expr"]}
    assert {alert for _, _, alert in rows} == burning
