"""Values and columns: JSON, text and token counts as SQLite keeps them.

Pure, and the same for every table. A value that JSON cannot hold raises TypeError or
ValueError here, which the writer turns into UsageError.
"""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

from pydantic_core import from_json, to_json

from dragoman.core.usage import Usage


def dump(value: Any) -> str:
    """A JSON column. Lone surrogates, which models do send, are kept as escapes."""
    try:
        return to_json(value).decode()
    except ValueError:
        return json.dumps(value, separators=(",", ":"))


def load(text: str) -> Any:
    """The inverse of `dump`."""
    if text == "{}":
        return {}
    try:
        return from_json(text)
    except ValueError:
        return json.loads(text)


def dump_optional(value: Any) -> str | None:
    """Like `dump`, with None as NULL."""
    return None if value is None else dump(value)


def load_optional(text: str | None) -> Any:
    """The inverse of `dump_optional`."""
    return None if text is None else load(text)


def plain(text: str) -> str:
    """`text` as UTF-8 can hold it: lone surrogates become U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


_USAGE = tuple(f.name for f in fields(Usage))


def dump_usage(usage: Usage) -> str:
    """The counts that are known, as JSON."""
    return dump({name: count for name in _USAGE if (count := getattr(usage, name)) is not None})


def load_usage(text: str) -> Usage:
    """The inverse of `dump_usage`; counts of a newer version are ignored."""
    return Usage() if text == "{}" else Usage(**{k: v for k, v in load(text).items() if k in _USAGE})
