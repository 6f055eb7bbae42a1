"""The network's faults in the words of `dragoman.ai.errors`.

Drivers raise core errors with the HTTP library's exception as cause; here these become
`TransportError` with a `kind`, which says whether anything was sent and whether to try again.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

from dragoman.ai.errors import AiLibError, PipelineError, TransportError, ValidationError
from dragoman.ai.errors.tree import TransportKind
from dragoman.core import errors as core


def named_failure(error: core.DragomanError, url: str) -> AiLibError:
    """Our error for one of a driver's; the caller sets `__cause__`. `url` is shown as it is."""
    if isinstance(error, AiLibError):
        return error
    if isinstance(error, core.UsageError):
        return ValidationError(error.message, field="request", actual=url, code=error.code)
    if isinstance(error, core.ProtocolError):
        return PipelineError(error.message, operator="http")
    return TransportError(error.message, url=url, cause=error, kind=failure_kind(error))


def failure_kind(error: BaseException) -> TransportKind:
    """connect, dns, tls, timeout_connect, timeout_read or closed, by the error and what caused it."""
    names = {type(cause).__name__ for cause in _causes(error)}
    if isinstance(error, core.TimedOut):
        return "timeout_connect" if names & {"ConnectTimeout", "PoolTimeout"} else "timeout_read"
    if isinstance(error, core.ConnectionFailed):
        causes = list(_causes(error))
        if any(isinstance(cause, ssl.SSLError) for cause in causes):
            return "tls"
        return "dns" if any(isinstance(cause, socket.gaierror) for cause in causes) else "connect"
    return "closed"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and all that led to it, with those of groups: an attempt at two addresses fails twice."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [one.__cause__, one.__context__]
        waiting += one.exceptions if isinstance(one, BaseExceptionGroup) else ()
