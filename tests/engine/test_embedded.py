"""The engine of one process over a real SQLite store: what faces may rely on."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from tests.engine.world import LONG, World, pending_call, texts

from dragoman.core import events as ev
from dragoman.core.errors import BadRequest, Conflict, Forbidden, LimitExceeded, NotFound, Unavailable, UsageError
from dragoman.core.messages import ModelRequest
from dragoman.core.turns import Decision, NewThread, Quota, Turn
from dragoman.engine.agents import Agent
from dragoman.engine.app import App
from dragoman.engine.embedded import EmbeddedEngine


async def test_a_question_is_answered_and_both_are_stored(world: World) -> None:
    started = await world.ask("hi", message_id="m1", new_thread=NewThread(title="T", visibility="public"))
    assert started.outcome == "started"
    events = await world.until(started)
    assert [e.seq for e in events] == list(range(1, len(events) + 1))
    assert isinstance(events[-1].body, ev.RunCompleted)
    items = await world.items()
    assert texts(items) == ["hi", "heard hi"]
    assert items[0].id == "m1"
    assert items[1].answer == started.run.answer
    thread = await world.store.thread("t", "k")
    assert thread is not None
    assert (thread.title, thread.visibility, thread.owner) == ("T", "public", "ann")


async def test_the_model_sees_the_thread_and_the_instructions(world: World) -> None:
    await world.until(await world.ask("one"))
    await world.until(await world.ask("two", instructions=("be brief",)))
    request = world.requests[-1]
    assert [(m.role, m.text) for m in request.messages] == [
        ("user", "one"),
        ("assistant", "heard one"),
        ("user", "two"),
    ]
    assert request.instructions == "be brief"
    assert {t.name for t in request.tools} == {"write", "look"}


async def test_the_first_event_names_the_version_of_the_code(world: World) -> None:
    events = await world.until(await world.ask("hi"))
    assert isinstance(events[0].body, ev.RunCreated)
    assert events[0].body.version


async def test_a_reader_may_come_late_and_anywhere(world: World) -> None:
    started = await world.ask("hi")
    whole = await world.until(started)
    for after in range(len(whole) + 1):
        assert [e async for e in world.engine.events(started.run.id, after=after)] == whole[after:]


async def test_an_unknown_model_is_refused_when_the_engine_is_made(world: World) -> None:
    with pytest.raises(UsageError, match="openai/gpt"):
        EmbeddedEngine(App("t", agents=[Agent("a", model="openai/gpt")]), world.store)


async def test_an_unknown_agent_is_refused_and_leaves_nothing(world: World) -> None:
    with pytest.raises(BadRequest, match="helper"):
        await world.ask("hi", agent="nobody")
    assert await world.store.thread("t", "k") is None


async def test_another_owners_thread_is_closed(world: World) -> None:
    await world.until(await world.ask("hi"))
    with pytest.raises(Forbidden):
        await world.ask("hi", owner="eve")
    with pytest.raises(Forbidden):
        await world.engine.delete_thread("t", "eve", "k")
    await world.until(await world.ask("hi", tenant="other"))  # another tenant's ids are its own


async def test_a_used_up_quota_refuses_and_changes_nothing(world: World) -> None:
    quota = Quota("messages", 1, world.time + 60)
    await world.until(await world.ask("hi", quota=quota))
    hanging = await world.ask("hang", thread_id="k2")
    with pytest.raises(LimitExceeded) as refused:
        await world.ask("again", thread_id="k2", quota=quota)
    assert refused.value.retry_after == 60
    assert await world.store.run(hanging.run.id) is not None
    assert len(await world.items("k2")) == 1
    found = await world.store.run(hanging.run.id)
    assert found is not None
    assert found.is_active


async def test_a_new_message_supersedes_the_active_run_and_keeps_its_text(world: World) -> None:
    first = await world.ask("hang")
    await world.until(first, ev.BlockDelta)
    second = await world.ask("hi")
    ended = await world.until(first)
    assert isinstance(ended[-1].body, ev.RunCancelled)
    assert ended[-1].body.reason == "superseded"
    await world.until(second)
    assert world.closed.is_set(), "the cancel reached the model call"
    items = await world.items()
    assert texts(items) == ["hang", "some", "hi", "heard hi"]
    assert [i.status for i in items] == ["completed", "interrupted", "interrupted", "completed", "completed"]


async def test_busy_reject_refuses(world: World) -> None:
    await world.until(await world.ask("hang"), ev.BlockDelta)
    with pytest.raises(Conflict) as refused:
        await world.ask("hi", busy="reject")
    assert refused.value.code == "conflict:busy"


async def test_busy_queue_waits_for_its_turn(world: World) -> None:
    first = await world.ask("hang")
    await world.until(first, ev.BlockDelta)
    second = asyncio.create_task(world.ask("hi", busy="queue"))
    world.gate.set()
    await world.until(await second)
    assert texts(await world.items()) == ["hang", "some more", "hi", "heard hi"]


async def test_messages_at_once_stay_in_order(world: World) -> None:
    started = await asyncio.gather(*(world.ask(f"m{n}") for n in range(8)))
    for each in started:
        await world.until(each)
    roles = [i.role for i in await world.items()]
    turns = [role for n, role in enumerate(roles) if n == 0 or role != roles[n - 1]]
    assert turns == ["user", "assistant"] * 8


async def test_the_same_message_again_attaches_or_replays(world: World) -> None:
    first = await world.ask("hang", message_id="m1")
    again = await world.ask("hang", message_id="m1")
    assert (again.outcome, again.run.id) == ("attached", first.run.id)
    world.gate.set()
    await world.until(first)
    later = await world.ask("hang", message_id="m1")
    assert (later.outcome, later.run.id) == ("answered", first.run.id)
    with pytest.raises(Conflict):
        await world.ask("other", message_id="m1")
    assert texts(await world.items()) == ["hang", "some more"]


async def test_the_same_message_after_a_failure_runs_again(world: World) -> None:
    first = await world.ask("fail", message_id="m1")
    failed = (await world.until(first))[-1].body
    assert isinstance(failed, ev.RunFailed)
    assert (failed.code, failed.message) == ("model_error", "out of cheese")
    second = await world.ask("fail", message_id="m1")
    assert second.outcome == "started"
    await world.until(second)
    assert [i.id for i in await world.items() if i.role == "user"] == ["m1"]


async def test_a_failed_message_with_a_later_one_is_replayed_not_cut(world: World) -> None:
    await world.until(await world.ask("fail", message_id="m1"))
    await world.until(await world.ask("hi"))
    assert (await world.ask("fail", message_id="m1")).outcome == "answered"
    assert "heard hi" in texts(await world.items())


async def test_edit_replaces_the_message_and_drops_what_followed(world: World) -> None:
    await world.until(await world.ask("one", message_id="m1"))
    await world.until(await world.ask("two"))
    await world.until(await world.ask("changed", message_id="m1", mode="edit"))
    items = await world.items()
    assert texts(items) == ["changed", "heard changed"]
    assert items[0].id == "m1"


async def test_regenerate_keeps_the_message_and_makes_a_new_answer(world: World) -> None:
    first = await world.ask("one", message_id="m1")
    await world.until(first)
    second = await world.ask("", mode="regenerate", parts=())
    await world.until(second)
    items = await world.items()
    assert texts(items) == ["one", "heard one"]
    assert items[1].answer == second.run.answer != first.run.answer


@pytest.mark.parametrize("mode", ["edit", "regenerate"])
async def test_edit_and_regenerate_need_something_stored(world: World, mode: Any) -> None:
    with pytest.raises(NotFound):
        await world.ask("x", mode=mode, message_id="none")
    await world.until(await world.ask("x"))
    with pytest.raises(NotFound):
        await world.ask("x", mode=mode, message_id="none")


async def test_approval_is_stored_before_it_is_shown_and_runs_the_tool_once(world: World) -> None:
    started = await world.ask("call write x")
    paused = await world.until(started, ev.RunPaused)
    asked = next(e.body for e in paused if isinstance(e.body, ev.ToolApprovalRequested))
    stored = await world.store.approval(asked.approval, tenant="t")
    assert stored is not None
    assert stored.request == {"name": "write", "input": {"name": "x"}}
    deciders = [world.engine.decide("t", "ann", "k", [Decision(approval=asked.approval)]) for _ in range(20)]
    outcomes = [d.outcome for d in await asyncio.gather(*deciders)]
    assert sorted(outcomes) == ["accepted"] + ["repeated"] * 19
    await world.until(started)
    assert world.ran == ["x"]
    assert texts(await world.items())[-1] == "wrote x"
    with pytest.raises(Conflict):
        await world.engine.decide("t", "ann", "k", [Decision(approved=False, call=asked.call)])
    assert (await world.engine.decide("t", "ann", "k", [Decision(call=asked.call)])).outcome == "repeated"


async def test_a_decision_is_refused_for_others_and_for_unknown_calls(world: World) -> None:
    _, call = await pending_call(world)
    await world.until(await world.ask("hi", thread_id="k2"))
    for refusal, tenant, owner, thread, named in [
        (Forbidden, "t", "eve", "k", call),
        (NotFound, "other", "ann", "k", call),
        (NotFound, "t", "ann", "k2", call),
        (NotFound, "t", "ann", "k", "nope"),
    ]:
        with pytest.raises(refusal):
            await world.engine.decide(tenant, owner, thread, [Decision(call=named)])
    assert world.ran == []


async def test_changed_input_is_checked_and_then_used(world: World) -> None:
    started, call = await pending_call(world)
    with pytest.raises(BadRequest):
        await world.engine.decide("t", "ann", "k", [Decision(call=call, input={"name": 5})])
    await world.engine.decide("t", "ann", "k", [Decision(call=call, input={"name": "y"})])
    await world.until(started)
    assert world.ran == ["y"]
    kept = next(i for i in await world.items() if i.kind == "tool_call")
    assert (kept.body["input"], kept.body["state"]) == ({"name": "y"}, "output-available")


async def test_a_new_message_denies_what_was_pending(world: World) -> None:
    _, call = await pending_call(world)
    await world.until(await world.ask("hi"))
    with pytest.raises(Conflict, match="superseded"):
        await world.engine.decide("t", "ann", "k", [Decision(call=call)])
    kept = next(i for i in await world.items() if i.kind == "tool_call")
    assert (kept.body["state"], kept.body["approval"]["reason"]) == ("output-denied", "superseded")
    denied = [p for m in world.requests[-1].messages if m.role == "tool" for p in m.parts]
    assert denied[0].outcome == "denied"  # type: ignore[union-attr]  # results only


async def test_a_pending_approval_survives_a_restart_and_can_still_be_given(world: World) -> None:
    started, call = await pending_call(world)
    await world.restart()
    decided = await world.engine.decide("t", "ann", "k", [Decision(call=call)], channel="reply")
    events = [e async for e in world.engine.events(started.run.id, after=decided.after)]
    assert isinstance(events[0].body, ev.ToolApprovalDecided)
    assert texts(await world.items())[-1] == "wrote x"


async def test_an_approval_expires_as_denied(world: World) -> None:
    started, _ = await pending_call(world)
    await world.engine.expire_due()
    assert world.ran == []
    world.time += 24 * 3600 + 1
    await world.engine.expire_due()
    denied = [e.body for e in await world.until(started) if isinstance(e.body, ev.ToolDenied)]
    assert denied[0].reason == "expired"


async def test_the_sweeper_expires_approvals_by_itself(world: World) -> None:
    started = await world.ask("call write x", approval_ttl=-1.0, approval_reason="timeout")
    denied = [e.body for e in await world.until(started) if isinstance(e.body, ev.ToolDenied)]
    assert denied[0].reason == "timeout"


async def test_cancel_ends_the_run_once(world: World) -> None:
    started = await world.ask("hang")
    await world.until(started, ev.BlockDelta)
    assert await world.engine.cancel(started.run.id) is True
    assert await world.engine.cancel(started.run.id) is False
    run = await world.store.run(started.run.id)
    assert run is not None
    assert run.status == "cancelled"
    async with asyncio.timeout(LONG):
        await world.closed.wait()


async def test_deleting_a_thread_ends_its_run_and_its_readers(world: World) -> None:
    started = await world.ask("hang")
    await world.until(started, ev.BlockDelta)
    await world.engine.delete_thread("t", "ann", "k")
    assert await world.store.thread("t", "k") is None
    assert await world.store.run(started.run.id) is None
    assert await world.engine.tail(started.run.id).next(LONG) == []
    with pytest.raises(NotFound):
        await world.engine.delete_thread("t", "ann", "k")


async def test_deleting_all_threads_of_an_owner_leaves_the_others(world: World) -> None:
    for name in ("a", "b", "c"):
        await world.until(await world.ask("hi", thread_id=name))
    await world.until(await world.ask("hi", thread_id="d", owner="eve"))
    assert await world.engine.delete_threads("t", "ann") == 3
    assert await world.store.thread("t", "d") is not None


async def test_a_run_that_takes_too_long_is_closed_with_its_partial_answer(world: World) -> None:
    started = await world.ask("hang", max_seconds=0.05)
    ended = (await world.until(started))[-1].body
    assert isinstance(ended, ev.RunFailed)
    assert ended.code == "timeout"
    assert texts(await world.items()) == ["hang", "some"]


async def test_the_finish_reason_of_the_model_is_kept(world: World) -> None:
    ended = (await world.until(await world.ask("short")))[-1].body
    assert ended == ev.RunCompleted("length")


async def test_after_a_restart_a_cut_model_call_begins_anew(world: World) -> None:
    started = await world.ask("hang")
    await world.until(started, ev.BlockDelta)
    await world.restart()
    world.gate.set()
    events = await world.until(started)
    assert [e.seq for e in events] == list(range(1, len(events) + 1))
    assert any(isinstance(e.body, ev.StepRestarted) for e in events)
    assert texts(await world.items()) == ["hang", "some more"]


@pytest.mark.parametrize(("name", "times", "state"), [("look", 2, "output-available"), ("write", 1, "output-error")])
async def test_after_a_restart_only_a_harmless_tool_runs_again(world: World, name: str, times: int, state: str) -> None:
    started = await world.ask(f"call {name} slow", permissions={"write": "always_allow"})
    await world.until(started, ev.StepStarted)
    async with asyncio.timeout(LONG):
        await world.running.wait()
    await world.restart()
    world.gate.set()
    await world.until(started)
    assert len(world.ran) == times
    kept = next(i for i in await world.items() if i.kind == "tool_call")
    assert kept.body["state"] == state


async def test_a_run_whose_agent_is_gone_is_closed(world: World) -> None:
    started = await world.ask("hang")
    await world.until(started, ev.BlockDelta)
    await world.restart(without_agent=True)
    ended = (await world.until(started))[-1].body
    assert isinstance(ended, ev.RunFailed)
    assert ended.code == "agent_gone"
    assert texts(await world.items()) == ["hang", "some"]


async def test_closing_lets_readers_go_and_refuses_new_runs(world: World) -> None:
    started = await world.ask("hang")
    await world.until(started, ev.BlockDelta)
    reader = asyncio.create_task(world.until(replace(started, after=99)))
    await asyncio.sleep(0)
    await world.engine.close()
    with pytest.raises(Unavailable):
        await reader
    with pytest.raises(Unavailable):
        await world.ask("hi")


async def test_a_tool_under_way_may_finish_while_the_engine_closes(world: World) -> None:
    started = await world.ask("call write slow", permissions={"write": "always_allow"})
    async with asyncio.timeout(LONG):
        await world.running.wait()
        closing = asyncio.create_task(world.engine.close())
        await asyncio.sleep(0)
        world.gate.set()
        await closing
    await world.restart()
    await world.until(started)
    assert world.ran == ["slow"]
    assert texts(await world.items())[-1] == "wrote slow"


async def test_a_caller_that_gives_up_leaves_no_stuck_run(world: World) -> None:
    asking = asyncio.create_task(world.ask("hi"))
    for _ in range(3):
        await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await world.until(await world.ask("again"))
    assert texts(await world.items())[-1] == "heard again"
    assert not await world.store.unfinished()


async def test_a_model_that_yields_nonsense_fails_the_run(world: World) -> None:
    async def nonsense(request: ModelRequest) -> AsyncIterator[Any]:
        yield 5

    engine = EmbeddedEngine(App("t", agents=[Agent("a", model=nonsense)]), world.store)
    started = await engine.start(Turn("t", "bob", "a", parts=({"type": "text", "text": "go"},)))
    ended = [e async for e in engine.events(started.run.id)][-1].body
    assert isinstance(ended, ev.RunFailed)
    assert "int" in ended.message
    await engine.close()


@pytest.mark.parametrize("count", [3000])
async def test_a_model_that_never_waits_does_not_starve_others(world: World, count: int) -> None:
    order: list[str] = []

    async def flood(request: ModelRequest) -> AsyncIterator[str]:
        for n in range(count):
            yield str(n)
        order.append("flood")

    app = App("t", agents=[Agent("flood", model=flood)])
    engine = EmbeddedEngine(app, world.store)
    await engine.open()
    world_started = await world.ask("hi")
    started = await engine.start(Turn("t", "bob", "flood", parts=({"type": "text", "text": "go"},)))
    await world.until(world_started)
    order.append("other")
    events = [e async for e in engine.events(started.run.id)]
    assert sum(isinstance(e.body, ev.BlockDelta) for e in events) == count
    assert order == ["other", "flood"]
    await engine.close()
