"""Read settings from files: `.env`, and files that hold one secret each."""

from pathlib import Path

from service.errors import SettingError


def read_dotenv(path: Path) -> dict[str, str]:
    """The variables of a `.env` file as texts; raises SettingError."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"{path} cannot be read ({_reason(error)})") from None
    found = {}
    for number, line in enumerate(lines, 1):
        text = line.strip().removeprefix("export ")
        if not text or text.startswith("#"):
            continue
        name, separator, value = text.partition("=")
        if not separator:
            raise SettingError(f"{path}, line {number}: expected NAME=value")
        found[name.strip()] = _unquote(value.strip())
    return found


def _unquote(value: str) -> str:
    """What stands between quotes, else the text up to a comment."""
    if value[:1] in {"'", '"'}:
        closing = value.find(value[0], 1)
        if closing > 0 and value[closing + 1 :].strip()[:1] in {"", "#"}:
            return value[1:closing]
    return value.partition(" #")[0].rstrip()


def read_secret(name: str, path: str) -> str:
    """The secret that the file at `path` holds, which the variable `name` points to; raises SettingError."""
    try:
        text = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise SettingError(f"{name}={path}: the file cannot be read ({_reason(error)})") from None
    if not text:
        raise SettingError(f"{name}={path}: the file is empty")
    return text


def _reason(error: Exception) -> str:
    return str(error.strerror if isinstance(error, OSError) else "it is not UTF-8 text")
