"""The body of a streamed answer → frames, whatever it turns out to be.

A body should be server-sent events, and a service that sends one whole JSON answer instead is understood; anything
else is told as an error, never as silence. Pure: fed bytes, gives (data, event name) pairs.
"""

from __future__ import annotations

import re
from typing import TypeAlias

from pydantic_core import from_json

from dragoman.core.errors import ProtocolError
from dragoman.stackspot.logs import shown
from dragoman.wire.sse import SSEDecoder

Frame: TypeAlias = tuple[bytes, bytes]
"""Data and event name."""

LONGEST_ANSWER = 64 * 1024 * 1024
_LONGEST_UNREAD = 1024 * 1024
_EVENT_STREAM = "text/event-stream"
_EVENT_LINES = re.compile(rb"\s*(?:(?::|(?:data|event|id|retry)\b)[^\r\n]*\s*)*")


class StreamBody:
    """Decodes one body; `feed` every read, then `end`."""

    def __init__(self, content_type: str) -> None:
        self._kind = content_type.partition(";")[0].strip().lower()
        self._is_json = self._kind.endswith(("/json", "+json"))
        self._decoder = SSEDecoder()
        self._unread: list[bytes] | None = []  # what came while no event has shown that these are events
        self._unread_size = 0

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that these bytes complete. Raises ProtocolError for one beyond all bounds."""
        if self._unread is None:
            return self._decoder.feed_named(data)
        self._unread.append(data)
        self._unread_size += len(data)
        if self._is_json:
            if self._unread_size > LONGEST_ANSWER:
                raise ProtocolError(f"the answer is larger than {LONGEST_ANSWER} bytes", code="answer_too_large")
            return []
        frames = self._decoder.feed_named(data)
        if frames or self._unread_size > _LONGEST_UNREAD:
            self._unread = None
        return frames

    def end(self) -> list[Frame]:
        """The frames that the end of the body completes: a last event needs no blank line here.

        Raises ProtocolError for a body that is neither events nor an answer.
        """
        frames = [] if self._is_json else self._decoder.feed_named(b"\n\n")
        if frames or self._unread is None:
            return frames
        body = b"".join(self._unread).strip()
        if _is_answer(body):
            return [(body, b"")]
        if self._kind == _EVENT_STREAM and _EVENT_LINES.fullmatch(body):
            return []
        said = shown(body.decode("utf-8", "replace")) if body else "an empty body"
        raise ProtocolError(f"expected server-sent events, got {self._kind or 'an unnamed type'}: {said}")


def _is_answer(body: bytes) -> bool:
    """Whether a body is a JSON object that says something an answer says."""
    try:
        value = from_json(body)
    except ValueError:
        return False
    return isinstance(value, dict) and any(
        isinstance(value.get(name), kind)
        for name, kind in (("message", str), ("choices", list), ("error", dict | str), ("content", str), ("text", str))
    )
