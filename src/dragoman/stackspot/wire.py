"""Chat as it goes over the wire (stackspot.md 2.2, 2.3): the request's fields, and frames as bytes.

Frames are JSON in ASCII, for clients cut lines at characters that Unicode calls line ends, and small, for the line
reader of some clients takes a time that grows with the square of a line. Knows no events and no HTTP.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from dragoman.core.errors import Unprocessable
from dragoman.wire.sse import encode_event

Frames: TypeAlias = Literal["native", "openai"]

DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"

MOST_BYTES = 4096
"""The largest frame that is sent."""

_TEXT_ROOM = 3500
"""Bytes of one frame that text may fill, as JSON; the rest is for the fields around it."""

VALIDATION_ERROR = "VALIDATION_ERROR"


# --------------------------------------------------------------------------- the request


@dataclass(frozen=True, slots=True)
class ChatBody:
    """The body of a chat, with the wire's defaults."""

    user_prompt: str
    streaming: bool = False
    use_conversation: bool = False
    conversation_id: str | None = None
    knowledge: bool = False
    return_sources: bool = False
    upload_ids: tuple[str, ...] = ()

    @classmethod
    def of(cls, body: Any) -> ChatBody:
        """The fields of a decoded body; others are passed over. Raises Unprocessable that names the field."""
        if not isinstance(body, dict):
            raise _wrong("Expected a JSON object.")
        prompt = body.get("user_prompt")
        if not isinstance(prompt, str) or not prompt:
            raise _wrong("user_prompt: expected a string that is not empty.")
        conversation = body.get("conversation_id")
        if conversation is not None and not isinstance(conversation, str):
            raise _wrong("conversation_id: expected a string.")
        return cls(
            prompt,
            _flag(body, "streaming"),
            _flag(body, "use_conversation"),
            conversation,
            _flag(body, "stackspot_knowledge", spelt=True),
            _flag(body, "return_ks_in_response"),
            _names(body, "upload_ids"),
        )


def _flag(body: Mapping[str, Any], name: str, *, spelt: bool = False) -> bool:
    """`spelt`: clients send this one as a word."""
    value = body.get(name)
    if spelt and isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    if value is None or isinstance(value, bool):
        return bool(value)
    raise _wrong(f"{name}: expected true or false{', or one of them as a string' if spelt else ''}.")


def _names(body: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = body.get(name)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
        raise _wrong(f"{name}: expected a list of strings.")
    return tuple(value)


def _wrong(message: str) -> Unprocessable:
    return Unprocessable(message, code=VALIDATION_ERROR)


# --------------------------------------------------------------------------- frames


def encode_frame(value: Mapping[str, Any]) -> bytes:
    """One frame."""
    return encode_event(json.dumps(value, separators=(",", ":")).encode("ascii"))


def error_frame(code: str, message: str) -> bytes:
    """The last frame of an answer that failed; the body is to be cut behind it."""
    told = next(text_pieces(message), "")
    value = {"type": "error", "message": told, "code": code}
    return encode_event(json.dumps(value, separators=(",", ":")).encode("ascii"), event="error")


def text_pieces(text: str, room: int = _TEXT_ROOM) -> Iterator[str]:
    """The text in pieces that take at most so many bytes as JSON; none for an empty text."""
    start = 0
    while start < len(text):
        piece = text[start : start + room]
        while (size := len(json.dumps(piece)) - 2) > room:
            piece = piece[: max(1, len(piece) * room // size)]
        yield piece
        start += len(piece)


def names_that_fit(names: Sequence[str], room: int = 2500) -> list[str]:
    """As many of the names, from the first on, as a frame has place for."""
    kept: list[str] = []
    for name in names:
        room -= len(json.dumps(name)) + 1
        if room < 0:
            break
        kept.append(name)
    return kept
