"""How much an answer has said so far, judged by its frames: for one that is cut before its counts come.

Looks at single frames only when it is asked; while the answer passes it counts no more than pieces and bytes.
"""

from __future__ import annotations

import math
from typing import Any

from pydantic_core import from_json, to_json

__all__ = ["Said"]

BYTES_PER_TOKEN = 4
_BEGIN = b"data:"
_NO_TEXT = frozenset({"role", "id", "type", "index"})


class Said:
    """`take` every piece of an answer, which is whole frames; `tokens` is an estimate of what they say."""

    __slots__ = ("_bytes", "_frames", "_last", "_whole")

    def __init__(self, whole: Any = None) -> None:
        """`whole`: the body of an answer that came at once."""
        self._whole = whole
        self._bytes = 0
        self._frames = 0
        self._last = b""

    def take(self, frames: bytes) -> None:
        """The next frames have been sent."""
        if not frames:
            return
        if self._last:
            self._frames += frames.startswith(_BEGIN)
        else:  # the first frame names a role
            self._bytes = -frames.find(b"\n\n") - 2
        self._frames += frames.count(b"\n\n" + _BEGIN)
        self._bytes += len(frames)
        self._last = frames

    @property
    def has_begun(self) -> bool:
        return bool(self._last) or self._whole is not None

    def tokens(self) -> int:
        """At least one for each frame behind the first; more where frames hold long texts.

        What a frame has besides its text is the same in all of them: the last ones tell how much that is.
        """
        if self._whole is not None:
            return math.ceil(_said_in(self._whole, "message") / BYTES_PER_TOKEN)
        frames = texts = 0
        for frame in self._last.split(b"\n\n"):
            if frame.startswith(_BEGIN):
                frames += 1
                texts += _text_of(frame[5:])
        if not frames:
            return self._frames
        around = (len(self._last) - texts) / frames
        return max(self._frames, math.ceil((self._bytes - self._frames * around) / BYTES_PER_TOKEN))


def _text_of(payload: bytes) -> int:
    """Bytes of what is said in one frame."""
    try:
        value = from_json(payload)
    except ValueError:
        return 0
    return _said_in(value, "delta")


def _said_in(value: Any, name: str) -> int:
    """Bytes of what is said in all choices, each of which has it under this name."""
    choices = value.get("choices") if isinstance(value, dict) else None
    return sum(_said(one.get(name)) for one in choices if isinstance(one, dict)) if isinstance(choices, list) else 0


def _said(value: Any) -> int:
    if isinstance(value, str):
        return len(to_json(value)) - 2
    if isinstance(value, dict):
        return sum(_said(part) for name, part in value.items() if name not in _NO_TEXT)
    return sum(map(_said, value)) if isinstance(value, list) else 0
