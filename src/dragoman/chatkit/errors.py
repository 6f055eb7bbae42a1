"""Errors of this dialect.

Two kinds. Those that a responder raises to end its stream with an `error` event in words of its own choice
(`StreamError`, `CustomStreamError`). And those that refuse a request before anything was changed; each has two
parents, the built-in class that the documented API promises and ours that carries the HTTP status.
"""

from __future__ import annotations

from abc import ABC
from enum import Enum, StrEnum

from dragoman.core.errors import BadRequest, Conflict, RemoteError, RunError, ServerError

__all__ = [
    "DEFAULT_ALLOW_RETRY",
    "DEFAULT_STATUS",
    "AttachmentRefused",
    "BadTarget",
    "BaseStreamError",
    "CustomStreamError",
    "ErrorCode",
    "NotSupported",
    "NothingPending",
    "StreamError",
]


class ErrorCode(StrEnum):
    """Codes that the front end has a text for. The set is open: expect others."""

    STREAM_ERROR = "stream.error"


DEFAULT_STATUS: dict[ErrorCode, int] = {ErrorCode.STREAM_ERROR: 500}

DEFAULT_ALLOW_RETRY: dict[ErrorCode, bool] = {ErrorCode.STREAM_ERROR: True}


class BaseStreamError(RunError, ABC):
    """Ends the stream with an `error` event; `allow_retry` offers the user a retry button."""

    allow_retry: bool


class StreamError(BaseStreamError):
    """An error whose text the front end chooses by its code, in the user's language."""

    def __init__(self, code: ErrorCode, *, allow_retry: bool | None = None) -> None:
        self.status_code = DEFAULT_STATUS.get(code, 500)
        self.allow_retry = DEFAULT_ALLOW_RETRY.get(code, False) if allow_retry is None else allow_retry
        text = code.value if isinstance(code, Enum) else str(code)
        super().__init__(text, code=code, status=self.status_code, retryable=self.allow_retry)


class CustomStreamError(BaseStreamError):
    """An error whose text is shown to the user as it is; translate it before raising."""

    def __init__(self, message: str, *, allow_retry: bool = False) -> None:
        self.allow_retry = allow_retry
        super().__init__(message, code="custom", status=500, retryable=allow_retry)


class BadTarget(BadRequest, ValueError):
    """400: the item that a request names is not of the kind that it needs; the text says which."""

    default_code = "bad_target"


class NothingPending(Conflict, ValueError):
    """409: the thread waits for no such answer, or no longer."""

    default_code = "nothing_pending"


class NotSupported(ServerError, NotImplementedError):
    """501: this server does not offer the operation, since its hook is not implemented."""

    default_code, default_status = "not_supported", 501


class AttachmentRefused(RemoteError, ValueError):
    """A file that is not taken or not given; `status` says why: 400 (declared wrongly, or never uploaded), 404, 413, 415."""

    default_code, default_status = "attachment_refused", 400
