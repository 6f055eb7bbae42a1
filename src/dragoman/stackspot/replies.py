"""Answers as operations see them, whoever gave them: our own clients, `requests`, or anything of that shape.

A whole answer is a `Reply`, one whose body is still coming a `StreamReply`. What is asked of a stranger's
answer is `status_code`, `headers`, `text`, `json()`, `raise_for_status()`, `close()`, and for a stream
`iter_content` or `iter_lines` (`aiter_bytes` or `aiter_lines` where it is awaited).
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any

from pydantic_core import from_json

from dragoman.core.errors import DragomanError, ProtocolError
from dragoman.stackspot.failures import LONGEST_TEXT
from dragoman.stackspot.responses import AsyncClientResponse, ClientResponse
from dragoman.wire.http import Headers


class Reply:
    """A whole answer; `source` is the response object that it was made of, if there was one."""

    def __init__(self, status: int, headers: Headers, source: Any = None) -> None:
        self.status = status
        self.headers = headers
        self.source = source

    @property
    def body(self) -> bytes:
        raise AttributeError("this reply has no body")

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """The decoded body. Raises ValueError or ProtocolError if it is no JSON."""
        return from_json(self.body)

    def raise_foreign(self) -> None:
        """Let a stranger's response have its say about a status that we take for a success."""

    def close(self) -> None:
        """Let go; idempotent."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.status})"


class ByteReply(Reply):
    """An answer whose bytes are here."""

    def __init__(self, status: int, headers: Headers, body: bytes = b"", source: Any = None) -> None:
        super().__init__(status, headers, source)
        self._body = body

    @property
    def body(self) -> bytes:
        return self._body

    @property
    def text(self) -> str:
        return self.source.text if isinstance(self.source, ClientResponse | AsyncClientResponse) else super().text


class ForeignReply(Reply):
    """An answer of somebody else's class; asked again each time, as it may make its text when it is asked."""

    def __init__(self, response: Any) -> None:
        super().__init__(_status(response), _headers(response), response)

    @property
    def body(self) -> bytes:
        content = getattr(self.source, "content", None)
        return content if isinstance(content, bytes) else self.text.encode()

    @property
    def text(self) -> str:
        text = self.source.text
        return text if isinstance(text, str) else ""

    def json(self) -> Any:
        return self.source.json()

    def raise_foreign(self) -> None:
        _let_it_raise(self.source)

    def close(self) -> None:
        _call(self.source, "close")


def _status(response: Any) -> int:
    """Its status; one without a number has not refused, unless it says so when it is asked."""
    code = getattr(response, "status_code", None)
    return code if isinstance(code, int) and not isinstance(code, bool) else 200


def _headers(response: Any) -> Headers:
    fields: Any = getattr(response, "headers", None)
    if isinstance(fields, Headers):
        return fields
    items = fields.items() if hasattr(fields, "items") else ()
    if not isinstance(items, Iterable):
        return Headers()
    return Headers([(str(name), str(value)) for name, value in items])


def _let_it_raise(response: Any) -> None:
    check = getattr(response, "raise_for_status", None)
    if callable(check):
        check()


def _call(response: Any, name: str) -> Any:
    method = getattr(response, name, None)
    if not callable(method):
        return None
    try:
        return method()
    except Exception:
        return None  # what is broken already is as good as closed


def reply_of(response: Any) -> Reply:
    """A whole answer as a `Reply`."""
    if isinstance(response, Reply):
        return response
    if isinstance(response, ClientResponse | AsyncClientResponse):
        return ByteReply(response.status_code, response.headers, response.content, response)
    return ForeignReply(response)


# ------------------------------------------------------------------------------------ streams


class StreamReply:
    """An answer of which the head is here: `async for` reads its body in pieces, `aclose` lets go.

    Under a `BlockingExchange` nothing of it ever suspends.
    """

    def __init__(self, status: int, headers: Headers, source: Any, pieces: Callable[[], AsyncIterator[bytes]]) -> None:
        self.status = status
        self.headers = headers
        self.source = source
        self._begin = pieces
        self._pieces: AsyncIterator[bytes] | None = None

    def __aiter__(self) -> AsyncIterator[bytes]:
        if self._pieces is None:
            self._pieces = self._begin()
        return self._pieces

    def raise_foreign(self) -> None:
        """Let a stranger's response have its say about a status that we take for a success."""
        if not isinstance(self.source, ClientResponse | AsyncClientResponse):
            _let_it_raise(self.source)

    async def read_error(self) -> str:
        """What can be read of an error's body, at most `LONGEST_TEXT` bytes; closes the answer."""
        if not isinstance(self.source, ClientResponse | AsyncClientResponse) and hasattr(self.source, "text"):
            return await self._foreign_text()
        pieces: list[bytes] = []
        size = 0
        try:
            async for piece in self:
                pieces.append(piece)
                size += len(piece)
                if size >= LONGEST_TEXT:
                    break
        except (DragomanError, OSError, ValueError):  # of an error, what came is enough
            pass
        finally:
            await self.aclose()
        body = b"".join(pieces)[:LONGEST_TEXT]
        if isinstance(self.source, ClientResponse | AsyncClientResponse):
            self.source.keep(body)  # so that who catches the error can read it from its `response`
        return body.decode("utf-8", "replace")

    async def _foreign_text(self) -> str:
        try:
            if hasattr(self.source, "aread"):
                await self.source.aread()
            text = self.source.text
        except Exception:  # as above
            text = ""
        finally:
            await self.aclose()
        return text[:LONGEST_TEXT] if isinstance(text, str) else ""

    async def aclose(self) -> None:
        """Let go of the connection; idempotent and always safe."""
        source = self.source
        if isinstance(source, ClientResponse):
            source.close()
            return
        done = _call(source, "aclose" if hasattr(source, "aclose") else "close")
        if inspect.isawaitable(done):
            try:
                await done
            except Exception:
                pass  # a connection that is broken already is as good as closed

    def __repr__(self) -> str:
        return f"StreamReply({self.status})"


def stream_reply_of(response: Any) -> StreamReply:
    """An answer whose body is still coming as a `StreamReply`."""
    if isinstance(response, StreamReply):
        return response
    if isinstance(response, ClientResponse | AsyncClientResponse):
        return StreamReply(response.status_code, response.headers, response, response.raw_pieces)
    awaited = hasattr(response, "aiter_bytes") or hasattr(response, "aiter_lines")

    def begin() -> AsyncIterator[bytes]:
        return _awaited_pieces(response) if awaited and not _is_blocking(response) else _pieces(response)

    return StreamReply(_status(response), _headers(response), response, begin)


def _is_blocking(response: Any) -> bool:
    return isinstance(getattr(type(response), "iter_content", None), Callable)  # type: ignore[arg-type]


async def _pieces(response: Any) -> AsyncIterator[bytes]:
    """A blocking response's body, without ever suspending."""
    for piece in blocking_pieces(response):
        yield piece


def blocking_pieces(response: Any) -> Iterator[bytes]:
    """The body of a blocking response as it comes."""
    if hasattr(response, "iter_content"):
        content = response.iter_content(chunk_size=_chunk_size(response))
        if isinstance(content, Iterable):
            yield from map(_as_bytes, content)
            return
    if not hasattr(response, "iter_lines"):
        raise ProtocolError(
            f"a streamed answer must have iter_content or iter_lines, {type(response).__name__} has none"
        )
    for line in response.iter_lines():
        yield _as_bytes(line) + b"\n"


def _chunk_size(response: Any) -> int | None:
    """Chunks come as they are sent; a body without chunks is read byte by byte, as nothing else waits for no more."""
    transfer = _headers(response).get("transfer-encoding", "")
    return None if "chunked" in transfer.lower() else 1


async def _awaited_pieces(response: Any) -> AsyncIterator[bytes]:
    if hasattr(response, "aiter_bytes"):
        async for piece in response.aiter_bytes():
            yield _as_bytes(piece)
        return
    async for line in response.aiter_lines():
        yield _as_bytes(line) + b"\n"


def _as_bytes(piece: Any) -> bytes:
    return piece.encode() if isinstance(piece, str) else bytes(piece)
