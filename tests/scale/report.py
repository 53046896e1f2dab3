"""Writes what was measured at every number of postings: tables in Markdown, lines in SVG."""

from collections.abc import Callable, Sequence
from pathlib import Path

from tests.scale.chart import chart
from tests.scale.looking import EFS
from tests.scale.model import Look, Step

MB = 1024 * 1024
Pick = Callable[[Step], float | None]

PREFACE = """One passage of 768 dimensions a posting, halfvec, HNSW m 16 and ef_construction 200; ten postings wanted.
Times are of one client, one search after the other, the query embedded beforehand. `index` and `every row` are the bare
statement, `semantic search` and `hybrid search` what the service does, with the ef_search that it chooses."""


def _mb(count: float | None) -> str:
    return "" if count is None else f"{count / MB:,.0f}"


def _index_bytes(step: Step, name: str) -> int | None:
    one = step.build(name)
    return None if one is None else one.index_bytes


def _table(head: str, rows: Sequence[str]) -> list[str]:
    return [head, "|---" * (head.count("|") - 1) + "|", *rows, ""]


def _looks(step: Step) -> list[str]:
    return [
        f"| {step.postings:,} | {one.name} | {one.ef or ''} | {'' if one.recall is None else f'{one.recall:.3f}'} "
        f"| {one.p50_ms:.2f} | {one.p99_ms:.2f} |"
        for one in step.looks
    ]


def _builds(step: Step) -> list[str]:
    return [
        f"| {step.postings:,} | {one.name} | {one.maintenance_mb} | {one.helpers} | {one.seconds:.1f} "
        f"| {_mb(one.index_bytes)} | {_mb(one.memory_bytes)} |"
        for one in step.builds
    ]


def markdown(steps: Sequence[Step]) -> str:
    """All tables, and the pictures that `write` puts beside them."""
    sizes = [
        f"| {step.postings:,} | {_mb(step.table_bytes)} | {_mb(_index_bytes(step, 'halfvec'))} "
        f"| {_mb(_index_bytes(step, 'bits'))} | {_mb(step.database_bytes)} | {step.shared_buffers} |"
        for step in steps
    ]
    looks = [row for step in steps for row in _looks(step)]
    lines = [
        "# Against the number of postings",
        "",
        PREFACE,
        "",
        "## Recall and time",
        "",
        *_table("| postings | way | ef_search | recall@10 | p50 ms | p99 ms |", looks),
        "![time](time.svg)",
        "![recall](recall.svg)",
        "",
        "## Sizes, MB",
        "",
        *_table("| postings | vectors | index of vectors | index of bits | database | shared_buffers |", sizes),
        "## Builds",
        "",
        *_table(
            "| postings | index | maintenance_work_mem MB | helpers | seconds | MB | private memory MB |",
            [row for step in steps for row in _builds(step)],
        ),
        "![sizes](sizes.svg)",
        "",
    ]
    return "\n".join(lines)


def _line(steps: Sequence[Step], pick: Pick) -> list[tuple[float, float]]:
    return [(step.postings, value) for step in steps if (value := pick(step)) is not None]


def _of_look(name: str, ef: int | None, value: Callable[[Look], float | None]) -> Pick:
    return lambda step: value(one) if (one := step.look(name, ef)) else None


def _size(name: str) -> Pick:
    return lambda step: None if (size := _index_bytes(step, name)) is None else size / MB


def charts(steps: Sequence[Step]) -> dict[str, str]:
    """The pictures by name."""
    time: dict[str, Pick] = {
        **{f"index, ef {ef}": _of_look("index", ef, lambda one: one.p50_ms) for ef in EFS},
        "every row": _of_look("every row", None, lambda one: one.p50_ms),
        "semantic search": _of_look("semantic search", None, lambda one: one.p50_ms),
        "hybrid search": _of_look("hybrid search", None, lambda one: one.p50_ms),
    }
    recall: dict[str, Pick] = {
        **{f"index, ef {ef}": _of_look("index", ef, lambda one: one.recall) for ef in EFS},
        **{f"bits, {ef} again": _of_look("bits, ranked again", ef, lambda one: one.recall) for ef in EFS[-2:]},
        "semantic search": _of_look("semantic search", None, lambda one: one.recall),
    }
    sizes: dict[str, Pick] = {
        "vectors": lambda step: step.table_bytes / MB or None,
        "index of vectors": _size("halfvec"),
        "index of bits": _size("bits"),
        "database": lambda step: step.database_bytes / MB or None,
    }
    drawn = (
        ("time", "Median of one search", time, "ms", True),
        ("recall", "Recall@10", recall, "share of the true ten nearest", False),
        ("sizes", "Sizes", sizes, "MB", True),
    )
    return {
        name: chart(title, {said: _line(steps, pick) for said, pick in picks.items()}, x="postings", y=y, log_y=log_y)
        for name, title, picks, y, log_y in drawn
    }


def write(steps: Sequence[Step], folder: Path) -> Path:
    """Write the report and its pictures into a folder; the path of the report."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in charts(steps).items():
        (folder / f"{name}.svg").write_text(picture, encoding="utf-8")
    report = folder / "scale.md"
    report.write_text(markdown(steps), encoding="utf-8")
    return report
