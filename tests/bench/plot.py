"""Draws the results as SVG: a bar for each side, the rounds as dots on it."""

from collections.abc import Sequence
from html import escape

from tests.bench.turn import Result

COLOURS = {"jobsense": "#1f6f8b", "reference": "#d9822b", "limit": "#8a8f98"}
NAMES = {"jobsense": "JobSense", "reference": "reference service", "limit": "bare PostgreSQL"}
_WIDTH, _LEFT, _RIGHT, _BAR, _GAP, _TOP = 760, 250, 150, 13, 14, 46


def bars(title: str, results: Sequence[Result], what: str, *, unit: str) -> str:
    """Bars of one figure of each turn, relative to the longest of its workload; the median is written beside it."""
    rows, height = [], _TOP
    for result in results:
        values = {side: [getattr(turn, what) for turn in turns] for side, turns in result.turns.items()}
        most = max(max(each) for each in values.values())
        rows.append(_text(_LEFT - 10, height + 12, result.title, anchor="end"))
        for side, each in values.items():
            rows.append(_bar(height, side, each, most, unit))
            height += _BAR + 2
        height += _GAP
    legend = "".join(
        f'<rect x="{20 + 170 * at}" y="26" width="10" height="10" fill="{COLOURS[side]}"/>'
        + _text(36 + 170 * at, 35, NAMES[side])
        for at, side in enumerate(COLOURS)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
        ' font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#ffffff"/>'
        f"{_text(20, 17, title, bold=True)}{legend}{''.join(rows)}</svg>\n"
    )


def _bar(top: int, side: str, values: Sequence[float], most: float, unit: str) -> str:
    room = _WIDTH - _LEFT - _RIGHT
    ordered = sorted(values)
    median = ordered[len(ordered) // 2]
    dots = "".join(
        f'<circle cx="{_LEFT + room * value / most:.1f}" cy="{top + _BAR / 2:.1f}" r="2.2" fill="#222222"'
        ' fill-opacity="0.55"/>'
        for value in values
    )
    bar = (
        f'<rect x="{_LEFT}" y="{top}" width="{room * median / most:.1f}" height="{_BAR}" fill="{COLOURS[side]}"'
        ' fill-opacity="0.85"/>'
    )
    return bar + dots + _text(_WIDTH - _RIGHT + 10, top + 11, f"{median:,.{0 if median >= 100 else 2}f} {unit}")


def _text(x: float, y: float, text: str, *, anchor: str = "start", bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="#222222"{weight}>{escape(text)}</text>'
