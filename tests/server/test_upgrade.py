"""A server of today on data of every earlier schema: it opens it, and answers history through its faces."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from dragoman.core.writes import PutKey
from dragoman.server.keys import create_key
from dragoman.store import open_store
from dragoman.testing import FakeClock

DUMPS = sorted((Path(__file__).parent.parent / "store" / "data").glob("schema-*.sql"))
NOW = 1_800_000_000.0
V1 = "/dragoman/v1"

pytestmark = pytest.mark.requirement("CORE-11")


def put_back(dump: Path, directory: Path) -> None:
    directory.mkdir()
    db = sqlite3.connect(directory / "dragoman.db")
    db.executescript(dump.read_text("utf-8"))
    db.close()


async def restored(dump: Path, directory: Path) -> str:
    """The data directory of back then, and a key of the user that it tells of."""
    put_back(dump, directory)
    key, text = create_key(tenant="acme", user="ann", now=NOW)
    store = await open_store(directory, clock=lambda: NOW)
    await store.commit(PutKey(key))
    await store.close()
    return text


@pytest.mark.parametrize("dump", DUMPS, ids=lambda dump: dump.stem)
async def test_history_of_an_earlier_schema_is_answered_by_all_faces(
    dump: Path, tmp_path: Path, start_inside: Callable[..., Awaitable[Any]]
) -> None:
    token = await restored(dump, tmp_path / "data")
    inside = await start_inside(demo=False, data=tmp_path / "data", clock=FakeClock(NOW + 60))

    async def get(path: str) -> Any:
        answer = await inside.ask("GET", path, token=token, headers={"accept": "application/json"})
        assert answer.status == 200, answer.text
        return answer.json()

    assert [thread["id"] for thread in (await get(V1 + "/threads"))["threads"]] == ["thread-1"]
    assert [item["id"] for item in (await get(V1 + "/threads/thread-1/items"))["items"]] == ["question-1", "part-1"]
    events = (await get(V1 + "/runs/run-1/events"))["events"]
    assert [event["seq"] for event in events] == list(range(1, 11))
    chats = (await get("/api/history"))["chats"]
    assert [(chat["id"], chat["title"]) for chat in chats] == [("thread-1", "Sums")]
    question, answer = (await get("/api/chat/thread-1"))["messages"]
    assert question["parts"][0]["text"] == "2 + 3?"
    assert {part.get("text") for part in answer["parts"]} >= {"Two and three are five. ☃"}
    assert [vote["isUpvoted"] for vote in await get("/api/vote?chatId=thread-1")] == [True]
    asked = await inside.ask(
        "POST",
        V1 + "/runs",
        {"message": {"text": "echo: on we go"}, "thread": "thread-1"},
        token=token,
        headers={"accept": "text/event-stream"},
    )
    assert asked.status == 200
    assert len((await get(V1 + "/threads/thread-1/items"))["items"]) == 4
