"""Whatever an agent does: the items that streamed, folded as a client does it, are those that are read later."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.server.chatkit.talking import Talk

from dragoman import form, tool
from dragoman.core.messages import (
    ModelEvent,
    ModelItem,
    ModelReasoning,
    ModelRefusal,
    ModelRequest,
    ModelText,
    ModelToolCall,
    ModelToolDelta,
)
from dragoman.engine.agents import Agent

pytestmark = pytest.mark.requirement("CHK-27", "CHK-28", "CHK-17", "CHK-20")

SECRET = "for the model alone"


@tool(read_only=True)
def look(n: int) -> dict[str, int]:
    """Looks."""
    if n > 7:
        raise ValueError("too far")
    return {"seen": n}


@tool
def change(n: int) -> str:
    """Changes."""
    return f"changed {n}"


@tool(client=True)
def tell(n: int) -> None:
    """Runs at the client."""


@form
def ask(n: int) -> dict[str, Any]:
    """Asks."""
    field = {"type": "Input", "name": "who"}
    if n > 8:
        raise ValueError("no such form")
    if n > 6:
        return {"type": "Form", "children": [field]}  # cannot stand by itself
    return {"type": "Card", "children": [{"type": "Form", "children": [field]}]}


class Play:
    """A model that does something else in each round, and what it does is known by its seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.rounds = 0

    async def model(self, request: ModelRequest) -> AsyncIterator[Any]:
        self.rounds += 1
        if self.random.random() < 0.1:
            raise ValueError("before a word")
        for piece in sorted(self.said(), key=in_order):
            yield piece
        if self.random.random() < 0.1:
            raise ValueError("after some words")

    def said(self) -> list[ModelEvent]:
        return [piece for _ in range(self.random.randrange(6)) for piece in self.pieces(calls=self.rounds < 5)]

    def pieces(self, *, calls: bool) -> list[ModelEvent]:
        n = self.random.randrange(10)
        words = [f"{n} ", "and ", "more"][: self.random.randrange(1, 4)]
        made: list[list[ModelEvent]] = [
            [ModelText(word) for word in words],
            [ModelReasoning(word) for word in words],
            [ModelRefusal(word) for word in words],
            [ModelItem("widget", {"type": "Card", "children": [{"type": "Text", "value": str(n)}]})],
            [ModelItem("widget", {"type": "Nonsense", "children": SECRET})],
            [ModelItem("source", {"url": "https://example.org", "title": "t"})],
            [ModelItem("image", {"url": "https://example.org/a.png", "media_type": "image/png"})],
            [ModelItem("file", {"url": "https://example.org/a.pdf", "media_type": "application/pdf"})],
            [ModelItem("hidden", {"content": SECRET})],
            [ModelItem("data", {"name": "x", "data": SECRET})],
        ]
        if calls:
            name = self.random.choice(("look", "change", "tell", "ask", "ask", "nobody"))
            given: dict[str, Any] = {"n": n} if name == "tell" or self.random.random() < 0.8 else {"m": "x"}
            made += [[ModelToolCall("c", name, given)]] * 5
            made += [[ModelToolDelta("d", name, '{"n"'), ModelToolDelta("d", name, f": {n}}}")]]
        return self.random.choice(made)


def in_order(piece: ModelEvent) -> int:
    """Models call after they have spoken; and a call of the client's is the last thing that it is told."""
    is_call = isinstance(piece, ModelToolCall | ModelToolDelta)
    return is_call + (is_call and piece.name == "tell")


class Client:
    """What a front end shows: items in the order in which they appeared."""

    def __init__(self) -> None:
        self.items: dict[str, dict[str, Any]] = {}
        self.open: set[str] = set()

    def hear(self, told: list[dict[str, Any]]) -> None:
        for one in told:
            assert SECRET not in str(one)
            match one["type"]:
                case "thread.item.added":
                    assert one["item"]["id"] not in self.items
                    self.items[one["item"]["id"]] = one["item"]
                    self.open.add(one["item"]["id"])
                case "thread.item.done":
                    assert one["item"]["id"] in self.open or one["item"]["id"] not in self.items
                    self.items[one["item"]["id"]] = one["item"]
                    self.open.discard(one["item"]["id"])
                case "thread.item.replaced":
                    assert one["item"]["id"] in self.items
                    self.items[one["item"]["id"]] = one["item"]
                case "thread.item.removed":
                    del self.items[one["item_id"]]
                    self.open.discard(one["item_id"])
                case "error":  # the client drops what had not come to its end
                    for id in self.open:
                        del self.items[id]
                    self.open.clear()
        assert not self.open

    def shown(self) -> list[dict[str, Any]]:
        return known(list(self.items.values()))


def known(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What there is to see: a client has the output of its own tool, and the mark of a given up answer shows nothing."""
    return [
        {name: value for name, value in item.items() if item["type"] != "client_tool_call" or name in ("id", "name")}
        for item in items
        if item["type"] != "end_of_turn"
    ]


async def answered(talk: Talk, thread: str, random: random.Random) -> list[dict[str, Any]] | None:
    """What follows when somebody answers one of the things that wait; None if nothing does."""
    waiting = [item for item in await talk.items(thread) if actions(item) or item.get("status") == "pending"]
    if not waiting:
        return None
    item = random.choice(waiting)
    if item["type"] == "client_tool_call":
        return await talk.stream("threads.add_client_tool_output", thread_id=thread, result={"n": 1})
    action = random.choice(actions(item))
    return await talk.act(thread, item["id"], action["type"], {**action["payload"], "who": "Ann"})


def actions(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, dict):
        own = [value] if "handler" in value else []
        return own + [action for one in value.values() for action in actions(one)]
    return [action for one in value for action in actions(one)] if isinstance(value, list) else []


@pytest.mark.parametrize("seed", range(60))
async def test_what_streamed_is_what_is_stored(tmp_path: Path, seed: int) -> None:
    play, client = Play(seed), Client()
    agent = Agent("a", model=play.model, tools=[look, change, tell, ask])
    talk = Talk(tmp_path / "data", agent)
    talk.server.persist_on_error = seed % 2 == 0
    thread, told = await talk.create("go")
    client.hear(told)
    for _ in range(5):
        assert client.shown() == known(await talk.items(thread))
        followed = await answered(talk, thread, play.random) if play.random.random() < 0.8 else None
        play.rounds = 0
        client.hear(followed if followed is not None else await talk.say(thread, "and"))
    assert client.shown() == known(await talk.items(thread))
    await talk.close()
