"""Read CSV as spreadsheets and scrapers write it: any common delimiter, quoted line breaks, ragged rows."""

import csv
import io
import itertools
from collections.abc import Iterator

from service.ingest.model import SourceRow
from service.ingest.trees import Progress

_DELIMITERS = (",", ";", "\t", "|")
_MAX_FIELD_CHARS = 16 * 1024 * 1024


class _Lines:
    """Lines of bounded length, without NUL, counted."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self.count = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._text.readline(_MAX_FIELD_CHARS)
        if not line:
            raise StopIteration
        self.count += 1
        return line.replace("\0", "")


def read_table(text: io.TextIOWrapper, progress: Progress, delimiter: str | None = None) -> Iterator[SourceRow]:
    """Read a table with a header line. Empty lines are passed over; a row longer than the header is an error.

    The delimiter is the one that cuts the header into most columns: csv.Sniffer also looks at the rows, where the
    commas of running text mislead it.
    """
    csv.field_size_limit(_MAX_FIELD_CHARS)
    lines = _Lines(text)
    head = list(itertools.islice(lines, 1))
    while head and not head[0].strip():
        head = list(itertools.islice(lines, 1))
    if not head:
        return
    chosen = delimiter or max(_DELIMITERS, key=lambda one: _columns(head[0], one))
    reader = csv.reader(itertools.chain(head, lines), delimiter=chosen)
    header: list[str] | None = None
    while True:
        start = lines.count + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as fault:
            yield SourceRow(start, {}, progress.consumed, f"not CSV: {fault}")
            continue
        if header is None:
            header = [name.strip() for name in cells]
        elif any(cells):
            yield _row(header, cells, start, progress.consumed)


def _columns(header: str, delimiter: str) -> int:
    try:
        return len(next(csv.reader([header], delimiter=delimiter)))
    except csv.Error:
        return 0


def _row(header: list[str], cells: list[str], line: int, position: int) -> SourceRow:
    if any(cells[len(header) :]):
        return SourceRow(line, {}, position, f"the row has {len(cells)} values and the header {len(header)} names")
    values: dict[str, object] = {}
    for name, cell in zip(header, cells, strict=False):
        if name:
            values.setdefault(name, cell)
    return SourceRow(line, values, position)
