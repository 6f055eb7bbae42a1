"""One exchange with a Kai server: the request, the answer, and the names of its faults.

Every fault of the transport becomes a `KaiError` here, with the transport's own error as
`__cause__`, and every answer other than 2xx the error that its body or status means. Knows no
particular call; `operations` makes them.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from dragoman.core.errors import ProtocolError, TimedOut, TransportError
from dragoman.core.redact import redact_text
from dragoman.kai import codec
from dragoman.kai.exceptions import KaiConnectionError, KaiError, KaiStreamError, KaiTimeoutError
from dragoman.kai.session import Session
from dragoman.transport.io import IO, ByteStream
from dragoman.transport.streams import error_body
from dragoman.wire.http import Headers, Request, Response, Timeouts


def segment(id: str) -> str:
    """An id as one path segment, whatever is in it."""
    return id.replace(".", "%2E") if id in (".", "..") else quote(id, safe="")


def request_for(
    session: Session,
    method: str,
    path: str,
    body: bytes | None = None,
    *,
    query: dict[str, Any] | None = None,
    auth: bool = True,
    timeout: float | None = None,
) -> Request:
    """A request of this session; `timeout` in seconds, the session's for plain calls by default."""
    headers = []
    if auth:
        headers += [("x-storageapi-token", session.storage_api_token), ("x-storageapi-url", session.storage_api_url)]
    if body is not None:
        headers.append(("content-type", "application/json"))
    url = f"{session.base_url}{path}" + (f"?{urlencode(query)}" if query else "")
    limits = Timeouts.all(session.timeout if timeout is None else timeout)
    return Request(method, url, Headers(headers), body, limits)


def where(request: Request) -> str:
    """Scheme, host and port; a password or a query never gets into a message."""
    parts = urlsplit(request.url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def fault_text(error: Exception) -> str:
    """What the transport said, without secrets; the name of its error if it said nothing."""
    fault = error.__cause__ or error
    return redact_text(str(fault)) or type(fault).__name__


def _unreachable(error: Exception, request: Request) -> KaiError:
    """The error for a fault before an answer had come."""
    if isinstance(error, TimedOut):
        return KaiTimeoutError(f"Request to {where(request)} timed out", cause=fault_text(error))
    return KaiConnectionError(f"Failed to connect to {where(request)}", cause=fault_text(error))


async def send(session: Session, request: Request) -> Response:
    """Exchange; an answer with 2xx. Raises KaiError for everything else."""
    try:
        response = await session._io().send(request)
    except (TransportError, ProtocolError) as error:
        raise _unreachable(error, request) from error
    if not response.ok:
        raise codec.decode_error(response.status, response.headers, response.body)
    return response


async def open_stream(io: IO, request: Request) -> ByteStream | None:
    """The head of an event stream; None for 204. Raises KaiError, with the connection closed."""
    try:
        answer = await io.stream(request)
    except (TransportError, ProtocolError) as error:
        raise _unreachable(error, request) from error
    try:
        if answer.status == 204 and request.method == "GET":
            await answer.aclose()
            return None
        if not 200 <= answer.status < 300:
            raise codec.decode_error(answer.status, answer.headers, await error_body(answer))
        content_type = answer.headers.get("content-type")
        if content_type is not None and not content_type.lower().startswith("text/event-stream"):
            message = f"expected an event stream, got HTTP {answer.status} with content type {content_type!r}"
            raise KaiStreamError(message, "stream:content_type", status_code=answer.status)
    except BaseException:
        await answer.aclose()
        raise
    return answer
