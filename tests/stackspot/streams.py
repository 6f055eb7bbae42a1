"""Streamed answers without a network: pieces of bytes, and how the body ends."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

from dragoman.stackspot.chat_stream import AsyncChatResponseStream, ChatResponseStream
from dragoman.stackspot.models import ChatRequest
from dragoman.stackspot.replies import StreamReply
from dragoman.wire.http import Headers

SSE = "text/event-stream; charset=utf-8"
DONE = b"data: [DONE]\n\n"
REQUEST = ChatRequest("hi", id="r-1")


class Connection:
    """What a stream must let go of, and how much of it was read."""

    def __init__(self) -> None:
        self.closed = 0
        self.read = 0

    def close(self) -> None:
        self.closed += 1


def data(value: Any) -> bytes:
    """One frame."""
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n".encode()


def reply(
    pieces: Sequence[bytes | Exception], content_type: str = SSE, connection: Connection | None = None
) -> StreamReply:
    """An answer whose body is these pieces; an exception among them is what reading raises then."""
    source = connection or Connection()

    async def body() -> AsyncIterator[bytes]:
        for piece in pieces:
            if isinstance(piece, Exception):
                raise piece
            source.read += 1
            yield piece

    return StreamReply(200, Headers({"content-type": content_type} if content_type else {}), source, body)


def stream(*pieces: bytes | Exception, content_type: str = SSE, **rest: Any) -> ChatResponseStream:
    connection = rest.pop("connection", None)
    return ChatResponseStream(REQUEST, reply(pieces, content_type, connection), **rest)


def async_stream(*pieces: bytes | Exception, content_type: str = SSE, **rest: Any) -> AsyncChatResponseStream:
    connection = rest.pop("connection", None)
    return AsyncChatResponseStream(REQUEST, reply(pieces, content_type, connection), **rest)
