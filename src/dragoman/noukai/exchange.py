"""One exchange with a Noukai server: the request, its repeats, the answer, and the names of its faults.

Every fault of the transport becomes a `NoukaiError` here, with the transport's own error as
`__cause__`, and every error status the error that it means. Knows no particular call; `operations`
makes them.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from dragoman.core.errors import BudgetSpent, ConnectionFailed, ProtocolError, TimedOut, TransportError
from dragoman.core.redact import redact_text
from dragoman.noukai import codec
from dragoman.noukai.exceptions import APIConnectionError, APITimeoutError, NoukaiError, RateLimitError, ReplayError
from dragoman.noukai.transport import AnyTransport
from dragoman.noukai.types import PATIENCE, REQUEST_ID_HEADER, RETRY_STATUSES
from dragoman.resilience.retry import Backoff, next_delay
from dragoman.transport.io import ByteStream
from dragoman.transport.streams import error_body
from dragoman.wire.http import Headers, Request, Response, Timeouts


@dataclass(frozen=True, slots=True)
class Call:
    """What to ask. `timeout` in seconds, the client's if None.

    `repeatable` says that asking twice does no more than asking once. `kinds` are error classes that
    go before those of the status; `verbatim` gives error statuses back instead of raising.
    """

    method: str
    path: str
    body: Any = None
    timeout: float | None = None
    headers: dict[str, str] = field(default_factory=dict)
    repeatable: bool = False
    kinds: dict[int, type[ReplayError]] | None = None
    verbatim: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """A decoded answer; `body` is JSON, text, or None."""

    status: int
    body: Any
    request_id: str | None
    headers: Headers


def _request(transport: AnyTransport, call: Call) -> Request:
    headers = transport.headers()
    ours = {name.lower() for name in headers}
    # no caller changes who is asking
    headers |= {name: value for name, value in call.headers.items() if name.lower() not in ours}
    body = None
    if call.body is not None:
        body = codec.encode_json(call.body)
        headers["Content-Type"] = "application/json"
    timeout = transport.options.timeout if call.timeout is None else call.timeout
    return Request(call.method, transport.base_url + call.path, Headers(headers), body, Timeouts.all(timeout))


def fault(error: Exception, what: str) -> APIConnectionError:
    """The error for a fault of the transport."""
    said = redact_text(str(error.__cause__ or error)) or type(error).__name__
    if isinstance(error, TimedOut):
        return APITimeoutError(f"{what} timed out: {said}", code="TIMEOUT")
    return APIConnectionError(f"{what} failed: {said}", code="CONNECTION", retryable=True)


def _may_repeat(transport: AnyTransport, call: Call, error: NoukaiError) -> bool:
    if isinstance(error, RateLimitError):
        return transport.options.retry_on_rate_limit
    if isinstance(error, APITimeoutError):
        return False
    if isinstance(error, APIConnectionError):
        return call.repeatable or isinstance(error.__cause__, ConnectionFailed)
    # a run that has failed is an answer, and asking again would tell the same
    return call.repeatable and error.status_code in RETRY_STATUSES and error.execution_id is None


async def _pause(transport: AnyTransport, call: Call, attempt: int, error: NoukaiError, extra: dict[str, Any]) -> None:
    """Wait before the next attempt; raises `error` when there is none."""
    if not _may_repeat(transport, call, error):
        raise error
    # a limit that says when it ends needs no longer waits each time
    base = 0.0 if isinstance(error, RateLimitError) and error.retry_after else 1.0
    policy = Backoff(
        transport.options.max_retries, base=base, factor=4.0, ceiling=3600.0, jitter=0.25, patience=PATIENCE
    )
    try:
        delay = next_delay(attempt, policy, random=random.random, retry_after=error.retry_after)
    except BudgetSpent:
        raise error from error.__cause__
    event = {"phase": "retry", "method": call.method, "path": call.path, "attempt": attempt + 1}
    transport.emit({**event, "status_code": error.status_code, "delay": delay, **extra})
    await transport.io().sleep(delay)


async def send(transport: AnyTransport, call: Call) -> Answer:
    """Exchange; the answer, or NoukaiError. Repeats as the client's options and the call allow."""
    request = _request(transport, call)
    attempt = 0
    while True:
        event: dict[str, Any] = {"method": call.method, "path": call.path, "attempt": attempt}
        payload = {"request_body": call.body} if transport.options.log_payloads and call.body is not None else {}
        transport.emit({"phase": "request", **event, **payload})
        try:
            response = await transport.io().send(request)
        except (TransportError, ProtocolError) as caught:
            error: NoukaiError = fault(caught, f"{call.method} {call.path}")
            error.__cause__ = caught
        else:
            answer = _answer(response)
            told = {"status_code": response.status, "request_id": answer.request_id}
            payload = {"response_body": answer.body} if transport.options.log_payloads else {}
            transport.emit({"phase": "response", **event, **told, **payload})
            if response.ok or response.status == 304 or call.verbatim:
                return answer
            error = codec.decode_error(response, kinds=call.kinds)
        await _pause(transport, call, attempt, error, {})
        attempt += 1


def _answer(response: Response) -> Answer:
    body = codec.decode_json(response.body)
    return Answer(response.status, body, response.headers.get(REQUEST_ID_HEADER), response.headers)


async def open_stream(transport: AnyTransport, call: Call) -> ByteStream:
    """The head of an event stream. Raises NoukaiError, with the connection closed."""
    request = _request(transport, call)
    attempt = 0
    while True:
        event: dict[str, Any] = {"method": call.method, "path": call.path, "attempt": attempt, "streaming": True}
        payload = {"request_body": call.body} if transport.options.log_payloads and call.body is not None else {}
        transport.emit({"phase": "request", **event, **payload})
        try:
            stream = await transport.io().stream(request)
        except (TransportError, ProtocolError) as caught:
            error: NoukaiError = fault(caught, f"{call.method} {call.path}")
            error.__cause__ = caught
        else:
            told = {"status_code": stream.status, "request_id": stream.headers.get(REQUEST_ID_HEADER)}
            transport.emit({"phase": "response", **event, **told})
            if 200 <= stream.status < 300:
                return stream
            error = await _refusal(stream)
        await _pause(transport, call, attempt, error, {"streaming": True})
        attempt += 1


async def _refusal(stream: ByteStream) -> NoukaiError:
    """The error that a stream's head means; of the body, what can be read. Closes the stream."""
    try:
        body = await error_body(stream)
    finally:
        await stream.aclose()
    return codec.decode_error(Response(stream.status, stream.headers, body))
