"""What schemathesis has to know of this service beside its document, and must not do to it."""

import os
from collections.abc import Iterator
from typing import Any

import schemathesis
from schemathesis.generation import GenerationMode

RULES = frozenset(
    {
        "cursor_stale",
        "missing_amount",
        "out_of_range",
        "repeated",
        "salary_out_of_order",
        "source_not_accepted",
        "unknown_currency",
        "unstorable_text",
    }
)
"""Codes of rules that JSON Schema cannot state: over several fields, by a list that changes, by what can be stored."""
SAID = frozenset({"Expected `int`, got `float`", "This time is past"})
"""And what two more rules say: 1.0, to JSON Schema a whole number, is none here; and some times lie in the future."""
_OWN = os.environ.get("JOBSENSE_FUZZ_KEY", "")
_ELSE = "0" * 12


schemathesis.serializer.alias("application/x-ndjson", "application/json")  # the document describes one line of it


@schemathesis.hook
def before_call(_context: Any, case: Any, _arguments: dict[str, Any]) -> None:
    """Name another key where a path names the one that we call with: it must live to the end."""
    parameters = case.path_parameters or {}
    for name, value in parameters.items():
        if isinstance(value, str) and value and value in _OWN:
            parameters[name] = _ELSE


@schemathesis.check
def refused_by_a_rule(_context: Any, response: Any, case: Any) -> None:
    """What fits the document is refused by a rule that it cannot state, and by nothing else."""
    if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE or response.status_code != 422:
        return
    errors = response.json().get("errors", ())
    strange = [error for error in errors if not _is_rule(error)]
    sent = (case.body, case.query, case.path_parameters, case.headers)
    if strange and not any(_is_trimmed(text) for part in sent for text in _texts(part)):
        raise AssertionError(f"Fits the document, and is refused for another reason than a rule: {strange}")


def _is_rule(error: dict[str, str]) -> bool:
    """Whether JSON Schema could not state what an error says."""
    place = error.get("parameter") or error.get("pointer", "")
    # Only a cursor that this service made fits; and a currency is missing where there is an amount.
    named = place.endswith("cursor") or (error["code"] == "missing" and place.endswith("currency"))
    return named or error["code"] in RULES or error["detail"] in SAID


def _is_trimmed(text: str) -> bool:
    """Whether text is shorter after it was trimmed, which a length in the document does not count on."""
    return text != text.strip()


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif hasattr(value, "items"):
        for item in value.values():
            yield from _texts(item)
