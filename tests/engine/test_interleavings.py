"""Moments at which two things happen to a run at once, or the ground gives way: nobody waits for ever."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.engine.scripted_store import ScriptedStore, fails_with
from tests.engine.world import LONG, World, pending_call, texts

from dragoman.core import events as ev
from dragoman.core.errors import BadRequest, Conflict, DragomanError, NotFound, ProtocolError, Unavailable
from dragoman.core.messages import ModelRequest, ModelText, ModelToolCall, ModelToolDelta, ModelUsage
from dragoman.core.turns import Decision, Turn
from dragoman.core.usage import Usage
from dragoman.core.writes import AppendEvents, DeleteThread, PutRun
from dragoman.engine.agents import Agent
from dragoman.engine.app import App
from dragoman.engine.embedded import EmbeddedEngine
from dragoman.engine.tools import tool
from dragoman.store.sqlite import open_store


@pytest.fixture
async def scripted(tmp_path: Path) -> AsyncIterator[tuple[World, ScriptedStore]]:
    store = ScriptedStore(await open_store(tmp_path / "data"))
    world = World(store)  # type: ignore[arg-type]  # hands every call on to the real store
    await world.engine.open()
    yield world, store
    world.gate.set()
    store.before.clear()
    store.after.clear()
    await world.engine.close()
    await store.close()


async def end_of(engine: EmbeddedEngine, agent: str = "a") -> ev.EventBody:
    """How a run of this agent ends."""
    started = await engine.start(Turn("t", "bob", agent, parts=({"type": "text", "text": "go"},)))
    async with asyncio.timeout(LONG):
        return [e async for e in engine.events(started.run.id)][-1].body


# --------------------------------------------------------------------------- models and tools that misbehave


async def test_a_model_call_that_is_cancelled_from_within_fails_the_run(world: World) -> None:
    async def broken(request: ModelRequest) -> AsyncIterator[str]:
        yield "some"
        raise asyncio.CancelledError  # as a client library does whose own task was cancelled

    engine = EmbeddedEngine(App("t", agents=[Agent("a", model=broken)]), world.store)
    ended = await end_of(engine)
    assert isinstance(ended, ev.RunFailed)
    assert ended.code == "model_error"
    await engine.close()


async def test_a_tool_that_is_cancelled_from_within_failed(world: World) -> None:
    @tool(read_only=True)
    async def broken() -> str:
        """Breaks."""
        raise asyncio.CancelledError

    async def model(request: ModelRequest) -> AsyncIterator[Any]:
        if request.messages[-1].role == "user":
            yield ModelToolCall("c", "broken", {})
        else:
            yield request.messages[-1].parts[0].output  # type: ignore[union-attr]  # a result

    engine = EmbeddedEngine(App("t", agents=[Agent("a", model=model, tools=[broken])]), world.store)
    assert isinstance(await end_of(engine), ev.RunCompleted)
    await engine.close()


@pytest.mark.parametrize(
    "piece",
    [ModelText(5), ModelToolDelta("c", "look", None), ModelToolCall("c", None, {}), ModelUsage(Usage("3"))],  # type: ignore[arg-type]
)
async def test_a_model_that_yields_events_of_nonsense_fails_the_run(world: World, piece: Any) -> None:
    async def nonsense(request: ModelRequest) -> AsyncIterator[Any]:
        yield piece

    engine = EmbeddedEngine(App("t", agents=[Agent("a", model=nonsense)]), world.store)
    ended = await end_of(engine)
    assert isinstance(ended, ev.RunFailed)
    assert ended.code == "model_error"
    await engine.close()


async def test_two_calls_that_a_provider_gives_one_id_are_two_calls(world: World) -> None:
    ran: list[str] = []

    @tool(read_only=True)
    async def note(text: str) -> None:
        """Notes."""
        ran.append(text)

    async def model(request: ModelRequest) -> AsyncIterator[Any]:
        if request.messages[-1].role == "user":
            yield ModelToolCall("", "note", {"text": "one"})
            yield ModelToolCall("", "note", {"text": "two"})

    engine = EmbeddedEngine(App("t", agents=[Agent("a", model=model, tools=[note])]), world.store)
    assert isinstance(await end_of(engine), ev.RunCompleted)
    assert sorted(ran) == ["one", "two"]
    await engine.close()


# --------------------------------------------------------------------------- faults of the store


async def test_a_fault_answers_everybody_who_waited_and_says_whose_fault_it_is(
    scripted: tuple[World, ScriptedStore],
) -> None:
    world, store = scripted
    started = await world.ask("hang")
    await world.until(started, ev.BlockDelta)
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def hold(*writes: Any) -> None:
        reached.set()
        await go_on.wait()
        raise OSError("the disk is gone")

    store.before["commit"] = [hold]
    stops = [asyncio.create_task(world.engine.cancel(started.run.id))]
    async with asyncio.timeout(LONG):
        await reached.wait()
        stops += [asyncio.create_task(world.engine.cancel(started.run.id)) for _ in range(2)]
        await asyncio.sleep(0)
        go_on.set()
        outcomes = await asyncio.gather(*stops, return_exceptions=True)
    for outcome in outcomes:
        assert isinstance(outcome, DragomanError)
        assert outcome.status == 503


async def test_a_run_that_a_fault_stopped_goes_on_and_its_reader_misses_nothing(
    scripted: tuple[World, ScriptedStore],
) -> None:
    world, store = scripted
    started = await world.ask("hang")
    seen = await world.until(started, ev.BlockDelta)
    # the worst of all answers: the commit has happened, and was said to have failed
    store.after["commit"] = [fails_with(Unavailable("perhaps"))]
    world.gate.set()
    tail = world.engine.tail(started.run.id, after=seen[-1].seq)
    while events := await tail.next(LONG):
        seen += events
    assert [e.seq for e in seen] == list(range(1, len(seen) + 1))
    stored = await store.events(started.run.id)
    assert seen == list(stored)
    assert texts(await world.items()) == ["hang", "some more"]


async def test_a_run_that_is_stopped_in_the_moment_it_is_stored_has_one_driver(
    scripted: tuple[World, ScriptedStore],
) -> None:
    world, store = scripted
    stops: list[asyncio.Task[bool]] = []

    async def stop(*writes: Any) -> None:
        run = next(write.run for write in writes if isinstance(write, PutRun))
        stops.append(asyncio.create_task(world.engine.cancel(run.id)))
        for _ in range(10):
            await asyncio.to_thread(lambda: None)

    store.after["commit"] = [stop]
    started = await world.ask("hang")
    assert await stops[0] is True
    events = await world.until(started)
    assert [type(e.body) for e in events].count(ev.RunStarted) == 1
    assert isinstance(events[-1].body, ev.RunCancelled)


async def test_a_fault_right_after_a_run_was_stored_leaves_no_run_without_a_driver(
    scripted: tuple[World, ScriptedStore],
) -> None:
    world, store = scripted

    async def spoil(*writes: Any) -> None:
        store.before["run"] = [fails_with(Unavailable("cannot be read"))]

    store.after["commit"] = [spoil]
    with pytest.raises(Unavailable):
        await world.ask("hi", message_id="m1")
    again = await world.ask("hi", message_id="m1")
    assert again.outcome in ("attached", "answered")
    events = await world.until(again)
    assert isinstance(events[-1].body, ev.RunCompleted)
    assert texts(await world.items()) == ["hi", "heard hi"]


async def test_a_reader_of_a_run_whose_rows_are_gone_is_let_go(scripted: tuple[World, ScriptedStore]) -> None:
    world, store = scripted
    started = await world.ask("hang")
    seen = await world.until(started, ev.BlockDelta)
    thread = await store.thread("t", "k")
    await store.commit(DeleteThread(thread.number, world.time + 60))  # as `dragoman erase` does beside the engine
    world.gate.set()
    tail = world.engine.tail(started.run.id, after=seen[-1].seq)
    assert await tail.next(LONG) == []
    assert await world.engine.active_run(thread) is None


async def test_a_journal_that_cannot_be_read_does_not_keep_the_others_from_going_on(
    scripted: tuple[World, ScriptedStore],
) -> None:
    world, store = scripted
    broken = await world.ask("hang")
    await world.until(broken, ev.BlockDelta)
    sound = await world.ask("hang", thread_id="k2")
    await world.until(sound, ev.BlockDelta)
    await world.engine.close()
    world.engine = world.make()
    store.before["events"] = [fails_with(ProtocolError("not an event"))]
    world.gate.set()
    await world.engine.open()
    assert isinstance((await world.until(sound))[-1].body, ev.RunCompleted)


async def test_an_approval_that_cannot_expire_does_not_keep_the_others_from_expiring(
    scripted: tuple[World, ScriptedStore],
) -> None:
    world, store = scripted
    await pending_call(world)
    started = await world.ask("call write y", thread_id="k2")
    await world.until(started, ev.RunPaused)
    await world.engine.close()
    world.engine = world.make()  # not opened, so that nobody else looks for what is due
    world.time += 24 * 3600 + 1
    store.before["events"] = [fails_with(ProtocolError("not an event"))]
    async with asyncio.timeout(LONG):
        upcoming = await world.engine.expire_due()
    assert upcoming is not None
    assert upcoming > world.time, "the next look is later, not at once"
    assert any(isinstance(e.body, ev.ToolDenied) for e in await world.until(started))


# --------------------------------------------------------------------------- the engine's end


async def test_a_closed_engine_starts_nothing_for_a_late_decision(world: World) -> None:
    _, call = await pending_call(world)
    hanging = await world.ask("hang", thread_id="k2")
    await world.until(hanging, ev.BlockDelta)
    await world.engine.close()
    with pytest.raises(Unavailable):
        await world.engine.decide("t", "ann", "k", [Decision(call=call)])
    with pytest.raises(Unavailable):
        await world.engine.cancel(hanging.run.id)
    with pytest.raises(Unavailable):
        await world.engine.delete_thread("t", "ann", "k")
    assert world.ran == []


async def test_a_run_that_is_accepted_while_the_engine_closes_is_not_left_running(
    scripted: tuple[World, ScriptedStore],
) -> None:
    world, store = scripted
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def hold(*writes: Any) -> None:
        reached.set()
        await go_on.wait()

    store.before["commit"] = [hold]
    asking = asyncio.create_task(world.ask("hang"))
    async with asyncio.timeout(LONG):
        await reached.wait()
        closing = asyncio.create_task(world.engine.close())
        for _ in range(5):
            await asyncio.sleep(0)
        go_on.set()
        started = await asking
        await closing
    for _ in range(20):
        await asyncio.to_thread(lambda: None)
    assert not world.requests or world.closed.is_set(), "no model call goes on"
    run = await store.run(started.run.id)
    assert run.is_active, "it goes on at the next start"


async def test_a_tool_call_that_is_stored_as_begun_does_begin_although_the_engine_closes(
    scripted: tuple[World, ScriptedStore],
) -> None:
    world, store = scripted
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def hold(*writes: Any) -> None:
        kept = [w for w in writes if isinstance(w, AppendEvents)]
        if any(isinstance(e.body, ev.StepStarted) and e.body.kind == "tool" for w in kept for e in w.events):
            reached.set()
            await go_on.wait()
        else:
            store.after["commit"] = [hold]

    store.after["commit"] = [hold]
    started = await world.ask("call write x", permissions={"write": "always_allow"})
    async with asyncio.timeout(LONG):
        await reached.wait()
        closing = asyncio.create_task(world.engine.close())
        for _ in range(5):
            await asyncio.sleep(0)
        go_on.set()
        await closing
    await world.restart()
    await world.until(started)
    assert world.ran == ["x"]
    assert texts(await world.items())[-1] == "wrote x"


# --------------------------------------------------------------------------- messages that wait, or do not


async def test_deleting_a_thread_does_not_wait_for_a_message_that_waits(world: World) -> None:
    first = await world.ask("hang")
    await world.until(first, ev.BlockDelta)
    waiting = asyncio.create_task(world.ask("hi", busy="queue"))
    for _ in range(20):
        await asyncio.sleep(0)
    async with asyncio.timeout(LONG):
        await world.engine.delete_thread("t", "ann", "k")
        await world.until(await waiting)
    assert texts(await world.items()) == ["hi", "heard hi"]


async def test_messages_that_wait_keep_their_order(world: World) -> None:
    first = await world.ask("hang")
    await world.until(first, ev.BlockDelta)
    waiting = [asyncio.create_task(world.ask(f"m{n}", busy="queue")) for n in range(5)]
    for _ in range(20):
        await asyncio.sleep(0)
    world.gate.set()
    async with asyncio.timeout(LONG):
        for each in waiting:
            await world.until(await each)
    said = [text for text in texts(await world.items()) if text.startswith("m")]
    assert said == [f"m{n}" for n in range(5)]


@pytest.mark.parametrize("busy", ["queue", "supersede", "reject"])
async def test_a_message_does_not_wait_for_a_human(world: World, busy: Any) -> None:
    _, call = await pending_call(world)
    await world.until(await world.ask("hi", busy=busy))
    with pytest.raises(Conflict, match="superseded"):
        await world.engine.decide("t", "ann", "k", [Decision(call=call)])


async def test_an_edit_names_its_message(world: World) -> None:
    await world.until(await world.ask("one"))
    with pytest.raises(BadRequest):
        await world.ask("two", mode="edit")
    assert len(await world.items()) == 2


# --------------------------------------------------------------------------- approvals


async def test_an_approval_expires_also_while_another_tool_runs(world: World) -> None:
    async def model(request: ModelRequest) -> AsyncIterator[Any]:
        if request.messages[-1].role == "user":
            yield ModelToolCall("a", "look", {"name": "slow"})
            yield ModelToolCall("b", "write", {"name": "x"})

    helper = next(iter(world.engine._app.agents))
    agent = Agent("both", model=model, tools=list(helper.tools.values()))
    engine = EmbeddedEngine(App("t", agents=[agent]), world.store, clock=lambda: world.time)
    await engine.open()
    turn = Turn("t", "ann", "both", thread_id="k", parts=({"type": "text", "text": "go"},), approval_ttl=-1.0)
    started = await engine.start(turn)
    tail, denied = engine.tail(started.run.id), False
    while not denied:
        denied = any(isinstance(e.body, ev.ToolDenied) for e in await tail.next(LONG))
    world.gate.set()
    while await tail.next(LONG):
        pass
    await engine.close()


@pytest.mark.parametrize(
    ("permissions", "offered"),
    [
        ({}, {"look"}),
        ({"write": "always_allow"}, {"look", "write"}),
        ({"look": "always_ask"}, set()),
        ({"look": "blocked"}, {"look"}),
    ],
)
async def test_who_cannot_be_asked_is_not_offered_what_needs_asking(
    world: World, permissions: dict[str, str], offered: set[str]
) -> None:
    await world.until(await world.ask("hi", approvals="hide", permissions=permissions))
    assert {t.name for t in world.requests[-1].tools} == offered


async def test_a_decision_on_a_run_that_is_over_and_gone_is_not_found(scripted: tuple[World, ScriptedStore]) -> None:
    world, store = scripted
    started, call = await pending_call(world)
    await world.engine.decide("t", "ann", "k", [Decision(call=call)])
    await world.until(started)
    thread = await store.thread("t", "k")

    async def delete(*args: Any) -> None:
        await store.commit(DeleteThread(thread.number, world.time + 60))

    store.before["events"] = [delete]
    async with asyncio.timeout(LONG):
        with pytest.raises(NotFound):
            await world.engine.decide("t", "ann", "k", [Decision(call=call)])


# --------------------------------------------------------------------------- the trace


async def test_a_broken_attempt_is_not_left_running_in_the_trace(world: World) -> None:
    started = await world.ask("hang")
    await world.until(started, ev.BlockDelta)
    await world.restart()
    world.gate.set()
    await world.until(replace(started, after=0))
    steps = await world.store.steps(started.run.id)  # type: ignore[attr-defined]  # the SQLite store's own
    assert [(s.attempt, s.status) for s in steps] == [(1, "failed"), (2, "completed")]
