"""Prints the register of telemetry as Markdown: `python -m service.telemetry.register > otel/README.md`."""

import sys
from collections.abc import Iterable, Sequence

from service.telemetry.event_names import EVENTS
from service.telemetry.names import ATTRIBUTES, METRICS, SPANS, STAGES

_HEAD = """# What JobSense tells its operators

This page is printed by `python -m service.telemetry.register` from `service/telemetry/names.py` and `event_names.py`; a
test compares them.
Nothing is emitted under a name that is not listed here; a change of a name is a change of the contract.
Durations of metrics are seconds; `_ms` attributes are milliseconds. No label and no span name holds a raw path, a query
text or an id.
"""


def render_register() -> str:
    """Write the page."""
    stages = ((f"`{stage}`", f"`{s.span}`", s.kind, f"`{s.timing}`", s.help) for stage, s in STAGES.items())
    metrics = (
        (f"`{m.name}`", m.kind, ", ".join(f"`{label}`" for label in m.labels), _buckets(m.buckets), m.help)
        for m in METRICS
    )
    parts = [
        _HEAD,
        _table("Root spans", ("span", "kind", "what"), ((f"`{s.name}`", s.kind, s.help) for s in SPANS)),
        _table("Stages", ("stage", "span", "kind", "`Server-Timing`", "what"), stages),
        _table("Attributes", ("attribute", "type", "what"), ((f"`{a.name}`", a.type, a.help) for a in ATTRIBUTES)),
        _table("Metrics", ("metric", "type", "labels", "buckets", "what"), metrics),
        _table("Log events", ("event", "level", "what"), ((f"`{e.name}`", e.level, e.help) for e in EVENTS)),
    ]
    return "\n".join(parts)


def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"## {title}", "", _row(columns), _row(["---"] * len(columns)), *(_row(row) for row in rows), ""]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _buckets(buckets: Sequence[float]) -> str:
    return " ".join(f"{bucket:g}" for bucket in buckets)


if __name__ == "__main__":
    sys.stdout.write(render_register())
