"""Read rows from JSON, JSONL and CSV files, gzip or not, in bounded memory; a broken row never stops the file."""

import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, cast

from service.errors import OperatorError
from service.ingest.encodings import decode_lenient, open_text
from service.ingest.model import SourceRow
from service.ingest.tables import read_table
from service.ingest.trees import parse_object, read_array

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

Format = Literal["json", "jsonl", "csv"]

MAX_LINE_BYTES = 16 * 1024 * 1024
"""Longest line of JSONL, and longest field of CSV in characters; whatever is longer is reported and skipped."""

_SAMPLE_BYTES = 64 * 1024
_GZIP = b"\x1f\x8b"
_EXTENSIONS: dict[str, Format] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "csv", ".txt": "csv"}


class _Counted(io.RawIOBase):
    """A byte stream that knows how much was read of it."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__()
        self._stream = stream
        self.consumed = 0

    def readable(self) -> bool:
        """Say yes, as io wants it."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Fill `buffer` from the stream, whole unless it ends: a pipe gives pieces too small to tell a format from."""
        filled = 0
        with memoryview(buffer) as view:
            while filled < len(view) and (piece := self._stream.read(len(view) - filled)):
                view[filled : filled + len(piece)] = piece
                filled += len(piece)
        self.consumed += filled
        return filled


def input_bytes(path: str) -> int | None:
    """Tell the size of the file as it lies there (compressed or not), for progress; None for "-"."""
    return None if path == "-" else Path(path).stat().st_size


def read_rows(path: str) -> Iterator[SourceRow]:
    """Read the rows of a file, or of standard input for "-".

    What the file holds decides about its format: gzip by its first bytes, a JSON array by "[", JSONL by a first line
    that is an object, objects over several lines by "{"; all else is CSV, whose delimiter is told from the header. The
    extension helps where the content does not tell. Text is UTF-8, or UTF-16 with a byte order mark; bytes that are
    neither are read as Windows-1252, as spreadsheets write it. Raises OperatorError if the file cannot be opened.
    """
    try:
        stream = _stdin() if path == "-" else Path(path).open("rb")  # noqa: SIM115 - closed below, unless stdin
    except OSError as fault:
        raise OperatorError(f"cannot read {path}: {fault.strerror}") from fault
    try:
        yield from _read(stream, path)
    finally:
        if path != "-":
            stream.close()


def _stdin() -> BinaryIO:
    """Standard input without Python's buffer, whose lock a thread that still waits there would hold at the exit."""
    if sys.stdin is None:
        raise OperatorError("cannot read -: standard input is closed")
    return cast("BinaryIO", getattr(sys.stdin.buffer, "raw", sys.stdin.buffer))


def _read(stream: BinaryIO, path: str) -> Iterator[SourceRow]:
    counted = _Counted(stream)
    content: io.BufferedReader = io.BufferedReader(counted, _SAMPLE_BYTES)
    name = path.lower()
    if content.peek(2)[:2] == _GZIP:
        content = io.BufferedReader(cast("io.RawIOBase", gzip.GzipFile(fileobj=content)), _SAMPLE_BYTES)
        name = name.removesuffix(".gz")
    last = 0
    try:
        form = _form(content.peek(_SAMPLE_BYTES), Path(name).suffix)
        if form == "jsonl":
            rows = _read_lines(content, counted)
        elif form == "json":
            rows = read_array(content, counted)
        else:
            rows = read_table(open_text(content), counted, delimiter="\t" if name.endswith(".tsv") else None)
        for row in rows:
            last = row.line
            yield row
    except (EOFError, gzip.BadGzipFile, zlib.error) as fault:
        yield SourceRow(last + 1, {}, counted.consumed, f"the compressed file is damaged from here on: {fault}", True)


def _form(sample: bytes, extension: str) -> Format:
    """Tell the format from the first bytes, with the extension where they leave it open."""
    head = decode_lenient(sample).lstrip("\ufeff \t\r\n")
    hint = _EXTENSIONS.get(extension)
    if head.startswith("["):
        return "json"
    if head.startswith("{"):
        first, _, rest = head.partition("\n")
        if hint == "jsonl" or isinstance(parse_object(first.encode("utf-8", "replace")), dict):
            return "jsonl"
        over_lines = not first.rstrip().endswith("}") and bool(rest)
        return "json" if over_lines else "jsonl"
    return "jsonl" if hint == "jsonl" or extension == ".json" else "csv"


def _read_lines(content: io.BufferedReader, counted: _Counted) -> Iterator[SourceRow]:
    """Read JSONL line by line; a line that is too long is skipped to its end."""
    number = 0
    while line := content.readline(MAX_LINE_BYTES):
        number += 1
        if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
            while (more := content.readline(MAX_LINE_BYTES)) and not more.endswith(b"\n"):
                pass
            yield SourceRow(number, {}, counted.consumed, f"the line is longer than {MAX_LINE_BYTES} bytes")
            continue
        stripped = line.strip().removeprefix(b"\xef\xbb\xbf")
        if not stripped:
            continue
        found = parse_object(stripped)
        if isinstance(found, str):
            yield SourceRow(number, {}, counted.consumed, found)
        else:
            yield SourceRow(number, found, counted.consumed)
