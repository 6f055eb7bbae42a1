"""What a provider wants back with its reasoning and calls is kept as it came, over tools, humans and restarts."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.engine.playing import Play
from tests.engine.world import World, pending_call

from dragoman.core import events as ev
from dragoman.core import messages as msg
from dragoman.core.events import Event, decode_event, encode_event
from dragoman.core.turns import Decision
from dragoman.core.usage import Usage
from dragoman.engine.agents import Agent, FunctionModel, as_model
from dragoman.engine.app import App
from dragoman.engine.inputs import Heard, ModelEnded

SIGNED = {"of": "p", "signature": "c2lnbmVk"}
SEALED = {"of": "p", "data": "opaque"}
CALL = {"of": "p", "id": "toolu_1", "signature": "YWJj"}


@pytest.mark.requirement("AIP-21")
def test_a_piece_with_provider_data_ends_its_stretch_of_reasoning() -> None:
    play = Play().begun()
    kinds = play.feed(
        Heard(msg.ModelReasoning("I ")),
        Heard(msg.ModelReasoning("think", SIGNED)),
        Heard(msg.ModelReasoning("", SEALED)),
        Heard(msg.ModelReasoning("more")),
        Heard(msg.ModelText("so")),
        ModelEnded(),
    )
    assert kinds[:6] == ["block.started", "block.delta", "block.delta", "block.ended", "block.started", "block.ended"]
    assert [body.provider for body in play.bodies(ev.BlockEnded)] == [SIGNED, SEALED, None, None]


def test_a_signature_after_the_text_began_is_a_stretch_of_its_own() -> None:
    play = Play().begun()
    play.feed(Heard(msg.ModelText("so")), Heard(msg.ModelReasoning("", SIGNED)), ModelEnded())
    assert [body.kind for body in play.bodies(ev.BlockStarted)] == ["text", "reasoning"]
    assert [body.provider for body in play.bodies(ev.BlockEnded)] == [None, SIGNED]


@pytest.mark.requirement("AIP-21", "AIP-108")
def test_text_with_provider_data_ends_its_stretch_too() -> None:
    play = Play().begun()
    kinds = play.feed(Heard("It "), Heard(msg.ModelText("rains.", SIGNED)), Heard("Or not."), ModelEnded())
    assert kinds[:5] == ["block.started", "block.delta", "block.delta", "block.ended", "block.started"]
    assert [body.provider for body in play.bodies(ev.BlockEnded)] == [SIGNED, None]


def test_the_journal_keeps_provider_data_and_leaves_it_out_where_there_is_none() -> None:
    ended = Event("r", 1, 1.0, ev.BlockEnded("b", SIGNED), "s")
    assert decode_event(encode_event(ended)) == ended
    assert encode_event(Event("r", 1, 1.0, ev.BlockEnded("b")))["payload"] == {"block": "b"}
    called = Event("r", 1, 1.0, ev.ToolInput("c", "add", {}, provider=CALL))
    assert decode_event(encode_event(called)) == called


class Thinker:
    """Thinks, calls the tool, and answers; keeps what it was given."""

    def __init__(self) -> None:
        self.requests: list[msg.ModelRequest] = []

    async def __call__(self, request: msg.ModelRequest) -> AsyncIterator[Any]:
        self.requests.append(request)
        if request.messages[-1].role == "tool":
            yield "done"
            return
        yield msg.ModelReasoning("hm")
        yield msg.ModelReasoning("", SIGNED)
        yield msg.ModelReasoning("", SEALED)
        yield msg.ModelToolCall("toolu_1", "write", {"name": "x"}, CALL)


@pytest.mark.requirement("AIP-21")
async def test_in_a_tool_loop_the_model_gets_back_what_it_gave_also_after_a_restart(world: World) -> None:
    thinker = Thinker()
    world.model = thinker.__call__  # type: ignore[method-assign]  # the world's engine is made anew with it
    await world.restart()
    started, call = await pending_call(world, "go")
    await world.restart()
    await world.engine.decide("t", "ann", "k", [Decision(call=call)])
    await world.until(started)
    first, second = thinker.requests
    assert first.messages[-1].text == "go"
    said, results = second.messages[-2:]
    assert said.parts == (
        msg.ReasoningPart("hm", SIGNED),
        msg.ReasoningPart("", SEALED),
        msg.ToolCallPart(call, "write", {"name": "x"}, CALL),
    )
    assert [part.output for part in results.parts if isinstance(part, msg.ToolResultPart)] == ["wrote x"]


@pytest.mark.requirement("AIP-21", "AIP-108")
async def test_signed_text_comes_back_in_the_next_question(world: World) -> None:
    requests: list[msg.ModelRequest] = []

    async def model(request: msg.ModelRequest) -> AsyncIterator[Any]:
        requests.append(request)
        yield "It "
        yield msg.ModelText("rains.", SIGNED)

    world.model = model  # type: ignore[method-assign]  # as above
    await world.restart()
    await world.until(await world.ask("weather?"))
    await world.until(await world.ask("and now?"))
    assert requests[1].messages[1].parts == (msg.TextPart("It rains.", SIGNED),)


# --------------------------------------------------------------------------- usage and cost


def test_what_nobody_reported_is_none_and_sums_count_what_was_reported() -> None:
    assert Usage().total_tokens is None
    assert (Usage(3) + Usage(None, 4)) == Usage(3, 4)
    assert (Usage(3, 4) + Usage(1, 0, 2)) == Usage(4, 4, 2)
    assert Usage(3, 4).total_tokens == 7
    assert Usage(0, 0).total_tokens == 0
    assert not Usage()


async def test_usage_and_cost_are_journalled_as_reported(world: World) -> None:
    async def model(request: msg.ModelRequest) -> AsyncIterator[Any]:
        if request.messages[-1].role == "tool":
            yield msg.ModelUsage(Usage(completion_tokens=0), 0.25)
            return
        yield msg.ModelUsage(Usage(prompt_tokens=7), 0.5)
        yield msg.ModelToolCall("c", "write", {"name": "x"})

    world.model = model  # type: ignore[method-assign]  # as above
    await world.restart()
    started, call = await pending_call(world, "go")
    await world.engine.decide("t", "ann", "k", [Decision(call=call)])
    events = await world.until(started)
    told = [encode_event(event)["payload"] for event in events if isinstance(event.body, ev.UsageCounted)]
    assert told == [{"prompt_tokens": 7, "cost": 0.5}, {"completion_tokens": 0, "cost": 0.25}]
    run = await world.store.run(started.run.id)
    assert run is not None
    assert (run.usage, run.cost) == (Usage(7, 0), 0.75)


async def test_a_model_that_reports_nothing_leaves_usage_and_cost_unknown(world: World) -> None:
    started = await world.ask("hello")
    events = await world.until(started)
    assert not [event for event in events if isinstance(event.body, ev.UsageCounted)]
    run = await world.store.run(started.run.id)
    assert run is not None
    assert (run.usage, run.usage.total_tokens, run.cost) == (Usage(), None, None)


# --------------------------------------------------------------------------- names


async def parrot(request: msg.ModelRequest) -> AsyncIterator[str]:
    yield "hi"


def test_the_apps_own_names_win_and_may_stand_for_others() -> None:
    resolved: list[str] = []

    def resolve(name: str) -> FunctionModel:
        resolved.append(name)
        return FunctionModel(parrot)

    assert as_model("mine/x", {"mine/x": parrot}, resolve)
    assert resolved == []
    as_model("fast", {"fast": "openai/gpt-4o"}, resolve)
    as_model("loop", {"loop": "loop"}, resolve)
    as_model("ollama/llama3.2", {}, resolve)
    assert resolved == ["openai/gpt-4o", "loop", "ollama/llama3.2"]


def test_another_model_is_another_version_of_the_app() -> None:
    versions = {App("a", agents=[Agent("helper", model=name)]).version for name in ("openai/x", "openai/y")}
    assert len(versions) == 2
