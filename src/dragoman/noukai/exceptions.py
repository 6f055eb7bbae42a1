"""The errors of the Noukai dialect, and how an answer with an error status becomes one.

    NoukaiError                          DragomanError
    ├── APIConnectionError               TransportError
    │   └── APITimeoutError              TimedOut
    ├── AuthenticationError              Unauthorized
    ├── InsufficientCreditsError         RemoteError
    ├── PermissionDeniedError            Forbidden
    ├── FlowNotFoundError                NotFound
    ├── RateLimitError                   RateLimited
    ├── FlowExecutionError               RemoteError
    ├── ToolCallLimitError               TooManyRounds
    └── ReplayError                      UsageError
        ├── ReplayInvalidSessionError
        ├── ReplayForbiddenError
        ├── ReplaySessionNotFoundError
        ├── ReplaySessionExpiredError
        ├── ReplayNoSnapshotsError
        ├── ReplayMissError
        ├── ReplayLeftoverError
        └── ReplayDisabledError

Each class has two parents, its own root and its branch of `dragoman.core.errors` (second column;
the replay errors inherit theirs), so `except NoukaiError` and `except RateLimited` both catch it.
The tables are data; this module knows nothing of requests, streams or the network.
"""

from __future__ import annotations

from typing import Any

from dragoman.core.errors import (
    DragomanError,
    Forbidden,
    NotFound,
    RateLimited,
    RemoteError,
    TimedOut,
    TooManyRounds,
    TransportError,
    Unauthorized,
    UsageError,
    class_for_status,
)


class NoukaiError(DragomanError):
    """Root of the dialect's errors.

    `code` is the server's word (`FLOW_NOT_FOUND`) or the client's (`TOOL_CALL_LIMIT_CLIENT`);
    `status_code`, `request_id` and `response_body` are of the answer if there was one;
    `execution_id` names the run if it is known.
    """

    def __init__(
        self,
        message: str,
        *,
        status_code: int | None = None,
        code: str | None = None,
        execution_id: str | None = None,
        request_id: str | None = None,
        response_body: Any = None,
        retryable: bool | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(
            message,
            code=code,
            status=status_code,
            retryable=retryable,
            retry_after=retry_after,
            request_id=request_id,
            run_id=execution_id,
            body=response_body,
        )
        self.code = code  # the other parent's default word is none of this dialect's
        self.status_code = status_code
        self.execution_id = execution_id
        self.response_body = response_body

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.message!r}, status_code={self.status_code!r}, code={self.code!r})"


class APIConnectionError(NoukaiError, TransportError):
    """The network failed: no connection, a broken one, or an answer that is no HTTP."""


class APITimeoutError(APIConnectionError, TimedOut):
    """A request, a pause within a stream, or the wait for a job took too long."""


class AuthenticationError(NoukaiError, Unauthorized):
    """401, or no usable key when the client was made; `www_authenticate` is the server's header."""

    www_authenticate: str | None = None


class InsufficientCreditsError(NoukaiError, RemoteError):
    """402: the balance does not allow it."""


class PermissionDeniedError(NoukaiError, Forbidden):
    """403: the key does not reach this organisation or project."""


class FlowNotFoundError(NoukaiError, NotFound):
    """404: there is no such flow, version, run, step or job."""


class RateLimitError(NoukaiError, RateLimited):
    """429; `retry_after` says in seconds when to come back, if the server did."""


class FlowExecutionError(NoukaiError, RemoteError):
    """Every other refusal and every failed run; `code` tells them apart."""


class ToolCallLimitError(NoukaiError, TooManyRounds):
    """The flow asked for more rounds of tool calls than `max_tool_rounds` allows."""


class ReplayError(NoukaiError, UsageError):
    """A recorded session cannot answer."""


class ReplayInvalidSessionError(ReplayError):
    """400, a malformed session id, or a session document that cannot be read."""


class ReplayForbiddenError(ReplayError):
    """403: the session is another organisation's."""


class ReplaySessionNotFoundError(ReplayError):
    """404: no such session."""


class ReplaySessionExpiredError(ReplayError):
    """410: the session's recordings have been deleted."""


class ReplayNoSnapshotsError(ReplayError):
    """The session exists, but what its runs gave was not recorded, or not in full."""


class ReplayMissError(ReplayError):
    """A call has no recording left: the code makes other calls than it made when it was recorded."""


class ReplayLeftoverError(ReplayError):
    """Recordings were left when the scope ended: the code makes fewer calls than when it was recorded."""


class ReplayDisabledError(ReplayError):
    """Replay was demanded (`strict=True`) while NOUKAI_REPLAY_ENABLED does not allow it."""


ERROR_STATUS_MAP: dict[int, type[NoukaiError]] = {
    401: AuthenticationError,
    402: InsufficientCreditsError,
    403: PermissionDeniedError,
    404: FlowNotFoundError,
    429: RateLimitError,
}
"""HTTP status → class; every other error status is a FlowExecutionError."""

SESSION_STATUS_MAP: dict[int, type[ReplayError]] = {
    400: ReplayInvalidSessionError,
    403: ReplayForbiddenError,
    404: ReplaySessionNotFoundError,
    410: ReplaySessionExpiredError,
}
"""HTTP status → class, where a session was fetched for replay."""


def error_for_answer(
    status: int,
    body: Any,
    *,
    request_id: str | None = None,
    retry_after: float | None = None,
    www_authenticate: str | None = None,
    kinds: dict[int, type[ReplayError]] | None = None,
) -> NoukaiError:
    """The error for an answer with an error status; `body` is decoded JSON or text.

    Code, message and run are those of `detail`; a `detail` that is text is the message. `kinds`
    are classes that go before those of the status.
    """
    detail = body.get("detail") if isinstance(body, dict) else None
    fields: dict[str, Any] = detail if isinstance(detail, dict) else {}
    text = detail if isinstance(detail, str) else fields.get("message")
    message = text if isinstance(text, str) and text else f"the server answered with HTTP status {status}"
    found = (kinds or {}).get(status) or ERROR_STATUS_MAP.get(status, FlowExecutionError)
    error = found(
        message,
        status_code=status,
        code=_text(fields.get("code")),
        execution_id=_text(fields.get("executionId")),
        request_id=request_id,
        response_body=body,
        retryable=class_for_status(status).default_retryable,
        retry_after=retry_after,
    )
    if isinstance(error, AuthenticationError):
        error.www_authenticate = www_authenticate
    return error


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
