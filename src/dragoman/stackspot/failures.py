"""Which errors this dialect raises, and what any error means here: a timeout, a reason to repeat, or the end.

    RetryableError              a user's own class of it is repeated as well
    MaxRetriesExceededError     the retries ran out; `last_exception` is why
    HTTPStatusError             an answer with an error status; also the class of its status in
                                `core.errors`, and `requests.HTTPError` where requests is installed

The questions are asked of errors of every origin: our tree, Python's own, and those of `requests`, which
users' clients raise. `requests` is never imported to ask them; errors of it exist only where it is loaded.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from dragoman.core.errors import (
    ConnectionFailed,
    ConnectionLost,
    DragomanError,
    RemoteError,
    TimedOut,
    TransportError,
    class_for_status,
    remade,
)
from dragoman.core.redact import redact_text
from dragoman.resilience.retry import parse_retry_after
from dragoman.wire.http import Headers

if TYPE_CHECKING:  # the exchange knows our errors; we know its answers by their shape
    from dragoman.stackspot.exchange import Reply, StreamReply

RETRY_STATUSES = (408, 429, 500, 502, 503, 504)
TIMEOUT_STATUSES = (408, 504)
RETRY_AFTER_STATUSES = (429, 503)
LONGEST_TEXT = 64 * 1024
"""Characters of an error's body that its message shows."""

_DEEPEST = 16


class RetryableError(DragomanError):
    """Worth another attempt; users' own errors may inherit from it."""

    default_code = "retryable"
    default_retryable = True

    def __init__(self, message: object = "", *details: object, **fields: Any) -> None:
        super().__init__(str(message), **fields)
        if details:
            self.args = (message, *details)


class MaxRetriesExceededError(DragomanError):
    """No attempt succeeded; `last_exception` is the error of the last one."""

    default_code = "max_retries_exceeded"

    def __init__(self, message: str, last_exception: Exception | None = None) -> None:
        super().__init__(message, status=getattr(last_exception, "status", None))
        self.last_exception = last_exception


class HTTPStatusError(RemoteError):
    """An answer with an error status; `response` is the answer itself, `headers` its header fields."""

    default_code = "http_status"
    response: Any = None
    headers: Headers = Headers()

    def __reduce__(self) -> tuple[Any, ...]:
        carried = {name: value for name, value in self.__dict__.items() if name != "response"}  # it holds a connection
        return _remade_status_error, (self.status, self.args, carried)


def _remade_status_error(status: int | None, args: tuple[Any, ...], carried: dict[str, Any]) -> DragomanError:
    return remade(HTTPStatusError if status is None else _status_class(status), args, carried)


# ------------------------------------------------------------------------------------ the errors of statuses


def _requests() -> Any:
    """The exceptions of `requests`, imported if they can be: an error is about to need them."""
    try:
        from requests import exceptions
    except ImportError:
        return None
    return exceptions


@lru_cache(maxsize=64)
def _status_class(status: int) -> type[HTTPStatusError]:
    kind = class_for_status(status)
    requests = _requests()
    bases: tuple[type, ...] = (HTTPStatusError, kind) if kind is not RemoteError else (HTTPStatusError,)
    if requests is not None:
        bases = (*bases, requests.HTTPError)
    told = {"default_code": kind.default_code, "__module__": __name__, "__doc__": HTTPStatusError.__doc__}
    return type("HTTPStatusError", bases, told)


def status_error(
    status: int, headers: Headers, text: str, *, response: Any = None, epoch: float | None = None
) -> HTTPStatusError:
    """The error that an answer means; `epoch`, seconds since 1970, is for Retry-After dates."""
    shown = redact_text(text.strip())  # as it came in `body`; messages end up in logs
    if len(shown) > LONGEST_TEXT:
        shown = f"{shown[:LONGEST_TEXT]}…"
    message = f"HTTP error {status}: {shown}" if shown else f"HTTP error {status}"
    wait = None
    if status in RETRY_AFTER_STATUSES:
        wait = parse_retry_after(headers.get("retry-after"), epoch if epoch is not None else _epoch())
    error = _status_class(status)(
        message, status=status, retry_after=wait, retryable=status in RETRY_STATUSES, body=text
    )
    error.response = response
    error.headers = headers
    return error


def _epoch() -> float:
    from time import time

    return time()


def raise_for_status(reply: Reply) -> None:
    """Raises HTTPStatusError unless the status is a 2xx; a user's response may raise an error of its own."""
    if not 200 <= reply.status < 300:
        raise status_error(reply.status, reply.headers, reply.text, response=reply.source)
    reply.raise_foreign()


async def raise_for_stream(reply: StreamReply) -> None:
    """As `raise_for_status`, for an answer of which only the head was read: reads what the body says and closes it."""
    if not 200 <= reply.status < 300:
        text = await reply.read_error()
        raise status_error(reply.status, reply.headers, text, response=reply.source)
    try:
        reply.raise_foreign()
    except BaseException:
        await reply.aclose()
        raise


def _both(ours: type[TransportError], theirs: type[Exception]) -> type[TransportError]:
    known = _network_classes.get((ours, theirs))
    if known is None:
        told = {"__module__": __name__, "__doc__": ours.__doc__, "__reduce__": _reduced_to_ours}
        known = type(ours.__name__, (ours, theirs), told)
        _network_classes[ours, theirs] = known
    return known


def _reduced_to_ours(error: TransportError) -> tuple[Any, ...]:
    """A copy or a pickle is our own class alone: whether requests is loaded where it is read, nobody knows here."""
    return remade, (type(error).__bases__[0], error.args, error.__dict__)


_network_classes: dict[tuple[type[TransportError], type[Exception]], type[TransportError]] = {}


def as_requests_error(error: TransportError) -> TransportError:
    """The same error, caught by `except requests.Timeout` and the like as well where a program has requests loaded."""
    requests = sys.modules.get("requests.exceptions")
    if requests is None or not isinstance(error, TimedOut | ConnectionFailed | ConnectionLost):
        return error
    theirs: type[Exception] = requests.Timeout if isinstance(error, TimedOut) else requests.ConnectionError
    if isinstance(error, theirs):
        return error
    both = _both(type(error), theirs)(error.message, code=error.code, status=error.status)
    both.__cause__ = error.__cause__
    return both


# ------------------------------------------------------------------------------------ what an error means


def _loaded(module: str, *names: str) -> tuple[type[BaseException], ...]:
    """Exception classes of a module, if the program has it loaded."""
    found = (getattr(sys.modules.get(module), name, None) for name in names)
    return tuple(one for one in found if isinstance(one, type))


def network_errors() -> tuple[type[BaseException], ...]:
    """What the network does to an exchange: refused, reset, cut short, too slow."""
    return (
        TransportError,
        TimeoutError,
        ConnectionError,
        *_loaded("requests.exceptions", "Timeout", "ConnectionError", "ChunkedEncodingError"),
        *_loaded("urllib3.exceptions", "TimeoutError", "ProtocolError", "NewConnectionError"),
        *_loaded("httpx2", "TimeoutException", "NetworkError", "RemoteProtocolError"),
        *_loaded("httpx", "TimeoutException", "NetworkError", "RemoteProtocolError"),
    )


def _timeouts() -> tuple[type[BaseException], ...]:
    return (
        TimedOut,
        TimeoutError,
        *_loaded("requests.exceptions", "Timeout"),
        *_loaded("urllib3.exceptions", "ReadTimeoutError"),
        *_loaded("httpx2", "TimeoutException"),
        *_loaded("httpx", "TimeoutException"),
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what it stands for: the last attempt's, its cause, and what `requests` wraps without a cause."""
    waiting: list[BaseException] = [error]
    seen: set[int] = set()
    while waiting and len(seen) < _DEEPEST:
        one = waiting.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        inner = [getattr(one, "last_exception", None), one.__cause__]
        if isinstance(one, _loaded("requests.exceptions", "RequestException")):
            inner += [*one.args[:1], getattr(one.args[0], "reason", None) if one.args else None]
        waiting += [found for found in inner if isinstance(found, BaseException)]


def status_of(error: BaseException) -> int | None:
    """The HTTP status that an error is about: its own, or that of its `response`; None if it is about none."""
    if isinstance(error, RemoteError) and error.status is not None:
        return error.status
    code = getattr(getattr(error, "response", None), "status_code", None)
    return code if isinstance(code, int) and not isinstance(code, bool) else None


def is_timeout(error: BaseException) -> bool:
    """Whether the outcome is TIMEOUT: something was too slow, at this attempt or at the last of several."""
    kinds = _timeouts()
    for one in _chain(error):
        if isinstance(one, kinds):
            return True
        status = status_of(one)
        if status is not None:  # an answer is an answer, whatever happened before it
            return status in TIMEOUT_STATUSES
    return False


def is_retryable(
    error: BaseException,
    *,
    statuses: tuple[int, ...] = RETRY_STATUSES,
    kinds: tuple[type[BaseException], ...] | None = None,
    skip: tuple[type[BaseException], ...] = (),
) -> bool:
    """Whether another attempt may help. `kinds` None means what the network does; `skip` wins over everything."""
    if not isinstance(error, Exception) or isinstance(error, skip):
        return False
    if isinstance(error, RetryableError):
        return True
    status = status_of(error)
    if status is not None:
        return status in statuses
    return isinstance(error, network_errors() if kinds is None else kinds)


def retry_after_of(error: BaseException, epoch: float) -> float | None:
    """Seconds that the peer asked to wait, by the answer that an error carries; None if it did not ask."""
    if status_of(error) not in RETRY_AFTER_STATUSES:
        return None
    said = getattr(error, "retry_after", None)
    if isinstance(said, int | float):
        return float(said)
    headers: Any = getattr(getattr(error, "response", None), "headers", None)
    value = headers.get("Retry-After") if hasattr(headers, "get") else None
    return parse_retry_after(value, epoch) if isinstance(value, str) else None


def let_go(error: BaseException) -> None:
    """Close the answer that an error carries, so that its connection does not wait for the garbage collector."""
    close = getattr(getattr(error, "response", None), "close", None)
    if callable(close):
        try:
            close()
        except Exception:
            pass  # a connection that is broken already is as good as closed
