"""A ChatKit server that answers as a test says, and what a client of it does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from dragoman.chatkit.memory import MemoryStore
from dragoman.chatkit.server import ChatKitServer, NonStreamingResult, StreamingResult
from dragoman.chatkit.store import AttachmentStore, Store
from dragoman.chatkit.types import (
    AssistantMessageContent,
    AssistantMessageContentPartTextDelta,
    AssistantMessageItem,
    ThreadItem,
    ThreadItemAddedEvent,
    ThreadItemUpdatedEvent,
    ThreadMetadata,
    ThreadStreamEvent,
)
from dragoman.testing.chatkit.examples import NOON

Respond = Callable[[ThreadMetadata, Any, Any], AsyncIterator[ThreadStreamEvent]]


class Scripted(ChatKitServer[Any]):
    """`respond` and `action` are functions of a test; without one nothing is said."""

    def __init__(
        self,
        respond: Respond | None = None,
        *,
        action: Callable[..., AsyncIterator[ThreadStreamEvent]] | None = None,
        store: Store[Any] | None = None,
        files: AttachmentStore[Any] | None = None,
    ) -> None:
        super().__init__(store if store is not None else MemoryStore(), files)
        self._respond = respond
        self._action = action

    def respond(
        self, thread: ThreadMetadata, input_user_message: Any, context: Any
    ) -> AsyncIterator[ThreadStreamEvent]:
        return (self._respond or nothing)(thread, input_user_message, context)

    def action(
        self, thread: ThreadMetadata, action: Any, sender: Any, context: Any
    ) -> AsyncIterator[ThreadStreamEvent]:
        return (
            self._action(thread, action, sender, context)
            if self._action
            else super().action(thread, action, sender, context)
        )


async def nothing(thread: ThreadMetadata, message: Any, context: Any) -> AsyncIterator[ThreadStreamEvent]:
    for event in ():
        yield event


def envelope(operation: str, **params: Any) -> bytes:
    return json.dumps({"type": operation, "params": params}).encode()


def said(text: str, **more: Any) -> dict[str, Any]:
    """The input of a user message."""
    return {"content": [{"type": "input_text", "text": text}], "attachments": [], "inference_options": {}, **more}


def decoded(chunk: bytes) -> dict[str, Any]:
    """The event of one chunk, which is one frame and nothing else."""
    assert chunk.startswith(b"data: ")
    assert chunk.endswith(b"\n\n")
    assert chunk.count(b"\n") == 2
    event: dict[str, Any] = json.loads(chunk[6:])
    return event


async def begin(server: ChatKitServer[Any], operation: str, context: Any = "ann", **params: Any) -> StreamingResult:
    result = await server.process(envelope(operation, **params), context)
    assert isinstance(result, StreamingResult)
    return result


async def events(
    server: ChatKitServer[Any], operation: str, context: Any = "ann", **params: Any
) -> list[dict[str, Any]]:
    """All events of a streaming operation."""
    result = await begin(server, operation, context, **params)
    return [decoded(chunk) async for chunk in result.json_events]


async def answer(server: ChatKitServer[Any], operation: str, context: Any = "ann", **params: Any) -> Any:
    """The document that answers an operation without a stream."""
    result = await server.process(envelope(operation, **params), context)
    assert isinstance(result, NonStreamingResult)
    return json.loads(result.json)


async def new_thread(server: ChatKitServer[Any], text: str = "hello", context: Any = "ann") -> str:
    """The id of a thread that begins with this message, after its answer."""
    first = (await events(server, "threads.create", context, input=said(text)))[0]
    thread_id: str = first["thread"]["id"]
    return thread_id


async def stored(server: ChatKitServer[Any], thread_id: str, context: Any = "ann") -> list[Any]:
    """All items of a thread, hidden ones included, oldest first."""
    return list((await server.store.load_thread_items(thread_id, None, 100, "asc", context)).data)


def message(thread: ThreadMetadata, text: str = "", item_id: str = "msg_answer") -> AssistantMessageItem:
    content = [AssistantMessageContent(text=text)] if text else []
    return AssistantMessageItem(id=item_id, thread_id=thread.id, created_at=NOON, content=content)


def delta(text: str, item_id: str = "msg_answer", index: int = 0) -> ThreadItemUpdatedEvent:
    update = AssistantMessageContentPartTextDelta(content_index=index, delta=text)
    return ThreadItemUpdatedEvent(item_id=item_id, update=update)


# ------------------------------------------------------------------------- answers that are stopped


class Awaiting(MemoryStore[Any]):
    """Gives way to others in each write, as a database over a network does."""

    async def _elsewhere(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    async def add_thread_item(self, thread_id: str, item: ThreadItem, context: Any) -> None:
        await self._elsewhere()
        await super().add_thread_item(thread_id, item, context)
        await self._elsewhere()

    async def save_thread(self, thread: ThreadMetadata, context: Any) -> None:
        await self._elsewhere()
        await super().save_thread(thread, context)
        await self._elsewhere()


class Stopped(Scripted):
    """Says `Hello, World!` and waits; counts how often it was told that it was stopped."""

    def __init__(self, store: MemoryStore[Any] | None = None) -> None:
        super().__init__(self.answer, store=store)
        self.waiting = asyncio.Event()
        self.closed = 0
        self.told = 0

    async def answer(self, thread: ThreadMetadata, asked: Any, context: Any) -> AsyncIterator[ThreadStreamEvent]:
        try:
            yield ThreadItemAddedEvent(item=message(thread, "Hello, "))
            yield delta("World!")
            self.waiting.set()
            await asyncio.Event().wait()
        finally:
            self.closed += 1

    async def handle_stream_cancelled(self, thread: ThreadMetadata, pending_items: Any, context: Any) -> None:
        self.told += 1
        await super().handle_stream_cancelled(thread, pending_items, context)


async def until(result: StreamingResult, count: int = 5) -> list[dict[str, Any]]:
    """The first events; five are all that `Stopped` has to say."""
    return [decoded(await anext(result.json_events)) for _ in range(count)]


async def leftovers(server: Scripted) -> list[ThreadItem]:
    """What is stored of the only thread."""
    async with asyncio.timeout(5.0):
        assert await server.cleanups.settled()
        (thread,) = (await server.store.load_threads(2, None, "asc", "ann")).data
        return await stored(server, thread.id)
