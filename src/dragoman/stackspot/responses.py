"""Answers as our own HTTP clients give them: in the shape of `requests.Response`, without `requests`.

`ClientResponse` is read by blocking code; its twin `AsyncClientResponse` awaits. Both are made of a whole
answer, or of one whose body is still coming.
"""

from __future__ import annotations

import codecs
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Self

from pydantic_core import from_json

from dragoman.core.errors import TransportError
from dragoman.stackspot.failures import as_requests_error, status_error
from dragoman.transport.io import ByteStream, run_blocking
from dragoman.wire.http import Response

_LINE_ENDS = b"\r\n"


class _Answer:
    """What both kinds have: the head, and the body once it was read."""

    def __init__(self, url: str, head: Response | ByteStream) -> None:
        self.url = url
        self.status_code = head.status
        self.headers = head.headers
        self._stream: ByteStream | None = None if isinstance(head, Response) else head
        self._body: bytes | None = head.body if isinstance(head, Response) else None

    @property
    def ok(self) -> bool:
        """Whether the status is below 400, as `requests` defines it."""
        return self.status_code < 400

    @property
    def encoding(self) -> str:
        """What the body's text is read as: the charset that the answer names, else UTF-8."""
        _, found, name = self.headers.get("content-type", "").lower().partition("charset=")
        try:
            return codecs.lookup(name.partition(";")[0].strip(" \"'")).name if found else "utf-8"
        except LookupError:
            return "utf-8"

    def keep(self, body: bytes) -> None:
        """The body was read by somebody else; this much of it is what there is."""
        if self._body is None:
            self._body = body

    def raw_pieces(self) -> AsyncIterator[bytes]:
        """The body as the transport gives it: what operations read, nothing between them and the connection."""
        if self._body is not None or self._stream is None:
            return _once(self._body or b"")
        return aiter(self._stream)

    def _refusal(self, text: str) -> Exception | None:
        return status_error(self.status_code, self.headers, text, response=self) if not self.ok else None

    def __repr__(self) -> str:
        return f"<Response [{self.status_code}]>"


class ClientResponse(_Answer):
    """An answer for blocking code. One whose body is still coming must be closed or read to its end."""

    def __init__(self, url: str, head: Response | ByteStream) -> None:
        super().__init__(url, head)
        self._closing: list[Callable[[], None]] = []

    def on_close(self, call: Callable[[], None]) -> None:
        """Have something done when this is closed, or dropped without that; once."""
        self._closing.append(weakref.finalize(self, call))

    @property
    def content(self) -> bytes:
        """The whole body."""
        if self._body is None:
            self._body = b"".join(self.iter_content(None))
        return self._body

    @property
    def text(self) -> str:
        return self.content.decode(self.encoding, "replace")

    def json(self) -> Any:
        """The decoded body. Raises ValueError if it is no JSON."""
        return from_json(self.content)

    def raise_for_status(self) -> None:
        """Raises HTTPStatusError for a status of 400 and above."""
        if not self.ok and (error := self._refusal(self.text)) is not None:
            raise error

    def iter_content(self, chunk_size: int | None = 1, decode_unicode: bool = False) -> Iterator[Any]:
        """The body as it comes, in pieces of at most `chunk_size` bytes; None takes them as they are."""
        pieces = self._pieces() if chunk_size is None else _cut(self._pieces(), chunk_size)
        if not decode_unicode:
            return pieces
        return _decoded(pieces, self.encoding)

    def iter_lines(
        self, chunk_size: int | None = None, decode_unicode: bool = False, delimiter: bytes | None = None
    ) -> Iterator[Any]:
        """The body's lines without their ends, which are LF, CRLF and CR only; or what `delimiter` separates."""
        for line in _lines(self.iter_content(chunk_size), delimiter):
            yield line.decode(self.encoding, "replace") if decode_unicode else line

    def _pieces(self) -> Iterator[bytes]:
        if self._body is not None:
            if self._body:
                yield self._body
            return
        stream = self._stream
        if stream is None:
            return
        try:
            while True:
                try:
                    piece = run_blocking(_next(stream))
                except StopAsyncIteration:
                    return
                except TransportError as error:
                    raise as_requests_error(error) from error.__cause__
                yield piece
        finally:
            self.close()

    def close(self) -> None:
        """Let go of the connection; idempotent."""
        stream, self._stream = self._stream, None
        try:
            if stream is not None:
                run_blocking(stream.aclose())
        finally:
            for call in self._closing:
                call()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class AsyncClientResponse(_Answer):
    """An answer for code that awaits."""

    async def aread(self) -> bytes:
        """The whole body; afterwards `content`, `text` and `json` work."""
        if self._body is None:
            self._body = b"".join([piece async for piece in self.aiter_bytes()])
        return self._body

    @property
    def content(self) -> bytes:
        """The body. Raises RuntimeError before `aread` for one that is still coming."""
        if self._body is None:
            raise RuntimeError("the body of this answer was not read yet: await its aread() first")
        return self._body

    @property
    def text(self) -> str:
        return self.content.decode(self.encoding, "replace")

    def json(self) -> Any:
        """The decoded body. Raises ValueError if it is no JSON."""
        return from_json(self.content)

    def raise_for_status(self) -> None:
        """Raises HTTPStatusError for a status of 400 and above; its text is there if the body was read."""
        text = self.text if self._body is not None else ""
        if not self.ok and (error := self._refusal(text)) is not None:
            raise error

    async def aiter_bytes(self) -> AsyncIterator[bytes]:
        """The body as it comes."""
        if self._body is not None:
            yield self._body
            return
        stream = self._stream
        if stream is None:
            return
        try:
            async for piece in stream:
                yield piece
        except TransportError as error:
            raise as_requests_error(error) from error.__cause__
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """Let go of the connection; idempotent."""
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()


async def _once(body: bytes) -> AsyncIterator[bytes]:
    if body:
        yield body


async def _next(stream: ByteStream) -> bytes:
    return await anext(aiter(stream))


def _cut(pieces: Iterator[bytes], size: int) -> Iterator[bytes]:
    for piece in pieces:
        for start in range(0, len(piece), size):
            yield piece[start : start + size]


def _decoded(pieces: Iterator[bytes], encoding: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    for piece in pieces:
        if text := decoder.decode(piece):
            yield text
    if text := decoder.decode(b"", final=True):
        yield text


def _lines(pieces: Iterator[bytes], delimiter: bytes | None) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        rest += piece
        if delimiter is not None:
            *whole, rest = rest.split(delimiter)
        else:
            held = rest.endswith(b"\r")  # a line feed may follow
            whole = (rest[:-1] if held else rest).splitlines(keepends=True)
            tail = b"\r" if held else b""
            if whole and not whole[-1].endswith((b"\n", b"\r")):
                tail = whole.pop() + tail
            rest = tail
            whole = [line.rstrip(_LINE_ENDS) for line in whole]
        yield from whole
    if rest:
        yield rest.rstrip(_LINE_ENDS) if delimiter is None else rest
