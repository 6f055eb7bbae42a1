"""Bytes of files on their way in and out: the file of a form, a spool for direct uploads, download headers.

Nothing is ever whole in memory. What the bytes are for, and who may send them, is the attachment store's
business.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import IO, Protocol
from urllib.parse import quote

from dragoman.chatkit.serving.answers import Reply
from dragoman.core.errors import BadRequest, PayloadTooLarge, ProtocolError
from dragoman.wire.multipart import MultipartDecoder, PartEnd, PartHead, boundary_of

FIELD = "file"
_SPOOL_BYTES = 1 << 20
_READ = 64 * 1024
_SHOWN_INLINE = ("image/png", "image/jpeg", "image/gif", "image/webp", "image/avif")
DEFAULT_TYPE = "application/octet-stream"


class FileAnswer(Protocol):
    """What an attachment store's `send` gives."""

    @property
    def chunks(self) -> AsyncIterator[bytes]: ...
    @property
    def mime_type(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def size(self) -> int | None: ...


@dataclass(slots=True)
class IncomingFile:
    """A file as it arrives; `content_type` and `name` are what the sender says of it."""

    chunks: AsyncIterator[bytes]
    content_type: str | None
    name: str | None = None


async def incoming_file(chunks: AsyncIterator[bytes], content_type: str | None) -> IncomingFile:
    """The file in a request's body, be it raw or the field `file` of a form.

    Returns once a form's file begins. Raises BadRequest for a form that has none or is cut.
    """
    kind = content_type or ""
    if not kind.lower().lstrip().startswith("multipart/"):
        return IncomingFile(chunks, content_type)
    boundary = boundary_of(kind)
    if boundary is None:
        raise BadRequest(f"The body is {kind.partition(';')[0]!r}; expected multipart/form-data with a boundary.")
    form = _Form(chunks, MultipartDecoder(boundary))
    head = await form.find(FIELD)
    return IncomingFile(form.content(), head.content_type, head.filename)


class _Form:
    """Reads a form up to one field, and then its content."""

    def __init__(self, chunks: AsyncIterator[bytes], decoder: MultipartDecoder) -> None:
        self._chunks = chunks
        self._decoder = decoder
        self._pieces: list[PartHead | bytes | PartEnd] = []

    async def _next(self) -> PartHead | bytes | PartEnd | None:
        """The next piece; None at the form's end."""
        try:
            while not self._pieces:
                if self._decoder.is_complete:
                    return None
                chunk = await anext(self._chunks, None)
                if chunk is None:
                    self._decoder.end()
                    return None
                self._pieces = self._decoder.feed(chunk)[::-1]
        except ProtocolError as error:
            raise BadRequest(f"The upload is not a whole form: {error.message}.", code="bad_upload") from error
        return self._pieces.pop()

    async def find(self, field: str) -> PartHead:
        while (piece := await self._next()) is not None:
            if isinstance(piece, PartHead) and piece.name == field:
                return piece
        raise BadRequest(f"The form has no field {field!r}.", code="bad_upload")

    async def content(self) -> AsyncIterator[bytes]:
        """The field's content; ends only if the whole form has come."""
        while (piece := await self._next()) is not None:
            if isinstance(piece, bytes):
                yield piece
            elif isinstance(piece, PartEnd):
                break
        while await self._next() is not None:
            pass


# ---------------------------------------------------------------------------------------- spools


class Spool:
    """A file of unknown size, kept in a temporary place until its size is known."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self.size = size

    async def chunks(self) -> AsyncIterator[bytes]:
        await asyncio.to_thread(self._file.seek, 0)
        while piece := await asyncio.to_thread(self._file.read, _READ):
            yield piece

    def close(self) -> None:
        self._file.close()


async def spooled(chunks: AsyncIterator[bytes], limit: int) -> Spool:
    """All of `chunks` in a temporary file. Raises PayloadTooLarge above `limit` bytes."""
    file = tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES)  # noqa: SIM115 - the spool closes it
    size = 0
    try:
        async for piece in chunks:
            size += len(piece)
            if size > limit:
                raise PayloadTooLarge(f"The file is larger than {limit} bytes.")
            if size <= _SPOOL_BYTES:  # still in memory
                file.write(piece)
            else:
                await asyncio.to_thread(file.write, piece)
    except BaseException:
        file.close()
        raise
    return Spool(file, size)


# ------------------------------------------------------------------------------------- downloads


class _Chunks:
    """A file's pieces as the stream of a reply."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks

    def __aiter__(self) -> _Chunks:
        return self

    async def __anext__(self) -> bytes:
        return await anext(self._chunks)

    async def aclose(self) -> None:
        close = getattr(self._chunks, "aclose", None)
        if close is not None:
            await close()


def file_reply(file: FileAnswer) -> Reply:
    """A download. Only images that cannot run anything are shown in place; the rest is to be saved."""
    shown = file.mime_type.partition(";")[0].strip().lower()
    plain = file.name.encode("ascii", "replace").decode("ascii")
    plain = "".join(letter if letter.isprintable() and letter not in '"\\' else "_" for letter in plain)
    place = "inline" if shown in _SHOWN_INLINE else "attachment"
    headers = {
        "content-type": file.mime_type if _is_type(file.mime_type) else DEFAULT_TYPE,
        "content-disposition": f"{place}; filename=\"{plain}\"; filename*=UTF-8''{quote(file.name, safe='')}",
        "x-content-type-options": "nosniff",
        "content-security-policy": "default-src 'none'; sandbox",
        "cache-control": "private, max-age=300",
        "referrer-policy": "no-referrer",
    }
    if file.size is not None:
        headers["content-length"] = str(file.size)
    return Reply(200, headers, None, _Chunks(file.chunks))


def _is_type(text: str) -> bool:
    """Whether this can stand in a header."""
    return text.isascii() and text.isprintable() and "/" in text
