"""What the calls of all operations have in common: how a request is named, and what an answer is taken for.

Chats, uploads and quick commands are written on it (`chatting`, `uploading`, `rqc.executing`). Knows none of them, and
nothing of retries.
"""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import quote

from dragoman.core.errors import DragomanError, ProtocolError
from dragoman.stackspot.exchange import Reply
from dragoman.stackspot.failures import status_error, status_of
from dragoman.stackspot.logs import shown
from dragoman.wire.http import Headers
from dragoman.wire.json_text import read_json

_LONGEST_KEY = 128


def path_segment(name: str) -> str:
    """A name as one segment of a path, whatever it holds; dots alone would climb up."""
    escaped = quote(name, safe="", errors="replace")
    return escaped if escaped.strip(".") else escaped.replace(".", "%2E")


def identity(request_id: object) -> dict[str, str]:
    """Header fields that name a request; an id that no field can hold is named by its digest."""
    name = str(request_id)
    if not (name.isascii() and name.isprintable() and " " not in name and len(name) <= _LONGEST_KEY):
        name = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    return {"X-Request-Id": name, "Idempotency-Key": name}


def raise_with_body(error: Exception) -> None:
    """Raise again, with what the service said, an HTTP error of a client that looks at statuses itself.

    Does nothing for other errors.
    """
    response = getattr(error, "response", None)
    status = status_of(error)
    if isinstance(error, DragomanError) or response is None or status is None:
        return
    text: Any = getattr(response, "text", "")
    fields: Any = getattr(response, "headers", None)
    headers = (
        Headers({str(name): str(value) for name, value in fields.items()}) if hasattr(fields, "items") else Headers()
    )
    raise status_error(status, headers, text if isinstance(text, str) else "", response=response) from error


def json_of(reply: Reply, expected: str, *, show: bool = True) -> Any:
    """The decoded body, read leniently where strict readers refuse it: half characters, for instance.

    Raises ProtocolError for a body that is no JSON; its message shows what came instead, unless `show` forbids it.
    """
    try:
        return reply.json()
    except (ValueError, ProtocolError):
        pass
    try:
        return read_json(reply.body)
    except ValueError:
        raise unexpected(reply, expected, show=show) from None


def unexpected(reply: Reply, expected: str, *, show: bool = True) -> ProtocolError:
    """The error of an answer that is something else than was `expected`."""
    said = (shown(reply.text) or "an empty body") if show else "something else"
    return ProtocolError(f"expected {expected}, got {said}", status=reply.status)
