"""What is measured at each number of postings, as it is kept in a folder between runs."""

from pathlib import Path

import msgspec


class Build(msgspec.Struct, frozen=True):
    """One index as it was built."""

    name: str
    seconds: float
    index_bytes: int
    maintenance_mb: int
    helpers: int
    """Parallel workers that were allowed."""
    memory_bytes: int | None = None
    """Most private memory of the process that built it; None where helpers shared it."""


class Look(msgspec.Struct, frozen=True):
    """One way to find the ten nearest: how much of them, and how long it takes one client at a time."""

    name: str
    ef: int | None
    """hnsw.ef_search; None where no index is used."""
    recall: float | None
    """Mean share of the true ten nearest, counted by similarity; None where words count too."""
    p50_ms: float
    p99_ms: float


class Step(msgspec.Struct):
    """Everything at one number of postings."""

    postings: int
    table_bytes: int = 0
    """Vectors with what is copied beside them."""
    database_bytes: int = 0
    shared_buffers: str = ""
    builds: list[Build] = []
    looks: list[Look] = []

    def build(self, name: str) -> Build | None:
        """The build of this name."""
        return next((one for one in self.builds if one.name == name), None)

    def look(self, name: str, ef: int | None = None) -> Look | None:
        """The look of this name, of any ef_search where none is given."""
        return next((one for one in self.looks if one.name == name and ef in (None, one.ef)), None)


def _path(folder: Path, postings: int) -> Path:
    return folder / f"step-{postings}.json"


def load(folder: Path, postings: int) -> Step:
    """What is known at this number; nothing yet, perhaps."""
    path = _path(folder, postings)
    return msgspec.json.decode(path.read_bytes(), type=Step) if path.exists() else Step(postings)


def save(folder: Path, step: Step) -> None:
    """Keep what is known."""
    _path(folder, step.postings).write_bytes(msgspec.json.format(msgspec.json.encode(step)))


def every(folder: Path) -> list[Step]:
    """All steps that are known, the smallest first."""
    found = [msgspec.json.decode(path.read_bytes(), type=Step) for path in folder.glob("step-*.json")]
    return sorted(found, key=lambda step: step.postings)
