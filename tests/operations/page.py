"""OPERATIONS.md as tests read it: its sections, and the shell commands in them."""

import re
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "OPERATIONS.md").read_text(encoding="utf-8")
_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


def section(heading: str) -> str:
    """What stands under a heading, whatever its level, up to the next one."""
    title = re.escape(heading)
    found = re.search(rf"^#+ {title}\n(.*?)(?=^#+ |\Z)", _without_comments(PAGE), re.MULTILINE | re.DOTALL)
    assert found, heading
    return found[1]


def commands(heading: str) -> str:
    """The shell commands under a heading, as one script."""
    return "".join(_BLOCK.findall(section(heading)))


def _without_comments(text: str) -> str:
    """The page with comments of its shell blocks indented, so that they are no headings."""
    return _BLOCK.sub(lambda block: re.sub(r"^#", " #", block[0], flags=re.MULTILINE), text)
