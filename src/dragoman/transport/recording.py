"""An I/O port that keeps what passes through another one.

It tees reads as they pass, with their times, and hands them on untouched; what it keeps has
no secrets in it. A recording can be replayed by a `ScriptedIO` that gives back the same reads
after the same pauses. It knows nothing of files or formats: `dragoman.transport.cassettes` is the format,
`dragoman.transport.recorder` writes files.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import islice

from pydantic_core import from_json, to_json

from dragoman.core.errors import ConnectionLost
from dragoman.core.redact import REDACTED, is_secret_name, redact, redact_headers, redact_text, secret_spans
from dragoman.transport.io import IO, ByteStream
from dragoman.transport.scripted import Piece, Reply, ScriptedIO
from dragoman.wire.http import Headers, Request, Response

SHORTEST_SECRET = 6
"""Characters. Anything shorter in a header is taken out there, and not wherever else it stands."""

_SCHEME = re.compile(r"\s*(?:bearer|basic|token|digest)\s+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Read:
    """Bytes as one read gave them, `at` seconds after the request."""

    at: float
    data: bytes


@dataclass(slots=True)
class Exchanged:
    """One request and what came of it. `status` is None if nothing came but `error`.

    `head_at` is when the answer's head came, `ended_at` when its body ended, broke (`error`) or was
    let go (`complete` is False then), all in seconds after the request. `is_cut`: more was read than is kept.
    """

    request: Request
    status: int | None = None
    headers: Headers = field(default_factory=Headers)
    reads: list[Read] = field(default_factory=list)
    head_at: float | None = None
    ended_at: float | None = None
    complete: bool = False
    error: Exception | None = None
    is_cut: bool = False

    @property
    def body(self) -> bytes:
        """All reads joined."""
        return b"".join(read.data for read in self.reads)


class TeeIO:
    """Passes everything on to `inner`, and tells of each exchange as it stands: secrets and all.

    `begun` is called before a request goes out, `ended` once its answer has ended, broken or been let go, also where
    none came. `room` is asked before a read is kept, with its size; where it says no the exchange keeps no more.
    """

    def __init__(
        self,
        inner: IO,
        *,
        begun: Callable[[Exchanged], None],
        ended: Callable[[Exchanged], None],
        room: Callable[[int], bool] | None = None,
    ) -> None:
        self._inner = inner
        self._begun = begun
        self._ended = ended
        self._room = room

    async def send(self, request: Request) -> Response:
        exchange, start = self._start(request)
        try:
            answer = await self._inner.send(request)
        except Exception as error:
            self._fail(exchange, error, start)
            raise
        except BaseException:
            self._let_go(exchange, start)
            raise
        at = self._inner.now() - start
        exchange.status, exchange.headers, exchange.head_at = answer.status, answer.headers, at
        exchange.ended_at, exchange.complete = at, True
        if answer.body and self._keeps(exchange, len(answer.body)):
            exchange.reads.append(Read(at, answer.body))
        self._ended(exchange)
        return answer

    async def stream(self, request: Request) -> ByteStream:
        exchange, start = self._start(request)
        try:
            stream = await self._inner.stream(request)
        except Exception as error:
            self._fail(exchange, error, start)
            raise
        except BaseException:
            self._let_go(exchange, start)
            raise
        exchange.status, exchange.headers = stream.status, stream.headers
        exchange.head_at = self._inner.now() - start
        return _TeeStream(self, stream, exchange, start)

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)

    def now(self) -> float:
        return self._inner.now()

    def _start(self, request: Request) -> tuple[Exchanged, float]:
        exchange = Exchanged(request)
        size = len(request.body) if isinstance(request.body, bytes) else 0
        if not self._keeps(exchange, size):
            exchange.request = replace(request, body=None)
        self._begun(exchange)
        return exchange, self._inner.now()

    def _fail(self, exchange: Exchanged, error: Exception, start: float) -> None:
        exchange.error, exchange.ended_at = error, self._inner.now() - start
        self._ended(exchange)

    def _let_go(self, exchange: Exchanged, start: float) -> None:
        """Nobody waits for the answer any more."""
        exchange.ended_at = self._inner.now() - start
        self._ended(exchange)

    def _keeps(self, exchange: Exchanged, size: int) -> bool:
        if not exchange.is_cut and self._room is not None and not self._room(size):
            exchange.is_cut = True
        return not exchange.is_cut


class _TeeStream:
    def __init__(self, port: TeeIO, stream: ByteStream, exchange: Exchanged, start: float) -> None:
        self._port = port
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
            if self._exchange.ended_at is None:
                self._exchange.error = error
            self._finish()
            raise
        exchange = self._exchange
        if self._port._keeps(exchange, len(data)):
            exchange.reads.append(Read(self._port.now() - self._start, data))
        return data

    async def aclose(self) -> None:
        self._finish()
        await self._stream.aclose()

    def _finish(self, *, complete: bool = False) -> None:
        exchange = self._exchange
        if exchange.ended_at is None:
            exchange.ended_at = self._port.now() - self._start
            exchange.complete = complete
            self._port._ended(exchange)


class RecordingIO(TeeIO):
    """Passes everything on to `inner` and keeps it in `exchanges`, in order of the requests.

    Secrets are taken out of URLs, headers and bodies (`dragoman.core.redact`), of an answer once it has
    ended; the borders of reads stay where they were. A body that was made while it was sent is not kept.
    """

    def __init__(self, inner: IO) -> None:
        self.exchanges: list[Exchanged] = []
        self._secrets: dict[int, set[str]] = {}
        super().__init__(inner, begun=self._keep, ended=self._clean)

    def _keep(self, exchange: Exchanged) -> None:
        self.exchanges.append(exchange)
        self._secrets[id(exchange)] = secrets_of(exchange.request)
        exchange.request = without_secrets(exchange.request)

    def _clean(self, exchange: Exchanged) -> None:
        clean = cleaned(exchange, self._secrets.pop(id(exchange), ()))
        exchange.headers, exchange.reads = clean.headers, clean.reads

    def replay(self) -> ScriptedIO:
        """A port that answers the recorded requests in their order, with the same reads and pauses."""
        return ScriptedIO([_exchange_again(exchange) for exchange in self.exchanges])


# ------------------------------------------------------------------------------------- secrets


def cleaned(exchange: Exchanged, secrets: Iterable[str] = ()) -> Exchanged:
    """A copy without secrets; `secrets` are texts that are known to be some, and what the request's headers held is too."""
    known = {*filter(_is_long, secrets), *secrets_of(exchange.request)}
    return replace(
        exchange,
        request=without_secrets(exchange.request, known),
        headers=_clean_headers(exchange.headers, known),
        reads=_clean_body(exchange.reads, known),
    )


def secrets_of(request: Request) -> set[str]:
    """What stands in the headers of a request that carry secrets; no answer should repeat it, but some do."""
    values = [value for name, value in request.headers.pairs() if is_secret_name(name)]
    return {plain for value in values if _is_long(plain := _SCHEME.sub("", value, count=1).strip())}


def without_secrets(request: Request, secrets: Iterable[str] = ()) -> Request:
    """The request as it may be kept; a body that is made while it is sent is left out."""
    body = request.body
    known = {*secrets, *secrets_of(request)}
    clean = None
    if isinstance(body, bytes):
        text = _without_fields(body)
        clean = _without(text.decode("latin-1"), {_as_latin(each) for each in known}).encode("latin-1")
    return replace(
        request, url=_without(request.url, known), headers=_clean_headers(request.headers, known), body=clean
    )


def _clean_body(reads: list[Read], secrets: Iterable[str]) -> list[Read]:
    """The reads; a JSON document that holds more under secret names than patterns see comes in one."""
    whole = b"".join(read.data for read in reads)
    plain = _without_fields(whole)
    return redact_reads(reads if plain is whole else [Read(reads[-1].at, plain)], secrets)


def _without_fields(body: bytes) -> bytes:
    """A JSON document without values under secret names, also where these are no texts; anything else as it is."""
    if body.lstrip()[:1] not in (b"{", b"["):
        return body
    try:
        value = from_json(body)
    except ValueError:
        return body
    if _is_plain(value):
        return body
    return to_json(redact(value))


def _is_plain(value: object) -> bool:
    """Whether no text of it but those that patterns find is a secret."""
    match value:
        case dict():
            return all(
                _is_plain(inner) and not (is_secret_name(name) and _is_hidden(inner)) for name, inner in value.items()
            )
        case list():
            return all(map(_is_plain, value))
    return True


def _is_hidden(value: object) -> bool:
    """Whether patterns, which look for texts, would not see this."""
    return isinstance(value, dict | list | int | float) and not isinstance(value, bool) and value not in ([], {})


def _clean_headers(headers: Headers, secrets: Iterable[str]) -> Headers:
    pairs = [pair for name, value in headers.pairs() for pair in redact_headers({name: value}).items()]
    return Headers([(name, _without_these(value, secrets)) for name, value in pairs])


def _without(text: str, secrets: Iterable[str]) -> str:
    return redact_text(_without_these(text, secrets))


def _without_these(text: str, secrets: Iterable[str]) -> str:
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, REDACTED)
    return text


def _is_long(secret: str) -> bool:
    return len(secret) >= SHORTEST_SECRET


def _as_latin(text: str) -> str:
    """The text as it looks when its bytes are read as one character each."""
    return text.encode("utf-8", "surrogatepass").decode("latin-1")


def redact_reads(reads: list[Read], secrets: Iterable[str] = ()) -> list[Read]:
    """The reads without secrets, also those that lie across a border.

    A secret's stand-in goes to the read in which the secret began.
    """
    text = b"".join(read.data for read in reads).decode("latin-1")  # one byte, one character: places agree
    spans = _spans(text, secrets)
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


def _spans(text: str, secrets: Iterable[str]) -> list[tuple[int, int]]:
    spans = secret_spans(text)
    known = [re.escape(_as_latin(secret)) for secret in sorted(secrets, key=len, reverse=True)]
    found = [match.span() for match in re.finditer("|".join(known), text)] if known else []
    if not found:
        return spans
    merged: list[tuple[int, int]] = []
    for start, end in sorted([*spans, *found]):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


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
