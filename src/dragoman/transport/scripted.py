"""An I/O port that answers from a script, for tests and for replay.

No socket and no real time: requests are kept, answers come from the script, and the clock
moves only when somebody sleeps or the script pauses. Its coroutines never suspend, so that
one script serves operations under `run_blocking` and under any event loop.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from dragoman.core.errors import TimedOut, UsageError
from dragoman.wire.http import Headers, Request, Response

Piece: TypeAlias = bytes | float | Exception
"""A read; a pause in seconds before the next one; or what breaks the body at this place."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer whose head comes after `delay` seconds, and then its body in pieces.

    A delay or pause longer than the request's read limit raises TimedOut.
    """

    pieces: Sequence[Piece] = ()
    status: int = 200
    headers: Headers = field(default_factory=lambda: Headers({"content-type": "text/event-stream; charset=utf-8"}))
    delay: float = 0.0


Answer: TypeAlias = Response | Reply | Sequence[Piece] | Exception
"""A list of pieces is a `Reply` of these; an exception is raised instead of an answer."""

Exchange: TypeAlias = Answer | Callable[[Request], Answer]
"""An answer, or a function that looks at the request and gives one."""


class ScriptedStream:
    """The body of a scripted answer; `closed` tells whether the reader let go of it or read it all."""

    def __init__(self, port: ScriptedIO, request: Request, reply: Reply) -> None:
        self.request = request
        self.closed = False
        self._port = port
        self._reply = reply
        self._pieces = iter(reply.pieces)

    @property
    def status(self) -> int:
        return self._reply.status

    @property
    def headers(self) -> Headers:
        return self._reply.headers

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        for piece in () if self.closed else self._pieces:
            if isinstance(piece, bytes):
                if piece:
                    return piece
            elif isinstance(piece, Exception):
                self.closed = True
                raise piece
            else:
                self._pause(piece)
        self.closed = True
        raise StopAsyncIteration

    def _pause(self, seconds: float) -> None:
        try:
            _wait(self._port, self.request, seconds)
        except TimedOut:
            self.closed = True
            raise

    async def aclose(self) -> None:
        self.closed = True


class ScriptedIO:
    """Answers each request with the next exchange of a script, or always by one function.

    Afterwards `requests` holds what was asked, `sleeps` every wait in seconds, `streams` the
    bodies that were handed out; `open_streams` are those nobody closed. Raises UsageError when
    the script has nothing more to say.
    """

    def __init__(self, script: Sequence[Exchange] | Callable[[Request], Answer], *, start: float = 0.0) -> None:
        self.requests: list[Request] = []
        self.sleeps: list[float] = []
        self.streams: list[ScriptedStream] = []
        self._always = script if callable(script) else None
        self._rest = [] if callable(script) else list(script)
        self._now = start

    @property
    def open_streams(self) -> list[ScriptedStream]:
        return [stream for stream in self.streams if not stream.closed]

    @property
    def unused(self) -> int:
        """How many exchanges of the script nobody asked for yet."""
        return len(self._rest)

    async def send(self, request: Request) -> Response:
        stream = self._open(request)
        body = b"".join([piece async for piece in stream])
        return Response(stream.status, stream.headers, body)

    async def stream(self, request: Request) -> ScriptedStream:
        stream = self._open(request)
        self.streams.append(stream)
        return stream

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.advance(seconds)

    def now(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += max(seconds, 0.0)

    def _open(self, request: Request) -> ScriptedStream:
        if request.body is not None and not isinstance(request.body, bytes):
            request = replace(request, body=b"".join(request.body))  # what a peer would have got
        self.requests.append(request)
        answer = self._answer(request)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, Response):
            answer = Reply([answer.body], answer.status, answer.headers)
        elif not isinstance(answer, Reply):
            answer = Reply(answer)
        _wait(self, request, answer.delay)
        return ScriptedStream(self, request, answer)

    def _answer(self, request: Request) -> Answer:
        if self._always is not None:
            return self._always(request)
        if not self._rest:
            raise UsageError(f"the script has no answer left for {request!r}, request number {len(self.requests)}")
        exchange = self._rest.pop(0)
        return exchange(request) if callable(exchange) else exchange


def _wait(port: ScriptedIO, request: Request, seconds: float) -> None:
    """Let the peer be silent for a while. Raises TimedOut when the read limit passes first."""
    limit = request.timeouts.read
    if limit is not None and seconds > limit:
        port.advance(limit)
        raise TimedOut(f"no answer from {request!r} within {limit:g} s")
    port.advance(seconds)
