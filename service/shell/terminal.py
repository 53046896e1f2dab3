"""Prints what postings hold on a terminal: as it is, and unable to command the terminal."""

from rich.console import Console

_CONTROLS = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)], " ")


def printer(*, err: bool = False) -> Console:
    """A console that takes text as it is: "[Remote] Cook" is a title, not markup."""
    return Console(stderr=err, markup=False, highlight=False, emoji=False, soft_wrap=False)


def one_line(text: str) -> str:
    """A text without control characters (colours, cursor movements, directions), in single file."""
    return " ".join(text.translate(_CONTROLS).split())
