"""Answers of an endpoint as plain values, and the one place that spells errors.

Adapters turn them into what their framework sends.
"""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from dragoman.chatkit.errors import CustomStreamError, StreamError
from dragoman.chatkit.logger import logger
from dragoman.core.errors import DragomanError
from dragoman.core.redact import redact_text

RUN_HEADER = "x-dragoman-run"
STREAM_HEADERS: Mapping[str, str] = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache, no-transform",
    "x-accel-buffering": "no",
}
JSON_HEADERS: Mapping[str, str] = {"content-type": "application/json"}
NOT_FOUND = "There is no such thread, item, attachment or cursor."
FAILED = "The request could not be completed."
_INTERNAL = 500


class PieceStream(Protocol):
    """The body of an answer that comes in pieces; `aclose` says that nobody takes more of it."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    async def __anext__(self) -> bytes: ...

    async def aclose(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer: a `body`, or a `stream` of pieces. `run_id` stands in the headers too."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = b""
    stream: PieceStream | None = None
    run_id: str | None = None

    @property
    def is_events(self) -> bool:
        """Whether the stream is one of events, so that silence may be filled with comments."""
        return self.stream is not None and self.headers.get("content-type", "").startswith("text/event-stream")


def json_reply(body: bytes, status: int = 200) -> Reply:
    """A JSON document that is encoded already."""
    return Reply(status, dict(JSON_HEADERS), body)


def stream_reply(stream: PieceStream, run_id: str | None) -> Reply:
    """An event stream."""
    headers = dict(STREAM_HEADERS)
    if run_id is not None:
        headers[RUN_HEADER] = run_id
    return Reply(200, headers, None, stream, run_id)


def error_reply(error: Exception) -> Reply:
    """`{"error": {"code", "message"}}` with the status that the error means.

    What is not there and what is another's get the same bytes, whatever the store's text. Texts of
    unexpected errors are for the log.
    """
    status, code, message, retry_after = _told(error)
    if status >= _INTERNAL and status != 501 and not isinstance(error, CustomStreamError):
        logger.error("A ChatKit request failed", exc_info=error)
    body = json.dumps({"error": {"code": code, "message": message}}, ensure_ascii=False).encode("utf-8", "replace")
    headers = dict(JSON_HEADERS)
    if retry_after is not None:
        headers["retry-after"] = str(max(1, math.ceil(retry_after)))
    run_id = getattr(error, "run_id", None)
    if run_id is not None:
        headers[RUN_HEADER] = run_id
    return Reply(status, headers, body, run_id=run_id)


def _told(error: Exception) -> tuple[int, str, str, float | None]:
    """Status, code, message and the time to wait."""
    match error:
        case DragomanError(status=404):
            return 404, "not_found", NOT_FOUND, None
        case CustomStreamError():
            return _INTERNAL, "custom", error.message, None
        case StreamError():
            return error.status_code, str(getattr(error.code, "value", error.code)), FAILED, None
        case NotImplementedError():
            return 501, "not_implemented", "This server does not offer this operation.", None
        case DragomanError() if error.status is not None and 400 <= error.status < _INTERNAL:
            wait = error.retry_after if error.retry_after is not None else (1.0 if error.status == 429 else None)
            return error.status, error.code or "error", redact_text(error.message), wait
        case DragomanError() if error.status == 503:
            return 503, error.code or "unavailable", "The server cannot answer now.", error.retry_after
        case _:
            return _INTERNAL, "internal", FAILED, None


def error_event(error: Exception | None, default_message: str) -> bytes:
    """The frame that ends a stream which broke off; it tells nothing of the error."""
    told: dict[str, Any] = {
        "type": "error",
        "code": "stream.error",
        "message": default_message,
        "allow_retry": True,
    }
    return b"data: " + json.dumps(told).encode() + b"\n\n"
