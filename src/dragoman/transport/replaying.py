"""An I/O port that answers from recorded exchanges and never from a network.

A request gets the first unused exchange that was asked with the same words: method, path, query, body, host, in the
form in which they are kept. Where a body or query has something new in it (an id, a time) the next exchange of the
same method and path is taken, and the log says so; with `strict` none is. What nobody asked before is a UsageError with
the code `replay_miss`. Times pass through the port that it is given; without `times` reads come at once.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import AsyncIterator, Collection, Iterable
from urllib.parse import urlsplit

from dragoman.core.errors import ConnectionLost, TimedOut, UsageError
from dragoman.transport.cleaning import clean_request, known_secrets
from dragoman.transport.io import IO, ByteStream
from dragoman.transport.recording import Exchanged
from dragoman.wire.http import Headers, Request, Response

__all__ = ["ReplayIO", "Unused"]

_ID = re.compile(r"[0-9a-fA-F]{8}-?[0-9a-fA-F-]{8,}")
_ID_BYTES = re.compile(_ID.pattern.encode())

TURN = 64
"""Reads that come at once before others may do something."""

_SAME = (True, True, True, True)

logger = logging.getLogger("dragoman.recording")


class Unused:
    """Recorded exchanges, of which each is given once. Tasks and threads may share them."""

    def __init__(self, exchanges: Iterable[Exchanged]) -> None:
        self._left: dict[tuple[str, str], list[tuple[int, _Words, Exchanged]]] = {}
        for place, exchange in enumerate(exchanges):
            words = _Words(exchange.request)
            self._left.setdefault(words.kind, []).append((place, words, exchange))
        self._lock = threading.Lock()

    def left(self) -> list[Exchanged]:
        """What nobody has asked for yet, in its order."""
        with self._lock:
            left = [one for alike in self._left.values() for one in alike]
        return [exchange for _, _, exchange in sorted(left, key=lambda one: one[0])]

    def take(self, request: Request, secrets: Iterable[str], *, strict: bool = False) -> Exchanged:
        """The exchange that answers this request, if `strict` one of the same words. Raises UsageError where there is none."""
        wanted = _Words(clean_request(request, known_secrets(request, secrets)))
        with self._lock:
            alike = self._left.get(wanted.kind)
            place = _likest(wanted, alike) if alike else None
            other = wanted.unlike(alike[place][1]) if alike and place is not None else ""
            found = alike.pop(place)[2] if alike and place is not None and not (strict and other) else None
        if found is not None:
            if other:
                logger.warning("replay: asked otherwise than recorded", extra={"request": str(request), "other": other})
            return found
        if other:
            text = f"replay miss: {request} was recorded with another {other}, and the replay is strict"
            raise UsageError(text, code="replay_miss")
        left = ", ".join(str(each.request) for each in self.left()[:5]) or "none"
        raise UsageError(
            f"replay miss: the recording has no answer to {request} left; it still has: {left}", code="replay_miss"
        )


class ReplayIO:
    """Answers each request with a recorded exchange, once."""

    def __init__(
        self,
        exchanges: Unused | Iterable[Exchanged],
        time: IO,
        *,
        times: bool = False,
        strict: bool = False,
        secrets: Collection[str] = (),
    ) -> None:
        """`time` is only asked to sleep and for the clock; `secrets` are taken out of requests before they are compared."""
        self._strict = strict
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
        exchange = self._exchanges.take(request, list(self._secrets), strict=self._strict)
        start = self.now()
        if exchange.status is None:
            await self._wait(request, start, 0.0, exchange.ended_at or 0.0)
            raise exchange.error or ConnectionLost(f"the recording holds no answer to {request}")
        await self._wait(request, start, 0.0, exchange.head_at or 0.0)
        return _ReplayStream(self, request, exchange, start)

    async def sleep(self, seconds: float) -> None:
        await self._time.sleep(seconds)

    def now(self) -> float:
        return self._time.now()

    async def _wait(self, request: Request, start: float, since: float, until: float) -> None:
        """Say nothing for as long as the peer did: since and until are seconds after `start`."""
        if not self._times:
            await self._time.sleep(0.0)  # others may do something
            return
        pause, limit = until - since, request.timeouts.read
        if limit is not None and pause > limit:
            await self._time.sleep(limit)
            raise TimedOut(f"no answer from {request} within {limit:g} s")
        await self._time.sleep(max(start + until - self.now(), 0.0))


class _Words:
    """A request as it is compared; nothing of another kind answers it."""

    def __init__(self, request: Request) -> None:
        url = urlsplit(request.url)
        self.kind = (request.method, _ID.sub("*", url.path))
        self.path, self.body, self.query, self.host = url.path, request.body, url.query, url.netloc

    def unlike(self, other: _Words) -> str:
        """What differs of body and query, for people; ids, and hosts, may be others."""
        bodies = self.body != other.body and self._plain_body() != other._plain_body()
        queries = self.query != other.query and _ID.sub("*", self.query) != _ID.sub("*", other.query)
        return " and ".join(name for name, differs in (("body", bodies), ("query", queries)) if differs)

    def _plain_body(self) -> bytes:
        return _ID_BYTES.sub(b"*", self.body) if isinstance(self.body, bytes) else b""

    def likeness(self, other: _Words) -> tuple[bool, bool, bool, bool]:
        return self.path == other.path, self.body == other.body, self.query == other.query, self.host == other.host


def _likest(wanted: _Words, alike: list[tuple[int, _Words, Exchanged]]) -> int:
    """Where the first stands of those that are most like what is wanted."""
    best, most = 0, (False, False, False, False)
    for place, (_, words, _) in enumerate(alike):
        likeness = wanted.likeness(words)
        if likeness == _SAME:
            return place
        if likeness > most:
            best, most = place, likeness
    return best


class _ReplayStream:
    def __init__(self, port: ReplayIO, request: Request, exchange: Exchanged, start: float) -> None:
        self._port = port
        self._request = request
        self._exchange = exchange
        self._start = start
        self._pieces = iter(exchange.pieces)
        self._place = 0
        self._turn = 1 if port._times else TURN
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
        if not self._is_closed:
            for data in self._pieces:
                place = self._place
                self._place = place + 1
                if not place % self._turn:
                    await self._wait(place)
                    if self._is_closed:
                        raise StopAsyncIteration
                if data:
                    return data
            self._end()
        raise StopAsyncIteration

    async def _wait(self, place: int) -> None:
        exchange = self._exchange
        since = exchange.times[place - 1] if place else exchange.head_at or 0.0
        await self._port._wait(self._request, self._start, since, exchange.times[place])

    def _end(self) -> None:
        self._is_closed = True
        exchange = self._exchange
        if exchange.error is not None:
            raise exchange.error
        if exchange.is_cut or not exchange.complete:
            raise ConnectionLost(f"the recording of {self._request} ends here")

    async def aclose(self) -> None:
        self._is_closed = True
