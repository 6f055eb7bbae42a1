from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from dragoman.chatkit import history
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


async def ask(messages: list[dict[str, Any]]) -> str:
    """Your model."""
    return " / ".join(f"{message['role']}: {message['content']}" for message in messages)


class Remembering(ChatKitServer[str]):
    async def respond(
        self, thread: ThreadMetadata, input_user_message: UserMessageItem | None, context: str
    ) -> AsyncIterator[ThreadStreamEvent]:
        items = await history.load(self.store, thread, context, limit=50)
        answer = await ask(await history.to_chat_completions(items))
        yield ThreadItemDoneEvent(
            item=AssistantMessageItem(
                id=self.store.generate_item_id("message", thread, context),
                thread_id=thread.id,
                created_at=datetime.now(UTC),
                content=[AssistantMessageContent(text=answer)],
            )
        )


app = chatkit_app(Remembering(MemoryStore()), context=lambda request: request.headers.get("x-user", "guest"))
