"""Finds the JSON in what a model wrote around it: prose before and after, a fenced block, nothing at all.

The work is bounded by the length of the text, whatever stands in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from dragoman.ai.structured.partial import MAX_DEPTH, PartialJson
from dragoman.wire.json_text import read_json

__all__ = ["checked", "extract_json", "json_in"]

_OPENING = re.compile(r"[{\[]")
_PASSES = 4
"""How often each character may be looked at; a text that needs more is not worth it."""


def extract_json(text: str) -> dict[str, Any] | list[Any] | None:
    """The object or array in a text; None if there is none.

    Tried in this order: the whole text, each fenced block, then the first place at which a whole
    object or array stands. Brackets within strings do not count. What is no JSON in the strict sense
    (NaN, numbers beyond every float) is passed by; what is cut off, or nested deeper than 200, ends the search.
    """
    return next(json_in(text), None)


def json_in(text: str) -> Iterator[dict[str, Any] | list[Any]]:
    """All objects and arrays in a text, in the order of `extract_json`; one within another is not told again."""
    for candidate in (text.strip(), *_fenced(text)):
        found = _container(candidate)
        if found is not None:
            yield found
    yield from _in_prose(text)


def checked(value: Any) -> Any:
    """The value. Raises ValueError when it is nested deeper than `MAX_DEPTH`."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        inner: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                inner.extend(one.values())
            elif isinstance(one, list):
                inner.extend(one)
        level = [one for one in inner if isinstance(one, dict | list)]
        if not level:
            return value
    raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels")


def _container(text: str) -> dict[str, Any] | list[Any] | None:
    if not text.startswith(("{", "[")):
        return None
    try:
        found = checked(read_json(text))
    except ValueError:
        return None
    return found if isinstance(found, dict | list) else None


def _fenced(text: str) -> Iterator[str]:
    """What stands in ``` blocks; one that is not closed goes to the end. No JSON has a fence at a line's begin."""
    at = 0
    while (fence := text.find("```", at)) >= 0:
        line_end = text.find("\n", fence)
        if line_end < 0:
            return
        close = text.find("\n```", line_end)
        yield text[line_end + 1 : close if close >= 0 else len(text)].strip()
        if close < 0:
            return
        at = close + 4


def _in_prose(text: str) -> Iterator[dict[str, Any] | list[Any]]:
    left = _PASSES * len(text) + 4096
    after = 0
    for opening in _OPENING.finditer(text):
        start = opening.start()
        if start < after:
            continue
        reader = PartialJson()
        end = reader.read(text, start)
        if reader.is_complete:
            found = _container(text[start:end])
            if found is not None:
                after = end
                yield found
        left -= end - start
        if left <= 0 or reader.is_too_deep or not (reader.is_complete or reader.is_broken):
            return  # what was cut off is not made up for by an object within it
