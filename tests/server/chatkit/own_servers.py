"""`ChatKitServer`s that a user might write, for tests of the face that serves them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from dragoman.chatkit.server import ChatKitServer
from dragoman.chatkit.types import (
    AssistantMessageContent,
    AssistantMessageContentPartTextDelta,
    AssistantMessageItem,
    StreamOptions,
    ThreadItemAddedEvent,
    ThreadItemDoneEvent,
    ThreadItemUpdatedEvent,
    ThreadMetadata,
    ThreadStreamEvent,
    UserMessageItem,
)
from dragoman.server.chatkit.context import RequestContext


class Echo(ChatKitServer[RequestContext]):
    """Answers `USER said TEXT`."""

    async def respond(
        self, thread: ThreadMetadata, input_user_message: UserMessageItem | None, context: RequestContext
    ) -> AsyncIterator[ThreadStreamEvent]:
        text = "".join(part.text for part in input_user_message.content) if input_user_message else ""
        content = [AssistantMessageContent(text=f"{context.user_id} said {text}")]
        yield ThreadItemDoneEvent(item=AssistantMessageItem(**self.about(thread, context), content=content))

    def about(self, thread: ThreadMetadata, context: RequestContext) -> dict[str, Any]:
        id = self.store.generate_item_id("message", thread, context)
        return {"id": id, "thread_id": thread.id, "created_at": datetime.now(UTC)}


class Holding(Echo):
    """Says one word and then nothing until `go` is set, in `loop`; `allow_cancel` is what its streams tell."""

    def __init__(self, *parts: Any, allow_cancel: bool = True) -> None:
        super().__init__(*parts)
        self.go = asyncio.Event()
        self.said = asyncio.Event()
        self.allow_cancel = allow_cancel
        self.loop: asyncio.AbstractEventLoop | None = None

    def get_stream_options(self, thread: ThreadMetadata, context: RequestContext) -> StreamOptions:
        return StreamOptions(allow_cancel=self.allow_cancel)

    async def respond(
        self, thread: ThreadMetadata, input_user_message: UserMessageItem | None, context: RequestContext
    ) -> AsyncIterator[ThreadStreamEvent]:
        item = AssistantMessageItem(**self.about(thread, context), content=[])
        yield ThreadItemAddedEvent(item=item)
        update = AssistantMessageContentPartTextDelta(content_index=0, delta="one")
        yield ThreadItemUpdatedEvent(item_id=item.id, update=update)
        self.loop = asyncio.get_running_loop()
        self.said.set()
        await self.go.wait()
        whole = [AssistantMessageContent(text="one two")]
        yield ThreadItemDoneEvent(item=item.model_copy(update={"content": whole}))


def asked(op: str, **params: Any) -> dict[str, Any]:
    return {"type": op, "params": params}


def message(text: str, **more: Any) -> dict[str, Any]:
    return {"content": [{"type": "input_text", "text": text}], **more}


def events(text: str) -> list[dict[str, Any]]:
    """The events of a stream's body."""
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]


def texts(items: list[dict[str, Any]]) -> list[str]:
    return ["".join(part.get("text", "") for part in item.get("content", ())) for item in items]
