"""A user of a `ModelChatKitServer`: sends requests, keeps events, and can go away in the middle."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

from dragoman.chatkit.server import NonStreamingResult, StreamingResult
from dragoman.demo.app import demo_app
from dragoman.engine.agents import Agent
from dragoman.server.chatkit.responder import ModelChatKitServer
from dragoman.server.chatkit.stores import SQLiteStore

LONG = 10.0
"""No wait of these tests is longer."""


class Talk:
    """One server over one directory, and one user of it after another."""

    def __init__(self, directory: Path, agent: Agent | None = None, **options: Any) -> None:
        self.directory = directory
        self.agent = agent if agent is not None else demo_app().agents[0]
        self.options = options
        self.open()

    def open(self) -> None:
        self.store: SQLiteStore[str] = SQLiteStore(self.directory)
        self.server: ModelChatKitServer[str] = ModelChatKitServer(self.store, agent=self.agent, **self.options)

    async def close(self) -> None:
        await self.server.aclose()
        await self.store.aclose()

    async def restart(self, agent: Agent | None = None) -> None:
        await self.close()
        self.agent = agent or self.agent
        self.open()

    async def process(self, type: str, *, who: str = "ann", **params: Any) -> StreamingResult | NonStreamingResult:
        return await self.server.process(json.dumps({"type": type, "params": params}), who)

    async def ask(self, type: str, *, who: str = "ann", **params: Any) -> Any:
        """The one JSON answer."""
        result = await self.process(type, who=who, **params)
        assert isinstance(result, NonStreamingResult)
        return json.loads(result.json)

    async def stream(self, type: str, *, who: str = "ann", **params: Any) -> list[dict[str, Any]]:
        """All events of a stream."""
        result = await self.process(type, who=who, **params)
        assert isinstance(result, StreamingResult)
        with anyio.fail_after(LONG):
            return [event_of(frame) async for frame in result.json_events]

    async def create(self, text: str, **fields: Any) -> tuple[str, list[dict[str, Any]]]:
        told = await self.stream("threads.create", input=message(text, **fields))
        return told[0]["thread"]["id"], told

    async def say(self, thread: str, text: str, **fields: Any) -> list[dict[str, Any]]:
        return await self.stream("threads.add_user_message", thread_id=thread, input=message(text, **fields))

    async def act(self, thread: str, item: str | None, type: str, payload: Any, **more: Any) -> list[dict[str, Any]]:
        given = {"thread_id": thread, "action": {"type": type, "payload": payload}} | (
            {"item_id": item} if item else {}
        )
        return await self.stream("threads.custom_action", **given, **more)

    async def items(self, thread: str) -> list[dict[str, Any]]:
        page = await self.ask("items.list", thread_id=thread, limit=100, order="asc")
        return list(page["data"])

    @asynccontextmanager
    async def leaving(self, type: str, until: str, **params: Any) -> AsyncIterator[list[dict[str, Any]]]:
        """The events up to the first of this type; the client goes when the block ends."""
        result = await self.process(type, **params)
        assert isinstance(result, StreamingResult)
        told: list[dict[str, Any]] = []
        async with asyncio.timeout(LONG):
            async for frame in result.json_events:
                told.append(event_of(frame))
                if until in (told[-1]["type"], told[-1].get("update", {}).get("type", "").rpartition(".")[2]):
                    break
            yield told
            await result.aclose()


def message(text: str, **fields: Any) -> dict[str, Any]:
    content = [{"type": "input_text", "text": text}]
    return {"content": content, "attachments": [], "inference_options": {}} | fields


def event_of(frame: bytes) -> dict[str, Any]:
    assert frame.startswith(b"data: ")
    assert frame.endswith(b"\n\n")
    told: dict[str, Any] = json.loads(frame[6:])
    return told


def types(told: list[dict[str, Any]]) -> list[str]:
    return [one["type"].removeprefix("thread.item.") for one in told]


def done(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The finished items, as they are at last."""
    last: dict[str, dict[str, Any]] = {}
    for one in told:
        if one["type"] in ("thread.item.done", "thread.item.replaced"):
            last[one["item"]["id"]] = one["item"]
    return list(last.values())


def said(items: list[dict[str, Any]]) -> list[str]:
    """The texts of all messages."""
    return [item["content"][0]["text"] for item in items if item["type"] in ("user_message", "assistant_message")]


def buttons(item: dict[str, Any]) -> list[dict[str, Any]]:
    """The actions of a card, in order."""
    found: list[dict[str, Any]] = []

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            if "payload" in value and "handler" in value:
                found.append(value)
            for one in value.values():
                walk(one)
        elif isinstance(value, list):
            for one in value:
                walk(one)

    walk(item["widget"])
    return found
