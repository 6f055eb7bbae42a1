"""Requests of ChatKit's wire that are almost right: each is taken or refused in words, and none is a fault of ours."""

from __future__ import annotations

import json
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.server.chatkit.own_servers import asked, events, message
from tests.server.test_fuzz import spoilt

Start = Callable[..., Awaitable[Any]]
ANN, SEED, ROUNDS = "demo-ann", 20261121, 12
ANSWERS = {"status": "answered", "answers": {"a": {"values": ["x"], "skipped": False}}}


def sound(thread: str, said: str, card: str, file: str) -> list[dict[str, Any]]:
    """One request of each kind, with ids of things that are there."""
    click = {"thread_id": thread, "item_id": card, "action": {"type": "approval.deny", "payload": {"call": "c"}}}
    announced = {"name": "a.txt", "size": 3, "mime_type": "text/plain"}
    return [
        asked("threads.add_user_message", thread_id=thread, input=message("echo: x", attachments=[file])),
        asked("threads.add_client_tool_output", thread_id=thread, result={"a": [1]}),
        asked("threads.add_structured_input", thread_id=thread, item_id=card, input=ANSWERS),
        asked("threads.retry_after_item", thread_id=thread, item_id=said),
        asked("threads.custom_action", **click),
        asked("threads.sync_custom_action", **click),
        asked("threads.get_by_id", thread_id=thread),
        asked("threads.list", limit=5, order="asc", after=thread),
        asked("threads.update", thread_id=thread, title="x"),
        asked("items.list", thread_id=thread, limit=5, order="desc", after=said),
        asked("items.feedback", thread_id=thread, item_ids=[said], kind="positive"),
        asked("attachments.create", **announced),
        asked("attachments.delete", attachment_id=file),
        asked("input.transcribe", audio_base64="AAAA", mime_type="audio/webm"),
    ]


@pytest.mark.requirement("CHK-29")
async def test_requests_that_are_almost_right_are_refused_in_words(start_inside: Start) -> None:
    inside = await start_inside()
    made, statuses = random.Random(SEED), set()

    async def ask(body: Any) -> Any:
        return await inside.ask("POST", "/chatkit", content=json.dumps(body).encode(), token=ANN)

    for _ in range(ROUNDS):
        told = events((await ask(asked("threads.create", input=message("approve: create_bucket x")))).text)
        ids = [one["item"]["id"] for one in told if one["type"] == "thread.item.done"]
        file = (await ask(asked("attachments.create", name="a.txt", size=3, mime_type="text/plain"))).json()["id"]
        for request in sound(told[0]["thread"]["id"], ids[0], ids[-1], file):
            for body in (spoilt(made, request), spoilt(made, spoilt(made, request)), request):
                answer = await ask(body)
                statuses.add(answer.status)
                assert answer.status < 500 or answer.status == 501, (body, answer.text)
                if answer.status >= 400:
                    assert set(answer.json()["error"]) == {"code", "message"}
                elif answer.headers["content-type"].startswith("text/event-stream"):
                    assert "stream.error" not in answer.text, (body, answer.text)
    assert statuses >= {200, 400, 404, 409, 422, 501}
