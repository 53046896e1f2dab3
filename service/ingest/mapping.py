"""Find the fields of a posting among the columns of a source, by known names or by a map that the operator gives."""

import re
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import msgspec

from service.errors import SettingError
from service.ingest.model import DateOrder

_NOT_WORD = re.compile(r"[\W_]+")

# In order of preference: the fuller text before the summary, the name of a thing before a bare "name".
_ALIASES: dict[str, tuple[str, ...]] = {
    "title": ("title", "job title", "job name", "position", "position title", "posted job title", "business title",
              "role", "vacancy"),
    "company": ("company", "company name", "employer", "employer name", "organization", "organisation",
                "hiring organization", "principal company name", "agency"),
    "source": ("source", "site", "board", "job board"),
    "external_id": ("external id", "id", "job id", "posting id", "job reference"),
    "description": ("description", "job detail", "job details", "full description", "job description", "body",
                    "job description details"),
    "location": ("location", "job location", "work location", "place", "city"),
    "remote": ("remote", "is remote", "work from home"),
    "employment_type": ("employment type", "job type", "contract type", "work type", "job nature",
                        "full time part time indicator"),
    "salary_text": ("salary text", "salary", "salary range", "salary estimate", "salary offered", "compensation",
                    "pay"),
    "salary_min": ("salary min", "minimum salary", "min salary", "salary from", "salary range from", "min amount"),
    "salary_max": ("salary max", "maximum salary", "max salary", "salary to", "salary range to", "max amount"),
    "currency": ("currency", "salary currency", "currency code"),
    "salary_period": ("salary period", "pay period", "salary frequency", "salary interval", "interval"),
    "url": ("url", "link", "job url", "job link", "detail url", "apply url", "job page full url"),
    "posted_at": ("posted at", "date posted", "posted date", "posting date", "job date", "posted time", "posted on",
                  "published at", "date", "posted"),
    "expires_at": ("expires at", "deadline", "valid through", "closing date", "expiry date", "post until",
                   "application deadline"),
}  # fmt: skip
# "job_detail" is the page and "description" the teaser where a file has both.
_FULL_TEXT = ("job detail", "job details", "full description")
_SETTINGS = ("date_order",)
_LARGEST_MAP_BYTES = 1_000_000


class FieldMap(msgspec.Struct, frozen=True):
    """Where the fields come from; those that are in neither place are found by known names.

    `columns` names one column or several for a field (the first with a value counts), `constants` gives a field one
    value for all rows.
    """

    columns: dict[str, tuple[str, ...]] = {}
    constants: dict[str, str] = {}
    date_order: DateOrder | None = None


def read_map(given: str) -> FieldMap:
    """Read a map: a JSON or TOML file, or "title=Job Title,company=Employer,source:=brightermonday" in place.

    In a file, a field is given a column, a list of columns or {"value": "..."}; in place "=" names a column and ":="
    gives the value itself. `date_order` is "mdy" or "dmy". Raises SettingError, naming what is wrong.
    """
    entries = _read_inline(given) if "=" in given and not Path(given).is_file() else _read_file(Path(given))
    columns: dict[str, tuple[str, ...]] = {}
    constants: dict[str, str] = {}
    order: DateOrder | None = None
    for field, target in entries.items():
        if field == "date_order":
            order = _date_order(target)
        elif field not in _ALIASES:
            raise SettingError(f"--map: there is no field {field!r}; there are {', '.join((*_ALIASES, *_SETTINGS))}")
        elif isinstance(target, str) and target:
            columns[field] = (target,)
        elif isinstance(target, list) and target and all(isinstance(name, str) and name for name in target):
            columns[field] = tuple(target)
        elif isinstance(target, dict) and set(target) == {"value"} and isinstance(target["value"], str):
            constants[field] = target["value"]
        else:
            raise SettingError(f'--map: {field} needs the name of a column, a list of names, or {{"value": "..."}}')
    return FieldMap(columns=columns, constants=constants, date_order=order)


def map_row(values: Mapping[str, object], field_map: FieldMap, source: str | None = None) -> dict[str, object]:
    """Pick the fields of one row, raw as they are; columns without a meaning are left out.

    The keys are the fields of the API and `salary_text`. `source` fills in where neither row nor map tells one.
    """
    row: dict[str, object] = {}
    for field, columns in _plan(tuple(values), tuple(field_map.columns.items())):
        for column in columns:
            value = values[column]
            if value is not None and not (isinstance(value, str) and not value.strip()):
                row[field] = value
                break
    row.update(field_map.constants)
    if source is not None:
        row.setdefault("source", source)
    return row


def fold_name(name: str) -> str:
    """Fold case, white space and punctuation: "Job_Title" and " JOB  TITLE" are one name."""
    return _NOT_WORD.sub(" ", name.casefold()).strip()


@lru_cache(maxsize=64)
def _plan(
    names: tuple[str, ...], given: tuple[tuple[str, tuple[str, ...]], ...]
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Tell which columns to look at for each field, for rows that have just these columns."""
    by_name: dict[str, list[str]] = {}
    for name in names:
        by_name.setdefault(fold_name(name), []).append(name)
    wanted = dict(given)
    plan: list[tuple[str, tuple[str, ...]]] = []
    for field, aliases in _ALIASES.items():
        if field in wanted:
            columns = [name for name in wanted[field] if name in names]
            columns += [found for name in wanted[field] for found in by_name.get(fold_name(name), [])]
        else:
            known = (*_FULL_TEXT, *aliases) if field == "description" else aliases
            columns = [found for alias in known for found in by_name.get(alias, [])]
        if columns:
            plan.append((field, tuple(dict.fromkeys(columns))))
    return tuple(plan)


def _read_inline(given: str) -> dict[str, object]:
    entries: dict[str, object] = {}
    for part in given.split(","):
        field, equals, target = part.partition("=")
        if not equals or not target.strip():
            raise SettingError(f"--map: {part.strip()!r} is not of the form field=Column or field:=value")
        name = field.strip()
        if name.endswith(":"):
            entries[name[:-1].strip()] = {"value": target.strip()}
        else:
            entries[name] = target.strip()
    return entries


def _read_file(path: Path) -> dict[str, object]:
    try:
        if path.stat().st_size > _LARGEST_MAP_BYTES:
            raise SettingError(f"--map: {path} is larger than {_LARGEST_MAP_BYTES} bytes; is it a map?")
        text = path.read_text(encoding="utf-8-sig")
        if text.lstrip().startswith("{"):
            return msgspec.json.decode(text, type=dict[str, object])
        return tomllib.loads(text)
    except (OSError, ValueError, msgspec.MsgspecError) as fault:
        raise SettingError(f"--map: {path} is neither field=Column nor a JSON or TOML file: {fault}") from fault


def _date_order(target: object) -> DateOrder:
    value = target["value"] if isinstance(target, dict) and set(target) == {"value"} else target
    if value == "mdy":
        return "mdy"
    if value == "dmy":
        return "dmy"
    raise SettingError(f"--map: date_order is {value!r}; it is mdy or dmy")
