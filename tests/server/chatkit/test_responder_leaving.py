"""A client that goes, a thread that is busy, an answer that another user's action begins."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.server.chatkit.talking import LONG, Talk, buttons, done, event_of, message, said, types

from dragoman.chatkit.actions import Action
from dragoman.chatkit.errors import NotSupported
from dragoman.chatkit.server import StreamingResult
from dragoman.chatkit.store import NotFoundError
from dragoman.chatkit.types import StreamOptions, ThreadItemDoneEvent, ThreadMetadata, WidgetItem
from dragoman.core.errors import Conflict, UsageError
from dragoman.core.ids import canonical
from dragoman.core.messages import ModelRequest, ModelToolCall
from dragoman.core.turns import Decision
from dragoman.engine.agents import Agent
from dragoman.engine.conversation import CUT
from dragoman.engine.tools import tool
from dragoman.testing import ScriptedModel


class Slow:
    """A model that says a word and then waits until it may go on."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.requests: list[ModelRequest] = []

    async def answer(self, request: ModelRequest) -> AsyncIterator[str]:
        self.requests.append(request)
        if request.messages[-1].text != "slow":
            yield "quick"
            return
        yield "some"
        await self.gate.wait()
        yield " more"


@pytest.fixture
async def slow() -> AsyncIterator[Slow]:
    made = Slow()
    yield made
    made.gate.set()


def agent(slow: Slow) -> Agent:
    async def model(request: ModelRequest) -> AsyncIterator[str]:
        async for piece in slow.answer(request):
            yield piece

    return Agent("a", model=model)


def leave_after_a_delta(talk: Talk) -> Any:
    return talk.leaving("threads.create", until="text_delta", input=message("slow"))


async def run_of(talk: Talk, thread: str) -> Any:
    rows = await talk.store.rows()
    row = await talk.store.find_thread(thread, "ann")
    assert row is not None
    return (await rows.runs("main", thread=row.number)).rows[0]


@pytest.mark.requirement("CHK-19", "CHK-37")
async def test_closing_the_stream_stops_the_answer_and_keeps_its_text(tmp_path: Path, slow: Slow) -> None:
    talk = Talk(tmp_path / "data", agent(slow))
    async with leave_after_a_delta(talk) as told:
        thread = told[0]["thread"]["id"]
    assert (await run_of(talk, thread)).status == "cancelled"
    assert said(await talk.items(thread)) == ["slow", "some"]
    more = await talk.say(thread, "and now")
    assert said(done(more)) == ["and now", "quick"]
    assert [m.text for m in slow.requests[-1].messages] == ["slow", "some", CUT, "and now"]
    await talk.close()


@pytest.mark.requirement("CHK-37")
@pytest.mark.parametrize("how", ["continue", "auto"])
async def test_an_answer_that_cannot_be_stopped_goes_on_without_its_reader(
    tmp_path: Path, slow: Slow, how: Any, monkeypatch: Any
) -> None:
    talk = Talk(tmp_path / "data", agent(slow), on_disconnect=how)
    if how == "auto":
        options = StreamOptions(allow_cancel=False)
        monkeypatch.setattr(talk.server, "get_stream_options", lambda thread, context: options)
    async with leave_after_a_delta(talk) as told:
        thread = told[0]["thread"]["id"]
    run = await run_of(talk, thread)
    assert run.status == "running"
    slow.gate.set()
    engine = await talk.server.engine()
    async with asyncio.timeout(LONG):
        assert [event async for event in engine.events(run.id)]
    assert said(await talk.items(thread)) == ["slow", "some more"]
    await talk.close()


@pytest.mark.requirement("CHK-19")
async def test_a_task_that_is_cancelled_stops_the_answer_too(tmp_path: Path, slow: Slow) -> None:
    talk = Talk(tmp_path / "data", agent(slow))
    result = await talk.process("threads.create", input=message("slow"))
    assert isinstance(result, StreamingResult)
    begun = asyncio.Event()

    async def read() -> None:
        async for frame in result.json_events:
            if b"text_delta" in frame:
                begun.set()

    task = asyncio.create_task(read())
    async with asyncio.timeout(LONG):
        await begun.wait()
        task.cancel()
        await asyncio.wait([task])
        assert await talk.server.cleanups.settled()
    thread = (await talk.ask("threads.list"))["data"][0]["id"]
    assert said(await talk.items(thread)) == ["slow", "some"]
    assert task.cancelled()
    await talk.close()


@pytest.mark.requirement("CHK-19", "CHK-28")
async def test_leaving_a_card_that_waits_does_not_take_it_away(talk: Talk) -> None:
    async with talk.leaving("threads.create", until="thread.item.done", input=message("echo: x")):
        pass
    async with talk.leaving("threads.create", until="nothing", input=message("approve: create_bucket x")) as told:
        thread, card = told[0]["thread"]["id"], told[-1]["item"]
    action = buttons(card)[0]
    assert said(done(await talk.act(thread, card["id"], action["type"], action["payload"]))) == ["created x"]


@pytest.mark.requirement("CHK-19", "CHK-28")
async def test_leaving_a_stream_that_only_waits_for_its_title_stops_nobody_elses(tmp_path: Path, slow: Slow) -> None:
    naming, never = asyncio.Event(), asyncio.Event()

    async def title(*_: Any) -> str:
        naming.set()
        await never.wait()
        return ""

    @tool
    async def write() -> str:
        """Writes."""
        await slow.gate.wait()
        return "written"

    async def model(request: ModelRequest) -> AsyncIterator[Any]:
        if request.messages[-1].role == "user":
            yield ModelToolCall("c", "write", {})
        else:
            yield "done"

    talk = Talk(tmp_path / "data", Agent("a", model=model, tools=[write]), title=title)
    told: list[dict[str, Any]] = []

    async def read() -> None:
        result = await talk.process("threads.create", input=message("go"))
        assert isinstance(result, StreamingResult)
        async for frame in result.json_events:
            told.append(event_of(frame))

    first = asyncio.create_task(read())
    async with asyncio.timeout(LONG):
        await naming.wait()
        row = await talk.store.find_thread(told[0]["thread"]["id"], "ann")
        assert row is not None
        engine = await talk.server.engine()
        approve = Decision(call=canonical(done(told)[-1]["id"]))
        decided = await engine.decide("main", "ann", row.id, [approve])
        first.cancel()
        await asyncio.wait((first,))
        await talk.server.cleanups.settled(row.id)
        slow.gate.set()
        events = [event async for event in engine.events(decided.run.id)]
    assert events[-1].type == "run.completed"
    await talk.close()


@pytest.mark.requirement("CHK-32")
@pytest.mark.parametrize("busy", ["reject", "supersede", "queue"])
async def test_a_message_to_a_busy_thread(tmp_path: Path, slow: Slow, busy: Any) -> None:
    talk = Talk(tmp_path / "data", agent(slow), busy=busy, on_disconnect="continue")
    async with leave_after_a_delta(talk) as told:
        thread = told[0]["thread"]["id"]
    if busy == "reject":
        with pytest.raises(Conflict) as refused:
            await talk.say(thread, "now")
        assert refused.value.code == "thread_busy"
        assert said(await talk.items(thread)) == ["slow"]
    else:
        asking = asyncio.ensure_future(talk.say(thread, "now"))
        if busy == "queue":
            slow.gate.set()
        more = await asking
        assert said(done(more)) == ["now", "quick"]
        first = "some" if busy == "supersede" else "some more"
        assert said(await talk.items(thread)) == ["slow", first, "now", "quick"]
    await talk.close()


@pytest.mark.requirement("CHK-09")
async def test_deleting_a_thread_ends_what_runs_in_it(tmp_path: Path, slow: Slow) -> None:
    talk = Talk(tmp_path / "data", agent(slow), on_disconnect="continue")
    async with leave_after_a_delta(talk) as told:
        thread = told[0]["thread"]["id"]
    assert await talk.ask("threads.delete", thread_id=thread) == {}
    with pytest.raises(NotFoundError):
        await talk.items(thread)
    engine: Any = await talk.server.engine()
    assert engine.moving == 0
    await talk.close()


@pytest.mark.requirement("CHK-37")
async def test_an_answer_goes_on_when_the_process_comes_back(tmp_path: Path, slow: Slow) -> None:
    talk = Talk(tmp_path / "data", agent(slow), on_disconnect="continue")
    async with leave_after_a_delta(talk) as told:
        thread = told[0]["thread"]["id"]
    await talk.restart()
    slow.gate.set()
    engine = await talk.server.engine()
    async with asyncio.timeout(LONG):
        assert [event async for event in engine.events((await run_of(talk, thread)).id)]
    assert said(await talk.items(thread)) == ["slow", "some more"]
    await talk.close()


@pytest.mark.requirement("CHK-37")
async def test_a_stream_says_that_the_server_goes_and_its_run_goes_on(tmp_path: Path, slow: Slow) -> None:
    talk = Talk(tmp_path / "data", agent(slow))
    result = await talk.process("threads.create", input=message("slow"))
    assert isinstance(result, StreamingResult)
    frames: list[bytes] = []
    async with asyncio.timeout(LONG):
        async for frame in result.json_events:
            frames.append(frame)
            if b"text_delta" in frame:
                await talk.server.aclose()
    assert b"restarting" in frames[-1]
    await talk.restart()
    slow.gate.set()
    thread = (await talk.ask("threads.list"))["data"][0]["id"]
    engine = await talk.server.engine()
    async with asyncio.timeout(LONG):
        assert [event async for event in engine.events((await run_of(talk, thread)).id)]
    assert said(await talk.items(thread)) == ["slow", "some more"]
    await talk.close()


# --------------------------------------------------------------------------- actions of the user's own


async def show_widget(talk: Talk, thread: str) -> str:
    from dragoman.chatkit.types.adapters import item_adapter

    widget = {"type": "Card", "children": [{"type": "Text", "value": "hi"}]}
    id = talk.store.generate_item_id("message", await talk.store.load_thread(thread, "ann"), "ann")
    document = {"type": "widget", "id": id, "thread_id": thread, "created_at": "2026-01-05T10:00:00Z", "widget": widget}
    await talk.store.add_thread_item(thread, item_adapter.validate_python(document), "ann")
    return id


@pytest.mark.requirement("CHK-38", "CHK-12")
async def test_actions_are_dispatched_by_type(talk: Talk) -> None:
    server, seen = talk.server, list[Any]()

    @server.on_action("weather.again")
    async def again(
        thread: ThreadMetadata, action: Action[str, Any], sender: WidgetItem | None, context: str
    ) -> AsyncIterator[ThreadItemDoneEvent]:
        seen.append((action.payload, sender.id if sender else None, context))
        yield server.reply(thread, f"20 degrees in {action.payload['city']}")

    @server.on_action("weather.quiet")
    async def quiet(thread: ThreadMetadata, *rest: Any) -> None:
        await server.hide(thread, "they know the weather", "ann")

    @server.on_action("weather.one")
    def one(thread: ThreadMetadata, *rest: Any) -> ThreadItemDoneEvent:
        return server.reply(thread, "one")

    thread, _ = await talk.create("echo: hi")
    item = await show_widget(talk, thread)
    told = await talk.act(thread, item, "weather.again", {"city": "Oslo"})
    assert types(told) == ["stream_options", "done"]
    assert seen == [({"city": "Oslo"}, item, "ann")]
    assert types(await talk.act(thread, None, "weather.quiet", None)) == ["stream_options"]
    assert types(await talk.act(thread, None, "weather.one", None)) == ["stream_options", "done"]
    assert said(await talk.items(thread)) == ["echo: hi", "hi", "20 degrees in Oslo", "one"]
    with pytest.raises(NotSupported):
        await talk.act(thread, None, "weather.unknown", None)
    with pytest.raises(UsageError):
        server.on_action("form.submit")


@pytest.mark.requirement("CHK-38", "CHK-17")
async def test_what_is_hidden_reaches_the_model_alone(tmp_path: Path) -> None:
    model = ScriptedModel(["one", "two"])
    talk = Talk(tmp_path / "data", Agent("a", model=model))
    thread, _ = await talk.create("hi")
    await talk.server.hide(await talk.store.load_thread(thread, "ann"), "it rains", "ann")
    await talk.say(thread, "and now?")
    assert "<hidden_context>\nit rains\n</hidden_context>" in model.requests[1].messages[2].text
    assert "it rains" not in str(await talk.items(thread))
    await talk.close()


@pytest.mark.requirement("CHK-38")
async def test_an_action_may_let_the_agent_go_on(tmp_path: Path) -> None:
    model = ScriptedModel(["one", "two", "three"])
    talk = Talk(tmp_path / "data", Agent("a", model=model))
    server = talk.server

    @server.on_action("go.on")
    async def go_on(thread: ThreadMetadata, action: Action[str, Any], sender: Any, context: str) -> AsyncIterator[Any]:
        async for event in server.respond(thread, None, context):
            yield event

    thread, _ = await talk.create("hi")
    told = await talk.act(thread, None, "go.on", None)
    assert types(told).count("stream_options") == 1
    assert said(done(told)) == ["two"]
    assert said(await talk.items(thread)) == ["hi", "one", "two"]
    await talk.close()
