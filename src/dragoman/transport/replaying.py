"""An I/O port that answers from recorded exchanges and never from a network.

A request gets the first unused exchange that was asked with the same words: method, path, query, body, host, in the
form in which they are kept. Where a body or query has something new in it (an id, a time) the next exchange of the same method and
path is taken. What nobody asked before is a UsageError with the code `replay_miss`. Times pass through the port that
it is given; without `times` reads come at once.
"""

from __future__ import annotations

import re
import threading
from collections.abc import AsyncIterator, Collection, Iterable
from dataclasses import replace
from urllib.parse import urlsplit

from dragoman.core.errors import ConnectionLost, TimedOut, UsageError
from dragoman.transport.io import IO, ByteStream
from dragoman.transport.recording import Exchanged, without_secrets
from dragoman.wire.http import Headers, Request, Response

__all__ = ["ReplayIO", "Unused"]

_ID = re.compile(r"[0-9a-fA-F]{8}-?[0-9a-fA-F-]{8,}")


class Unused:
    """Recorded exchanges, of which each is given once. Tasks and threads may share them."""

    def __init__(self, exchanges: Iterable[Exchanged]) -> None:
        self._left = list(exchanges)
        self._lock = threading.Lock()

    def left(self) -> list[Exchanged]:
        """What nobody has asked for yet, in its order."""
        with self._lock:
            return list(self._left)

    def take(self, request: Request, secrets: Iterable[str]) -> Exchanged:
        """The exchange that answers this request. Raises UsageError where there is none."""
        if request.body is not None and not isinstance(request.body, bytes):
            request = replace(request, body=None)  # it was not kept
        wanted = _Words(without_secrets(request, secrets))
        with self._lock:
            best, most = None, (-1, -1, -1, -1)
            for place, exchange in enumerate(self._left):
                likeness = wanted.likeness(exchange.request)
                if likeness is not None and likeness > most:
                    best, most = place, likeness
            if best is not None:
                return self._left.pop(best)
            left = ", ".join(str(each.request) for each in self._left[:5]) or "none"
        raise UsageError(
            f"replay miss: the recording has no answer to {request} left; it still has: {left}", code="replay_miss"
        )


class ReplayIO:
    """Answers each request with a recorded exchange, once."""

    def __init__(
        self, exchanges: Unused | Iterable[Exchanged], time: IO, *, times: bool = False, secrets: Collection[str] = ()
    ) -> None:
        """`time` is only asked to sleep and for the clock; `secrets` are taken out of requests before they are compared."""
        self._exchanges = exchanges if isinstance(exchanges, Unused) else Unused(exchanges)
        self._time = time
        self._times = times
        self._secrets = secrets

    @property
    def unused(self) -> list[Exchanged]:
        """What nobody has asked for yet, in its order."""
        return self._exchanges.left()

    async def send(self, request: Request) -> Response:
        stream = await self.stream(request)
        body = b"".join([piece async for piece in stream])
        return Response(stream.status, stream.headers, body)

    async def stream(self, request: Request) -> ByteStream:
        exchange = self._exchanges.take(request, list(self._secrets))
        if exchange.status is None:
            await self._wait(request, exchange.ended_at or 0.0)
            raise exchange.error or ConnectionLost(f"the recording holds no answer to {request}")
        await self._wait(request, exchange.head_at or 0.0)
        return _ReplayStream(self, request, exchange)

    async def sleep(self, seconds: float) -> None:
        await self._time.sleep(seconds)

    def now(self) -> float:
        return self._time.now()

    async def _wait(self, request: Request, seconds: float) -> None:
        if not self._times:
            await self._time.sleep(0.0)  # others may do something
            return
        limit = request.timeouts.read
        if limit is not None and seconds > limit:
            await self._time.sleep(limit)
            raise TimedOut(f"no answer from {request} within {limit:g} s")
        await self._time.sleep(seconds)


class _Words:
    """A request as it is compared."""

    def __init__(self, request: Request) -> None:
        url = urlsplit(request.url)
        self.method, self.body = request.method, request.body
        self.host, self.path, self.query = url.netloc, url.path, url.query
        self.shape = _ID.sub("*", url.path)

    def likeness(self, request: Request) -> tuple[int, int, int, int] | None:
        """How alike a recorded request is; None for one that asks for something else."""
        other = _Words(request)
        if (self.method, self.shape) != (other.method, other.shape):
            return None
        return (
            int(self.path == other.path),
            int(self.body == other.body),
            int(self.query == other.query),
            int(self.host == other.host),
        )


class _ReplayStream:
    def __init__(self, port: ReplayIO, request: Request, exchange: Exchanged) -> None:
        self._port = port
        self._request = request
        self._exchange = exchange
        self._reads = iter(exchange.reads)
        self._before = exchange.head_at or 0.0
        self._is_closed = False

    @property
    def status(self) -> int:
        assert self._exchange.status is not None  # or there would be no stream
        return self._exchange.status

    @property
    def headers(self) -> Headers:
        return self._exchange.headers

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._is_closed:
            raise StopAsyncIteration
        for read in self._reads:
            pause, self._before = max(read.at - self._before, 0.0), read.at
            await self._port._wait(self._request, pause)
            if self._is_closed:
                raise StopAsyncIteration
            if read.data:
                return read.data
        self._is_closed = True
        exchange = self._exchange
        if exchange.error is not None:
            raise exchange.error
        if exchange.is_cut or not exchange.complete:
            raise ConnectionLost(f"the recording of {self._request} ends here")
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self._is_closed = True
