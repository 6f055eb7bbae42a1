"""Answers under way: one per thread, what a client's going means, and what ends them all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.chatkit.asking import (
    Stepwise,
    ask,
    document,
    endpoint,
    frames,
    items,
    new_thread,
    refused,
    rest,
    say,
    turn,
    up_to_delta,
)
from tests.chatkit.scripted import Scripted, said

from dragoman.chatkit.types import ProgressUpdateEvent, ThreadMetadata, ThreadStreamEvent
from dragoman.core.errors import Conflict


async def begun(server: Stepwise, **options: Any) -> tuple[Any, str]:
    """An endpoint and a thread with one whole answer; the next one stops after its first word."""
    server.go.set()
    served = endpoint(server, **options)
    thread = await new_thread(served)
    server.go.clear()
    return served, thread


def texts(found: list[dict[str, Any]]) -> list[str]:
    return ["".join(part["text"] for part in item["content"]) for item in found]


# --------------------------------------------------------------------------------- one at a time


@pytest.mark.requirement("CHK-32")
async def test_a_second_message_is_refused_while_the_first_is_answered() -> None:
    server = Stepwise()
    served, thread = await begun(server)
    first = await say(served, thread, "first")
    await up_to_delta(first)
    second = await say(served, thread, "second")
    assert refused(second) == (409, "thread_busy")
    assert second.headers["retry-after"] == "1"
    message_id = (await items(served, thread))[0]["id"]
    retried = await ask(served, "threads.retry_after_item", thread_id=thread, item_id=message_id)
    assert refused(retried) == (409, "thread_busy")
    assert (await ask(served, "threads.get_by_id", thread_id=thread)).status == 200
    server.go.set()
    assert (await rest(first))[-1]["type"] == "thread.item.done"
    assert (await rest(await say(served, thread, "third")))[-1]["type"] == "thread.item.done"
    assert texts(await items(served, thread)) == ["hello", "one two", "first", "one two", "third", "one two"]
    assert served.is_idle


@pytest.mark.requirement("CHK-32")
async def test_a_thread_is_taken_by_the_answer_that_makes_it() -> None:
    server = Stepwise()
    served = endpoint(server)
    first = await ask(served, "threads.create", input=said("hello"))
    thread = (await up_to_delta(first))[0]["thread"]["id"]
    assert refused(await say(served, thread)) == (409, "thread_busy")
    server.go.set()
    await rest(first)
    assert (await rest(await say(served, thread)))[-1]["type"] == "thread.item.done"


@pytest.mark.requirement("CHK-32")
async def test_threads_do_not_wait_for_each_other() -> None:
    server = Stepwise()
    served = endpoint(server)
    replies = [await ask(served, "threads.create", input=said(str(number))) for number in range(20)]
    await asyncio.gather(*(up_to_delta(reply) for reply in replies))
    server.go.set()
    ends = await asyncio.gather(*(rest(reply) for reply in replies))
    assert all(events[-1]["type"] == "thread.item.done" for events in ends)


@pytest.mark.requirement("CHK-30", "CHK-32")
async def test_whose_the_thread_is_not_does_not_learn_that_it_is_busy() -> None:
    server = Stepwise()
    served, thread = await begun(server)
    first = await say(served, thread)
    await up_to_delta(first)
    assert refused(await say(served, thread, context="ben")) == (404, "not_found")
    server.go.set()
    await rest(first)


@pytest.mark.requirement("CHK-32")
async def test_a_queued_message_is_answered_after_the_one_before() -> None:
    server = Stepwise()
    served, thread = await begun(server, busy="queue", queue_seconds=5)
    first = await say(served, thread, "first")
    await up_to_delta(first)
    second = asyncio.ensure_future(say(served, thread, "second"))
    await turn()
    assert not second.done()
    assert texts(await items(served, thread)) == ["hello", "one two", "first"]
    server.go.set()
    await rest(first)
    await rest(await second)
    assert texts(await items(served, thread)) == ["hello", "one two", "first", "one two", "second", "one two"]


@pytest.mark.requirement("CHK-32")
async def test_a_superseding_message_cancels_the_one_before_and_waits_for_its_text() -> None:
    server = Stepwise()
    served, thread = await begun(server, busy="supersede")
    first = await say(served, thread, "first")
    await up_to_delta(first)
    server.put_away.clear()
    second = asyncio.ensure_future(say(served, thread, "second"))
    await turn()
    assert not second.done()
    server.put_away.set()
    reply = await asyncio.wait_for(second, 5)
    assert await rest(first) == []
    server.go.set()
    await rest(reply)
    assert texts(await items(served, thread)) == ["hello", "one two", "first", "one", "second", "one two"]


@pytest.mark.requirement("CHK-19", "CHK-32")
async def test_a_message_after_the_stop_button_waits_until_the_partial_text_is_stored() -> None:
    server = Stepwise()
    served, thread = await begun(server)
    first = await say(served, thread, "first")
    await up_to_delta(first)
    server.put_away.clear()
    assert first.stream is not None
    leaving = asyncio.ensure_future(first.stream.aclose())
    await turn()
    second = asyncio.ensure_future(say(served, thread, "second"))
    await turn()
    assert not second.done()
    server.go.set()
    server.put_away.set()
    await rest(await asyncio.wait_for(second, 5))
    await leaving
    assert texts(await items(served, thread)) == ["hello", "one two", "first", "one", "second", "one two"]


@pytest.mark.requirement("CHK-19", "CHK-32")
async def test_a_cleanup_that_hangs_leaves_the_thread_busy_and_not_the_client_waiting() -> None:
    server = Stepwise()
    served, thread = await begun(server, cleanup_seconds=0.02)
    first = await say(served, thread, "first")
    await up_to_delta(first)
    server.put_away.clear()
    assert first.stream is not None
    await asyncio.wait_for(first.stream.aclose(), 5)
    assert refused(await say(served, thread, "second")) == (409, "thread_busy")
    server.put_away.set()
    server.go.set()
    await turn()
    await rest(await say(served, thread, "third"))


@pytest.mark.requirement("CHK-29", "CHK-32")
async def test_a_refusal_gives_the_thread_back() -> None:
    server = Stepwise()
    served, thread = await begun(server)
    for _ in range(2):
        assert (await ask(served, "threads.add_client_tool_output", thread_id=thread, result=1)).status == 409
        assert (await ask(served, "threads.retry_after_item", thread_id=thread, item_id="msg_0")).status == 404
        assert served.is_idle
    server.go.set()
    assert (await say(served, thread)).status == 200
    await served.aclose()


@pytest.mark.requirement("CHK-09", "CHK-32")
async def test_a_thread_that_is_deleted_has_no_answer_under_way_any_more() -> None:
    server = Stepwise()
    served, thread = await begun(server)
    first = await say(served, thread, "first")
    await up_to_delta(first)
    assert (await ask(served, "threads.delete", thread_id=thread)).status == 200
    assert await rest(first) == []
    assert server.answered == 1
    assert served.is_idle
    assert document(await ask(served, "threads.list"))["data"] == []


# --------------------------------------------------------------------------------------- leaving


@pytest.mark.requirement("CHK-19", "CHK-37")
@pytest.mark.parametrize(
    ("policy", "allow_cancel", "goes_on"),
    [
        ("auto", True, False),
        ("auto", False, True),
        ("cancel", False, False),
        ("cancel", True, False),
        ("continue", True, True),
        ("continue", False, True),
    ],
)
async def test_a_lost_connection_means_what_the_policy_says(policy: str, allow_cancel: bool, goes_on: bool) -> None:
    server = Stepwise(allow_cancel=allow_cancel)
    served, thread = await begun(server, on_disconnect=policy)
    reply = await say(served, thread, "first")
    told = await up_to_delta(reply)
    assert {"type": "stream_options", "stream_options": {"allow_cancel": allow_cancel}} in told
    assert reply.stream is not None
    await reply.stream.aclose()
    assert served.is_idle is not goes_on
    if goes_on:
        assert refused(await say(served, thread)) == (409, "thread_busy")
    server.go.set()
    await turn()
    assert served.is_idle
    assert texts(await items(served, thread)) == ["hello", "one two", "first", "one two" if goes_on else "one"]
    stored = await server.store_items(thread)
    assert ("sdk_hidden_context" in [item.type for item in stored]) is not goes_on


@pytest.mark.requirement("CHK-37")
async def test_an_answer_that_went_on_is_read_from_its_thread() -> None:
    """There is no second stream of an answer on this wire; what a page that comes back reads is the thread."""
    server = Stepwise(allow_cancel=False)
    served, thread = await begun(server)
    reply = await say(served, thread, "first")
    await up_to_delta(reply)
    assert reply.stream is not None
    await reply.stream.aclose()
    assert texts(await items(served, thread))[-1] == "first"
    server.go.set()
    await turn()
    read = document(await ask(served, "threads.get_by_id", thread_id=thread))
    assert texts(read["items"]["data"])[-1] == "one two"


@pytest.mark.requirement("CHK-19", "CHK-32")
async def test_a_client_that_leaves_before_the_first_event_leaves_the_thread_free() -> None:
    server = Stepwise()
    served, thread = await begun(server)
    asking = asyncio.ensure_future(say(served, thread, "first"))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait((asking,))
    await turn()
    assert served.is_idle
    server.go.set()
    assert (await rest(await say(served, thread, "second")))[-1]["type"] == "thread.item.done"


# ---------------------------------------------------------------------------------------- ending


@pytest.mark.requirement("CHK-19")
async def test_closing_puts_away_what_is_under_way() -> None:
    server = Stepwise(allow_cancel=False)
    served, thread = await begun(server)
    reply = await say(served, thread, "first")
    await up_to_delta(reply)
    await served.aclose()
    await served.aclose()
    assert served.is_idle
    assert await rest(reply) == []
    assert texts(await items(served, thread)) == ["hello", "one two", "first", "one"]


class _Engine(Stepwise):
    """As a server whose runs live elsewhere: it tells the run, and says itself that a thread is busy."""

    manages_runs = True

    async def process_request(self, request: Any, context: Any) -> Any:
        result = await super().process_request(request, context)
        if hasattr(result, "run_id"):
            result.run_id = "run_7"
        return result


@pytest.mark.requirement("CHK-37")
async def test_runs_that_live_elsewhere_are_neither_leased_nor_ended() -> None:
    server = _Engine(allow_cancel=False)
    served, thread = await begun(server)
    first, second = await say(served, thread, "first"), await say(served, thread, "second")
    assert (first.status, second.status) == (200, 200)
    assert (first.run_id, first.headers["x-dragoman-run"]) == ("run_7", "run_7")
    await served.aclose()
    server.go.set()
    await turn()
    assert server.answered == 3
    assert served.is_idle


class _Busy(_Engine):
    def respond(self, thread: ThreadMetadata, input_user_message: Any, context: Any) -> Any:
        raise AssertionError("not reached")

    async def _process_streaming_impl(self, request: Any, context: Any) -> Any:
        raise Conflict("A run is under way.", code="run_active", run_id="run_6")
        yield


@pytest.mark.requirement("CHK-29", "CHK-32")
async def test_a_refusal_of_the_engine_has_its_status_and_names_the_run() -> None:
    reply = await ask(endpoint(_Busy()), "threads.create", input=said("x"))
    assert refused(reply) == (409, "run_active")
    assert reply.headers["x-dragoman-run"] == "run_6"


@pytest.mark.requirement("CHK-31")
async def test_every_piece_is_made_of_whole_frames() -> None:
    async def many(thread: ThreadMetadata, asked: Any, context: Any) -> AsyncIterator[ThreadStreamEvent]:
        for number in range(500):
            yield ProgressUpdateEvent(text=f"{number}\n\u2028data: x")
            if number % 7 == 0:
                await asyncio.sleep(0)

    reply = await ask(endpoint(Scripted(many)), "threads.create", input=said("x"))
    assert reply.stream is not None
    pieces = [piece async for piece in reply.stream]
    assert 1 < len(pieces) < 250
    found = [event for piece in pieces for event in frames(piece)]
    told = [event["text"] for event in found if event["type"] == "progress_update"]
    assert told == [f"{number}\n\u2028data: x" for number in range(500)]
