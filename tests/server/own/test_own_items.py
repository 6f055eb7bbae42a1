"""What an entry of a thread tells beside its words."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from dragoman.server.own import models as models

Start = Callable[..., Awaitable[Any]]


@pytest.mark.parametrize(
    ("metadata", "is_hidden"),
    [({"hidden": True}, True), ({"hidden": False}, False), ({"hidden": "x"}, False), (None, False)],
)
async def test_a_message_that_is_to_be_kept_out_of_views_says_so(
    start_inside: Start, metadata: Any, is_hidden: bool
) -> None:
    inside = await start_inside()
    thread = uuid.uuid4().hex
    message = {"id": "m", "role": "user", "parts": [{"type": "text", "text": "echo: hello"}]}
    message |= {} if metadata is None else {"metadata": metadata}
    headers = {"x-storageapi-token": "demo-you"}
    sent = await inside.ask("POST", "/api/chat", {"id": thread, "message": message}, token=None, headers=headers)
    assert sent.status in (200, 400), sent.text
    if sent.status == 400:  # a value of the wrong kind is refused where it comes in
        assert metadata == {"hidden": "x"}
        return
    listed = await inside.ask("GET", f"/dragoman/v1/threads/{thread}/items")
    items = models.ItemList.model_validate(listed.json()).items
    assert [(item.role, item.hidden) for item in items] == [("user", is_hidden), ("assistant", False)]
