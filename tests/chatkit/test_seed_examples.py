"""The two examples of the documented package (specs/chatkit.md, section 0), with only their imports changed."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI, Request
from tests.chatkit.scripted import answer, envelope, events, said

from dragoman.chatkit.asgi import JSONResponse, StreamingResponse
from dragoman.chatkit.memory import MemoryStore
from dragoman.chatkit.server import ChatKitServer, StreamingResult
from dragoman.chatkit.types import (
    AssistantMessageContent,
    AssistantMessageItem,
    ThreadItemDoneEvent,
    ThreadMetadata,
    ThreadStreamEvent,
    UserMessageItem,
)

pytestmark = pytest.mark.requirement("CHK-01")


class Parrot(ChatKitServer[dict[str, Any]]):
    """The first example: the context is a dict, the time naive, the item has nothing that it need not have."""

    async def respond(
        self, thread: ThreadMetadata, input_user_message: UserMessageItem | None, context: dict[str, Any]
    ) -> AsyncIterator[ThreadStreamEvent]:
        parts = input_user_message.content if input_user_message is not None else []
        text = " ".join(part.text for part in parts if hasattr(part, "text"))
        yield ThreadItemDoneEvent(
            item=AssistantMessageItem(
                id=self.store.generate_item_id("message", thread, context),
                thread_id=thread.id,
                created_at=datetime.now(),
                content=[AssistantMessageContent(text=f"You said: {text}")],
            )
        )


def application(server: ChatKitServer[Any]) -> FastAPI:
    """The second example: one route, whatever the operation."""
    app = FastAPI()

    @app.post("/chatkit")
    async def chatkit(request: Request) -> Any:
        result = await server.process(await request.body(), {"user_id": "ann"})
        if hasattr(result, "json_events"):
            assert isinstance(result, StreamingResult)
            return StreamingResponse(result.json_events, media_type="text/event-stream")
        return JSONResponse(result.json)

    return app


@pytest.fixture(params=["UTC", "America/New_York", "Asia/Tokyo"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The machine stands in this time zone."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", request.param)
        time.tzset()
        yield request.param
    time.tzset()


@pytest.mark.requirement("CHK-02", "CHK-05", "CHK-39")
@pytest.mark.parametrize("context", [{}, {"user_id": "ann"}])
async def test_a_responder_over_a_dict_context_answers_in_aware_time(context: dict[str, Any], zone: str) -> None:
    server = Parrot(MemoryStore())
    found = await events(server, "threads.create", context, input=said("hello"))
    item = found[-1]["item"]
    assert item["content"] == [{"type": "output_text", "text": "You said: hello", "annotations": []}]
    assert item["id"].startswith("msg_")
    age = datetime.now(UTC) - datetime.fromisoformat(item["created_at"])
    assert 0 <= age.total_seconds() < 60
    listed = await answer(server, "items.list", context, thread_id=item["thread_id"], order="asc")
    assert listed["data"][1] == item


@pytest.mark.requirement("CHK-35")
async def test_one_route_serves_streams_and_documents() -> None:
    transport = httpx2.ASGITransport(app=application(Parrot(MemoryStore())))
    async with httpx2.AsyncClient(transport=transport, base_url="http://chat.example") as client:
        streamed = await client.post("/chatkit", content=envelope("threads.create", input=said("hello")))
        assert streamed.headers["content-type"].startswith("text/event-stream")
        told = [json.loads(frame[6:]) for frame in streamed.text.split("\n\n") if frame.startswith("data: ")]
        assert [event["type"] for event in told] == [
            "thread.created", "thread.item.done", "stream_options", "thread.item.done",
        ]  # fmt: skip
        thread_id = told[0]["thread"]["id"]
        for operation in ("threads.get_by_id", "threads.list", "items.list", "threads.delete"):
            params = {} if operation == "threads.list" else {"thread_id": thread_id}
            document = await client.post("/chatkit", content=envelope(operation, **params))
            assert document.headers["content-type"] == "application/json"
            assert document.json() is not None
