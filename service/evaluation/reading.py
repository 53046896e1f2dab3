"""Reads relevance sets: folders with documents (JSON lines), searches and judgements (tab-separated)."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import msgspec

from service.evaluation.model import Document, RelevanceSet, Report, UnreadableSet

_DOCUMENTS = ("docs.jsonl.gz", "docs.jsonl")


def read_sets(folder: Path) -> list[RelevanceSet]:
    """The set in a folder, or those in the folders within it, by name. Raises UnreadableSet."""
    if _documents_of(folder) is not None:
        return [read_set(folder)]
    within = [one for one in sorted(folder.iterdir()) if one.is_dir() and _documents_of(one) is not None]
    if not within:
        raise UnreadableSet(
            f"{folder} is no relevance set and holds none: a set is a folder with docs.jsonl or docs.jsonl.gz "
            '({"id", "title", "text"} a line), queries.tsv (id, text) and qrels.tsv (query id, document id, grade)'
        )
    return [read_set(one) for one in within]


def read_set(folder: Path) -> RelevanceSet:
    """One set. Raises UnreadableSet, which names file and line."""
    path = _documents_of(folder)
    if path is None:
        raise UnreadableSet(f"{folder} has no docs.jsonl or docs.jsonl.gz")
    documents = list(_read_documents(path))
    if len({document.id for document in documents}) < len(documents):
        raise UnreadableSet(f"{path}: two documents have the same id")
    grades: dict[str, dict[str, int]] = {}
    for number, (query, document, grade) in _rows(folder / "qrels.tsv", 3):
        if not grade.isdecimal():
            raise UnreadableSet(f"{folder / 'qrels.tsv'}, line {number}: the grade {grade!r} is no whole number")
        if int(grade):
            grades.setdefault(query, {})[document] = int(grade)
    queries = {query: text for _, (query, text) in _rows(folder / "queries.tsv", 2) if query in grades}
    if not queries:
        raise UnreadableSet(f"{folder}: no search of queries.tsv has a judgement in qrels.tsv")
    return RelevanceSet(folder.name, documents, queries, grades)


def read_report(path: Path) -> Report:
    """What an evaluation printed before. Raises UnreadableSet."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Report)
    except (OSError, msgspec.DecodeError) as error:
        raise UnreadableSet(f"{path} is no report of `jobsense eval`: {error}") from None


def _documents_of(folder: Path) -> Path | None:
    return next((folder / name for name in _DOCUMENTS if (folder / name).is_file()), None)


def _read_documents(path: Path) -> Iterator[Document]:
    decode = msgspec.json.Decoder(Document).decode
    number = 0
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            for line in file:
                number += 1
                if line.strip():
                    yield decode(line)
    except (OSError, EOFError, UnicodeDecodeError, msgspec.DecodeError) as error:
        raise UnreadableSet(f"{path}, line {number}: {error}") from None


def _rows(path: Path, columns: int) -> Iterator[tuple[int, list[str]]]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableSet(f"{path} cannot be read: {error}") from None
    for number, line in enumerate(lines, 1):
        cells = [cell.strip() for cell in line.split("\t")]
        if cells == [""]:
            continue
        if len(cells) != columns:
            raise UnreadableSet(f"{path}, line {number}: {len(cells)} columns, {columns} are wanted")
        yield number, cells
