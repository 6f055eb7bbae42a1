"""Turns aside: beside whatever the thread does, and stored whole or not at all."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from tests.engine.world import LONG, World, texts

from dragoman.core import events as ev
from dragoman.core.errors import BadRequest, Conflict, LimitExceeded, NotFound
from dragoman.core.records import Blob, Item, Keep, Thread
from dragoman.core.turns import NewThread, Quota, Started, Turn
from dragoman.core.writes import PutBlob, PutItem, PutThread


async def aside(world: World, text: str, **turn: Any) -> Started:
    started: Started = await world.ask(text, aside=True, **turn)
    return started


async def _asked(world: World, n: int) -> list[str]:
    """The texts of the conversation that the nth model call was given."""
    return [message.text for message in world.requests[n].messages]


@pytest.mark.requirement("STK-54")
async def test_a_turn_aside_is_stored_whole_when_it_completes(world: World) -> None:
    started = await aside(world, "hang on")
    await world.until(started, ev.BlockDelta)
    assert await world.store.thread("t", "k") is None
    running = await world.store.run(started.run.id)
    assert running is not None
    assert (running.thread, running.thread_id, running.status) == (None, "k", "running")

    world.gate.set()
    await world.until(started)
    assert texts(await world.items()) == ["hang on", "some more"]
    thread, run = await world.store.thread("t", "k", owner="ann"), await world.store.run(started.run.id)
    assert thread is not None
    assert run is not None
    assert (run.thread, run.status) == (thread.number, "completed")
    question, answer = await world.items()
    assert (question.run, question.id, answer.run, answer.answer) == (run.id, run.input["message"], run.id, run.answer)


@pytest.mark.requirement("STK-50")
async def test_the_next_turn_sees_the_one_before(world: World) -> None:
    await world.until(await aside(world, "one"))
    await world.until(await aside(world, "two"))
    assert await _asked(world, 1) == ["one", "heard one", "two"]
    assert texts(await world.items()) == ["one", "heard one", "two", "heard two"]


@pytest.mark.requirement("STK-55")
async def test_parallel_turns_each_see_what_was_stored_when_they_began(world: World) -> None:
    await world.until(await aside(world, "first"))
    slow = [await aside(world, f"hang {n}") for n in range(8)]
    for one in slow:
        await world.until(one, ev.BlockDelta)
    await world.until(await aside(world, "quick"))
    world.gate.set()
    await asyncio.gather(*(world.until(one) for one in slow))
    for n in range(1, 10):
        assert (await _asked(world, n))[:-1] == ["first", "heard first"]
    items = await world.items()
    said = texts(items)
    assert said[:4] == ["first", "heard first", "quick", "heard quick"]
    assert sorted(said[4::2]) == [f"hang {n}" for n in range(8)]
    assert said[5::2] == ["some more"] * 8
    assert [item.run for item in items[::2]] == [item.run for item in items[1::2]]


async def test_a_turn_aside_neither_replaces_the_active_run_nor_is_it(world: World) -> None:
    chat = await world.ask("hang on")
    await world.until(chat, ev.BlockDelta)
    thread = await world.store.thread("t", "k")
    assert thread is not None
    await world.until(await aside(world, "by the way"))
    active = await world.engine.active_run(thread)
    assert active is not None
    assert active.id == chat.run.id
    other = await aside(world, "hang too")
    await world.until(other, ev.BlockDelta)
    await world.engine.cancel(chat.run.id)
    assert await world.engine.active_run(thread) is None
    world.gate.set()
    await world.until(other)
    assert texts(await world.items()) == ["hang on", "by the way", "heard by the way", "some", "hang too", "some more"]


@pytest.mark.requirement("STK-58")
@pytest.mark.parametrize("ending", ["fail", "cancel"])
async def test_a_turn_aside_that_does_not_complete_leaves_nothing(world: World, ending: str) -> None:
    started = await aside(world, "fail now" if ending == "fail" else "hang on")
    if ending == "cancel":
        await world.until(started, ev.BlockDelta)
        assert await world.engine.cancel(started.run.id, reason="disconnected")
        await asyncio.wait_for(world.closed.wait(), LONG)
    await world.until(started)
    assert await world.store.thread("t", "k") is None
    run = await world.store.run(started.run.id)
    assert run is not None
    assert (run.thread, run.status) == (None, "failed" if ending == "fail" else "cancelled")
    await world.until(await aside(world, "again"))
    assert await _asked(world, len(world.requests) - 1) == ["again"]


async def test_a_failed_turn_leaves_a_thread_as_it_was(world: World) -> None:
    await world.until(await aside(world, "one"))
    await world.until(await aside(world, "fail"))
    assert texts(await world.items()) == ["one", "heard one"]


async def test_without_a_thread_nothing_is_read_or_stored(world: World) -> None:
    await world.until(await aside(world, "one"))
    started = await aside(world, "alone", thread_id=None)
    await world.until(started)
    run = await world.store.run(started.run.id)
    assert run is not None
    assert (run.thread, run.thread_id, run.status) == (None, None, "completed")
    assert await _asked(world, 1) == ["alone"]
    assert len((await world.store.threads("t", "ann", limit=9)).rows) == 1


@pytest.mark.requirement("STK-56")
async def test_two_owners_may_have_threads_of_one_id(world: World) -> None:
    await world.until(await aside(world, "mine"))
    await world.until(await aside(world, "yours", owner="bob"))
    assert await _asked(world, 1) == ["yours"]
    for owner, said in (("ann", "mine"), ("bob", "yours")):
        thread = await world.store.thread("t", "k", owner=owner)
        assert thread is not None
        assert texts(list((await world.store.items(thread.number)).rows)) == [said, f"heard {said}"]
    chat = await world.ask("and on", owner="bob")  # each goes on in their own
    await world.until(chat)
    assert await _asked(world, 2) == ["yours", "heard yours", "and on"]


async def test_tools_run_and_their_results_reach_the_model(world: World) -> None:
    world.gate.set()
    await world.until(await aside(world, "call look x"))
    kinds = [(message.role, len(message.parts)) for message in world.requests[1].messages]
    assert kinds == [("user", 1), ("assistant", 1), ("tool", 1)]
    assert [item.kind for item in await world.items()] == ["message", "tool_call", "message"]
    assert texts(await world.items())[-1] == "saw x"


async def test_nobody_is_asked_aside(world: World) -> None:
    await world.until(await aside(world, "call write x"))
    assert world.ran == []
    assert texts(await world.items())[-1] == "denied: this client cannot ask for approval"


@pytest.mark.parametrize("mode", ["edit", "regenerate", "continue"])
async def test_only_new_messages_can_be_aside(world: World, mode: str) -> None:
    with pytest.raises(BadRequest):
        await aside(world, "x", mode=mode, message_id="m")


async def test_a_message_that_the_thread_has_is_refused(world: World) -> None:
    await world.until(await aside(world, "one", message_id="m1"))
    with pytest.raises(Conflict) as caught:
        await aside(world, "two", message_id="m1")
    assert caught.value.code == "conflict:message"


async def test_what_is_said_of_the_new_thread_is_kept_until_it_is_made(world: World) -> None:
    made = NewThread("Title", "public", "main", {"stackspot": {"a": 1}})
    await world.until(await aside(world, "one", new_thread=made, message_extra={"x": 1}, thread_ttl=50.0))
    thread = await world.store.thread("t", "k")
    assert thread is not None
    assert (thread.title, thread.visibility, thread.branch, thread.metadata) == (
        "Title",
        "public",
        "main",
        {"stackspot": {"a": 1}},
    )
    assert thread.expires == world.time + 50
    assert (await world.items())[0].extra == {"x": 1}


async def test_a_turn_counts_its_quota(world: World) -> None:
    quota = Quota("messages", 1, world.time + 100)
    await world.until(await aside(world, "one", quota=quota))
    with pytest.raises(LimitExceeded):
        await aside(world, "two", quota=quota)


# --------------------------------------------------------------------------- files


async def test_files_live_as_long_as_the_thread_once_the_turn_is_stored(world: World) -> None:
    for id, owner in (("b1", "ann"), ("b2", "bob")):
        blob = Blob(id, "t", owner, "upload", "a.txt", "text/plain", 1.0, state="ready", expires=9e9)
        await world.store.commit(PutBlob(blob))
    files = tuple({"type": "file", "url": f"blob:{id}", "media_type": "text/plain"} for id in ("b1", "b2", "b3"))
    parts = ({"type": "text", "text": "hang on"}, *files)
    started = await aside(world, "", parts=parts)
    await world.until(started, ev.BlockDelta)
    unclaimed = await world.store.blob("b1", tenant="t")
    assert unclaimed is not None
    assert (unclaimed.thread, unclaimed.expires) == (None, 9e9)
    world.gate.set()
    await world.until(started)
    thread = await world.store.thread("t", "k")
    mine, other = await world.store.blob("b1", tenant="t"), await world.store.blob("b2", tenant="t")
    assert thread is not None
    assert mine is not None
    assert other is not None
    assert (mine.thread, mine.expires) == (thread.number, None)
    assert (other.thread, other.expires) == (None, 9e9)


async def test_a_file_that_expires_meanwhile_is_there_until_the_answer_is_complete(world: World) -> None:
    blob = Blob("b1", "t", "ann", "upload", "a.txt", "text/plain", 1.0, state="ready", expires=world.time + 1)
    await world.store.commit(PutBlob(blob))
    parts = ({"type": "text", "text": "hang on"}, {"type": "file", "url": "blob:b1", "media_type": "text/plain"})
    started = await aside(world, "", parts=parts, max_seconds=60.0)
    await world.until(started, ev.BlockDelta)
    assert not await world.store.dead_blobs(now=world.time + 59)
    world.gate.set()
    await world.until(started)
    kept = await world.store.blob("b1", tenant="t")
    assert kept is not None
    assert kept.expires is None


# --------------------------------------------------------------------------- deletion and expiry


async def test_deleting_the_thread_ends_what_runs_beside_it(world: World) -> None:
    await world.until(await aside(world, "one"))
    started = await aside(world, "hang on")
    listening = asyncio.create_task(world.until(started))
    await world.until(started, ev.BlockDelta)
    await world.engine.delete_thread("t", "ann", "k")
    assert isinstance((await listening)[-1].body, ev.RunCancelled)
    world.gate.set()
    assert await world.store.thread("t", "k") is None


async def test_deleting_the_thread_deletes_what_failed_beside_it(world: World) -> None:
    await world.until(await aside(world, "one"))
    failed, other = await aside(world, "fail now"), await aside(world, "fail too", thread_id="other")
    open_one = await aside(world, "hang on")
    for started, kind in ((failed, None), (other, None), (open_one, ev.BlockDelta)):
        await world.until(started, kind)
    await world.engine.delete_thread("t", "ann", "k")
    gone = [await world.store.run(started.run.id) is None for started in (failed, open_one, other)]
    assert gone == [True, True, False], "what was asked in a thread is not kept longer than the thread"


async def test_a_thread_that_went_meanwhile_is_made_anew_with_this_turn_only(world: World) -> None:
    await world.until(await aside(world, "one", thread_ttl=10.0))
    started = await aside(world, "hang on", thread_ttl=10.0)
    await world.until(started, ev.BlockDelta)
    async for _ in world.store.sweep(Keep(world.time + 11)):
        pass
    assert await world.store.thread("t", "k") is None
    world.gate.set()
    await world.until(started)
    assert texts(await world.items()) == ["hang on", "some more"]


async def test_each_turn_moves_the_expiry_on(world: World) -> None:
    began = world.time
    await world.until(await aside(world, "one", thread_ttl=10.0))
    world.time += 4
    await world.until(await aside(world, "two", thread_ttl=10.0))
    thread = await world.store.thread("t", "k")
    assert thread is not None
    assert thread.expires == began + 14
    world.time += 3
    await world.until(await world.ask("from another face"))
    thread = await world.store.thread("t", "k")
    assert thread is not None
    assert thread.expires == began + 17
    assert [one async for one in world.store.sweep(Keep(began + 16))] == []


async def test_a_chat_can_have_an_expiry_too(world: World) -> None:
    began = world.time
    started = await world.ask("hang on", thread_ttl=5.0)
    thread = await world.store.thread("t", "k")
    assert thread is not None
    assert thread.expires == began + 5
    world.time += 2
    world.gate.set()
    await world.until(started)
    thread = await world.store.thread("t", "k")
    assert thread is not None
    assert thread.expires == began + 7


async def test_a_thread_without_an_expiry_keeps_none(world: World) -> None:
    await world.until(await world.ask("one"))
    thread = await world.store.thread("t", "k")
    assert thread is not None
    assert thread.expires is None


# --------------------------------------------------------------------------- folding again


async def test_a_crash_between_model_calls_stores_what_it_would_have_stored(world: World) -> None:
    started = await aside(world, "call look x", approvals="deny")
    await world.until(started, ev.ToolStarted)
    await world.restart()
    world.gate.set()
    await world.until(replace(started, after=0))
    assert [item.kind for item in await world.items()] == ["message", "tool_call", "message"]
    question = (await world.items())[0]
    assert question == Item(
        started.run.input["message"],
        "message",
        "user",
        started.run.created,
        {"parts": [{"type": "text", "text": "call look x"}]},
        pos=1,
        run=started.run.id,
    )


async def test_a_crash_in_mid_answer_goes_on_and_stores_one_answer(world: World) -> None:
    await world.until(await aside(world, "one"))
    started = await aside(world, "hang on")
    await world.until(started, ev.BlockDelta)
    await world.until(await aside(world, "two"))  # not seen by the one that began before
    await world.restart()
    world.gate.set()
    await world.until(started)
    assert await _asked(world, -1) == ["one", "heard one", "hang on"]
    assert texts(await world.items()) == ["one", "heard one", "two", "heard two", "hang on", "some more"]


async def test_a_run_that_nobody_can_fetch_is_cancelled_after_a_crash(world: World) -> None:
    started = await aside(world, "hang on", resume=False)
    await world.until(started, ev.BlockDelta)
    calls = len(world.requests)
    await world.restart()
    last = (await world.until(started))[-1].body
    assert isinstance(last, ev.RunCancelled)
    assert len(world.requests) == calls
    assert await world.store.thread("t", "k") is None


async def test_a_thread_of_somebody_else_is_no_hindrance_and_not_read(world: World) -> None:
    await world.store.commit(
        PutThread(Thread("k", "t", "bob", 1.0, 1.0)),
        PutItem(0, Item("m", "message", "user", 1.0, {"parts": [{"type": "text", "text": "secret"}]})),
    )
    await world.until(await aside(world, "mine"))
    assert await _asked(world, 0) == ["mine"]
    with pytest.raises(NotFound):
        await world.engine.start(
            Turn(
                "t", "ann", "helper", thread_id="k", mode="edit", message_id="m", parts=({"type": "text", "text": "x"},)
            )
        )
