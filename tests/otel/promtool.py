"""Runs promtool, which comes with Prometheus; what it is for is skipped, by name, where it is missing."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from service.telemetry.names import METRICS

OTEL = Path(__file__).parents[2] / "otel"
RULES = sorted((OTEL / "rules").glob("*.yml"))
RECORDED = re.compile(r"\bjobsense:\w+:\w+|\bjobsense:\w+")
BY_OTHERS = {"up", "process_start_time_seconds", "process_resident_memory_bytes", "process_cpu_seconds_total", "ALERTS"}
"""What Prometheus and its client library make."""
_PARTS = {"histogram": ("_bucket", "_count", "_sum"), "counter": ("",), "gauge": ("",)}
_LABELS = {"le", "job", "instance"}


def read_yaml(path: Path) -> Any:
    """What a file of YAML says."""
    return msgspec.yaml.decode(path.read_bytes())


def rules() -> Iterator[dict[str, Any]]:
    """Every rule of every file."""
    for path in RULES:
        for group in read_yaml(path)["groups"]:
            yield from group["rules"]


def run_promtool(*arguments: str) -> str:
    """What promtool says, on success; the test that asks is skipped where there is none."""
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not here; Debian has it in the package prometheus")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def unknown_names(expression: str) -> set[str]:
    """The metrics and labels of an expression that nobody makes."""
    series = {f"{metric.name}{part}": metric for metric in METRICS for part in _PARTS[metric.kind]}
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    bare = re.sub(r'"[^"]*"', '""', expression)
    names = set(re.findall(r"\b(?:jobsense|http|db|gen_ai|process)[\w:]*_[\w:]*|\bup\b|\bALERTS\b", bare))
    labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", bare))
    for inside in re.findall(r"\b(?:by|without|on|group_left)\s*\(([^)]*)\)", bare):
        labels |= set(filter(None, re.split(r"[,\s]+", inside)))
    known = _LABELS | {"slo", "alertname", "alertstate"} | {label for metric in METRICS for label in metric.labels}
    return (names - labels - series.keys() - recorded - BY_OTHERS) | (labels - known)
