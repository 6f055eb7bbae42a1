from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from dragoman.chatkit.asgi import chatkit_app
from dragoman.chatkit.memory import MemoryStore
from dragoman.chatkit.server import ChatKitServer
from dragoman.chatkit.types import (
    AssistantMessageContent,
    AssistantMessageItem,
    ThreadItemDoneEvent,
    ThreadMetadata,
    ThreadStreamEvent,
    UserMessageItem,
)


class Parrot(ChatKitServer[dict[str, Any]]):
    async def respond(
        self, thread: ThreadMetadata, input_user_message: UserMessageItem | None, context: dict[str, Any]
    ) -> AsyncIterator[ThreadStreamEvent]:
        parts = input_user_message.content if input_user_message else []
        said = "".join(part.text for part in parts)
        yield ThreadItemDoneEvent(
            item=AssistantMessageItem(
                id=self.store.generate_item_id("message", thread, context),
                thread_id=thread.id,
                created_at=datetime.now(UTC),
                content=[AssistantMessageContent(text=f"You said: {said}")],
            )
        )


server = Parrot(MemoryStore())
app = chatkit_app(server, context=lambda request: {"user_id": "ana"}, cors=["*"])
