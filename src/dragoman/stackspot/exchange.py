"""The port that this dialect's operations are written against, and what stands behind it: an HTTP client of the user.

Operations are coroutines over an `Exchange`. `BlockingExchange` never suspends, so that
`transport.io.run_blocking` finishes an operation in the caller's thread; `AwaitingExchange` is its twin.
Answers are taken by their shape: those of `requests`, our own, and anything with a status, header fields and a body.
Knows nothing of agents or files, and does not retry.
"""

from __future__ import annotations

import inspect
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from dragoman.core.errors import TransportError
from dragoman.stackspot.connections import connections
from dragoman.stackspot.failures import as_requests_error
from dragoman.stackspot.http_interface import AsyncHttpClient, HttpClient
from dragoman.stackspot.pools import leave_if_stopped, pause
from dragoman.stackspot.replies import ByteReply, Reply, StreamReply, reply_of, stream_reply_of
from dragoman.transport.drivers import AsyncDriver
from dragoman.transport.io import IO
from dragoman.wire.http import Headers, Request, Timeouts
from dragoman.wire.multipart import FormFrame, encode_around

__all__ = [
    "AwaitingExchange",
    "BlockingExchange",
    "ByteReply",
    "Exchange",
    "FormFile",
    "Reply",
    "StreamReply",
    "reply_of",
    "stream_reply_of",
]


@dataclass(frozen=True, slots=True)
class FormFile:
    """A file to send in a form; it is read while it is sent. `on_progress` is told how many bytes went out so far."""

    path: Path
    name: str
    media_type: str
    on_progress: Callable[[int], None] | None = None


class Exchange(Protocol):
    """Everything an operation may ask of the outside. Statuses are not looked at; network faults raise."""

    async def get(self, url: str, *, headers: Mapping[str, str] | None = None, timeout: float) -> Reply:
        """The whole answer."""
        ...

    async def post(self, url: str, body: Any, *, headers: Mapping[str, str] | None = None, timeout: float) -> Reply:
        """Send JSON; the whole answer."""
        ...

    async def post_stream(
        self, url: str, body: Any, *, headers: Mapping[str, str] | None = None, timeout: float
    ) -> StreamReply:
        """Send JSON; the head of the answer. Raises NotImplementedError if the client can not stream."""
        ...

    async def post_form(self, url: str, fields: Mapping[str, str], file: FormFile, *, timeout: float) -> Reply:
        """Send a form and a file, without any authorization; the whole answer."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...

    def now(self) -> float:
        """Seconds on a clock that never goes back."""
        ...

    def random(self) -> float:
        """A number in [0, 1)."""
        ...

    def epoch(self) -> float:
        """Seconds since 1970."""
        ...


# ------------------------------------------------------------------------------------ the form of an upload

_PIECE = 256 * 1024


class FileChangedError(OSError):
    """A file became shorter while it was sent."""


class _FormBody:
    """A form with a file, made while it is sent; each iteration reads the file anew."""

    def __init__(self, frame: FormFrame, file: FormFile) -> None:
        self._frame = frame
        self._file = file
        self._size = file.path.stat().st_size

    @property
    def length(self) -> int:
        return len(self._frame.before) + self._size + len(self._frame.after)

    def __iter__(self) -> Iterator[bytes]:
        yield self._frame.before
        sent = 0
        with self._file.path.open("rb") as source:
            while sent < self._size:
                leave_if_stopped()
                piece = source.read(min(_PIECE, self._size - sent))
                if not piece:
                    raise FileChangedError(f"{self._file.name!r} became shorter while it was sent")
                yield piece
                sent += len(piece)
                if self._file.on_progress is not None:
                    self._file.on_progress(sent)
        yield self._frame.after


def _form_request(url: str, fields: Mapping[str, str], file: FormFile, timeout: float) -> Request:
    frame = encode_around(fields, "file", file.name, file.media_type)
    headers = Headers({"content-type": frame.content_type})
    return Request("POST", url, headers, _FormBody(frame, file), Timeouts.all(timeout))


async def _send_form(io: IO, request: Request) -> Reply:
    try:
        answer = await io.send(request)
    except TransportError as error:
        raise as_requests_error(error) from error.__cause__
    return ByteReply(answer.status, answer.headers, answer.body)


# ------------------------------------------------------------------------------------ the two kinds


class BlockingExchange:
    """The exchange over a blocking `HttpClient`; its coroutines never suspend. Threads may share it.

    In a worker of a batch that was stopped, every call and every wait ends at once. Forms go through `form_io`,
    by default the pooled connections of this process.
    """

    def __init__(
        self,
        http_client: HttpClient,
        *,
        sleep: Callable[[float], None] = pause,
        now: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = random.random,
        epoch: Callable[[], float] = time.time,
        form_io: IO | None = None,
    ) -> None:
        self._client = http_client
        self._sleep = sleep
        self._form_io = form_io
        self.now = now
        self.random = random
        self.epoch = epoch

    async def get(self, url: str, *, headers: Mapping[str, str] | None = None, timeout: float) -> Reply:
        leave_if_stopped()
        return reply_of(self._client.get(url, headers=_plain(headers), timeout=timeout))

    async def post(self, url: str, body: Any, *, headers: Mapping[str, str] | None = None, timeout: float) -> Reply:
        leave_if_stopped()
        return reply_of(self._client.post(url, data=body, headers=_plain(headers), timeout=timeout))

    async def post_stream(
        self, url: str, body: Any, *, headers: Mapping[str, str] | None = None, timeout: float
    ) -> StreamReply:
        leave_if_stopped()
        return stream_reply_of(self._client.post_stream(url, data=body, headers=_plain(headers), timeout=timeout))

    async def post_form(self, url: str, fields: Mapping[str, str], file: FormFile, *, timeout: float) -> Reply:
        leave_if_stopped()
        request = _form_request(url, fields, file, timeout)
        if self._form_io is not None:
            return await _send_form(self._form_io, request)
        with connections.borrowed() as driver:
            return await _send_form(driver, request)

    async def sleep(self, seconds: float) -> None:
        self._sleep(seconds)


class AwaitingExchange:
    """The exchange over an `AsyncHttpClient`. Forms go through `form_io`, by default a driver of its own."""

    def __init__(
        self,
        http_client: AsyncHttpClient,
        *,
        now: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = random.random,
        epoch: Callable[[], float] = time.time,
        form_io: IO | None = None,
    ) -> None:
        self._client = http_client
        self._driver = AsyncDriver(options=connections.options)
        self._form_io = form_io or self._driver
        self.now = now
        self.random = random
        self.epoch = epoch

    async def get(self, url: str, *, headers: Mapping[str, str] | None = None, timeout: float) -> Reply:
        return reply_of(await self._client.get(url, headers=_plain(headers), timeout=timeout))

    async def post(self, url: str, body: Any, *, headers: Mapping[str, str] | None = None, timeout: float) -> Reply:
        return reply_of(await self._client.post(url, data=body, headers=_plain(headers), timeout=timeout))

    async def post_stream(
        self, url: str, body: Any, *, headers: Mapping[str, str] | None = None, timeout: float
    ) -> StreamReply:
        answer = self._client.post_stream(url, data=body, headers=_plain(headers), timeout=timeout)
        return stream_reply_of(await answer if inspect.isawaitable(answer) else answer)

    async def post_form(self, url: str, fields: Mapping[str, str], file: FormFile, *, timeout: float) -> Reply:
        return await _send_form(self._form_io, _form_request(url, fields, file, timeout))

    async def sleep(self, seconds: float) -> None:
        await self._driver.sleep(seconds)

    async def aclose(self) -> None:
        """Close the connections that forms went through; the client is its owner's to close."""
        await self._driver.aclose()


def _plain(headers: Mapping[str, str] | None) -> dict[str, str] | None:
    return None if headers is None else dict(headers)
