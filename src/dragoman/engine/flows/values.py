"""Values of users' functions → JSON, as the journal keeps them.

What a step gives is read again after a crash, so it is JSON from the start: nobody sees a value
before the journal that another would see differently behind it.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic_core import from_json, to_json

from dragoman.core.errors import UsageError
from dragoman.wire.json_text import mended

_OUR_WORDS = ("Unable to serialize unknown type", "Circular reference detected", "invalid utf-8 sequence")


class NotJson(UsageError):
    """A value that has no JSON form."""

    default_code = "not_json"


def as_json(value: Any, what: str) -> Any:
    """The value as JSON keeps it: models, dataclasses and dates by their JSON form, NaN as null, halves of
    surrogate pairs as U+FFFD.

    Raises NotJson, which names `what`, for anything else.
    """
    if value is None or value is True or value is False or (type(value) is str and value.isascii()):
        return value
    try:
        return from_json(to_json(value, inf_nan_mode="null"))
    except ValueError as error:
        return _mended(value, what, error)


def _mended(value: Any, what: str, error: ValueError) -> Any:
    try:
        return mended(json.loads(json.dumps(value, allow_nan=False)))
    except (TypeError, ValueError, RecursionError):
        raise NotJson(f"{what} is no JSON{_reason(error)}") from error


def _reason(error: ValueError) -> str:
    """Why, where it is this program that says so: what a serializer of the user's raises may say anything."""
    text = str(error)
    return f": {text}" if text.startswith(_OUR_WORDS) else ""
