"""`make audit`: a known vulnerability fails it, a machine that reaches no database is told so and does not."""

import json
import subprocess
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci/audit"
CLEAN = {"name": "good", "version": "1", "vulns": []}
BAD = {"name": "bad", "version": "2", "vulns": [{"id": "GHSA-1", "fix_versions": ["3"]}]}
UNKNOWN = {"name": "new", "skip_reason": "Dependency not found"}


def audit(monkeypatch: pytest.MonkeyPatch, *answers: str) -> int:
    """Run it with what pip-audit says of one database after the other."""
    loader = SourceFileLoader("audit", str(SCRIPT))
    spec = spec_from_loader("audit", loader)
    assert spec is not None
    module: Any = module_from_spec(spec)
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    loader.exec_module(module)
    said = iter(answers)
    monkeypatch.setattr(
        module.subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 1, next(said), "")
    )
    return int(module.main())


def report(*dependencies: Any) -> str:
    """What pip-audit prints."""
    return json.dumps({"dependencies": dependencies, "fixes": []})


def test_a_known_vulnerability_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1, and the line names the dependency and the advisory."""
    assert audit(monkeypatch, report(CLEAN, BAD, UNKNOWN)) == 1
    said = capsys.readouterr().out
    assert "2 dependencies looked up at pypi, 1 with known vulnerabilities" in said
    assert "bad 2" in said
    assert "GHSA-1" in said


def test_the_second_database_is_asked_where_the_first_knows_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What pip-audit takes for a clean result, since it skipped everything, is none."""
    assert audit(monkeypatch, report(UNKNOWN), report(CLEAN)) == 0
    assert "1 dependencies looked up at osv, 0 with" in capsys.readouterr().out


def test_no_database_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A stack trace of pip-audit, which reached nothing, becomes a sentence and no failure."""
    assert audit(monkeypatch, "Traceback (most recent call last):", report(UNKNOWN)) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.endswith("NOT audited, since no advisory database can be reached from here")
