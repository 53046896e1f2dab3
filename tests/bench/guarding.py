"""Compares instructions of requests with the accepted ones, and says which package made the difference."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

ACCEPTED = Path(__file__).parent / "instructions.json"
TOLERANCE = 0.05
"""What a count may be above the accepted one. Repeated runs differ by two hundredths at most."""

Instructions = dict[str, int]
"""Of one request, by package."""


def accepted_counts() -> dict[str, dict[str, Instructions]]:
    """By version of Python, then by request."""
    if not ACCEPTED.exists():
        return {}
    return msgspec.json.decode(ACCEPTED.read_bytes(), type=dict[str, dict[str, Instructions]])


def judged(now: Mapping[str, Instructions], accepted: Mapping[str, Instructions] | None) -> tuple[list[str], bool]:
    """A line for each request, and whether none is dearer than what was accepted for this version of Python."""
    if accepted is None:
        return ["No counts are accepted for this version of Python; nothing was compared.", *_plain(now)], True
    lines, fine = [], True
    for name, counted in now.items():
        before, after = sum(accepted.get(name, {}).values()), sum(counted.values())
        change = after / before - 1 if before else float("inf")
        line = f"{name:10} {after:8,} instructions, accepted {before:8,} ({change:+.1%})"
        if change > TOLERANCE:
            fine = False
            line += f"  DEARER: {_difference(counted, accepted.get(name, {}))}"
        elif change < -TOLERANCE:
            line += "  cheaper: accept it, so that it stays so"
        lines.append(line)
    if not fine:
        lines.append("If that is what it is worth: make bench-guard ARGS=--accept, and say why in the commit.")
    return lines, fine


def _difference(now: Instructions, before: Instructions) -> str:
    """The packages with most of the growth."""
    grown = {name: now.get(name, 0) - before.get(name, 0) for name in now.keys() | before.keys()}
    largest = sorted(grown, key=lambda name: -grown[name])[:3]
    return ", ".join(f"{name} {grown[name]:+,}" for name in largest if grown[name] > 0)


def _plain(now: Mapping[str, Instructions]) -> list[str]:
    return [f"{name:10} {sum(counted.values()):8,} instructions" for name, counted in now.items()]
