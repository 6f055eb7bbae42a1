"""Both clients behind one face, so that one test serves the awaiting and the blocking shell."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import aclosing, closing
from typing import Any

from dragoman.kai import KaiClient, KaiClientSync, SSEEvent
from dragoman.transport.io import IO
from dragoman.transport.scripted import Reply, ScriptedIO
from dragoman.wire.http import Headers, Response

BASE = "https://kai.example/base"
STORAGE = "https://storage.example/"
TOKEN = "tok-1"

FINISH = {"type": "finish", "finishReason": "stop"}


def sse(*chunks: Any) -> bytes:
    """The bytes of a stream of chunks, as a server sends them."""
    return b"".join(f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks) + b"data: [DONE]\n\n"


def answer(value: Any, status: int = 200, **headers: str) -> Response:
    """A plain answer: JSON, or text as it is."""
    body = (
        value.encode() if isinstance(value, str) else value if isinstance(value, bytes) else json.dumps(value).encode()
    )
    fields = {"content-type": "application/json"} | {name.replace("_", "-"): text for name, text in headers.items()}
    return Response(status, Headers(fields), body)


def streamed(*chunks: Any, status: int = 200, content_type: str | None = "text/event-stream") -> Reply:
    """A streamed answer of these chunks in one read."""
    headers = Headers({} if content_type is None else {"content-type": content_type})
    return Reply([sse(*chunks)], status, headers)


class Awaiting:
    """`KaiClient`."""

    name = "awaiting"
    cls = KaiClient

    def client(self, io: IO, base: str = BASE, **options: Any) -> Any:
        return KaiClient(TOKEN, STORAGE, base, io=io, **options)

    async def call(self, method: Callable[..., Any], *args: Any, **options: Any) -> Any:
        return await method(*args, **options)

    async def events(
        self, method: Callable[..., Any], *args: Any, into: list[Any] | None = None, **options: Any
    ) -> Any:
        """All events of a stream; `into` keeps those that came before a fault."""
        seen: list[Any] = [] if into is None else into
        async with aclosing(method(*args, **options)) as stream:
            async for event in stream:
                seen.append(event)
        return seen

    async def first(self, method: Callable[..., Any], *args: Any, **options: Any) -> SSEEvent:
        """The first event, leaving the loop early."""
        async with aclosing(method(*args, **options)) as stream:
            event: SSEEvent = await anext(stream)
        return event


class Blocking:
    """`KaiClientSync`."""

    name = "blocking"
    cls = KaiClientSync

    def client(self, io: IO, base: str = BASE, **options: Any) -> Any:
        return KaiClientSync(TOKEN, STORAGE, base, io=io, **options)

    async def call(self, method: Callable[..., Any], *args: Any, **options: Any) -> Any:
        return method(*args, **options)

    async def events(
        self, method: Callable[..., Any], *args: Any, into: list[Any] | None = None, **options: Any
    ) -> Any:
        seen: list[Any] = [] if into is None else into
        with closing(method(*args, **options)) as stream:
            for event in stream:
                seen.append(event)
        return seen

    async def first(self, method: Callable[..., Any], *args: Any, **options: Any) -> SSEEvent:
        with closing(method(*args, **options)) as stream:
            event: SSEEvent = next(stream)
        return event


Shell = Awaiting | Blocking


def scripted(*exchanges: Any) -> ScriptedIO:
    """A port that gives these answers, one after the other."""
    return ScriptedIO(list(exchanges))


def body_of(io: ScriptedIO, index: int = -1) -> Any:
    """The JSON body of a request."""
    body = io.requests[index].body
    assert body is not None
    return json.loads(body)
