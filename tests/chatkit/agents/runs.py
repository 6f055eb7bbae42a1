"""Runs of agents without an SDK: the events of the Responses API as plain objects, in the order of a script."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from dragoman.chatkit.agents import AgentContext, ResponseStreamConverter, stream_agent_response
from dragoman.chatkit.memory import MemoryStore
from dragoman.chatkit.types import ThreadItem, ThreadMetadata, ThreadStreamEvent

CALLER = "someone"
WHEN = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)


class Run:
    """Gives each step in turn: an event as it is, a function is awaited, an exception raised."""

    def __init__(self, *steps: Any) -> None:
        self.steps = steps
        self.is_closed = False

    async def stream_events(self) -> AsyncIterator[Any]:
        try:
            for step in self.steps:
                if isinstance(step, BaseException):
                    raise step
                if callable(step):
                    await step()
                else:
                    yield step
        finally:
            self.is_closed = True


def raw(type: str, **fields: Any) -> SimpleNamespace:
    """An event of the Responses API, wrapped as the Agents SDK wraps it."""
    return SimpleNamespace(type="raw_response_event", data=SimpleNamespace(type=type, **fields))


def item_added(type: str, id: str | None, index: int = 0, **fields: Any) -> SimpleNamespace:
    return raw("response.output_item.added", item=SimpleNamespace(type=type, id=id, **fields), output_index=index)


def item_done(type: str, id: str | None, index: int = 0, **fields: Any) -> SimpleNamespace:
    return raw("response.output_item.done", item=SimpleNamespace(type=type, id=id, **fields), output_index=index)


def text_part(text: str, *annotations: Any) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": list(annotations)}


def delta(text: str, id: str = "m_1", index: int = 0) -> SimpleNamespace:
    return raw("response.output_text.delta", item_id=id, output_index=index, content_index=0, delta=text)


def thought(kind: str, text: str, number: int = 0, id: str = "rs_1") -> SimpleNamespace:
    """`kind`: delta or done."""
    words = {"delta": text} if kind == "delta" else {"text": text}
    return raw(f"response.reasoning_summary_text.{kind}", item_id=id, summary_index=number, **words)


def tool_call(name: str, call_id: str, id: str | None) -> SimpleNamespace:
    item = {"type": "function_call", "name": name, "call_id": call_id, "id": id}
    return SimpleNamespace(type="run_item_stream_event", item=SimpleNamespace(type="tool_call_item", raw_item=item))


def message(text: str, id: str = "m_1", index: int = 0) -> list[SimpleNamespace]:
    """A whole message of one part, streamed in one delta."""
    part = {"item_id": id, "output_index": index, "content_index": 0}
    return [
        item_added("message", id, index, content=[]),
        raw("response.content_part.added", part=text_part(""), **part),
        delta(text, id, index),
        raw("response.output_text.done", text=text, **part),
        item_done("message", id, index, content=[text_part(text)]),
    ]


async def a_context(*items: Callable[[str], ThreadItem]) -> AgentContext[str]:
    """A context over a store of its own whose thread has these items."""
    store: MemoryStore[str] = MemoryStore()
    thread = ThreadMetadata(id="thr_1", created_at=WHEN)
    await store.save_thread(thread, context=CALLER)
    for item in items:
        await store.add_thread_item(thread.id, item(thread.id), context=CALLER)
    return AgentContext(thread=thread, store=store, request_context=CALLER)


async def stored(context: AgentContext[str]) -> list[ThreadItem]:
    page = await context.store.load_thread_items(context.thread.id, None, 100, "asc", CALLER)
    return page.data


async def events_of(
    context: AgentContext[str], *steps: Any, converter: ResponseStreamConverter | None = None
) -> list[ThreadStreamEvent]:
    converter = converter or ResponseStreamConverter()
    return [event async for event in stream_agent_response(context, Run(*steps), converter=converter)]


def shapes(events: list[ThreadStreamEvent]) -> list[str]:
    """What kind of event each one is: `added widget`, `workflow.task.added`, `removed` …"""
    told = []
    for event in events:
        item, update = getattr(event, "item", None), getattr(event, "update", None)
        verb = event.type.removeprefix("thread.item.")
        told.append(update.type if update is not None else f"{verb} {item.type}" if item is not None else verb)
    return told


def sending(send: Callable[..., Awaitable[None]], *arguments: Any, **named: Any) -> Callable[[], Awaitable[None]]:
    """A step in which a tool calls a method of the context."""

    async def step() -> None:
        await send(*arguments, **named)

    return step
