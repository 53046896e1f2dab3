"""The house rules that no tool checks: sizes, folders, names, docstrings, no sleeps in tests, no addresses in files."""

import ast
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import chain
from pathlib import Path

import pytest

from service.telemetry.event_names import EVENTS

ROOT = Path(__file__).parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))

MODULE_LINES = 300
FUNCTION_LINES = 50
USUAL_LINES = 30
USUAL_SHARE = 0.9
FOLDERS = 3
VAGUE = {"base", "common", "helper", "helpers", "manager", "managers", "misc", "util", "utils"}

Function = ast.FunctionDef | ast.AsyncFunctionDef
Documented = Function | ast.ClassDef

# In pieces, since this file is one of those that are searched.
INDEXES = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("yarnpkg", "com"),
        ("crates", "io"),
        ("anaconda", "org"),
        ("golang", "org"),
    )
)
ADDRESS = re.compile(r"://|\b[\w-]+\.(?:com|dev|io|net|org)\b|--(?:extra-)?index-url|--find-links|--trusted-host| @ ")
HOME = re.compile(r"(?<![\w.])/(?:home|Users)/\w|(?<![\w.])/root/[\w.]")


@cache
def listed() -> tuple[Path, ...]:
    """Every file of the checkout that is committed or would be."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return tuple(path for name in sorted(names.split("\0")) if name and (path := ROOT / name).is_file())


def none(offenders: Iterable[str]) -> bool:
    """Whether there are no offenders; fails with all of them, one a line."""
    found = list(offenders)
    if found:
        pytest.fail("\n".join(found), pytrace=False)
    return not found


@cache
def parsed(path: Path) -> ast.Module:
    """The syntax of a module."""
    return ast.parse(path.read_text(encoding="utf-8"))


def modules(*folders: str) -> Iterator[Path]:
    """The Python files below folders of the checkout."""
    roots = [ROOT / folder for folder in folders]
    return (path for path in listed() if path.suffix == ".py" and any(path.is_relative_to(root) for root in roots))


def functions(path: Path) -> Iterator[Function]:
    """The functions and methods of a module, nested ones too."""
    return (node for node in ast.walk(parsed(path)) if isinstance(node, Function))


def where(path: Path, node: ast.AST | None = None) -> str:
    """A place that an editor can open."""
    return f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"


def lines(function: Function) -> int:
    """How long a function is, from its `def` to its end."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def public(path: Path) -> Iterator[Documented]:
    """The functions and classes that others may use: top level and methods, no underscore, no overload."""
    for node in filter(_is_public, parsed(path).body):
        yield from filter(_is_public, [node, *node.body] if isinstance(node, ast.ClassDef) else [node])


def _is_public(node: ast.AST) -> bool:
    if not isinstance(node, Documented) or node.name.startswith("_"):
        return False
    return not any(ast.unparse(decorator).endswith("overload") for decorator in node.decorator_list)


def test_no_module_is_long() -> None:
    """A module has 300 lines or fewer."""
    sizes = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in modules("service", "tests")}
    assert none(f"{where(path)} has {size}" for path, size in sizes.items() if size > MODULE_LINES)


def test_no_function_is_long() -> None:
    """A function has 50 lines or fewer."""
    found = ((path, function) for path in modules("service", "tests") for function in functions(path))
    assert none(f"{where(*each)} {each[1].name}" for each in found if lines(each[1]) > FUNCTION_LINES)


@pytest.mark.parametrize("folder", ["service", "tests"])
def test_most_functions_are_short(folder: str) -> None:
    """Nine functions in ten have 30 lines or fewer."""
    sizes = [lines(function) for path in modules(folder) for function in functions(path)]
    assert sum(size <= USUAL_LINES for size in sizes) >= USUAL_SHARE * len(sizes) > 0


def test_folders_are_shallow() -> None:
    """Below service/, folders are at most three deep."""
    deep = [path for path in listed() if len(path.relative_to(ROOT).parts) > 2 + FOLDERS]
    assert none(where(path) for path in deep if path.is_relative_to(ROOT / "service"))


def test_packages_hold_nothing() -> None:
    """An `__init__.py` is a docstring, and nothing else."""
    found = [path for path in modules("service", "tests") if path.name == "__init__.py"]
    full = [path for path in found if len(parsed(path).body) != 1 or ast.get_docstring(parsed(path)) is None]
    assert none(where(path) for path in full)
    assert found


def test_names_say_what_for() -> None:
    """No folder or module has a name that would fit anything."""
    vague = (path for path in modules("service", "tests") if VAGUE & {*path.parent.parts, *path.stem.split("_")})
    assert none(where(path) for path in vague)


def test_modules_say_what_they_are_for() -> None:
    """Every module starts with a docstring, whose first line is a sentence."""
    openings = {path: (ast.get_docstring(parsed(path)) or "").split("\n\n")[0] for path in modules("service", "tests")}
    assert none(where(path) for path, opening in openings.items() if not re.search(r"\S[.:?]$", opening))


def test_public_parts_are_documented() -> None:
    """Every public function, method and class of the service has a docstring."""
    found = ((path, node) for path in modules("service") for node in public(path))
    silent = (f"{where(path, node)} {node.name}" for path, node in found if not ast.get_docstring(node))
    assert none(silent)


def test_tests_state_the_behaviour() -> None:
    """Every test has a docstring."""
    tests = ((path, node) for path in modules("tests") for node in functions(path) if node.name.startswith("test_"))
    assert none(f"{where(path, node)} {node.name}" for path, node in tests if not ast.get_docstring(node))


def test_tests_do_not_sleep() -> None:
    """Tests wait for conditions; only the fake Ollama is slow on purpose, and a rival idles; `sleep(0)` gives way."""
    calls = chain.from_iterable(
        ((path, node) for node in ast.walk(parsed(path)) if isinstance(node, ast.Call))
        for path in modules("tests")
        if not any(path.is_relative_to(ROOT / "tests" / program) for program in ("fake_ollama", "bench/reference"))
    )
    assert none(where(path, call) for path, call in calls if _sleeps(call))


def _sleeps(call: ast.Call) -> bool:
    if ast.unparse(call.func).rsplit(".", 1)[-1] != "sleep":
        return False
    return not (call.args and isinstance(call.args[0], ast.Constant) and call.args[0].value == 0)


def test_log_events_are_registered() -> None:
    """What is logged under a literal name is in the register, and every registered name stands in some module."""
    literals = {
        (path, text.value): call
        for path in modules("service")
        for call in ast.walk(parsed(path))
        if isinstance(call, ast.Call) and re.search(_LOGS, ast.unparse(call.func))
        for argument in call.args[:2]
        for text in ([argument.body, argument.orelse] if isinstance(argument, ast.IfExp) else [argument])
        if isinstance(text, ast.Constant) and isinstance(text.value, str)
    }
    events = {event.name for event in EVENTS}
    assert none(f"{where(path, call)} {name}" for (path, name), call in literals.items() if name not in events)
    written = {
        node.value
        for path in modules("service")
        if path != ROOT / "service" / "telemetry" / "event_names.py"
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Constant)
    }
    assert none(f"nothing logs {name}" for name in sorted(events - written))


_LOGS = r"\blog(ger\(.*\))?\.(debug|info|warning|error|exception|critical|log)$"


def test_exceptions_to_the_checks_have_a_reason() -> None:
    """What silences a check says why, on its line: `noqa: S108 - kept in memory`, or in a comment after it."""
    silenced = re.compile(r"#\s*(?:noqa|type:\s*ignore|pragma:\s*no)")
    offenders = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in modules("service", "tests")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if (match := silenced.search(line)) and not _REASON.search(line, match.end())
    ]
    assert none(offenders)


_REASON = re.compile(r" --? \w|# (?!noqa)\w")


def test_locks_are_pinned_and_hashed() -> None:
    """Every line of a lock is one exact version with its hashes."""
    assert {path.stem for path in LOCKS} == {"bench", "build", "dev", "load", "lock", "run"}
    for path in LOCKS:
        entries = re.split(r"\n(?=\S)", path.read_text(encoding="utf-8").strip())
        loose = [entry for entry in entries if not entry.startswith("#") and not re.match(_PINNED, entry)]
        assert none(loose)


_PINNED = re.compile(r"[a-z0-9-]+==[\w.+!]+( ; [^\n\\]+)?( \\\n    --hash=sha256:[0-9a-f]{64})+$")


def test_locks_name_no_index() -> None:
    """A lock installs from whatever index a machine uses, so it holds no address; uv.lock would."""
    assert none(path.name for path in LOCKS if ADDRESS.search(path.read_text(encoding="utf-8")))
    assert not (ROOT / "uv.lock").exists()


_SHORT = 2


def _names_an_index(text: str) -> bool:
    return any(index in text for index in INDEXES)


def _names_a_machine(text: str) -> bool:
    # A checkout right below the root, such as /app in an image, has a name that files may use.
    return HOME.search(text) is not None or (len(ROOT.parts) > _SHORT and f"{ROOT}/" in text)


@pytest.mark.parametrize("names", [_names_an_index, _names_a_machine])
def test_files_fit_any_machine(names: Callable[[str], bool]) -> None:
    """No file names a package index, or a folder of the machine that it was written on."""
    texts = ((path, path.read_bytes().decode("utf-8", errors="replace")) for path in listed())
    assert none(where(path) for path, text in texts if names(text))
