"""`jobsense rates`: a CSV file of exchange rates is taken in row by row, and what is known is listed."""

import os
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Call, Start, environment

PAIRS = "Date, Pair, Rate\n2026-11-26,USD/KES,129\n2026-11-27,USD/KES,129.5\n2026-11-27T09:00:00Z,EURKES,150\n"
COLUMNS = "rate,quote,base,date,note\n129.5,KES,USD,2026-11-27,fixing\n1.5e2,kes,eur,2026-11-27,\n\n"


def listed(call: Call, base: str = "USD") -> dict[str, float]:
    """What the command lists, piped."""
    return {one["currency"]: one["rate"] for one in call("rates", "list", "--base", base).json()["rates"]}


@pytest.mark.parametrize(("content", "rows"), [(PAIRS, 3), (COLUMNS, 2), ("\ufeff" + COLUMNS, 2)])
def test_a_file_is_taken_in_however_often(call: Call, tmp_path: Path, content: str, rows: int) -> None:
    """Columns in any order, pairs or two columns; repeated it is the same again."""
    (tmp_path / "rates.csv").write_text(content, encoding="utf-8")
    for _ in range(2):
        result = call("rates", "import", "rates.csv")
        assert (result.code, result.err) == (0, "")
        assert result.json() == {"read": rows, "imported": rows, "skipped": 0}
        assert listed(call) == {"EUR": pytest.approx(129.5 / 150), "KES": 129.5}
    assert listed(call, "kes") == {"EUR": 1 / 150, "USD": 1 / 129.5}


def test_bad_rows_are_told_and_skipped(call: Call, tmp_path: Path) -> None:
    """Each with its line and the reason; the others are taken in."""
    rows = [
        "2026-11-27,USD/KES,129.5", "27.11.2026,USD/UGX,3700", "2026-11-27,dollars,1", "2026-11-27,USD/QQQ,1",
        "2026-11-27,USD/UGX,", "2026-11-27,USD/UGX,-1", "2026-11-27,USD/UGX,1_000", "2026-11-27,USD/USD,1",
        "2999-01-01,USD/UGX,3700", "2026-11-27", "2026-11-27,USD/TZS,2500",
    ]  # fmt: skip
    (tmp_path / "rates.csv").write_text("date,pair,rate\n" + "\n".join(rows), encoding="utf-8")
    result = call("rates", "import", "rates.csv", "--source", "cbk")
    assert (result.code, result.json()) == (0, {"read": 11, "imported": 2, "skipped": 9})
    told = dict(line.removeprefix("line ").split(": ", 1) for line in result.err.splitlines())
    assert list(told) == [str(number) for number in range(3, 12)]
    assert told["3"].startswith("the date cannot be read")
    assert told["4"].startswith("the currencies cannot be read")
    assert told["5"] == "a currency is not an ISO 4217 code"
    assert {told[line] for line in ("6", "7", "8")} == {"the rate is not a number that a rate can be"}
    assert (told["9"], told["10"]) == ("both currencies are the same", "the date is still to come")
    (kes, _) = call("rates", "list").json()["rates"]
    assert (kes["source"], kes["valid_at"], kes["derived"]) == ("cbk", "2026-11-27T00:00:00Z", False)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the first line has to name the columns: date,base,quote,rate or date,pair,rate"),
        (b"2026-11-27,USD/KES,129.5\n", "the first line has to name the columns"),
        (b"date,base,rate\n2026-11-27,USD,1\n", "the first line has to name the columns"),
        (b"date,pair,rate\n", "nothing of rates.csv was imported"),
        (b"date,pair,rate\nx,USD/KES,1\n", "nothing of rates.csv was imported"),
        (b"\x1f\x8b\x08\x00\xff\xfe", "the first line has to name the columns"),
    ],
)
def test_a_file_without_any_rate_is_a_failure(call: Call, tmp_path: Path, content: bytes, said: str) -> None:
    """Exit code 1, and why."""
    (tmp_path / "rates.csv").write_bytes(content)
    result = call("rates", "import", "rates.csv")
    assert result.code == 1
    assert said in result.err.splitlines()[-1]
    assert listed(call) == {}


def test_many_bad_rows_are_told_in_short(call: Call, tmp_path: Path) -> None:
    """A hundred are told one by one, the others counted."""
    (tmp_path / "rates.csv").write_text("date,pair,rate\n" + "x,x,x\n" * 150 + "2026-11-27,USD/KES,129.5\n")
    result = call("rates", "import", "rates.csv")
    assert result.json() == {"read": 151, "imported": 1, "skipped": 150}
    assert len(result.err.splitlines()) == 101
    assert result.err.splitlines()[-1] == "and 50 more"


def test_standard_input_is_taken_in(tmp_path: Path, start: Start, dsn: str) -> None:
    """`cat rates.csv | jobsense rates import -`."""
    reading, writing = os.pipe()
    running = start("rates", "import", "-", env=environment(tmp_path, database_url=dsn), stdin=reading)
    os.close(reading)
    os.write(writing, PAIRS.encode())
    os.close(writing)
    result = running.end()
    assert (result.code, result.json()) == (0, {"read": 3, "imported": 3, "skipped": 0}), result.err


def test_on_a_terminal_people_read_it(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line of counts, and a table of rates that cannot command the terminal."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "120")
    (tmp_path / "rates.csv").write_text(PAIRS)
    assert call("rates", "import", "rates.csv", "--source", "\x1b[31mcbk").out == "read 3 = imported 3 + skipped 0\n"
    shown = call("rates", "list").out
    assert "for 1 USD" in shown
    assert "129.5" in shown
    assert "\x1b[31m" not in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("rates", "import", "nowhere.csv"), "'nowhere.csv' does not exist"),
        (("rates", "import", "-", "--source", " "), "give a name"),
        (("rates", "list", "--base", "ABC"), "use an ISO 4217 code such as USD"),
    ],
)
def test_wrong_use_is_told(call: Call, arguments: tuple[str, ...], said: str) -> None:
    """Exit code 2."""
    result = call(*arguments)
    assert (result.code, result.out) == (2, "")
    assert said in " ".join(result.err.split())
