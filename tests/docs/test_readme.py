"""The README tells the truth: its settings, routes, error codes, commands and files are those of the code."""

import re
from pathlib import Path
from typing import get_args

import click
import msgspec
import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute

from service.__main__ import cli
from service.app import create_app
from service.config import Settings, read, shown, variable
from service.export.model import Cells
from service.http.problem import PROBLEMS
from service.telemetry.lifecycle import Telemetry

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def _rows(heading: str) -> list[list[str]]:
    """The cells of the table under a heading."""
    section = README.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@pytest.fixture
def app(settings: Settings, telemetry: Telemetry) -> Litestar:
    """The application, not started."""
    return create_app(settings, "", telemetry)


def test_settings_are_all_listed_with_their_defaults() -> None:
    """Each setting stands in the table once, in order, with the default that the code has."""
    rows = _rows("Settings")
    assert [row[0] for row in rows] == [f"`{variable(name)}`" for name in Settings.__struct_fields__]
    settings = read({"JOBSENSE_LOG_FORMAT": "json"})
    for name, row in zip(Settings.__struct_fields__, rows, strict=True):
        literal = re.fullmatch(r"`([^`]+)`", row[1])
        value = getattr(settings, name)
        if literal:
            assert shown(settings)[name] == literal[1], name
        elif row[1] == "unset":
            assert value in (None, ()), name


def test_routes_are_all_listed_with_their_scopes(app: Litestar) -> None:
    """Each documented route stands in the table, with the scope that its handler asks for."""
    served = {
        (f"{method} `{route.path_format}`", str(handler.opt.get("scope", "")))
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for method, (handler, _) in route.route_handler_map.items()
        if method != "OPTIONS" and handler.resolve_include_in_schema()
    }
    assert {(row[0], row[1]) for row in _rows("Routes")} == served


def test_columns_of_the_export_are_all_listed() -> None:
    """Each column of the CSV stands in the table, in order, and says whether it can be empty."""
    rows = _rows("Export")
    assert [row[0].strip("`") for row in rows] == list(Cells.__struct_fields__)
    nullable = [type(None) in get_args(field.type) for field in msgspec.structs.fields(Cells)]
    assert [" null" in row[1] for row in rows] == nullable


def test_deprecations_are_all_listed(app: Litestar) -> None:
    """What handlers deprecate stands in the table with both dates and what takes its place; nothing else does."""
    declared = {
        (
            f"{'header' if old.header else 'parameter'} `{old.name}` of {method} `{route.path_format}`"
            if old.name
            else f"{method} `{route.path_format}`",
            str(old.since),
            str(old.sunset),
            f"`{old.instead}`",
        )
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for method, (handler, _) in route.route_handler_map.items()
        for old in handler.opt.get("deprecated", ())
    }
    assert {tuple(row) for row in _rows("Versions")} == declared


def test_errors_are_all_listed_with_their_status() -> None:
    """Each problem code stands in the table with its status."""
    listed = {row[0].strip("`"): int(row[1]) for row in _rows("Errors")}
    assert listed == {code: kind.status for code, kind in PROBLEMS.items()}


def test_commands_are_all_listed() -> None:
    """Each command of `jobsense` stands in the table, and nothing else does."""
    listed = {row[0].strip("`").removeprefix("jobsense ") for row in _rows("Try it")}
    assert listed == set(cli.list_commands(click.Context(cli)))


@pytest.mark.parametrize(
    "page", ["README.md", "OPERATIONS.md", "service/README.md", "sql/README.md", "CONTRIBUTING.md"]
)
def test_named_files_exist(page: str) -> None:
    """Every link to a file, and every path of a module or statement that a page names, leads somewhere."""
    text = (ROOT / page).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert all((ROOT / page).parent.joinpath(link).exists() for link in links), links
    named = re.findall(r"`((?:[a-z_]+/)+[a-z_]+\.(?:py|sql))", text)
    roots = (ROOT, ROOT / "service", ROOT / "sql", ROOT / "sql/queries")
    assert [path for path in named if not any((root / path).exists() for root in roots)] == []


def test_make_targets_exist() -> None:
    """Every `make` target that the README names is in the Makefile."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"\bmake ([a-z-]+)\b", README)) - {"nothing"}
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert named <= targets
