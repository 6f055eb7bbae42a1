"""One error tree for every room, drawn once and used by clients and server alike.

    DragomanError
    ├── UsageError                the caller's mistake, found before anything was sent
    │   └── MissingExtra          an optional dependency is not installed
    ├── TransportError            the network
    │   ├── ConnectionFailed      no connection could be made
    │   ├── ConnectionLost        a connection broke while in use
    │   └── TimedOut              an answer did not come in time
    ├── RemoteError               an answer with an error status
    │   ├── BadRequest            400
    │   │   └── FileRefused       a file that the model cannot take
    │   ├── Unauthorized          401
    │   ├── Forbidden             403
    │   ├── NotFound              404
    │   ├── MethodNotAllowed      405
    │   ├── Conflict              409
    │   │   └── StaleWrite        a conditional write of a store came too late
    │   ├── Gone                  410
    │   ├── PayloadTooLarge       413
    │   ├── Unprocessable         422
    │   ├── RateLimited           429
    │   └── ServerError           500 and above
    │       ├── Unavailable       503
    │       └── GatewayTimeout    504
    ├── ProtocolError             the peer broke the protocol
    ├── PolicyError               our own policy refused
    │   ├── CircuitOpen           too many failures of late
    │   ├── LimitExceeded         a configured bound was reached
    │   └── BudgetSpent           no retry, token or money left
    └── RunError                  the run itself
        ├── RunFailed             it ended with an error
        ├── RunCancelled          somebody ended it
        └── TooManyRounds         the model called tools without end

The branches say who is to blame. A `RemoteError` is the answer of a peer; inside the server
the same classes are raised for an answer that is on its way *to* a peer, so that client and
server share one table (`BY_STATUS`). Dialects add classes with two parents: their own root
and one of these. Messages never contain secrets.
"""

from __future__ import annotations

from typing import Any


class DragomanError(Exception):
    """Root of all errors raised by this package.

    `code` is a short machine-readable word, `status` an HTTP status, `retry_after` seconds,
    `body` what the peer answered (decoded JSON or text) if there was an answer.
    """

    default_code: str | None = None
    default_status: int | None = None
    default_retryable = False

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        status: int | None = None,
        retryable: bool | None = None,
        retry_after: float | None = None,
        request_id: str | None = None,
        run_id: str | None = None,
        body: Any = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code if code is not None else self.default_code
        self.status = status if status is not None else self.default_status
        self.retryable = retryable if retryable is not None else self.default_retryable
        self.retry_after = retry_after
        self.request_id = request_id
        self.run_id = run_id
        self.body = body

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles keep what the error carries, whatever its class takes to be made."""
        return remade, (type(self), self.args, self.__dict__)


def remade(kind: type[DragomanError], args: tuple[Any, ...], carried: dict[str, Any]) -> DragomanError:
    """An error from its parts, without its `__init__`: for `copy` and `pickle`."""
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(carried)
    return error


class UsageError(DragomanError):
    """The caller's mistake; nothing was sent and nothing was changed."""

    default_code = "usage"
    default_status = 400


class MissingExtra(UsageError, ImportError):
    """A feature needs an optional dependency that is not installed."""

    default_code = "missing_extra"

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs an optional dependency: pip install 'dragoman[{extra}]'")
        self.extra = extra


class TransportError(DragomanError):
    """The network failed; `__cause__` is the transport's own exception."""

    default_code = "transport"
    default_retryable = True


class ConnectionFailed(TransportError):
    """No connection could be made; nothing reached the peer."""

    default_code = "connection_failed"


class ConnectionLost(TransportError):
    """The connection broke while a request or an answer was under way."""

    default_code = "connection_lost"


class TimedOut(TransportError):
    """A connect, read, write or pool limit passed."""

    default_code = "timeout"


class RemoteError(DragomanError):
    """An answer with an error status; see `BY_STATUS` for the subclasses."""

    default_code = "remote"


class BadRequest(RemoteError):
    """400: the request is malformed."""

    default_code, default_status = "bad_request", 400


class FileRefused(BadRequest):
    """A file of the conversation that the model cannot take; the message names it, its type and nothing of ours."""

    default_code = "bad_request:file"


class Unauthorized(RemoteError):
    """401: credentials are missing or not valid."""

    default_code, default_status = "unauthorized", 401


class Forbidden(RemoteError):
    """403: the credentials do not allow this."""

    default_code, default_status = "forbidden", 403


class NotFound(RemoteError):
    """404: no such thing, or none that the caller may know of."""

    default_code, default_status = "not_found", 404


class MethodNotAllowed(RemoteError):
    """405: the path exists, the method does not."""

    default_code, default_status = "method_not_allowed", 405


class Conflict(RemoteError):
    """409: the request contradicts what is stored or under way."""

    default_code, default_status = "conflict", 409


class Gone(RemoteError):
    """410: it existed and has expired."""

    default_code, default_status = "gone", 410


class PayloadTooLarge(RemoteError):
    """413: the body is larger than the limit."""

    default_code, default_status = "too_large", 413


class Unprocessable(RemoteError):
    """422: well-formed, but not acceptable."""

    default_code, default_status = "unprocessable", 422


class RateLimited(RemoteError):
    """429: too many requests; `retry_after` says when to come back."""

    default_code, default_status, default_retryable = "rate_limited", 429, True


class ServerError(RemoteError):
    """500 and above: the peer failed."""

    default_code, default_status, default_retryable = "internal", 500, True


class Unavailable(ServerError):
    """503: the peer cannot answer now."""

    default_code, default_status = "unavailable", 503


class GatewayTimeout(ServerError):
    """504: something behind the peer was too slow."""

    default_code, default_status = "gateway_timeout", 504


class ProtocolError(DragomanError):
    """The peer sent something that its protocol does not allow."""

    default_code = "protocol"


class PolicyError(DragomanError):
    """A policy of ours refused; the peer was not asked."""

    default_code = "policy"


class CircuitOpen(PolicyError):
    """Too many failures of late; the breaker lets nothing through."""

    default_code, default_status, default_retryable = "circuit_open", 503, True


class LimitExceeded(PolicyError):
    """A configured bound (size, count, rate, quota) was reached."""

    default_code, default_status = "limit_exceeded", 429


class BudgetSpent(PolicyError):
    """No retries, tokens or money are left for this."""

    default_code = "budget_spent"


class RunError(DragomanError):
    """A run did not complete."""

    default_code = "run"


class RunFailed(RunError):
    """The run ended with an error."""

    default_code = "run_failed"


class RunCancelled(RunError):
    """The run was cancelled: stopped, superseded, or its thread deleted."""

    default_code = "run_cancelled"


class TooManyRounds(RunError):
    """The model went on calling tools after the permitted number of rounds."""

    default_code = "too_many_rounds"


BY_STATUS: dict[int, type[RemoteError]] = {
    cls.default_status: cls
    for cls in (
        BadRequest,
        Unauthorized,
        Forbidden,
        NotFound,
        MethodNotAllowed,
        Conflict,
        Gone,
        PayloadTooLarge,
        Unprocessable,
        RateLimited,
        ServerError,
        Unavailable,
        GatewayTimeout,
    )
    if cls.default_status is not None
}
"""Status → class, for client decode and server encode alike."""


def class_for_status(status: int) -> type[RemoteError]:
    """The class for an HTTP error status: exact, else by its hundred."""
    found = BY_STATUS.get(status)
    if found is not None:
        return found
    if status >= 500:
        return ServerError
    return BadRequest if 400 <= status < 500 else RemoteError


class StaleWrite(Conflict):
    """A conditional write found another state than the one it was made for; nothing changed.

    Raised by stores. `what` names the condition: `"approval"`, `"item_id"`, `"thread_id"`,
    `"thread_gone"`, `"run_id"`, `"run_gone"`, `"run_status"`, `"key_id"`, `"key_gone"`, `"repeat"`,
    `"blob_id"`, `"blob"`.
    """

    default_code = "stale_write"

    def __init__(self, message: str, *, what: str) -> None:
        super().__init__(message)
        self.what = what
