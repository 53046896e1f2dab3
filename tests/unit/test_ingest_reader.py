"""Rows come out of every format that boards export, one at a time, whatever a single row holds."""

import csv
import gzip
import io
import json
import sys
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import OperatorError
from service.ingest.model import SourceRow
from service.ingest.reader import MAX_LINE_BYTES, input_bytes, read_rows

ROWS: list[dict[str, object]] = [
    {"title": "Cook", "pay": "1,5\n2", "n": 3},
    {"title": 'Ca"fé; ሠ', "pay": "", "n": None},
]


def rows_of(path: Path, content: bytes) -> list[SourceRow]:
    """Write a file and read it."""
    path.write_bytes(content)
    return list(read_rows(str(path)))


def as_csv(delimiter: str) -> str:
    """The rows as a table."""
    out = io.StringIO()
    writer = csv.DictWriter(out, ["title", "pay", "n"], delimiter=delimiter)
    writer.writeheader()
    writer.writerows(ROWS)
    return out.getvalue()


JSONL = "".join(json.dumps(row) + "\n" for row in ROWS)


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", JSONL.encode()),
        ("a.ndjson", b"\xef\xbb\xbf" + JSONL.replace("\n", "\r\n\r\n").encode()),
        ("no-extension", JSONL.encode()),
        ("a.json", json.dumps(ROWS).encode()),
        ("a.json", json.dumps(ROWS, indent=2).encode("utf-16")),
        ("wrong.csv", json.dumps(ROWS).encode()),
        ("a.json", "\n".join(json.dumps(row, indent=1) for row in ROWS).encode()),
    ],
)
def test_json_in_every_shape(tmp_path: Path, name: str, content: bytes, pack: type[bytes]) -> None:
    """Arrays, lines and objects one after another give the same rows; content decides, not the name."""
    rows = rows_of(tmp_path / name, pack(content))
    assert [dict(row.values) for row in rows] == ROWS
    assert all(row.error is None for row in rows)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize(("name", "delimiter"), [("a.csv", ","), ("a.csv", ";"), ("a.tsv", "\t"), ("a.csv.gz", "|")])
def test_csv_in_every_shape(tmp_path: Path, name: str, delimiter: str, encoding: str) -> None:
    """Delimiters, byte order marks, and quoted line breaks, delimiters and quotes are understood."""
    content = as_csv(delimiter).encode(encoding)
    rows = rows_of(tmp_path / name, gzip.compress(content) if name.endswith(".gz") else content)
    assert [dict(row.values) for row in rows] == [
        {"title": "Cook", "pay": "1,5\n2", "n": "3"},
        {"title": 'Ca"fé; ሠ', "pay": "", "n": ""},
    ]
    assert [row.line for row in rows] == [2, 4]


def test_a_broken_line_stops_nothing(tmp_path: Path) -> None:
    """Each bad line of JSONL is a row with its number and reason, and the next line is read."""
    content = b'{"a":1}\nnonsense\n\n[1]\n{"b":"caf\xe9"}\n{"c":NaN}\n{"d":' + b"[" * 99_999 + b'\n{"e":2}\n{"f":'
    rows = rows_of(tmp_path / "a.jsonl", content)
    assert [(row.line, row.error is None) for row in rows] == [
        (1, True), (2, False), (4, False), (5, True), (6, True), (7, False), (8, True), (9, False),
    ]  # fmt: skip
    assert rows[3].values == {"b": "café"}
    assert rows[2].error == "a JSON object is wanted, this is an array"


def test_a_broken_table_row_stops_nothing(tmp_path: Path) -> None:
    """A row with too many values is an error; short rows, empty lines and Windows-1252 are read."""
    content = b'a;b;;a\n1;2\n"x\ny";z\n1;2;3;4;5\n\n1;2;;;;;\ncaf\xe9;\x80\nn\0l;1\n'
    rows = rows_of(tmp_path / "a.csv", content)
    assert [(row.line, dict(row.values)) for row in rows] == [
        (2, {"a": "1", "b": "2"}),
        (3, {"a": "x\ny", "b": "z"}),
        (5, {}),
        (7, {"a": "1", "b": "2"}),
        (8, {"a": "café", "b": "€"}),
        (9, {"a": "nl", "b": "1"}),
    ]
    assert rows[2].error == "the row has 5 values and the header 4 names"


def test_what_is_too_long_is_skipped(tmp_path: Path) -> None:
    """A line without an end, and a quote without one, cost one row each and bounded memory."""
    long = b"x" * (MAX_LINE_BYTES + 10)
    rows = rows_of(tmp_path / "a.jsonl", b'{"a":1}\n{"b":"' + long + b'"}\n{"c":1}\n')
    assert [(row.line, row.error is None) for row in rows] == [(1, True), (2, False), (3, True)]
    rows = rows_of(tmp_path / "a.csv", b'a,b\n"' + long + b"\nq,r\n")
    assert [row.error is None for row in rows] == [False, True]
    assert rows[1].values == {"a": "q", "b": "r"}


def test_a_broken_array_is_read_up_to_the_fault(tmp_path: Path) -> None:
    """Elements that are no objects are errors; a fault in the syntax, or endless depth, ends the file."""
    rows = rows_of(tmp_path / "a.json", b'[{"a":1},3,{"b":[{"c":123456789012345678901}]}, {bad}, {"e":1}]')
    assert [row.error is None for row in rows] == [True, False, True, False]
    assert rows[2].values == {"b": [{"c": 123456789012345678901}]}
    (row,) = rows_of(tmp_path / "b.json", b"[" * 1_000_000)
    assert "deeper" in (row.error or "")


def test_damaged_gzip_ends_with_an_error(tmp_path: Path) -> None:
    """What was unpacked before the damage is read, and the damage is told."""
    packed = gzip.compress(b"".join(b'{"n":%d,"s":"%d"}\n' % (n, n * 7919 % 10_007) for n in range(50_000)))
    rows = rows_of(tmp_path / "a.jsonl.gz", packed[: len(packed) // 2])
    assert len(rows) > 1_000
    assert "damaged" in (rows[-1].error or "")
    assert all(row.error is None for row in rows[:-2])
    assert "damaged" in (rows_of(tmp_path / "b.gz", b"\x1f\x8bnonsense")[0].error or "")


@pytest.mark.parametrize("content", [b"", b"\n\n", b"[]", b"a,b\n", b"\xef\xbb\xbf"])
def test_an_empty_file_has_no_rows(tmp_path: Path, content: bytes) -> None:
    """No rows, and no error either."""
    assert rows_of(tmp_path / "a", content) == []


def test_progress_counts_the_bytes_of_the_file(tmp_path: Path) -> None:
    """Positions grow up to the size of the compressed file."""
    path = tmp_path / "a.jsonl.gz"
    rows = rows_of(path, gzip.compress(JSONL.encode() * 20_000, compresslevel=0))
    positions = [row.position for row in rows]
    assert positions == sorted(positions)
    assert 0 < positions[0] < positions[-1] == input_bytes(str(path))


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """The path "-" reads standard input, whose size nobody knows."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(JSONL.encode()))))
    assert [dict(row.values) for row in read_rows("-")] == ROWS
    assert input_bytes("-") is None


def test_a_missing_file_is_the_operators_to_mend(tmp_path: Path) -> None:
    """The error names the file."""
    with pytest.raises(OperatorError, match=r"nothing\.json"):
        list(read_rows(str(tmp_path / "nothing.json")))


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.csv"])
def test_memory_is_bounded(tmp_path: Path, name: str) -> None:
    """A file of 16 MB is read within 4 MB."""
    path = tmp_path / name
    row = json.dumps({"title": "x" * 500, "n": 1})
    count = 16_000_000 // len(row)
    start, line, end = {"a.json": ("[" + row, ",\n" + row, "]"), "a.jsonl": ("", row + "\n", "")}.get(
        name, ("title,n\n", "x" * 500 + ",1\n", "")
    )
    path.write_text(start + line * count + end, encoding="utf-8")
    tracemalloc.start()
    try:
        read = sum(1 for _ in read_rows(str(path)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert read >= count
    assert peak < 4_000_000


@settings(deadline=None)
@given(st.binary(max_size=300) | st.text('[]{}",:\n\\ a1;', max_size=60).map(str.encode))
def test_any_bytes_are_read(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """No content makes reading raise; every row has values or an error."""
    path = tmp_path_factory.getbasetemp() / "any"
    for row in rows_of(path, content):
        assert row.error is None or not row.values
