"""Reading query strings and `Accept` for the own face; every mistake is a BadRequest that says what was expected."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

from dragoman.core.errors import BadRequest
from dragoman.core.ids import is_id
from dragoman.server.http import Call

MAX_SEQ = 2**53
STATUSES = ("queued", "running", "paused", "completed", "failed", "cancelled")
KINDS = ("chat", "execute", "step", "job", "command", "completion")

MOST_CHARACTERS = 200

_MOMENT = re.compile(r"[0-9]{1,11}(\.[0-9]{1,9})?")
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


def number(call: Call, name: str, *, default: int, least: int, most: int) -> int:
    """An integer of the query; above `most` it is cut."""
    text = call.query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal()) or len(text) > 16 or int(text) < least:
        raise BadRequest(
            f"{name}: expected an integer of at least {least}, got {text[:40]!r}", code="bad_request:input"
        )
    return min(int(text), most)


def identifier(call: Call, name: str) -> str | None:
    """An id of the query."""
    text = call.query.get(name)
    if text is not None and not is_id(text):
        raise BadRequest(f"{name}: expected an id, got {text[:40]!r}", code="bad_request:input")
    return text


def choices(call: Call, name: str, allowed: Sequence[str]) -> Any:
    """Words of the query, repeated or with commas; None if there are none."""
    words = [word for text in call.query.getlist(name) for word in text.split(",") if word]
    for word in words:
        if word not in allowed:
            raise BadRequest(f"{name}: expected {', '.join(allowed)}, got {word[:40]!r}", code="bad_request:input")
    return words or None


def one_of(call: Call, name: str, allowed: Sequence[str]) -> Any:
    """One word of the query; None if there is none."""
    word = call.query.get(name)
    if word is not None and word not in allowed:
        raise BadRequest(f"{name}: expected one of {', '.join(allowed)}, got {word[:40]!r}", code="bad_request:input")
    return word


def moment(call: Call, name: str) -> float | None:
    """A time of the query, in seconds since the epoch; None if there is none."""
    text = call.query.get(name)
    if text is not None and not _MOMENT.fullmatch(text):
        raise BadRequest(
            f"{name}: expected seconds since the epoch, such as 1790000000, got {text[:40]!r}",
            code="bad_request:input",
        )
    return None if text is None else float(text)


def flag(call: Call, name: str) -> bool | None:
    """Yes or no; None if nothing is said."""
    word = one_of(call, name, ("true", "false"))
    return None if word is None else word == "true"


def words(call: Call, name: str) -> str | None:
    """What is searched for, without the blanks around it; None if there is nothing."""
    text = call.query.get(name, "").strip()
    if len(text) > MOST_CHARACTERS:
        raise BadRequest(f"{name}: expected at most {MOST_CHARACTERS} characters", code="bad_request:input")
    return text or None


def idempotency_key(call: Call) -> str | None:
    """The header `Idempotency-Key`, None if there is none."""
    key = call.headers.get("idempotency-key")
    if key is not None and not _KEY.fullmatch(key):
        raise BadRequest(
            "Idempotency-Key: expected 1 to 255 visible ASCII characters without blanks", code="bad_request:input"
        )
    return key


def seen_seq(call: Call) -> int:
    """The seq behind which a reader goes on: `Last-Event-ID`, else `?after=`, else 0."""
    text = call.headers.get("last-event-id", "").strip()
    if not text:
        return number(call, "after", default=0, least=0, most=MAX_SEQ)
    if not (text.isascii() and text.isdecimal()) or len(text) > 16:
        raise BadRequest(f"Last-Event-ID: expected the seq of an event, got {text[:40]!r}", code="bad_request:input")
    return min(int(text), MAX_SEQ)


def prefers(call: Call) -> Literal["stream", "json", "any"]:
    """What the client accepts: an event stream, JSON, or whatever comes."""
    for entry in call.headers.get("accept", "").split(","):
        kind = entry.partition(";")[0].strip().lower()
        if kind == "text/event-stream":
            return "stream"
        if kind == "application/json":
            return "json"
    return "any"
