"""Requests to an `Endpoint`, and a responder that a test lets go on step by step."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from tests.chatkit.scripted import delta, envelope, message, said

from dragoman.chatkit.endpoint import Endpoint, EndpointOptions, Reply
from dragoman.chatkit.memory import MemoryStore
from dragoman.chatkit.server import ChatKitServer
from dragoman.chatkit.types import (
    StreamOptions,
    ThreadItemAddedEvent,
    ThreadItemDoneEvent,
    ThreadMetadata,
    ThreadStreamEvent,
)


class Stepwise(ChatKitServer[Any]):
    """Says `one`, waits for `go`, and says the whole: `one two`. Its store may take time to put things away."""

    def __init__(self, *, allow_cancel: bool = True) -> None:
        super().__init__(MemoryStore())
        self.allow_cancel = allow_cancel
        self.go = asyncio.Event()
        self.put_away = asyncio.Event()
        self.put_away.set()
        self.answered = 0

    def get_stream_options(self, thread: ThreadMetadata, context: Any) -> StreamOptions:
        return StreamOptions(allow_cancel=self.allow_cancel)

    async def respond(
        self, thread: ThreadMetadata, input_user_message: Any, context: Any
    ) -> AsyncGenerator[ThreadStreamEvent, None]:
        item_id = self.store.generate_item_id("message", thread, context)
        yield ThreadItemAddedEvent(item=message(thread, "", item_id))
        yield delta("one", item_id)
        await self.go.wait()
        self.answered += 1
        yield ThreadItemDoneEvent(item=message(thread, "one two", item_id))

    async def store_items(self, thread_id: str, context: Any = "ann") -> list[Any]:
        """All items of a thread, hidden ones included."""
        return list((await self.store.load_thread_items(thread_id, None, 100, "asc", context)).data)

    async def handle_stream_cancelled(self, thread: ThreadMetadata, pending_items: Any, context: Any) -> None:
        await self.put_away.wait()
        await super().handle_stream_cancelled(thread, pending_items, context)


def endpoint(server: ChatKitServer[Any], **options: Any) -> Endpoint[Any]:
    return Endpoint(server, EndpointOptions(**options))


async def ask(served: Endpoint[Any], operation: str, context: Any = "ann", **params: Any) -> Reply:
    return await served.post(envelope(operation, **params), context)


def document(reply: Reply) -> Any:
    assert reply.body is not None
    return json.loads(reply.body)


def refused(reply: Reply) -> tuple[int, str]:
    """Status and code of an error, whose form is checked."""
    told = document(reply)
    assert set(told) == {"error"}
    assert set(told["error"]) == {"code", "message"}
    assert all(isinstance(value, str) and value for value in told["error"].values())
    assert reply.headers["content-type"] == "application/json"
    return reply.status, told["error"]["code"]


def frames(data: bytes) -> list[dict[str, Any]]:
    """The events of whole frames; comments are none."""
    assert data == b"" or data.endswith(b"\n\n")
    return [json.loads(frame[6:]) for frame in data.split(b"\n\n") if frame.startswith(b"data: ")]


async def rest(reply: Reply) -> list[dict[str, Any]]:
    """All events up to the end."""
    assert reply.stream is not None, reply.body
    async with asyncio.timeout(5):
        return [event async for piece in reply.stream for event in frames(piece)]


async def up_to_delta(reply: Reply) -> list[dict[str, Any]]:
    """The events up to the first word."""
    assert reply.stream is not None, reply.body
    seen: list[dict[str, Any]] = []
    async with asyncio.timeout(5):
        while not any(event["type"] == "thread.item.updated" for event in seen):
            seen += frames(await anext(reply.stream))
    return seen


async def new_thread(served: Endpoint[Any], text: str = "hello", context: Any = "ann") -> str:
    """The id of a thread whose first answer has ended."""
    found = await rest(await ask(served, "threads.create", context, input=said(text)))
    thread_id: str = found[0]["thread"]["id"]
    return thread_id


async def say(served: Endpoint[Any], thread_id: str, text: str = "more", context: Any = "ann") -> Reply:
    return await ask(served, "threads.add_user_message", context, thread_id=thread_id, input=said(text))


async def items(served: Endpoint[Any], thread_id: str, context: Any = "ann") -> list[dict[str, Any]]:
    found = document(await ask(served, "items.list", context, thread_id=thread_id, order="asc", limit=100))
    return list(found["data"])


async def turn() -> None:
    """Let everything that can go on go on."""
    for _ in range(20):
        await asyncio.sleep(0)


async def chunks(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
