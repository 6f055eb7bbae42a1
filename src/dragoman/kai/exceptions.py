"""The errors of the Kai dialect, and how an answer with an error status becomes one.

    KaiError                          DragomanError
    ├── KaiAuthenticationError        Unauthorized
    ├── KaiForbiddenError             Forbidden
    ├── KaiNotFoundError              NotFound
    ├── KaiRateLimitError             RateLimited
    ├── KaiBadRequestError            BadRequest
    ├── KaiStreamError                ProtocolError
    ├── KaiConnectionError            TransportError
    └── KaiTimeoutError               TimedOut

Each class has two parents, its own root and its branch of `dragoman.core.errors` (second
column), so `except KaiError` and `except RateLimited` both catch it. The tables are data; this
module knows nothing of requests, streams or the network.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

from pydantic_core import to_json

from dragoman.core.errors import (
    BadRequest,
    DragomanError,
    Forbidden,
    NotFound,
    ProtocolError,
    RateLimited,
    TimedOut,
    TransportError,
    Unauthorized,
    class_for_status,
)


class KaiError(DragomanError):
    """Root of the dialect's errors.

    `code` is the server's word (`type:surface`) or the client's (`http:<status>`, `stream:…`,
    `discovery:…`, `history:…`, `approval:…`); `cause` is a text, the exception behind it is
    `__cause__`. `response_data` is the decoded body and `status_code` the HTTP status if a
    server answered; `retry_after` is in seconds.
    """

    def __init__(
        self,
        message: str,
        code: str | None = None,
        cause: str | None = None,
        response_data: Any = None,
        *,
        status_code: int | None = None,
        retryable: bool | None = None,
        retry_after: float | None = None,
        request_id: str | None = None,
        run_id: str | None = None,
    ) -> None:
        super().__init__(
            message,
            code=code,
            status=status_code,
            retryable=retryable,
            retry_after=retry_after,
            request_id=request_id,
            run_id=run_id,
            body=response_data,
        )
        self.code = code  # the other parent's default word is none of this dialect's
        self.cause = cause
        self.response_data = response_data
        self.status_code = status_code

    def __str__(self) -> str:
        code = f"[{self.code}] " if self.code else ""
        cause = f" (cause: {self.cause})" if self.cause else ""
        return f"{code}{self.message}{cause}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}(message={self.message!r}, code={self.code!r})"


class KaiAuthenticationError(KaiError, Unauthorized):
    """The token is missing or not valid."""


class KaiForbiddenError(KaiError, Forbidden):
    """The token does not allow this; often the chat is another user's."""


class KaiNotFoundError(KaiError, NotFound):
    """There is no such chat, message, approval or tool call."""


class KaiRateLimitError(KaiError, RateLimited):
    """The quota is used up; `retry_after` says when to come back."""


class KaiBadRequestError(KaiError, BadRequest):
    """The server did not accept the request's content."""


@dataclass(frozen=True, slots=True)
class PartialStream:
    """What a stream had delivered when it failed: the number of events, and the text so far."""

    events: int = 0
    text: str = ""


class KaiStreamError(KaiError, ProtocolError):
    """A stream broke, could not be decoded, or reported an error to `chat()`.

    `partial` says what came before.
    """

    partial: PartialStream = PartialStream()

    @property
    def partial_text(self) -> str:
        """The text that came before the fault."""
        return self.partial.text


class KaiConnectionError(KaiError, TransportError):
    """The server could not be reached, or the connection broke before it had answered."""


class KaiTimeoutError(KaiError, TimedOut):
    """The server did not answer in time, or paused for too long within a stream."""

    partial: PartialStream = PartialStream()


ERROR_CODE_MAP: dict[str, type[KaiError]] = {
    "unauthorized:chat": KaiAuthenticationError,
    "forbidden:chat": KaiForbiddenError,
    "not_found:chat": KaiNotFoundError,
    "rate_limit:chat": KaiRateLimitError,
    "bad_request:api": KaiBadRequestError,
}
"""Code of an error body → class. Other codes go by their part before the colon."""

ERROR_STATUS_MAP: dict[int, type[KaiError]] = {
    400: KaiBadRequestError,
    401: KaiAuthenticationError,
    403: KaiForbiddenError,
    404: KaiNotFoundError,
    413: KaiBadRequestError,
    422: KaiBadRequestError,
    429: KaiRateLimitError,
}
"""HTTP status → class, where the body's code says nothing."""

_LONGEST_TEXT = 500


def class_for_code(code: str) -> type[KaiError] | None:
    """The class for a code of an error body: exact, else by prefix, else None."""
    exact = ERROR_CODE_MAP.get(code)
    if exact is not None:
        return exact
    for known, found in ERROR_CODE_MAP.items():
        if code.startswith(known.partition(":")[0]):
            return found
    return None


def error_for_response(
    data: Any,
    status: int | None = None,
    *,
    text: str = "",
    retry_after: float | None = None,
    request_id: str | None = None,
    run_id: str | None = None,
) -> KaiError:
    """The error for an answer with an error status.

    `data` is the decoded body or None, `text` what to say of a body that is no JSON. The body's
    code decides, then the status. The message is the first text under `message`, `detail`,
    `error` or `title`.
    """
    fields = data if isinstance(data, dict) else {}
    word = fields.get("code")
    code = word if isinstance(word, str) and word else None
    found = (class_for_code(code) if code else None) or ERROR_STATUS_MAP.get(status or 0) or KaiError
    if code is None and status is not None:
        code = f"http:{status}"
    message = _message(fields) or text
    if not message:
        message = "Unknown error" if status is None or word else f"the server answered with HTTP status {status}"
    cause = fields.get("cause")
    return found(
        message[:_LONGEST_TEXT],
        code,
        cause if cause is None or isinstance(cause, str) else _as_text(cause),
        data,
        status_code=status,
        retryable=class_for_status(status).default_retryable if status is not None else None,
        retry_after=retry_after,
        request_id=request_id,
        run_id=run_id,
    )


def raise_for_error_response(response_data: Any, status_code: int | None = None) -> NoReturn:
    """Raise what `error_for_response` makes of an error body."""
    raise error_for_response(response_data, status_code)


def _message(fields: dict[str, Any]) -> str:
    for key in ("message", "detail", "error", "title"):
        value = fields.get(key)
        if isinstance(value, dict) and isinstance(value.get("message"), str):
            value = value["message"]
        if value:
            return value if isinstance(value, str) else _as_text(value)
    return ""


def _as_text(value: Any) -> str:
    return to_json(value, fallback=str).decode()
