"""The content coding that a request asks for, by RFC 9110, section 12.5.3."""

import pytest

from service.http.encodings import choose, takes_gzip

CASES: list[tuple[bytes | None, str | None]] = [
    (None, None),
    (b"", None),
    (b"gzip", "gzip"),
    (b"x-gzip", "gzip"),
    (b"GZIP", "gzip"),
    (b"zstd", "zstd"),
    (b"gzip, deflate, br, zstd", "zstd"),
    (b"gzip;q=0.9, zstd;q=0.8", "gzip"),
    (b"gzip;q=0.8 ,\tzstd ; q=0.8", "zstd"),
    (b"gzip;q=0", None),
    (b"gzip;q=0.0, zstd;q=0.000", None),
    (b"gzip;q=0.001", "gzip"),
    (b"br, deflate", None),
    (b"*", "zstd"),
    (b"*;q=0.1", "zstd"),
    (b"zstd;q=0, *", "gzip"),
    (b"*;q=0", None),
    (b"gzip, *;q=0", "gzip"),
    (b"identity", None),
    (b"identity, gzip;q=0.5", None),
    (b"identity;q=0.5, gzip;q=0.5", "gzip"),
    (b"identity;q=0.5, gzip;q=0.6", "gzip"),
    (b"identity;q=0", None),
    (b"gzip;q=2", None),
    (b"gzip;q=0.0001", None),
    (b"gzip;q=", None),
    (b"gzip;level=1", None),
    (b"gzip;q=abc, zstd", "zstd"),
    (b"\xff\xfe, gzip", "gzip"),
    (b",,gzip,", "gzip"),
    (b"gzip, " + b"x" * 5000, "gzip"),
]


@pytest.mark.parametrize(("accepted", "coding"), CASES)
def test_the_best_coding_is_chosen(accepted: bytes | None, coding: str | None) -> None:
    """By weight, then by our order; what is excluded, unknown or not readable is not used."""
    assert choose(accepted).coding == coding


@pytest.mark.parametrize(
    ("accepted", "only"),
    [
        (b"gzip", False),
        (b"gzip, identity;q=0", True),
        (b"gzip;q=0.1, *;q=0", True),
        (b"gzip, identity;q=0.1, *;q=0", False),
        (b"identity;q=0", False),
    ],
)
def test_a_plain_answer_can_be_ruled_out(accepted: bytes, *, only: bool) -> None:
    """Only where a coding is left; else the plain answer is better than none."""
    assert choose(accepted).only is only


@pytest.mark.parametrize(
    ("accepted", "taken"),
    [
        (None, False),
        ("gzip", True),
        ("zstd, gzip;q=0.1", True),
        ("gzip;q=0", False),
        ("gzip;q=0.5", True),
        ("*", True),
        ("identity, gzip;q=0.5", False),
    ],
)
def test_what_is_kept_as_gzip_is_given_to_who_takes_it(accepted: str | None, *, taken: bool) -> None:
    """Files of the documentation, which are packed once."""
    assert takes_gzip(accepted) is taken
