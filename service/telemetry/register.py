"""Writes the register into otel/README.md, between its two marks: `python -m service.telemetry.register`."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from service.telemetry.event_names import EVENTS
from service.telemetry.names import ATTRIBUTES, METRICS, SPANS, STAGES

_BEGIN = "<!-- register: begin -->\n"
_END = "<!-- register: end -->\n"


def render_register() -> str:
    """Write the tables."""
    stages = ((f"`{stage}`", f"`{s.span}`", s.kind, f"`{s.timing}`", s.help) for stage, s in STAGES.items())
    metrics = (
        (f"`{m.name}`", m.kind, ", ".join(f"`{label}`" for label in m.labels), _buckets(m.buckets), m.help)
        for m in METRICS
    )
    parts = [
        _table("Root spans", ("span", "kind", "what"), ((f"`{s.name}`", s.kind, s.help) for s in SPANS)),
        _table("Stages", ("stage", "span", "kind", "`Server-Timing`", "what"), stages),
        _table("Attributes", ("attribute", "type", "what"), ((f"`{a.name}`", a.type, a.help) for a in ATTRIBUTES)),
        _table("Metrics", ("metric", "type", "labels", "buckets", "what"), metrics),
        _table("Log events", ("event", "level", "what"), ((f"`{e.name}`", e.level, e.help) for e in EVENTS)),
    ]
    return "\n".join(parts)


def with_register(page: str) -> str:
    """Put the register between the marks of a page."""
    before, rest = page.split(_BEGIN, 1)
    return before + _BEGIN + "\n" + render_register() + _END + rest.split(_END, 1)[1]


def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"## {title}", "", _row(columns), _row(["---"] * len(columns)), *(_row(row) for row in rows), ""]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _buckets(buckets: Sequence[float]) -> str:
    return " ".join(f"{bucket:g}" for bucket in buckets)


if __name__ == "__main__":
    page = Path(__file__).parents[2] / "otel/README.md"
    page.write_text(with_register(page.read_text(encoding="utf-8")), encoding="utf-8")
