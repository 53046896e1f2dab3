"""The raw fields of one row, read one at a time; what cannot be read is noted as a warning or a refusal."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from service.ingest.model import Refusal, RowWarning, UnreadableError
from service.ingest.words import is_absent, read_line

_T = TypeVar("_T")


class Fields:
    """Access to the values of one row, with the list of what was found wrong so far."""

    def __init__(self, row: Mapping[str, object]) -> None:
        self._row = row
        self.warnings: list[RowWarning] = []
        self.refusals: list[Refusal] = []

    def raw(self, field: str) -> object:
        """The value as it is in the row, or None."""
        return self._row.get(field)

    def warn(self, field: str, code: str, raw: str | None = None) -> None:
        """Note that a value was dropped or changed; `raw` is the value of the field unless told otherwise."""
        self.warnings.append(RowWarning(field, code, show(self.raw(field)) if raw is None else raw))

    def refuse(self, field: str, code: str, detail: str) -> None:
        """Note why the row is no posting."""
        self.refusals.append(Refusal(field, code, detail))

    def is_refused(self, field: str) -> bool:
        """Whether this field is a reason for refusing the row already."""
        return any(refusal.field == field for refusal in self.refusals)

    def attempt(self, field: str, read: Callable[[Any], _T]) -> _T | None:
        """Read a field that is there, or warn and answer None."""
        value = self.raw(field)
        if value is None:
            return None
        try:
            return read(value)
        except UnreadableError as fault:
            self.warn(field, fault.code)
            return None

    def line(self, field: str) -> str:
        """Read an optional one-line text; "" where there is none."""
        text = self.attempt(field, read_line) or ""
        return "" if is_absent(text) else text

    def attempt_line(self, field: str, read: Callable[[str], _T]) -> _T | None:
        """Read an optional one-line text into something else, or warn and answer None."""
        text = self.line(field)
        return self.attempt(field, lambda _: read(text)) if text else None

    def name(self, field: str) -> str:
        """Read a one-line text that a posting has to have; "" where there is none."""
        try:
            return read_line(self.raw(field))
        except UnreadableError:
            self.refuse(field, "not_text", f"The {field} is not a text.")
            return ""


def show(value: object) -> str:
    """Write a raw value for a report, as it stands where it is a text."""
    text = value if isinstance(value, str) else "" if value is None else str(value)
    return text.encode("utf-8", "replace").decode("utf-8")
