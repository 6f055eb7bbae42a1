"""Plays one tour with one package: `play.py chatkit own`, `play.py dragoman.chatkit own|memory`.

Run it where the package is installed. For another package than the published one nothing of the server
changes but its import lines. Prints a line of JSON per step of the tour, then what the store holds.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import re
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

HERE = Path(__file__).parent
IMPORT = re.compile(r"^(from|import) chatkit\b", re.MULTILINE)

Document = dict[str, Any]
Make = Callable[["Tour"], Document]


def load(name: str, package: str) -> ModuleType:
    """A module of the server, with the import lines of the package."""
    path = HERE / f"{name}.py"
    source = IMPORT.sub(rf"\1 {package}", path.read_text("utf-8"))
    module = sys.modules[name] = ModuleType(name)
    module.__file__ = str(path)
    exec(compile(source, str(path), "exec"), module.__dict__)
    return module


class Tour:
    """The server, and what its answers have said so far."""

    def __init__(self, server: Any, context: Document) -> None:
        self.server = server
        self.context = context
        self.threads: dict[str, str] = {}
        self.items: dict[str, list[Document]] = {}
        self.attachments: list[str] = []

    async def post(self, request: Document, *, leave_after: int | None = None) -> Document:
        """All that comes back: events, a JSON document, or the error that the server raises."""
        events: list[Any] = []
        try:
            result = await self.server.process(json.dumps(request).encode(), self.context)
            if not hasattr(result, "json_events"):
                return {"json": json.loads(result.json)}
            await self.read(result, events, leave_after)
        except Exception as error:
            return {"events": events, "error": [base.__name__ for base in type(error).__mro__]}
        return {"events": events}

    async def read(self, result: Any, events: list[Any], leave_after: int | None) -> None:
        enough = asyncio.Event()

        async def reading() -> None:
            async for chunk in result.json_events:
                text = chunk.decode()
                assert text.startswith("data: "), text
                assert text.endswith("\n\n"), text
                assert text.count("\n") == 2, text
                events.append(json.loads(text[6:]))
                if len(events) == leave_after:
                    enough.set()

        task = asyncio.create_task(reading())
        if leave_after is not None:
            await asyncio.wait_for(enough.wait(), 20)
            task.cancel()
        await asyncio.wait({task}, timeout=20)
        if leave_after is None:
            await task

    def note(self, name: str, told: Document) -> None:
        for event in told.get("events", []):
            if event["type"] == "thread.created":
                self.threads[name] = event["thread"]["id"]
            if event["type"] == "thread.item.done":
                self.items.setdefault(name, []).append(event["item"])

    def item(self, name: str, kind: str, place: int = 0) -> str:
        return [item["id"] for item in self.items[name] if item["type"] == kind][place]


def op(type: str, **params: Any) -> Make:
    """A request whose values may be functions of the tour."""

    def make(tour: Tour) -> Document:
        return {"type": type, "params": {k: v(tour) if callable(v) else v for k, v in params.items()}}

    return make


def said(text: str | Callable[[Tour], str], *, attached: Any = None, **more: Any) -> Callable[[Tour], Document]:
    def make(tour: Tour) -> Document:
        words = text(tour) if callable(text) else text
        content = [{"type": "input_text", "text": words}, *more.get("tags", [])]
        return {
            "content": content,
            "attachments": attached(tour) if attached else [],
            "inference_options": more.get("options", {}),
            "quoted_text": more.get("quoted"),
        }

    return make


def create(text: str, **more: Any) -> Make:
    return op("threads.create", input=said(text, **more))


def ask(name: str, text: Any, **more: Any) -> Make:
    return op("threads.add_user_message", thread_id=thread(name), input=said(text, **more))


def thread(name: str) -> Callable[[Tour], str]:
    return lambda tour: tour.threads[name]


def item(name: str, kind: str, place: int = 0) -> Callable[[Tour], str]:
    return lambda tour: tour.item(name, kind, place)


TAGS = [
    {"type": "input_tag", "id": "t", "text": "Anna", "data": {"a": [1]}, "group": "people", "interactive": True},
    {"type": "input_tag", "id": "u", "text": "Ben", "data": {}},
]
OPTIONS = {"model": "m", "tool_choice": {"id": "search"}}
ANSWERS = {
    "one": {"values": ["red", "blue"]},
    "many": {"values": ["red", "blue"]},
    "nobody": {"values": ["x"]},
}
SOUND = base64.b64encode(b"sound").decode()
FILES: Callable[[Tour], Any] = lambda tour: tour.attachments  # noqa: E731

STEPS: list[tuple[str, Make] | tuple[str, Make, int]] = [
    ("create", create("say hello", tags=TAGS, quoted="a passage", options=OPTIONS)),
    ("again", ask("create", "say more")),
    ("transient", create("transient")),
    ("items", create("items")),
    ("grow", create("grow")),
    ("widgets", create("widgets")),
    ("stream", create("stream")),
    ("stream the nameless", create("stream nameless")),
    ("thread", create("thread")),
    ("after the title", ask("thread", "say with a title")),
    ("ask", create("ask")),
    (
        "answer",
        op(
            "threads.add_structured_input",
            thread_id=thread("ask"),
            item_id=item("ask", "structured_input"),
            input={"status": "answered", "answers": ANSWERS},
        ),
    ),
    ("ask to skip", create("ask")),
    (
        "skip",
        op(
            "threads.add_structured_input",
            thread_id=thread("ask to skip"),
            item_id=item("ask to skip", "structured_input"),
            input={"status": "skipped", "answers": {}},
        ),
    ),
    ("client", create("client")),
    ("client output", op("threads.add_client_tool_output", thread_id=thread("client"), result={"a": [None, 1]})),
    ("custom error", create("fail custom")),
    ("after an error", ask("custom error", "say still here")),
    ("coded error", create("fail coded")),
    ("unexpected error", create("fail unexpected")),
    ("retry", op("threads.retry_after_item", thread_id=thread("create"), item_id=item("create", "user_message"))),
    (
        "retry at an answer",
        op("threads.retry_after_item", thread_id=thread("create"), item_id=item("retry", "assistant_message")),
    ),
    ("retry at nothing", op("threads.retry_after_item", thread_id=thread("transient"), item_id="nothing")),
    (
        "action",
        op(
            "threads.custom_action",
            thread_id=thread("widgets"),
            item_id=item("widgets", "widget"),
            action={"type": "click", "payload": {"a": [1, None]}},
        ),
    ),
    ("bare action", op("threads.custom_action", thread_id=thread("widgets"), item_id=None, action={"type": "page"})),
    (
        "action of no widget",
        op(
            "threads.custom_action",
            thread_id=thread("widgets"),
            item_id=item("widgets", "user_message"),
            action={"type": "click"},
        ),
    ),
    (
        "sync action",
        op(
            "threads.sync_custom_action",
            thread_id=thread("widgets"),
            item_id=item("widgets", "widget", 1),
            action={"type": "click", "payload": None},
        ),
    ),
    (
        "sync action of the page",
        op("threads.sync_custom_action", thread_id=thread("widgets"), item_id=None, action={"type": "page"}),
    ),
    ("repaint", ask("stream", lambda tour: f"repaint {tour.item('stream', 'widget')}")),
    ("hide", create("hide")),
    ("stop", create("wait"), 7),
    ("after the stop", ask("stop", "say again")),
    ("no thread", op("threads.add_user_message", thread_id="nothing", input=said("say x"))),
    ("get", op("threads.get_by_id", thread_id=thread("grow"))),
    ("get one whose title changed at once", op("threads.get_by_id", thread_id=thread("thread"))),
    ("get nothing", op("threads.get_by_id", thread_id="nothing")),
    ("list", op("threads.list", limit=3, order="desc")),
    ("list the oldest", op("threads.list", limit=2, order="asc", after=thread("create"))),
    ("list all", op("threads.list")),
    *[
        (f"items of {name}, {order}", op("items.list", thread_id=thread(name), limit=100, order=order))
        for name in ("items", "widgets", "stream", "client", "ask", "hide")
        for order in ("asc", "desc")
    ],
    ("a page of items", op("items.list", thread_id=thread("grow"), limit=2, order="desc")),
    ("items after nothing", op("items.list", thread_id=thread("grow"), after="nothing")),
    ("rename", op("threads.update", thread_id=thread("create"), title="New name")),
    (
        "feedback",
        op(
            "items.feedback",
            thread_id=thread("create"),
            item_ids=lambda tour: [tour.item("retry", "assistant_message")],
            kind="negative",
        ),
    ),
    ("transcribe", op("input.transcribe", audio_base64=SOUND, mime_type="audio/webm;codecs=opus")),
    ("file", op("attachments.create", name="a.txt", size=3, mime_type="text/plain")),
    ("image", op("attachments.create", name="a.png", size=3, mime_type="image/png")),
    ("send files", create("say thanks", attached=FILES)),
    ("delete a file", op("attachments.delete", attachment_id=lambda tour: tour.attachments[0])),
    ("delete", op("threads.delete", thread_id=thread("transient"))),
    ("no operation", lambda tour: {"type": "threads.fly", "params": {}}),
]


def inventory(types: ModuleType, widgets: ModuleType) -> Document:
    """All types that the package knows, by their names on the wire."""

    def tags(union: Any) -> set[str]:
        if hasattr(union, "model_fields"):
            tag = union.model_fields.get("type")
            return {tag.default} if tag is not None and isinstance(tag.default, str) else set()
        return set().union(*(tags(each) for each in get_args(union)))

    unions = {"events": "ThreadStreamEvent", "updates": "ThreadItemUpdate", "items": "ThreadItem", "tasks": "Task"}
    known = {kind: sorted(tags(getattr(types, name))) for kind, name in unions.items()}
    return known | {"widgets": sorted(set().union(*(tags(part) for part in vars(widgets).values())))}


async def play(package: str, kept: str) -> None:
    load("shown", package)
    app = load("app", package)
    store = app.OwnStore() if kept == "own" else import_module(f"{package}.memory").MemoryStore()
    tour = Tour(app.SideServer(store), {"user_id": "someone"})
    types = import_module(f"{package}.types")
    print(json.dumps({"step": "inventory", "told": inventory(types, import_module(f"{package}.widgets"))}))
    for step in STEPS:
        name, make = step[0], step[1]
        told = await tour.post(make(tour), leave_after=step[2] if len(step) == 3 else None)
        tour.note(name, told)
        if name in ("file", "image") and "json" in told:
            tour.attachments.append(told["json"]["id"])
        print(json.dumps({"step": name, "told": told}))
    held = {}
    for name, thread_id in tour.threads.items():
        if name != "transient":
            rows = await store.load_thread_items(thread_id, None, 100, "asc", tour.context)
            about = await store.load_thread(thread_id, tour.context)
            held[name] = {
                "thread": about.model_dump(mode="json", by_alias=True, exclude_none=True),
                "items": [row.model_dump(mode="json", by_alias=True, exclude_none=True) for row in rows.data],
            }
    print(json.dumps({"step": "held", "told": held}))
    print(json.dumps({"step": "hooks", "told": tour.context}))


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    asyncio.run(play(*sys.argv[1:]))
