"""A form on its way in: its fields, then the pieces of its file, which is never whole in memory.

What is wrong with the form is told as an error with the code of the form's wire; whoever tells the client drains the
rest of the body first, since a client that is still sending reads no answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from dragoman.core.errors import BadRequest, DragomanError, ProtocolError
from dragoman.wire.multipart import MultipartDecoder, PartEnd, PartHead, boundary_of

FILE = "file"
GATHERED = 512 * 1024
"""Pieces of a file are handed on when there is so much of them: each costs a trip to a thread that writes."""

MOST_FIELD_BYTES = 32 * 1024
_MOST_FIELDS = 64
_PIECE = 64 * 1024
_MOST_BESIDE = 256 * 1024
"""What a body may hold before the file begins, and again after its end."""


class Body:
    """The pieces of a request's body, which can be drained."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self._over = False

    def __aiter__(self) -> Body:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await anext(self._chunks)
        except BaseException:
            self._over = True
            raise

    async def drain(self, most: int, seconds: float) -> None:
        """Read the rest, unless it is too much or takes too long. Raises ClientGone."""
        left = most
        with suppress(DragomanError, TimeoutError):
            async with asyncio.timeout(seconds):
                while left > 0 and not self._over:
                    piece = await anext(self, None)
                    left -= len(piece) if piece is not None else 0


class IncomingForm:
    """A form with one file as its last part."""

    def __init__(self, body: AsyncIterator[bytes], content_type: str | None) -> None:
        """Raises BadRequest for another type of body."""
        boundary = boundary_of(content_type or "")
        if boundary is None:
            raise _malformed("Expected multipart/form-data with a boundary.")
        self._body = body
        self._decoder = MultipartDecoder(boundary)
        self._pieces: list[PartHead | bytes | PartEnd] = []
        self._chunk, self._at = b"", 0
        self._left: int | None = _MOST_BESIDE

    async def fields(self) -> dict[str, str]:
        """The fields before the file. Raises BadRequest."""
        found: dict[str, str] = {}
        left = MOST_FIELD_BYTES
        while (head := await self._next()) is not None:
            if not isinstance(head, PartHead):
                continue
            if head.name == FILE:
                self._left = None
                return found
            if head.name in found or len(found) >= _MOST_FIELDS:
                raise _malformed("The form has a field twice, or too many of them.")
            raw = await self._value(left)
            left -= len(raw)
            try:
                found[head.name] = raw.decode()
            except UnicodeDecodeError as error:
                raise _malformed(f"The field {head.name[:100]!r} is not UTF-8.") from error
        raise _malformed("The form has no part 'file', which must be the last one.")

    async def _value(self, most: int) -> bytes:
        value = bytearray()
        while isinstance(piece := await self._next(), bytes):
            value += piece
            if len(value) > most:
                raise _malformed(f"The fields before the file have more than {MOST_FIELD_BYTES} bytes.")
        return bytes(value)

    async def content(self) -> AsyncIterator[bytes]:
        """The file's content in pieces of some size; ends only if the whole form has come, else raises BadRequest."""
        gathered: list[bytes] = []
        size = 0
        while isinstance(piece := await self._next(), bytes):
            gathered.append(piece)
            size += len(piece)
            if size >= GATHERED:
                yield b"".join(gathered)
                gathered, size = [], 0
        self._left = _MOST_BESIDE
        while await self._next() is not None:  # what follows the file does not count
            pass
        if gathered:
            yield b"".join(gathered)

    async def _next(self) -> PartHead | bytes | PartEnd | None:
        """The next piece; None at the form's end."""
        try:
            while not self._pieces:
                if self._decoder.is_complete:
                    return None
                if self._at >= len(self._chunk):
                    chunk = await anext(self._body, None)
                    if chunk is None:
                        self._decoder.end()
                        return None
                    self._chunk, self._at = chunk, 0
                self._pieces = self._decoder.feed(self._taken())[::-1]
        except ProtocolError as error:
            raise _malformed(f"The body is not a whole form: {error.message}.") from error
        return self._pieces.pop()

    def _taken(self) -> bytes:
        """What is decoded next: a chunk may hold what counts beside the file and a piece of it."""
        if self._left is None:
            piece = self._chunk[self._at :] if self._at else self._chunk
        else:
            piece = self._chunk[self._at : self._at + _PIECE]
            self._left -= len(piece)
            if self._left < 0:
                raise _malformed("There is too much beside the file.")
        self._at += len(piece)
        return piece


def _malformed(message: str) -> BadRequest:
    return BadRequest(message, code="MalformedPOSTRequest")
