"""A client of Dragoman's own face, written over the I/O port.

Operations are coroutines; the commands step them with the blocking driver, in their own thread,
so that Ctrl-C works. Knows the wire, nothing of terminals.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from pydantic_core import from_json, to_json

from dragoman.core.errors import (
    ConnectionFailed,
    ConnectionLost,
    DragomanError,
    ProtocolError,
    RateLimited,
    RemoteError,
    ServerError,
    TimedOut,
    TransportError,
    UsageError,
    class_for_status,
)
from dragoman.core.events import FINAL, Event, RunPaused, decode_event
from dragoman.core.redact import redact_text
from dragoman.resilience.retry import parse_retry_after
from dragoman.transport.io import IO, ByteStream
from dragoman.wire.http import Headers, Request, Response, Timeouts
from dragoman.wire.sse import SSEDecoder

DEFAULT_URL = "http://127.0.0.1:8080"
DEMO_KEY = "demo-you"

_PAUSES = (0.1, 0.3, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0)
"""Seconds before each attempt to connect again; the last failure is reported."""

_SILENT_SECONDS = 2.0
"""A longer wait is told."""

_OF_PROXIES = (429, 500, 502, 503, 504)
"""Statuses that something in front of a server of ours may answer with in words of its own."""

_ERRNO = re.compile(r"^\[Errno -?\d+\] ")
_IS_IT_OURS = "is this a Dragoman server?"

_STREAM_TIMEOUTS = Timeouts(read=60.0)  # the server sends a heartbeat every 15 s


def is_loopback(url: str) -> bool:
    """Whether a URL names this machine by a loopback address or `localhost`."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class OwnFace:
    """`/dragoman/v1` of one server, as one caller.

    Without a key, a server on a loopback address is tried as the demo's user: a demo server lets
    it in, any other answers 401. `on_wait` is told when a lost connection takes a while to come back.
    """

    def __init__(
        self,
        io: IO,
        url: str = DEFAULT_URL,
        key: str | None = None,
        *,
        on_wait: Callable[[str], None] = lambda remark: None,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"expected a server's URL such as {DEFAULT_URL!r}, got {redact_text(url)!r}")
        if key is not None and not key.isascii():
            raise UsageError(
                "this is no API key: it holds characters that no key has; give the whole key, as it was printed"
            )
        self._io = io
        self._on_wait = on_wait
        self.url = redact_text(url.rstrip("/"))
        self._base = url.rstrip("/") + "/dragoman/v1"
        self._key = key or (DEMO_KEY if is_loopback(url) else None)

    async def get(self, path: str, query: Mapping[str, Any] | None = None) -> Any:
        """The JSON answer of a GET; query values that are None are left out. Raises DragomanError."""
        return await self._exchange("GET", path, query=query)

    async def post(self, path: str, body: Any = None, *, once: str | None = None) -> Any:
        """The JSON answer of a POST. Raises DragomanError.

        `once` is an idempotency key, for a call that starts something: then it is made again when the
        connection breaks before the answer.
        """
        given = {} if body is None else body
        for pause in _PAUSES if once else ():
            try:
                return await self._exchange("POST", path, body=given, once=once)
            except ConnectionFailed:
                raise
            except TransportError:
                await self._io.sleep(pause)
        return await self._exchange("POST", path, body=given, once=once)

    async def ask(
        self, text: str, *, agent: str | None = None, thread: str | None = None, message_id: str
    ) -> AsyncGenerator[Event, None]:
        """Send a message; the run's events from its first to its last or to a pause.

        `message_id` makes the message safe to send again when the connection breaks before the answer.
        """
        message = {"id": message_id, "text": text}
        body = {"message": message, **({"agent": agent} if agent else {}), **({"thread": thread} if thread else {})}
        async with aclosing(self.begin("/runs", body)) as events:
            async for event in events:
                yield event

    async def begin(
        self, path: str, body: Any, *, once: str | None = None, after: int = 0
    ) -> AsyncGenerator[Event, None]:
        """POST something that starts or continues a run, and follow that; `after` as in `follow`.

        It is posted again when the connection breaks before the answer: the body must make that safe, or `once`,
        an idempotency key.
        """
        stream = await self._open_patiently("POST", path, body=body, once=once)
        run = stream.headers.get("x-dragoman-run")
        async with aclosing(self.follow(run, after=after, opened=stream)) as events:
            async for event in events:
                yield event

    async def follow(
        self, run: str | None, *, after: int = 0, opened: ByteStream | None = None
    ) -> AsyncGenerator[Event, None]:
        """Events of a run with seq > `after`, each once and in order, over as many connections as it takes.

        Ends after the last event of the run, or after a pause if the server ends the stream there.
        A connection that breaks is made again with the last seq seen; without any progress that is
        given up after about half a minute. Raises DragomanError.
        """
        failures, waited, last, paused = 0, 0.0, after, False
        stream = opened
        while True:
            lost: DragomanError | None = None
            try:
                if stream is None:
                    stream = await self._open("GET", f"/runs/{quote(run or '', safe='')}/events", last=last)
                async with aclosing(_events(stream)) as events:
                    async for event in events:
                        if event.seq <= last:
                            continue
                        run, last, failures, waited = event.run, event.seq, 0, 0.0
                        paused = isinstance(event.body, RunPaused)
                        yield event
                        if isinstance(event.body, FINAL):
                            return
            except (TransportError, ServerError, RateLimited) as error:
                lost = error
            if lost is None and (paused or (stream is not None and stream.status == 204)):
                return
            stream = None
            if run is None or failures == len(_PAUSES):
                raise lost or ProtocolError("the server ended the stream of events before the end of the run")
            wait = max(_PAUSES[failures], min((lost.retry_after if lost else None) or 0.0, 30.0))
            if waited < _SILENT_SECONDS <= waited + wait:
                self._on_wait(f"{self.url} sends nothing; trying again")
            await self._io.sleep(wait)
            failures, waited = failures + 1, waited + wait

    async def _exchange(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        once: str | None = None,
    ) -> Any:
        request = self._request(method, path, query=query, body=body, accept="application/json", once=once)
        try:
            response = await self._io.send(request)
        except TransportError as error:
            raise self._in_plain_words(error) from error
        if not response.ok:
            raise _error(response)
        return response.json() if response.body else None

    async def _open_patiently(self, method: str, path: str, *, body: Any, once: str | None) -> ByteStream:
        """`_open`, again after a connection that broke; one that could not be made is no server at all."""
        for pause in _PAUSES:
            try:
                return await self._open(method, path, body=body, once=once)
            except ConnectionFailed:
                raise
            except TransportError:
                await self._io.sleep(pause)
        return await self._open(method, path, body=body, once=once)

    async def _open(
        self, method: str, path: str, *, body: Any = None, last: int = 0, once: str | None = None
    ) -> ByteStream:
        request = self._request(method, path, body=body, accept="text/event-stream", last=last, once=once)
        try:
            stream = await self._io.stream(request)
        except TransportError as error:
            raise self._in_plain_words(error) from error
        kind = stream.headers.get("content-type", "text/event-stream")
        if stream.status == 204 or (stream.status == 200 and kind.startswith("text/event-stream")):
            return stream  # 204: the run has ended, and nothing follows what was seen
        if stream.status == 200:
            await stream.aclose()
            raise ProtocolError(f"{self.url} answered with {kind!r:.60} instead of events; {_IS_IT_OURS}")
        try:
            raw = b"".join([piece async for piece in stream])
        finally:
            await stream.aclose()
        raise _error(Response(stream.status, stream.headers, raw))

    def _in_plain_words(self, error: TransportError) -> TransportError:
        """The same error about the server instead of about a request."""
        text = {
            ConnectionFailed: f"no server answers at {self.url}",
            ConnectionLost: f"the connection to {self.url} broke",
            TimedOut: f"{self.url} did not answer in time",
        }.get(type(error))
        if text is None:
            return error
        detail = _ERRNO.sub("", redact_text(str(error.__cause__ or "")))
        return type(error)(text + (f": {detail}" if detail else ""), retry_after=error.retry_after)

    def _request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        accept: str,
        last: int = 0,
        once: str | None = None,
    ) -> Request:
        given = {name: value for name, value in (query or {}).items() if value is not None}
        fields = [("accept", accept)]
        if self._key:
            fields.append(("authorization", f"Bearer {self._key}"))
        if last:
            fields.append(("last-event-id", str(last)))
        if once:
            fields.append(("idempotency-key", once))
        if body is not None:
            fields.append(("content-type", "application/json"))
        return Request(
            method,
            self._base + path + (f"?{urlencode(given)}" if given else ""),
            Headers(fields),
            None if body is None else to_json(body),
            _STREAM_TIMEOUTS if accept == "text/event-stream" else Timeouts(),
        )


async def _events(stream: ByteStream) -> AsyncGenerator[Event, None]:
    decoder = SSEDecoder()
    try:
        async for piece in stream:
            for frame in decoder.feed(piece):
                if frame.event in ("", "message"):
                    yield _event(frame.data)
    finally:
        await stream.aclose()


def _event(data: str) -> Event:
    try:
        return decode_event(from_json(data))
    except ValueError as error:
        raise ProtocolError(f"expected an event as JSON, got {data[:80]!r}") from error


def _error(response: Response) -> RemoteError:
    """The error that an answer with an error status means; its text is the server's own where there is one."""
    body: Any = response.text
    code = message = None
    try:
        body = response.json()
    except ProtocolError:
        pass
    inner = body.get("error", body) if isinstance(body, dict) else None
    if isinstance(inner, dict):
        code, message = inner.get("code"), inner.get("message")
    if not isinstance(message, str) or not message:
        message = f"the server answered with status {response.status}"
        if response.status not in _OF_PROXIES:
            message += f"; {_IS_IT_OURS}"
    return class_for_status(response.status)(
        message,
        code=code if isinstance(code, str) else None,
        status=response.status,
        retry_after=parse_retry_after(response.headers.get("retry-after"), 0.0),
        request_id=response.headers.get("x-request-id"),
        run_id=response.headers.get("x-dragoman-run"),
        body=body,
    )
