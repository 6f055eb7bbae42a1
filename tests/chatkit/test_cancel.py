"""However an answer is stopped, what there is of it is stored once, and the next turn knows."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
import pytest
from tests.chatkit.scripted import (
    Awaiting,
    Scripted,
    Stopped,
    begin,
    delta,
    events,
    leftovers,
    message,
    said,
    until,
)

from dragoman.chatkit.memory import MemoryStore
from dragoman.chatkit.server import StreamingResult
from dragoman.chatkit.texts import ANSWER_CANCELLED
from dragoman.chatkit.types import (
    AssistantMessageItem,
    CustomTask,
    SDKHiddenContextItem,
    ThreadItem,
    ThreadItemAddedEvent,
    ThreadItemDoneEvent,
    ThreadItemUpdatedEvent,
    ThreadMetadata,
    ThreadStreamEvent,
    Workflow,
    WorkflowItem,
    WorkflowTaskAdded,
)
from dragoman.testing.chatkit.examples import NOON

SECONDS = 5.0

Events = AsyncIterator[ThreadStreamEvent]


def is_put_away(items: list[ThreadItem], text: str = "Hello, World!") -> None:
    """The partial answer once, and the note for the model after it."""
    assert [item.type for item in items] == ["user_message", "assistant_message", "sdk_hidden_context"]
    assert isinstance(items[1], AssistantMessageItem)
    assert isinstance(items[2], SDKHiddenContextItem)
    assert "".join(part.text for part in items[1].content) == text
    assert items[2].content == ANSWER_CANCELLED


# ------------------------------------------------------------------------- ways of stopping


async def cancelled_task(server: Stopped, result: StreamingResult) -> None:
    """What a web server does whose client has gone while the responder waits."""

    async def read() -> None:
        async for _ in result.json_events:
            pass

    task = asyncio.create_task(read())
    await server.waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def cancelled_scope(server: Stopped, result: StreamingResult) -> None:
    """What Starlette does: a scope that cancels every await within it, again and again."""

    async def read() -> None:
        async for _ in result.json_events:
            pass

    async with anyio.create_task_group() as group:
        group.start_soon(read)
        await server.waiting.wait()
        group.cancel_scope.cancel()


async def impatiently_cancelled_task(server: Stopped, result: StreamingResult) -> None:
    task = asyncio.create_task(until(result, 6))
    await server.waiting.wait()
    for _ in range(10):
        task.cancel()
        await asyncio.sleep(0)
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def closed_generator(server: Stopped, result: StreamingResult) -> None:
    """What a framework does that stops iterating."""
    await until(result)
    await result.json_events.aclose()


async def closed_result(server: Stopped, result: StreamingResult) -> None:
    await until(result)
    await result.aclose()


async def closed_by_another_task(server: Stopped, result: StreamingResult) -> None:
    await asyncio.create_task(until(result))
    await asyncio.create_task(result.aclose())


WAYS = [
    cancelled_task,
    cancelled_scope,
    impatiently_cancelled_task,
    closed_generator,
    closed_result,
    closed_by_another_task,
]


@pytest.mark.requirement("CHK-19", "CHK-02")
@pytest.mark.parametrize("store", [MemoryStore, Awaiting])
@pytest.mark.parametrize("stop", WAYS)
async def test_the_partial_text_and_a_note_are_stored_once(
    stop: Callable[[Stopped, StreamingResult], Awaitable[None]], store: type[MemoryStore[Any]]
) -> None:
    server = Stopped(store())
    async with asyncio.timeout(SECONDS):
        await stop(server, await begin(server, "threads.create", input=said("hi")))
    is_put_away(await leftovers(server))
    assert (server.told, server.closed) == (1, 1)


@pytest.mark.requirement("CHK-19")
async def test_a_stalled_reader_that_nobody_closes_is_put_away_by_the_collector() -> None:
    server = Stopped(Awaiting())
    result = await begin(server, "threads.create", input=said("hi"))
    await until(result)
    del result
    async with asyncio.timeout(SECONDS):
        while not server.told:
            gc.collect()
            await asyncio.sleep(0)
    is_put_away(await leftovers(server))


@pytest.mark.requirement("CHK-19")
def test_the_end_of_the_loop_puts_away_what_is_under_way() -> None:
    server_of: list[Stopped] = []

    async def main() -> None:
        server = Stopped(Awaiting())
        server_of.append(server)
        result = await begin(server, "threads.create", input=said("hi"))
        task = asyncio.create_task(until(result, 6))
        await server.waiting.wait()
        server.task = task  # type: ignore[attr-defined]  # kept from the collector

    asyncio.run(main())
    is_put_away(asyncio.run(leftovers(server_of[0])))


@pytest.mark.requirement("CHK-19", "CHK-02")
async def test_a_responder_may_stop_itself() -> None:
    async def respond(thread: ThreadMetadata, asked: Any, context: Any) -> Events:
        yield ThreadItemAddedEvent(item=message(thread, "Hello, "))
        yield delta("World!")
        raise asyncio.CancelledError

    server = Scripted(respond)
    with pytest.raises(asyncio.CancelledError):
        await events(server, "threads.create", input=said("hi"))
    is_put_away(await leftovers(server))


# ----------------------------------------------------------------------------- what remains


@pytest.mark.requirement("CHK-19", "CHK-02")
@pytest.mark.parametrize("text", ["", "  \n"])
async def test_a_message_that_says_nothing_yet_is_not_stored(text: str) -> None:
    async def respond(thread: ThreadMetadata, asked: Any, context: Any) -> Events:
        yield ThreadItemAddedEvent(item=message(thread, text))
        raise asyncio.CancelledError

    server = Scripted(respond)
    with pytest.raises(asyncio.CancelledError):
        await events(server, "threads.create", input=said("hi"))
    assert [item.type for item in await leftovers(server)] == ["user_message", "sdk_hidden_context"]


@pytest.mark.requirement("CHK-19", "CHK-02")
async def test_done_items_stay_as_they_are_and_workflows_that_are_not_done_are_handed_over_only() -> None:
    handed: list[Any] = []

    class Keeping(Scripted):
        async def handle_stream_cancelled(self, thread: ThreadMetadata, pending_items: Any, context: Any) -> None:
            handed.extend(pending_items)
            await super().handle_stream_cancelled(thread, pending_items, context)

    async def respond(thread: ThreadMetadata, asked: Any, context: Any) -> Events:
        yield ThreadItemAddedEvent(item=message(thread, "whole", "msg_done"))
        yield ThreadItemDoneEvent(item=message(thread, "whole", "msg_done"))
        flow = Workflow(type="custom", tasks=[])
        yield ThreadItemAddedEvent(item=WorkflowItem(id="wf_1", thread_id=thread.id, created_at=NOON, workflow=flow))
        task = WorkflowTaskAdded(task_index=0, task=CustomTask(title="half"))
        yield ThreadItemUpdatedEvent(item_id="wf_1", update=task)
        raise asyncio.CancelledError

    server = Keeping(respond)
    with pytest.raises(asyncio.CancelledError):
        await events(server, "threads.create", input=said("hi"))
    is_put_away(await leftovers(server), "whole")
    assert [(item.id, item.workflow.tasks[0].title) for item in handed] == [("wf_1", "half")]


@pytest.mark.requirement("CHK-19")
@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("late", [0, 7])
async def test_an_item_that_is_being_stored_when_the_stop_comes_is_stored_whole_and_once(
    times: int, late: int, caplog: pytest.LogCaptureFixture
) -> None:
    storing = asyncio.Event()

    class Slow(Awaiting):
        async def add_thread_item(self, thread_id: str, item: ThreadItem, context: Any) -> None:
            if item.type == "assistant_message":
                storing.set()
            await super().add_thread_item(thread_id, item, context)

    async def respond(thread: ThreadMetadata, asked: Any, context: Any) -> Events:
        yield ThreadItemAddedEvent(item=message(thread, "Hello, "))
        yield ThreadItemDoneEvent(item=message(thread, "Hello, World!"))
        raise AssertionError("nobody asks for more")

    server = Scripted(respond, store=Slow())
    async with asyncio.timeout(SECONDS):
        task = asyncio.create_task(events(server, "threads.create", input=said("hi")))
        await storing.wait()
        for _ in range(late):
            await asyncio.sleep(0)
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0)
        with contextlib.suppress(asyncio.CancelledError):
            await task
    is_put_away(await leftovers(server))
    assert caplog.records == []


@pytest.mark.requirement("CHK-19", "CHK-18")
async def test_a_title_that_was_set_before_the_stop_is_saved() -> None:
    async def respond(thread: ThreadMetadata, asked: Any, context: Any) -> Events:
        yield ThreadItemAddedEvent(item=message(thread, "Hello, World!"))
        thread.title = "set"
        raise asyncio.CancelledError

    server = Scripted(respond)
    with pytest.raises(asyncio.CancelledError):
        await events(server, "threads.create", input=said("hi"))
    is_put_away(await leftovers(server))
    assert (await server.store.load_threads(1, None, "asc", "ann")).data[0].title == "set"


@pytest.mark.requirement("CHK-19")
async def test_a_cleanup_that_fails_does_not_hide_that_it_was_a_stop() -> None:
    class Failing(Stopped):
        async def handle_stream_cancelled(self, thread: ThreadMetadata, pending_items: Any, context: Any) -> None:
            raise OSError("disk full")

    server = Failing()
    async with asyncio.timeout(SECONDS):
        await cancelled_task(server, await begin(server, "threads.create", input=said("hi")))
    assert [item.type for item in await leftovers(server)] == ["user_message"]


@pytest.mark.requirement("CHK-19")
async def test_a_responder_that_fails_while_it_is_closed_changes_nothing() -> None:
    async def respond(thread: ThreadMetadata, asked: Any, context: Any) -> Events:
        try:
            yield ThreadItemAddedEvent(item=message(thread, "Hello, World!"))
            yield delta("")
        finally:
            raise ValueError("in its own cleanup")

    server = Scripted(respond)
    result = await begin(server, "threads.create", input=said("hi"))
    await until(result, 4)
    await result.aclose()
    is_put_away(await leftovers(server))


@pytest.mark.requirement("CHK-19")
async def test_the_text_is_stored_although_the_thread_cannot_be_saved() -> None:
    class Full(MemoryStore[Any]):
        async def save_thread(self, thread: ThreadMetadata, context: Any) -> None:
            if thread.title:
                raise OSError("disk full")
            await super().save_thread(thread, context)

    async def respond(thread: ThreadMetadata, asked: Any, context: Any) -> Events:
        yield ThreadItemAddedEvent(item=message(thread, "Hello, World!"))
        thread.title = "set"
        raise asyncio.CancelledError

    server = Scripted(respond, store=Full())
    with pytest.raises(asyncio.CancelledError):
        await events(server, "threads.create", input=said("hi"))
    is_put_away(await leftovers(server))
