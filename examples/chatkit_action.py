from collections.abc import AsyncIterator
from typing import Any

from dragoman.chatkit.actions import Action
from dragoman.chatkit.types import ThreadMetadata, ThreadStreamEvent, WidgetItem
from dragoman.server.chatkit.responder import ModelChatKitServer
from dragoman.server.chatkit.stores import SQLiteStore
from dragoman.testing import ScriptedModel

server = ModelChatKitServer(SQLiteStore(":memory:"), model=ScriptedModel())


@server.on_action("weather.again")
async def weather_again(
    thread: ThreadMetadata, action: Action[str, Any], sender: WidgetItem | None, context: Any
) -> AsyncIterator[ThreadStreamEvent]:
    yield server.reply(thread, f"It is still 20 degrees in {action.payload['city']}.")
