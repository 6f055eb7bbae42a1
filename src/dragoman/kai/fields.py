"""Checks of single fields in a client's JSON, with the words of their refusals.

Shared by the decoders of `requests` and `preferences`; every fault is a BadRequest that names the
field, says what was expected and shows what came.
"""

from __future__ import annotations

import re
from typing import Any

from dragoman.core.errors import BadRequest

_ID = re.compile(r"[A-Za-z0-9_\-.:]{1,128}")


def expected(where: str, what: str, got: Any) -> BadRequest:
    """The refusal of one field; the caller raises it."""
    shown = "nothing" if got is None else repr(got)
    return BadRequest(f"{where}: expected {what}, got {shown if len(shown) <= 80 else shown[:77] + '...'}.")


def is_chat_id(value: object) -> bool:
    """Whether this can be the id of a chat or message (kai.md 3.1)."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def as_id(value: Any, where: str) -> str:
    """The id of a chat or message."""
    if not is_chat_id(value):
        raise expected(where, "1 to 128 characters of A-Z a-z 0-9 _ - . :", value)
    return str(value)


def as_object(value: Any, where: str) -> dict[str, Any]:
    """A JSON object."""
    if not isinstance(value, dict):
        raise expected(where, "an object", value)
    return value
