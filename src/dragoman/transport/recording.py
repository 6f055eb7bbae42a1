"""An I/O port that keeps what passes through another one.

It tees reads as they pass, with their times, and hands them on untouched; what it keeps has
no secrets in it. A recording can be replayed by a `ScriptedIO` that gives back the same reads
after the same pauses. It knows nothing of files or formats; cassettes are made from
`RecordingIO.exchanges` elsewhere.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from itertools import islice

from dragoman.core.errors import ConnectionLost
from dragoman.core.redact import REDACTED, redact_headers, redact_text, secret_spans
from dragoman.transport.io import IO, ByteStream
from dragoman.transport.scripted import Piece, Reply, ScriptedIO
from dragoman.wire.http import Headers, Request, Response


@dataclass(frozen=True, slots=True)
class Read:
    """Bytes as one read gave them, `at` seconds after the request."""

    at: float
    data: bytes


@dataclass(slots=True)
class Exchanged:
    """One request and what came of it. `status` is None if nothing came but `error`.

    `head_at` is when the answer's head came, `ended_at` when its body ended, broke (`error`) or was
    let go (`complete` is False then), all in seconds after the request.
    """

    request: Request
    status: int | None = None
    headers: Headers = field(default_factory=Headers)
    reads: list[Read] = field(default_factory=list)
    head_at: float | None = None
    ended_at: float | None = None
    complete: bool = False
    error: Exception | None = None

    @property
    def body(self) -> bytes:
        """All reads joined."""
        return b"".join(read.data for read in self.reads)


class RecordingIO:
    """Passes everything on to `inner` and keeps it in `exchanges`, in order of the requests.

    Secrets are taken out of URLs, headers and bodies (`dragoman.core.redact`), of an answer's body
    once it has ended; the borders of reads stay where they were. A body that was made while it was sent
    is not kept.
    """

    def __init__(self, inner: IO) -> None:
        self.exchanges: list[Exchanged] = []
        self._inner = inner

    async def send(self, request: Request) -> Response:
        stream = await self.stream(request)
        try:
            body = b"".join([piece async for piece in stream])
        finally:
            await stream.aclose()
        return Response(stream.status, stream.headers, body)

    async def stream(self, request: Request) -> ByteStream:
        start = self._inner.now()
        exchange = Exchanged(_without_secrets(request))
        self.exchanges.append(exchange)
        try:
            stream = await self._inner.stream(request)
        except Exception as error:
            exchange.error, exchange.ended_at = error, self._inner.now() - start
            raise
        exchange.status = stream.status
        exchange.headers = Headers(
            [pair for name, value in stream.headers.pairs() for pair in redact_headers({name: value}).items()]
        )
        exchange.head_at = self._inner.now() - start
        return _RecordingStream(self._inner, stream, exchange, start)

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)

    def now(self) -> float:
        return self._inner.now()

    def replay(self) -> ScriptedIO:
        """A port that answers the recorded requests in their order, with the same reads and pauses."""
        return ScriptedIO([_exchange_again(exchange) for exchange in self.exchanges])


class _RecordingStream:
    def __init__(self, inner: IO, stream: ByteStream, exchange: Exchanged, start: float) -> None:
        self._inner = inner
        self._stream = stream
        self._reads = aiter(stream)
        self._exchange = exchange
        self._start = start

    @property
    def status(self) -> int:
        return self._stream.status

    @property
    def headers(self) -> Headers:
        return self._stream.headers

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            data = await anext(self._reads)
        except StopAsyncIteration:
            self._finish(complete=True)
            raise
        except Exception as error:
            self._exchange.error = error
            self._finish()
            raise
        self._exchange.reads.append(Read(self._inner.now() - self._start, data))
        return data

    async def aclose(self) -> None:
        self._finish()
        await self._stream.aclose()

    def _finish(self, *, complete: bool = False) -> None:
        if self._exchange.ended_at is None:
            self._exchange.ended_at = self._inner.now() - self._start
            self._exchange.complete = complete
            self._exchange.reads = redact_reads(self._exchange.reads)


def redact_reads(reads: list[Read]) -> list[Read]:
    """The reads without secrets, also those that lie across a border.

    A secret's stand-in goes to the read in which the secret began.
    """
    text = b"".join(read.data for read in reads).decode("latin-1")  # one byte, one character: places agree
    spans = secret_spans(text)
    if not spans:
        return reads
    clean: list[Read] = []
    begin = first = 0  # where this read begins, and the first span that is not behind it
    for read in reads:
        end = begin + len(read.data)
        pieces: list[str] = []
        place = begin
        for start, stop in islice(spans, first, None):
            if start >= end:
                break
            pieces.append(text[place : max(start, begin)])
            if start >= begin:
                pieces.append(REDACTED)
            place = min(stop, end)
            first += stop <= end
        pieces.append(text[place:end])
        data = "".join(pieces).encode("latin-1")
        if data:
            clean.append(replace(read, data=data))
        begin = end
    return clean


def _without_secrets(request: Request) -> Request:
    body = request.body
    return replace(
        request,
        url=redact_text(request.url),
        headers=Headers(
            [pair for name, value in request.headers.pairs() for pair in redact_headers({name: value}).items()]
        ),
        body=redact_text(body.decode("latin-1")).encode("latin-1") if isinstance(body, bytes) else None,
    )


def _exchange_again(exchange: Exchanged) -> Reply | Exception:
    if exchange.status is None:
        return exchange.error or ConnectionLost(f"the recording holds no answer to {exchange.request!r}")
    pieces: list[Piece] = []
    before = exchange.head_at or 0.0
    for read in exchange.reads:
        if read.at > before:
            pieces.append(read.at - before)
        pieces.append(read.data)
        before = read.at
    if exchange.error is not None:
        pieces.append(exchange.error)
    return Reply(pieces, exchange.status, exchange.headers, exchange.head_at or 0.0)
