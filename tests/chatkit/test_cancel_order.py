"""A stop before the answer has begun, after it has ended, and what the next message waits for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.chatkit.scripted import (
    Awaiting,
    Scripted,
    Stopped,
    begin,
    delta,
    envelope,
    events,
    leftovers,
    message,
    new_thread,
    said,
    stored,
    until,
)

from dragoman.chatkit.server import StreamingResult
from dragoman.chatkit.types import (
    ThreadItemAddedEvent,
    ThreadMetadata,
    ThreadStreamEvent,
)

SECONDS = 5.0

Events = AsyncIterator[ThreadStreamEvent]


# --------------------------------------------------------------------------- before and after


@pytest.mark.requirement("CHK-19")
@pytest.mark.parametrize("count", [1, 2, 3])
async def test_a_stream_that_is_closed_before_the_answer_leaves_the_message_and_the_note(count: int) -> None:
    server = Stopped(Awaiting())
    result = await begin(server, "threads.create", input=said("hi"))
    await until(result, count)
    await result.aclose()
    assert [item.type for item in await leftovers(server)] == ["user_message", "sdk_hidden_context"]
    assert (server.told, server.closed) == (1, 0)


@pytest.mark.requirement("CHK-19")
@pytest.mark.parametrize("steps", [1, 3, 8, 14, 25])
async def test_a_request_that_is_cancelled_while_its_message_is_stored_is_stored_whole(steps: int) -> None:
    server = Stopped(Awaiting())
    task = asyncio.create_task(events(server, "threads.create", input=said("hi")))
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    types = [item.type for item in await leftovers(server)]
    assert (types[0], types[-1], server.told) == ("user_message", "sdk_hidden_context", 1)


@pytest.mark.requirement("CHK-19", "CHK-06")
async def test_the_next_message_waits_for_the_cleanup_and_its_responder_sees_it() -> None:
    go_on = asyncio.Event()

    class Slow(Stopped):
        async def handle_stream_cancelled(self, thread: ThreadMetadata, pending_items: Any, context: Any) -> None:
            await go_on.wait()
            await super().handle_stream_cancelled(thread, pending_items, context)

    server = Slow()
    async with asyncio.timeout(SECONDS):
        result = await begin(server, "threads.create", input=said("hi"))
        thread_id = (await until(result))[0]["thread"]["id"]
        closing = asyncio.create_task(result.aclose())
        second = await begin(server, "threads.add_user_message", thread_id=thread_id, input=said("next"))
        reading = asyncio.create_task(until(second, 1))
        for _ in range(20):
            await asyncio.sleep(0)
        assert not reading.done()
        go_on.set()
        await reading
        await closing
        types = [item.type for item in await stored(server, thread_id)]
        assert types == ["user_message", "assistant_message", "sdk_hidden_context", "user_message"]
        await second.aclose()


@pytest.mark.requirement("CHK-19")
async def test_closing_a_stream_that_has_ended_is_no_stop() -> None:
    server = Scripted()
    result = await begin(server, "threads.create", input=said("hi"))
    assert [chunk async for chunk in result]
    await result.aclose()
    assert [item.type for item in await leftovers(server)] == ["user_message"]


@pytest.mark.requirement("CHK-19")
async def test_a_cancelled_retry_has_deleted_all_or_nothing() -> None:
    server = Scripted(store=Awaiting())
    thread_id = await new_thread(server)
    first = (await stored(server, thread_id))[0]
    for number in range(5):
        thread = await server.store.load_thread(thread_id, "ann")
        await server.store.add_thread_item(thread_id, message(thread, "x", f"msg_{number}"), "ann")
    result = await server.process(envelope("threads.retry_after_item", thread_id=thread_id, item_id=first.id), "ann")
    assert isinstance(result, StreamingResult)
    task = asyncio.create_task(until(result, 1))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await server.cleanups.settled()
    assert [item.type for item in await stored(server, thread_id)] == ["user_message", "sdk_hidden_context"]


# ------------------------------------------------------------------------------- fairness


@pytest.mark.requirement("CHK-32", "CHK-42")
async def test_a_responder_that_never_waits_lets_others_have_their_turn() -> None:
    async def respond(thread: ThreadMetadata, asked: Any, context: Any) -> Events:
        yield ThreadItemAddedEvent(item=message(thread))
        for _ in range(1000):
            yield delta("x")

    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await events(Scripted(respond), "threads.create", input=said("go"))
    task.cancel()
    assert turns >= 1000 / 50
