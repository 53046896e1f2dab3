"""Draws lines over the number of postings as SVG, for a Markdown report; both axes are logarithmic where asked."""

import math
from collections.abc import Callable, Mapping, Sequence
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 760, 380
LEFT, RIGHT, TOP, BOTTOM = 70, 200, 40, 50
COLOURS = ("#1b6ca8", "#c8553d", "#3c7a3f", "#8a4fa3", "#b08400", "#4a4a4a", "#0f8b8d", "#d17ab0")
TICKS = 5

Points = Sequence[tuple[float, float]]
Scale = Callable[[float], float]


def chart(title: str, lines: Mapping[str, Points], *, x: str, y: str, log_y: bool = False) -> str:
    """One picture: a line for each name with its points, x logarithmic. Lines without points are left out."""
    drawn = {name: points for name, points in lines.items() if points}
    xs = [point[0] for points in drawn.values() for point in points]
    ys = [point[1] for points in drawn.values() for point in points]
    if not xs:
        raise ValueError("nothing to draw")
    across = _scale(min(xs), max(xs), LEFT, WIDTH - RIGHT, log=True)
    low, high = (min(ys), max(ys)) if log_y else (min(0.0, *ys), max(ys))
    up = _scale(low, high, HEIGHT - BOTTOM, TOP, log=log_y)
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">',
        "<style>text { font-size: 12px }</style>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="22" font-weight="bold">{escape(title)}</text>',
        f'<text x="{middle}" y="{HEIGHT - 10}" text-anchor="middle">{escape(x)}</text>',
        f'<text transform="translate(16 {HEIGHT / 2}) rotate(-90)" text-anchor="middle">{escape(y)}</text>',
        *(_across(value, across) for value in sorted(set(xs))),
        *(_up(value, up) for value in _ticks(low, high, log=log_y)),
    ]
    for number, (name, points) in enumerate(drawn.items()):
        parts += _line(number, name, points, across, up)
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def _scale(low: float, high: float, start: float, end: float, *, log: bool) -> Scale:
    change = math.log if log else float
    first, last = change(low), change(high)
    if last == first:
        return lambda _: (start + end) / 2
    return lambda value: start + (change(value) - first) / (last - first) * (end - start)


def _ticks(low: float, high: float, *, log: bool) -> list[float]:
    if log:
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        every = [step * 10.0**decade for decade in decades for step in (1, 2, 5)]
        return [tick for tick in every if low <= tick <= high] or [low, high]
    return [low + (high - low) * number / TICKS for number in range(TICKS + 1)]


def _across(value: float, scale: Scale) -> str:
    at = scale(value)
    said = f"{value / 1e6:g}M" if value >= 1e6 else f"{value / 1e3:g}k"
    return (
        f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" stroke="#eee"/>'
        f'<text x="{at:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{said}</text>'
    )


def _up(value: float, scale: Scale) -> str:
    at = scale(value)
    return (
        f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}" stroke="#eee"/>'
        f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{value:.3g}</text>'
    )


def _line(number: int, name: str, points: Points, across: Scale, up: Scale) -> list[str]:
    colour = COLOURS[number % len(COLOURS)]
    places = [(across(x), up(y)) for x, y in points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    left, beside = WIDTH - RIGHT + 12, TOP + 8 + 18 * number
    return [
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
        *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places),
        f'<line x1="{left}" x2="{left + 20}" y1="{beside}" y2="{beside}" stroke="{colour}" stroke-width="3"/>',
        f'<text x="{left + 26}" y="{beside + 4}">{escape(name)}</text>',
    ]
