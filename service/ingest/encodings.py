"""Decode bytes that should be UTF-8 and sometimes are what a spreadsheet wrote instead."""

import codecs
import io

_FALLBACK = "or-windows-1252"
_BYTE_ORDER_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def _read_as_windows_1252(fault: UnicodeError) -> tuple[str, int]:
    """Decode the bytes at fault as Windows-1252; its five empty places become U+FFFD."""
    if not isinstance(fault, UnicodeDecodeError):
        raise fault
    return fault.object[fault.start : fault.end].decode("cp1252", "replace"), fault.end


codecs.register_error(_FALLBACK, _read_as_windows_1252)


def decode_lenient(content: bytes) -> str:
    """Decode UTF-8 (UTF-16 after a byte order mark), with bytes that are neither read as Windows-1252."""
    return content.decode(_encoding(content), _FALLBACK)


def open_text(content: io.BufferedReader) -> io.TextIOWrapper:
    """Open a byte stream as text in the way of `decode_lenient`, line ends untouched."""
    return io.TextIOWrapper(content, encoding=_encoding(content.peek(4)), errors=_FALLBACK, newline="")


def _encoding(start: bytes) -> str:
    return next((name for mark, name in _BYTE_ORDER_MARKS.items() if start.startswith(mark)), "utf-8")
