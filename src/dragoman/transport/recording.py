"""An I/O port that keeps what passes through another one.

It tees reads as they pass, with their times, and hands them on untouched; what it keeps has
no secrets in it. A recording can be replayed by a `ScriptedIO` that gives back the same reads
after the same pauses. It knows nothing of files or formats: `dragoman.transport.cassettes` is the format,
`dragoman.transport.recorder` writes files.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace

from dragoman.core.errors import ConnectionLost
from dragoman.transport.cleaning import clean_headers, clean_reads, clean_request, known_secrets
from dragoman.transport.io import IO, ByteStream, Teeing
from dragoman.transport.scripted import Piece, Reply, ScriptedIO
from dragoman.wire.http import Headers, Request, Response

AHEAD = 16 * 1024
"""Bytes for which a stream asks for room at a time."""

_NONE = -1
"""The room of a stream of which no more is kept."""


@dataclass(frozen=True, slots=True)
class Read:
    """Bytes as one read gave them, `at` seconds after the request."""

    at: float
    data: bytes


@dataclass(slots=True)
class Exchanged:
    """One request and what came of it. `status` is None if nothing came but `error`.

    `pieces` are what the reads gave, `times` when. `head_at` is when the answer's head came, `ended_at` when its body
    ended, broke (`error`) or was let go (`complete` is False then), all in seconds after the request. `is_cut`: more
    was read than is kept.
    """

    request: Request
    status: int | None = None
    headers: Headers = field(default_factory=Headers)
    times: list[float] = field(default_factory=list)
    pieces: list[bytes] = field(default_factory=list)
    head_at: float | None = None
    ended_at: float | None = None
    complete: bool = False
    error: Exception | None = None
    is_cut: bool = False

    @property
    def reads(self) -> list[Read]:
        return list(map(Read, self.times, self.pieces))

    @property
    def body(self) -> bytes:
        """All reads joined."""
        return b"".join(self.pieces)


class TeeIO:
    """Passes everything on to `inner`, and tells of each exchange as it stands: secrets and all.

    `begun` is called before a request goes out, `ended` once its answer has ended, broken or been let go, also where
    none came. `room` is asked for so many bytes, or at least so many, before they are kept, and says how many it
    grants; an exchange that gets too few keeps no more. It takes back what was not used as a negative number.
    """

    def __init__(
        self,
        inner: IO,
        *,
        begun: Callable[[Exchanged], None],
        ended: Callable[[Exchanged], None],
        room: Callable[[int, int], int] = lambda size, least: size,
    ) -> None:
        self._inner = inner
        self._begun = begun
        self._ended = ended
        self._room = room

    async def send(self, request: Request) -> Response:
        exchange, start = self._start(request)
        try:
            answer = await self._inner.send(request)
        except BaseException as error:
            self._end(exchange, start, error)
            raise
        at = self._inner.now() - start
        exchange.status, exchange.headers, exchange.head_at = answer.status, answer.headers, at
        if answer.body and self._keeps(exchange, len(answer.body)):
            exchange.times.append(at)
            exchange.pieces.append(answer.body)
        exchange.complete = True
        self._end(exchange, start)
        return answer

    async def stream(self, request: Request) -> ByteStream:
        exchange, start = self._start(request)
        try:
            stream = await self._inner.stream(request)
        except BaseException as error:
            self._end(exchange, start, error)
            raise
        exchange.status, exchange.headers = stream.status, stream.headers
        exchange.head_at = self._inner.now() - start
        tee = _Tee(self, exchange, start)
        if isinstance(stream, Teeing):
            stream.tell(tee)
            return stream
        return _TeeStream(stream, tee)

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)

    def now(self) -> float:
        return self._inner.now()

    def _start(self, request: Request) -> tuple[Exchanged, float]:
        exchange = Exchanged(request)
        if isinstance(request.body, bytes) and not self._keeps(exchange, len(request.body)):
            exchange.request = replace(request, body=None)
        self._begun(exchange)
        return exchange, self._inner.now()

    def _end(self, exchange: Exchanged, start: float, error: BaseException | None = None) -> None:
        """An error that is no `Exception` says that nobody waits for the answer any more."""
        exchange.error = error if isinstance(error, Exception) else None
        exchange.ended_at = self._inner.now() - start
        self._ended(exchange)

    def _keeps(self, exchange: Exchanged, size: int) -> bool:
        if not exchange.is_cut:
            exchange.is_cut = self._room(size, size) < size
        return not exchange.is_cut


class _Tee:
    """Keeps the reads of a stream."""

    def __init__(self, port: TeeIO, exchange: Exchanged, start: float) -> None:
        self._port = port
        self._exchange = exchange
        self._start = start
        self._room = _NONE if exchange.is_cut else 0
        self._is_over = False
        self.read = self._reader()

    def _reader(self) -> Callable[[bytes], None]:
        """What is told of each read. Each stream pays for each of them: so it does next to nothing, on its own names."""
        now, start = self._port._inner.now, self._start
        keep_time, keep = self._exchange.times.append, self._exchange.pieces.append

        def read(data: bytes) -> None:
            size = len(data)
            if size <= self._room or self._grows(size):
                self._room -= size
                keep_time(now() - start)
                keep(data)

        return read

    def _grows(self, size: int) -> bool:
        """Make room for a read. False: it is not kept, nor are those behind it."""
        if self._room == _NONE:
            return False
        self._room += self._port._room(max(size, AHEAD), size - self._room)
        if size <= self._room:
            return True
        self._exchange.is_cut = True
        self._give_back()
        return False

    def _give_back(self) -> None:
        if self._room > 0:
            self._port._room(-self._room, -self._room)
        self._room = _NONE

    def end(self, *, complete: bool = False, error: Exception | None = None) -> None:
        if not self._is_over:
            self._is_over, self._exchange.complete = True, complete
            self._give_back()
            self._port._end(self._exchange, self._start, error)


class _TeeStream:
    """A stream that knows no tees, with one."""

    def __init__(self, stream: ByteStream, tee: _Tee) -> None:
        self._stream = stream
        self._next = aiter(stream).__anext__
        self._tee = tee

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
            data = await self._next()
        except StopAsyncIteration:
            self._tee.end(complete=True)
            raise
        except Exception as error:
            self._tee.end(error=error)
            raise
        self._tee.read(data)
        return data

    async def aclose(self) -> None:
        self._tee.end()
        await self._stream.aclose()


class RecordingIO(TeeIO):
    """Passes everything on to `inner` and keeps it in `exchanges`, in order of the requests.

    Secrets are taken out of URLs, headers and bodies (`dragoman.core.redact`), of an answer once it has
    ended; the borders of reads stay where they were. A body that was made while it was sent is not kept.
    """

    def __init__(self, inner: IO) -> None:
        self.exchanges: list[Exchanged] = []
        self._secrets: dict[int, list[str]] = {}
        super().__init__(inner, begun=self._keep, ended=self._clean)

    def _keep(self, exchange: Exchanged) -> None:
        self.exchanges.append(exchange)
        self._secrets[id(exchange)] = known_secrets(exchange.request)
        exchange.request = clean_request(exchange.request, self._secrets[id(exchange)])

    def _clean(self, exchange: Exchanged) -> None:
        clean = cleaned(exchange, self._secrets.pop(id(exchange), []))
        exchange.headers, exchange.times, exchange.pieces = clean.headers, clean.times, clean.pieces

    def replay(self) -> ScriptedIO:
        """A port that answers the recorded requests in their order, with the same reads and pauses."""
        return ScriptedIO([_exchange_again(exchange) for exchange in self.exchanges])


def cleaned(exchange: Exchanged, known: list[str]) -> Exchanged:
    """A copy without the secrets that go by name or form, and without the `known_secrets`; its error is as it was."""
    pieces = list(exchange.pieces)  # where the process ends while it is read, more may come
    times, pieces = exchange.times[: len(pieces)], clean_reads(pieces, known)
    if not all(pieces):  # they lay wholly within a secret
        kept = [(at, data) for at, data in zip(times, pieces, strict=True) if data]
        times, pieces = [at for at, _ in kept], [data for _, data in kept]
    return replace(
        exchange,
        request=clean_request(exchange.request, known),
        headers=clean_headers(exchange.headers, known),
        times=times,
        pieces=pieces,
    )


def _exchange_again(exchange: Exchanged) -> Reply | Exception:
    if exchange.status is None:
        return exchange.error or ConnectionLost(f"the recording holds no answer to {exchange.request!r}")
    pieces: list[Piece] = []
    before = exchange.head_at or 0.0
    for at, data in zip(exchange.times, exchange.pieces, strict=True):
        if at > before:
            pieces.append(at - before)
        pieces.append(data)
        before = at
    if exchange.error is not None:
        pieces.append(exchange.error)
    return Reply(pieces, exchange.status, exchange.headers, exchange.head_at or 0.0)
