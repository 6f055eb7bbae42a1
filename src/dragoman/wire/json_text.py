"""JSON text of strangers → values that can be said again.

Readers of JSON take more than its writers give: NaN, numbers beyond every float, half surrogate
pairs. Such a value is read today and breaks what stores or sends it tomorrow, so it is refused or
mended here. Knows nothing of what the text is for.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from pydantic_core import from_json

_HUGE = re.compile(r"\d[eE]\+?\d{3}|\d{309}", re.ASCII)
"""Stands in every number that no float holds."""


def read_json(text: str | bytes) -> Any:
    """The value; half surrogate pairs and bytes that are no UTF-8 become U+FFFD.

    Raises ValueError for what is no JSON, for numbers that are not finite, and for nesting without end.
    """
    try:
        value = from_json(text, allow_inf_nan=False)
    except ValueError:
        value = None
    if value is None:  # not from within the handler, so that the context of an error is empty too
        value = _mended_json(text.decode("utf-8", "replace") if isinstance(text, bytes) else text)
    if _HUGE.search(text if isinstance(text, str) else text.decode("latin-1")) and not _is_finite(value):
        raise ValueError("a number is larger than any that can be written")
    return value


def _mended_json(text: str) -> Any:
    try:
        return mended(json.loads(text, parse_constant=_refuse))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except json.JSONDecodeError as error:  # which holds the whole text, and whoever catches ours may show all it has
        raise ValueError(str(error)) from None


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is no JSON")


def mended(value: Any) -> Any:
    """A JSON value with U+FFFD for half surrogate pairs, which have no bytes. Raises RecursionError for a deep one."""
    if isinstance(value, str):
        return sound(value)
    if isinstance(value, list):
        return [mended(one) for one in value]
    if isinstance(value, dict):
        return {mended(key): mended(one) for key, one in value.items()}
    return value


def sound(text: str) -> str:
    """The text with U+FFFD for half surrogate pairs."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _is_finite(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    return all(map(_is_finite, value)) if isinstance(value, list) else True
