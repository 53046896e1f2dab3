"""What the embedded Postgres is told about its machine, without a server."""

import os
from pathlib import Path

import pytest

from service.embedded import tuning as embedded_tuning
from service.embedded.tuning import GIB, MIB, Machine


@pytest.mark.parametrize(
    ("memory", "buffers", "maintenance"),
    [(256 * MIB, "128MB", "64MB"), (4 * GIB, "1024MB", "512MB"), (64 * GIB, "4096MB", "2048MB")],
)
def test_memory_settings_follow_the_machine(memory: int, buffers: str, maintenance: str) -> None:
    """A quarter of the memory goes to shared buffers and an eighth to index builds, within bounds."""
    values = settings_of(Machine(memory, 4, 8 * GIB))
    assert values["shared_buffers"] == buffers
    assert values["maintenance_work_mem"] == maintenance


def test_small_shared_memory_means_serial_index_builds() -> None:
    """Where /dev/shm has a container's 64 MB, index builds get no helpers, which would fail for lack of it."""
    assert settings_of(Machine(4 * GIB, 8, 64 * MIB))["max_parallel_maintenance_workers"] == "0"
    assert settings_of(Machine(4 * GIB, 8, 2 * GIB))["max_parallel_maintenance_workers"] == "2"


def test_lz4_is_used_where_it_is_built_in() -> None:
    """Log compression is set only for programs that were built with it."""
    assert settings_of(Machine(GIB, 1, GIB, lz4=True))["wal_compression"] == "lz4"
    assert "wal_compression" not in settings_of(Machine(GIB, 1, GIB))


@pytest.mark.parametrize("machine", [Machine(0, 0, 0), Machine(1 << 45, 512, 1 << 45, lz4=True)])
def test_durability_is_never_tuned(machine: Machine) -> None:
    """No machine makes the tuning touch durability."""
    assert not {"fsync", "full_page_writes", "synchronous_commit"} & settings_of(machine).keys()


def test_settings_are_quoted_for_postgres() -> None:
    """A quotation mark in a value is doubled, as the configuration file wants it."""
    assert "\nname = 'it''s'\n" in embedded_tuning.render([embedded_tuning.Setting("name", "it's", "why")])


@pytest.mark.parametrize(
    ("groups", "files", "limit"),
    [
        ("0::/\n", {"memory.max": "268435456"}, 256 * MIB),
        ("0::/a/b\n", {"a/b/memory.max": "max", "a/memory.max": "134217728"}, 128 * MIB),
        ("4:cpu,memory:/x\n0::/\n", {"memory/x/memory.limit_in_bytes": "67108864"}, 64 * MIB),
        ("4:memory:/gone\n", {"memory/memory.limit_in_bytes": "33554432"}, 32 * MIB),
        ("0::/\n", {"memory.max": "max"}, None),
        ("4:memory:/\n", {"memory/memory.limit_in_bytes": "9223372036854771712"}, None),
    ],
)
def test_container_limits_are_respected(tmp_path: Path, groups: str, files: dict[str, str], limit: int | None) -> None:
    """The smallest memory limit of both cgroup versions counts, and the machine's memory where there is none."""
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "cgroup").write_text(groups)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert embedded_tuning.memory_limit(tmp_path, tmp_path) == (limit or machine)


def settings_of(machine: Machine) -> dict[str, str]:
    """The settings for a machine by their names."""
    return {line.name: line.value for line in embedded_tuning.settings(machine, Path("/run/x"))}
