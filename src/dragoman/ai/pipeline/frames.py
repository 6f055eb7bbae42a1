"""Payload bytes → one frame, whatever is wrong with them.

A payload that is no JSON object becomes a `MalformedFrame`: an error frame that says so and lets the
stream go on. Knows neither decoders nor rules.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from pydantic_core import from_json

from dragoman.wire.json_text import read_json

Frame: TypeAlias = dict[str, Any]

SHOWN = 200
"""Characters of a payload that an error shows."""


class MalformedFrame(dict[str, Any]):
    """Stands for a payload that could not be read; reads like an error frame of any wire."""

    def __init__(self, payload: bytes | str) -> None:
        text = payload if isinstance(payload, str) else payload.decode("utf-8", "replace")
        super().__init__(type="error", error={"type": "malformed_frame", "text": text[:SHOWN]})

    @property
    def text(self) -> str:
        """The first characters of the payload."""
        return str(self["error"]["text"])


def read_frames(payload: bytes) -> list[Frame]:
    """What one payload holds: an object, or the objects of a list; else a MalformedFrame."""
    try:
        value = from_json(payload)
    except ValueError:
        value = _doubtful(payload)
    if type(value) is dict:
        return [value]
    if isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
        return value
    return [MalformedFrame(payload)]


def _doubtful(payload: bytes) -> Any:
    """What a lenient reader makes of it: bytes that are no UTF-8, half surrogate pairs; None if it is no JSON."""
    try:
        return read_json(payload)
    except ValueError:
        return None
