"""What the embedded Postgres is told about its machine: memory and processors in, commented settings out."""

import os
import shutil
from pathlib import Path
from typing import NamedTuple

MIB = 1024 * 1024
GIB = 1024 * MIB
UNLIMITED = 1 << 60  # version 1 control groups write "no limit" as a number near 2**63


class Machine(NamedTuple):
    """What the tuning depends on. Sizes in bytes; `shared_memory` is the room in /dev/shm."""

    memory: int
    cpus: int
    shared_memory: int
    lz4: bool = False


class Setting(NamedTuple):
    """One line of the settings file, and the reason for it."""

    name: str
    value: str
    why: str


def measure_machine(*, lz4: bool = False, memory: int | None = None) -> Machine:
    """Look at this machine, or at the container around this process; `memory` (bytes) replaces what is measured."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    dev_shm = Path("/dev/shm")  # noqa: S108 - not a file of ours: Postgres puts its dynamic shared memory there
    room = shutil.disk_usage(dev_shm).free if dev_shm.is_dir() else GIB
    return Machine(memory or memory_limit(), cpus, room, lz4)


def memory_limit(proc: Path = Path("/proc"), cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Bytes of memory this process may use: the machine's, or the smallest limit of the control groups around it.

    Reads both cgroup versions; a file that is not there limits nothing.
    """
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for line in _read(proc / "self" / "cgroup").splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0":
            root, file = cgroup, "memory.max"
        elif "memory" in controllers.split(","):
            root, file = cgroup / "memory", "memory.limit_in_bytes"
        else:
            continue
        # A limit on any group above holds as well; inside a container the path may lie outside the mounted tree.
        group = Path(path.lstrip("/"))
        limits += [
            int(text) for part in (group, *group.parents) if (text := _read(root / part / file).strip()).isdecimal()
        ]
    return min(limit for limit in limits if 0 < limit < UNLIMITED)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def settings(machine: Machine, socket_dir: Path) -> list[Setting]:
    """Everything JobSense tells Postgres. Durability (fsync, full_page_writes, synchronous_commit) is never here."""
    return [*_private(socket_dir), *_memory(machine), *_work(machine), *_log()]


def _private(socket_dir: Path) -> list[Setting]:
    return [
        Setting(
            "listen_addresses", "", "private: no port is opened, whoever may enter the socket's folder may connect"
        ),
        Setting("unix_socket_directories", str(socket_dir), "a folder with mode 0700, short enough for a socket path"),
        Setting("unix_socket_permissions", "0700", "nobody but the owner, even if the folder were opened up"),
        Setting("port", "5432", "only part of the socket's name; fixed so that PGPORT cannot change it"),
        Setting("cluster_name", "jobsense", "names these processes in ps and top"),
        Setting("max_connections", "100", "pools of a few processes, a worker and psql, with room to spare"),
        Setting("timezone", "UTC", "instants are stored and shown in one zone"),
        Setting("lc_messages", "C", "messages in English, so that they can be searched for"),
    ]


def _memory(machine: Machine) -> list[Setting]:
    return [
        Setting(
            "shared_buffers",
            _megabytes(machine.memory // 4, 128 * MIB, 4 * GIB),
            "a quarter of the memory: the HNSW graph must stay in memory to be fast",
        ),
        Setting(
            "effective_cache_size",
            _megabytes(machine.memory // 2, 256 * MIB, 64 * GIB),
            "what the planner may expect to be cached; the model and the service take the rest",
        ),
        Setting(
            "work_mem",
            _megabytes(machine.memory // 512, 4 * MIB, 64 * MIB),
            "for each sort or hash; 100 of them at once are still a fifth of the memory",
        ),
        Setting(
            "maintenance_work_mem",
            _megabytes(_maintenance(machine), 0, 2 * GIB),
            "HNSW builds are many times slower once the graph outgrows this",
        ),
        Setting(
            "autovacuum_work_mem",
            _megabytes(machine.memory // 64, 32 * MIB, 256 * MIB),
            "three vacuum workers must not take what is meant for one index build",
        ),
    ]


def _work(machine: Machine) -> list[Setting]:
    # A parallel HNSW build takes maintenance_work_mem from /dev/shm, which is 64 MB in a default container;
    # the build would fail there with "could not resize shared memory segment".
    roomy = machine.shared_memory >= _maintenance(machine) + 64 * MIB
    few = max(1, min(4, machine.cpus // 2))
    lines = [
        Setting("max_parallel_workers", str(few), "the service and the model need processors as well"),
        Setting(
            "max_parallel_workers_per_gather", str(min(2, few)), "many small searches at once beat one fast report"
        ),
        Setting(
            "max_parallel_maintenance_workers",
            str(min(2, few) if roomy else 0),
            "helpers of an HNSW build; none where /dev/shm is too small for them",
        ),
        Setting("jit", "off", "compiling costs more than these short statements take"),
        Setting("random_page_cost", "1.1", "solid-state disks and cached pages: an index is nearly always right"),
        Setting(
            "max_wal_size", "2GB", "bulk loads without a checkpoint every few seconds; bounds the disk and the recovery"
        ),
        Setting("checkpoint_completion_target", "0.9", "spread the writes of a checkpoint, searches run meanwhile"),
        Setting(
            "autovacuum_naptime", "15s", "the queue's rows die young; plans need fresh statistics after a bulk load"
        ),
    ]
    if machine.lz4:
        lines.append(
            Setting("wal_compression", "lz4", "HNSW inserts touch many pages; lz4 makes their log images small")
        )
    return lines


def _log() -> list[Setting]:
    return [
        Setting("logging_collector", "on", "the log outlives the terminal that started the server"),
        Setting("log_directory", "log", "beside the data"),
        Setting("log_filename", "postgresql-%a.log", "one file for each day of the week: seven at most"),
        Setting("log_rotation_age", "1d", "start the next day's file"),
        Setting("log_truncate_on_rotation", "on", "and empty it first"),
        Setting("log_timezone", "UTC", "as everywhere"),
        Setting("log_min_error_statement", "panic", "statements can hold personal data, and their text fills disks"),
        Setting("log_line_prefix", "%m [%p] %q%u@%d %a ", "when, which process, who"),
    ]


def _maintenance(machine: Machine) -> int:
    return min(max(machine.memory // 8, 64 * MIB), 2 * GIB)


def _megabytes(size: int, least: int, most: int) -> str:
    return f"{min(max(size, least), most) // MIB}MB"


def render(lines: list[Setting]) -> str:
    """Write the settings as a Postgres configuration file, each under its reason."""
    head = "# Rewritten by jobsense at each start. Your own settings: ALTER SYSTEM SET, which wins over this file.\n"
    return head + "".join(f"\n# {line.why}\n{line.name} = {_quote(line.value)}\n" for line in lines)


def _quote(value: str) -> str:
    doubled = value.replace("'", "''")
    return f"'{doubled}'"
