"""The settings of PostgreSQL that sql/README.md recommends are those that the embedded server gives itself."""

import re
from pathlib import Path

from service.embedded.tuning import GIB, Machine, settings

README = (Path(__file__).parents[2] / "sql" / "README.md").read_text(encoding="utf-8")
PRIVATE = re.compile(r"log|listen_|unix_|port|cluster_|timezone|lc_")


def recommended() -> dict[str, str]:
    """What the table says of each setting."""
    section = README.split("### Settings of PostgreSQL\n", 1)[1].split("\n## ", 1)[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    return {name: value for names, value, _ in rows[2:] for name in re.findall(r"`(\w+)`", names)}


def test_every_setting_that_the_embedded_server_makes_is_recommended() -> None:
    """What is good for our own server is told to those who run theirs, but for where it listens and how it logs."""
    own = {one.name for one in settings(Machine(8 * GIB, 4, 8 * GIB, lz4=True), Path("/run/x"))}
    ours = {name for name in own if not PRIVATE.match(name)}
    assert ours - recommended().keys() <= {"max_parallel_workers"}
    assert recommended().keys() <= ours


def test_values_that_are_fixed_are_the_same() -> None:
    """Where the table names one value, the embedded server has it."""
    own = {one.name: one.value for one in settings(Machine(8 * GIB, 4, 8 * GIB, lz4=True), Path("/run/x"))}
    said = recommended()
    for name in ("jit", "wal_compression"):
        assert f"`{own[name]}`" == said[name]
    assert own["random_page_cost"] == said["random_page_cost"]
    assert own["autovacuum_naptime"] == said["autovacuum_naptime"].replace(" ", "")
    assert own["checkpoint_completion_target"] in said["checkpoint_completion_target"]
