"""The parts of an export that need no database: where lines end, and what no cell may begin with."""

import csv
import io
import unicodedata
from itertools import chain, pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from service.export.domain import with_crlf
from service.export.model import OPENINGS

cells = st.lists(st.text(alphabet='a,"\n é', max_size=6), min_size=1, max_size=3)


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(rows=st.lists(cells, min_size=1, max_size=5), cuts=st.lists(st.integers(0, 200), max_size=5))
async def test_lines_end_with_crlf_and_cells_stay_as_they_are(rows: list[list[str]], cuts: list[int]) -> None:
    """Wherever the pieces are cut, only the ends of lines change, and every cell is read back as it was."""
    written = io.StringIO(newline="")
    csv.writer(written, lineterminator="\n").writerows(rows)
    text, pieces = written.getvalue().encode(), list[bytes]()

    async def take(piece: bytes) -> None:
        pieces.append(piece)

    write = with_crlf(take)
    ends = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    for begin, end in pairwise(ends):
        await write(text[begin:end])
    expected = io.StringIO(newline="")
    csv.writer(expected, lineterminator="\r\n").writerows(rows)
    assert b"".join(pieces) == expected.getvalue().encode()


def test_whatever_may_begin_a_formula_is_no_opening_of_a_cell() -> None:
    """Signs of a formula in every form, and what programs pass over before them; letters and bullets are none."""
    for char in map(chr, chain(range(1, 0x20000), range(0xE0000, 0xE0200))):
        category = unicodedata.category(char)
        if unicodedata.normalize("NFKC", char)[:1] in {*"=+-@"} or char in "'\"`\uff02\uff07\uff40":
            assert char in OPENINGS, hex(ord(char))
        if char.isspace() or category in {"Cc", "Cf", "Zs", "Zl", "Zp", "Pi", "Pf"}:
            assert char in OPENINGS, hex(ord(char))
        if char.isalnum() or char in "<([{#*/&%$.,:;!?•·¡¿€£":
            assert char not in OPENINGS or unicodedata.normalize("NFKC", char)[:1] in "=+-@", hex(ord(char))
