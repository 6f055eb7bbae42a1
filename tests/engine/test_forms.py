"""Form tools: drawn on the server once, waiting durably, answered once."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import BaseModel, Field
from tests.engine.world import LONG, World

import dragoman
from dragoman.core import events as ev
from dragoman.core.errors import Conflict, NotFound, UsageError
from dragoman.core.messages import ModelRequest, ModelToolCall, ModelToolDelta
from dragoman.core.records import Item
from dragoman.core.turns import Decided, Decision, Started, Turn
from dragoman.engine.agents import Agent
from dragoman.engine.app import App
from dragoman.engine.embedded import EmbeddedEngine
from dragoman.engine.tools import InvalidToolInput, Tool, ToolContext


class Card(BaseModel):
    type: str = "Card"
    inner: str = Field(serialization_alias="children")
    note: str | None = None


class Forms:
    """An agent whose only tool is a form; the first round asks, the second tells what came of it."""

    def __init__(self, world: World, *, in_pieces: bool = False, fault: Exception | None = None) -> None:
        self.world = world
        self.drawn: list[tuple[str, str]] = []
        self.requests: list[ModelRequest] = []
        self.in_pieces = in_pieces
        self.fault = fault
        self.engine = self.make()

    def make(self) -> EmbeddedEngine:
        @dragoman.form
        async def ask(title: str, context: ToolContext) -> dict[str, Any]:
            """Asks."""
            self.drawn.append((title, context.user))
            if self.fault is not None:
                raise self.fault
            return {"type": "Card", "title": title}

        app = App("t", agents=[Agent("helper", model=self.model, tools=[ask])])
        return EmbeddedEngine(app, self.world.store, clock=lambda: self.world.time, executor="me")

    async def model(self, request: ModelRequest) -> AsyncIterator[Any]:
        self.requests.append(request)
        last = request.messages[-1]
        if last.role == "tool":
            part = last.parts[-1]
            yield f"{part.outcome}: {part.output}"  # type: ignore[union-attr]  # a result
        elif self.in_pieces:
            yield ModelToolDelta("c", "ask", '{"title": ')
            yield ModelToolDelta("c", "ask", '"Who?"}')
        else:
            yield ModelToolCall("c", "ask", {"title": last.text})

    async def ask(self, text: str = "Who?", **turn: Any) -> Started:
        given: dict[str, Any] = {"forms": True} | turn
        parts = ({"type": "text", "text": text},)
        return await self.engine.start(Turn("t", "ann", "helper", thread_id="k", parts=parts, **given))

    async def until(self, started: Started | Decided, kind: type[ev.EventBody] | None = None) -> list[ev.Event]:
        tail, seen = self.engine.tail(started.run.id, after=started.after), []
        while events := await tail.next(LONG):
            seen += events
            if kind is not None and any(isinstance(event.body, kind) for event in events):
                break
        return seen

    async def pending(self) -> tuple[Started, str]:
        started = await self.ask()
        paused = (await self.until(started, ev.RunPaused))[-1].body
        assert isinstance(paused, ev.RunPaused)
        assert paused.reason == "client_tool"
        return started, paused.calls[0]

    async def decide(self, call: str, output: Any) -> Decided:
        given = [Decision(call=call, output=output, is_result=True)]
        return await self.engine.decide("t", "ann", "k", given, by="ann", channel="reply")

    async def call(self) -> Item:
        return next(item for item in await self.world.items() if item.kind == "tool_call")


@pytest.fixture
async def forms(world: World) -> AsyncIterator[Forms]:
    made = Forms(world)
    yield made
    await made.engine.close()


async def test_the_widget_is_drawn_from_the_arguments_and_journalled_with_the_call(forms: Forms) -> None:
    started, _ = await forms.pending()
    told = [event.body for event in await forms.until(started, ev.RunPaused) if isinstance(event.body, ev.ToolInput)]
    assert [(one.client, one.widget) for one in told] == [(True, {"type": "Card", "title": "Who?"})]
    item = await forms.call()
    assert item.body["widget"] == {"type": "Card", "title": "Who?"}
    assert (item.body["client"], item.body["state"]) == (True, "input-available")
    assert forms.drawn == [("Who?", "ann")]


async def test_what_is_submitted_is_the_output_of_the_tool(forms: Forms) -> None:
    _, call = await forms.pending()
    decided = await forms.decide(call, {"name": "Ada"})
    assert decided.outcome == "accepted"
    assert isinstance((await forms.until(decided))[-1].body, ev.RunCompleted)
    assert (await forms.world.items())[-1].body["text"] == "output: {'name': 'Ada'}"
    assert (await forms.call()).body["output"] == {"name": "Ada"}


async def test_a_form_is_answered_once(forms: Forms) -> None:
    _, call = await forms.pending()
    await forms.until(await forms.decide(call, {"name": "Ada"}))
    again = await forms.decide(call, {"name": "Eve"})
    assert again.outcome == "repeated"
    assert (await forms.call()).body["output"] == {"name": "Ada"}
    assert len(forms.requests) == 2


async def test_two_answers_at_once_are_one(forms: Forms) -> None:
    _, call = await forms.pending()
    both = await asyncio.gather(forms.decide(call, {"name": "Ada"}), forms.decide(call, {"name": "Eve"}))
    assert sorted(one.outcome for one in both) == ["accepted", "repeated"]
    await forms.until(both[0])
    assert len(forms.requests) == 2


async def test_a_form_waits_over_a_restart_and_is_not_drawn_again(forms: Forms) -> None:
    _, call = await forms.pending()
    await forms.engine.close()
    forms.engine = forms.make()
    await forms.engine.open()
    await forms.until(await forms.decide(call, {"name": "Ada"}))
    assert (await forms.world.items())[-1].body["text"] == "output: {'name': 'Ada'}"
    assert len(forms.drawn) == 1


async def test_an_unanswered_form_does_not_keep_a_later_message_waiting(forms: Forms) -> None:
    _, call = await forms.pending()
    second = await forms.ask("Where?", busy="reject")
    await forms.until(second, ev.RunPaused)
    items = [item for item in await forms.world.items() if item.kind == "tool_call"]
    assert [item.body["state"] for item in items] == ["output-denied", "input-available"]
    with pytest.raises(Conflict, match="given up"):
        await forms.decide(call, {"name": "late"})


async def test_a_form_is_offered_only_where_it_can_be_shown(forms: Forms) -> None:
    await forms.until(await forms.ask(forms=False, client_tools=True))
    assert forms.requests[0].tools == ()
    assert forms.drawn == []
    assert (await forms.world.items())[-1].body["text"] == "error: this client cannot show forms"
    await forms.until(await forms.ask(forms=True), ev.RunPaused)
    assert [spec.name for spec in forms.requests[-1].tools] == ["ask"]


async def test_a_call_that_comes_in_pieces_only_is_drawn_as_well(world: World) -> None:
    forms = Forms(world, in_pieces=True)
    await forms.pending()
    assert (await forms.call()).body["widget"] == {"type": "Card", "title": "Who?"}
    assert forms.drawn == [("Who?", "ann")]
    await forms.engine.close()


@pytest.mark.parametrize("fault", [RuntimeError("out of paper"), UsageError("out of paper")])
async def test_a_form_that_cannot_be_drawn_is_the_models_to_deal_with(world: World, fault: Exception) -> None:
    forms = Forms(world, fault=fault)
    await forms.until(await forms.ask())
    assert (await forms.world.items())[-1].body["text"] == "error: out of paper"
    await forms.engine.close()


async def test_a_form_that_trips_over_another_tools_input_has_failed(world: World) -> None:
    forms = Forms(world, fault=InvalidToolInput("not mine"))
    await forms.until(await forms.ask())
    assert (await forms.world.items())[-1].body["text"] == "error: not mine"
    await forms.engine.close()


async def test_arguments_that_do_not_fit_draw_nothing(world: World) -> None:
    forms = Forms(world)

    async def model(request: ModelRequest) -> AsyncIterator[Any]:
        if request.messages[-1].role == "tool":
            yield str(request.messages[-1].parts[0].output)  # type: ignore[union-attr]  # a result
        else:
            yield ModelToolCall("c", "ask", "{broken")

    forms.model = model  # type: ignore[method-assign]  # this test's own model
    forms.engine = forms.make()
    await forms.until(await forms.ask())
    assert forms.drawn == []
    assert (await forms.world.items())[-1].body["text"] == "the arguments are not a JSON object"
    await forms.engine.close()


async def test_a_widget_may_be_a_model_and_its_nulls_are_left_out() -> None:
    @dragoman.form(name="renamed", description="Says why.")
    def card(text: str) -> Card:
        return Card(inner=text)

    assert isinstance(card, Tool)
    assert (card.name, card.description, card.client, card.form, card.needs_approval) == (
        "renamed",
        "Says why.",
        True,
        True,
        False,
    )
    assert await card.draw({"text": "x"}, ToolContext()) == {"type": "Card", "children": "x"}


@pytest.mark.parametrize("given", [None, "text", {"no": "type"}, [1]])
async def test_a_widget_that_is_none_is_refused(given: Any) -> None:
    @dragoman.form
    def card() -> Any:
        return given

    with pytest.raises(UsageError, match="must give a widget"):
        await card.draw({}, ToolContext())


async def test_an_unknown_form_cannot_be_answered(forms: Forms) -> None:
    await forms.pending()
    with pytest.raises(NotFound):
        await forms.decide("nobody", {})
