"""The fields of a request body, each checked as OpenAI checks it: type, bounds, and an error that names the field.

Null is the same as absent. Knows neither messages nor what a field is for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from dragoman.ai.errors import ValidationError

__all__ = [
    "Check",
    "a_boolean",
    "a_list",
    "a_number",
    "a_text",
    "a_whole_number",
    "an_object",
    "at_most",
    "kind_of",
    "one_of",
    "refusal",
]

Check: TypeAlias = Callable[[str, Any], Any]
"""Given a field's name and its value, gives the value. Raises ValidationError."""


def refusal(field: str, text: str, code: str = "invalid_value") -> ValidationError:
    """The error for a field; `code` is a word of OpenAI's."""
    return ValidationError(text, field=field, code=code)


def _wrong_type(field: str, expected: str, value: Any) -> ValidationError:
    text = f"Invalid type for '{field}': expected {expected}, but got {kind_of(value)} instead."
    return refusal(field, text, "invalid_type")


def kind_of(value: Any) -> str:
    """A value's type, as an error names it."""
    if isinstance(value, bool):
        return "a boolean"
    for kind, name in ((int, "an integer"), (float, "a decimal"), (str, "a string"), (list, "an array")):
        if isinstance(value, kind):
            return name
    return "an object" if isinstance(value, Mapping) else "null"


def a_boolean(field: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _wrong_type(field, "a boolean", value)
    return value


def a_text(field: str, value: Any) -> str:
    if not isinstance(value, str):
        raise _wrong_type(field, "a string", value)
    return value


def an_object(field: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong_type(field, "an object", value)
    return value


def a_list(field: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise _wrong_type(field, "an array", value)
    return value


def at_most(most: int, field: str, value: Any) -> list[Any]:
    """An array of so many values at most."""
    if len(a_list(field, value)) > most:
        text = f"Invalid '{field}': array too long. Expected an array with maximum length {most}."
        raise refusal(field, text, "array_above_max_length")
    return a_list(field, value)


def a_number(low: float, high: float) -> Check:
    """A number within these bounds."""

    def check(field: str, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _wrong_type(field, "a decimal", value)
        _within(field, value, low, high, "decimal")
        return value

    return check


def a_whole_number(low: int | None = None, high: int | None = None) -> Check:
    """A whole number within these bounds."""

    def check(field: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise _wrong_type(field, "an integer", value)
        _within(field, value, low, high, "integer")
        return value

    return check


def _within(field: str, value: float, low: float | None, high: float | None, kind: str) -> None:
    if low is not None and value < low:
        text = f"Invalid '{field}': {kind} below minimum value. Expected a value >= {low}, but got {value} instead."
        raise refusal(field, text, f"{kind}_below_min_value")
    if high is not None and value > high:
        text = f"Invalid '{field}': {kind} above maximum value. Expected a value <= {high}, but got {value} instead."
        raise refusal(field, text, f"{kind}_above_max_value")


def one_of(words: Sequence[str]) -> Check:
    """One of these words."""

    def check(field: str, value: Any) -> str:
        if a_text(field, value) not in words:
            told = ", ".join(f"'{word}'" for word in words)
            text = f"Invalid value: '{value[:100]}'. Supported values are: {told}."
            raise refusal(field, text)
        return str(value)

    return check
