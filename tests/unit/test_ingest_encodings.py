"""Bytes that should be UTF-8 become text whatever they are, whole or as a stream."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.ingest.encodings import decode_lenient, open_text


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("Café … 5 €".encode(), "Café … 5 €"),
        ("Café … 5 €".encode("cp1252"), "Café … 5 €"),
        ("ሠራተኛ ".encode() + "café".encode("cp1252"), "ሠራተኛ café"),
        (b"a\x81b", "a\ufffdb"),
        (b"\xe2\x82", "\u00e2\u201a"),
        ("\ufeffCafé".encode(), "Café"),
        ("Café 🙂".encode("utf-16"), "Café 🙂"),
        ("\ufeffCafé".encode("utf-16-be"), "Café"),
        (b"", ""),
    ],
)
def test_each_encoding_that_boards_export_is_read(content: bytes, text: str) -> None:
    """UTF-8, UTF-16 with its mark, Windows-1252 and a mixture of the first and the last all give the same text."""
    assert decode_lenient(content) == text
    assert open_text(io.BufferedReader(io.BytesIO(content))).read() == text


@given(st.sampled_from([b"", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"]), st.binary(max_size=40), st.integers(4, 9))
def test_a_stream_reads_as_the_whole_does(mark: bytes, content: bytes, step: int) -> None:
    """Any bytes are text, and characters that fall between two reads are the same as in one piece."""
    content = mark + content
    stream = open_text(io.BufferedReader(io.BytesIO(content), buffer_size=step))
    stream._CHUNK_SIZE = step  # type: ignore[attr-defined] # io's own attribute: bytes that one read asks for
    assert "".join(iter(lambda: stream.read(1), "")) == decode_lenient(content)


def test_only_reading_is_lenient() -> None:
    """Text that an encoding cannot hold is not written as something else."""
    with pytest.raises(UnicodeEncodeError):
        "ሠ".encode("ascii", "or-windows-1252")
