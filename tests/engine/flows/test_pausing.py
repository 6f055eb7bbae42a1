"""Flows that wait: for the caller's tools, or to be told to go on; and the models and agents in them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.engine.flows.stage import Stage, echo_model, told

from dragoman.core import events as ev
from dragoman.core.errors import BadRequest, Conflict, NotFound
from dragoman.core.messages import ModelRequest, ModelToolCall, ModelUsage, ToolSpec
from dragoman.core.usage import Usage
from dragoman.engine.agents import Agent
from dragoman.engine.flows.authoring import Flow, agent_step, client_tool, loop, model_step, step
from dragoman.engine.flows.context import FlowContext
from dragoman.engine.tools import tool

WEATHER = client_tool(
    "weather",
    tool="get_weather",
    arguments=lambda ctx: {"city": ctx.message},
    result=lambda ctx, output: f"It is {output} in {ctx.message}",
)
PLACE = ToolSpec("place", "Where.", {"type": "object"})


def names(*given: str) -> list[Any]:
    return [step(lambda ctx, name=name: f"{ctx.output}{ctx.step_id}", name=name) for name in given]


# --------------------------------------------------------------------------- the caller's tools


@pytest.mark.requirement("NOU-17", "NOU-19")
async def test_a_run_pauses_for_the_callers_tool_and_goes_on_with_its_output(stage: Stage) -> None:
    await stage.open(Flow("p/f", [WEATHER, *names("x")]))
    started = await stage.start(message="Bern")
    events = await stage.until(started, ev.RunPaused)
    assert told(events)[2:] == [
        "step.started weather",
        "step.input weather",
        "tool.started weather",
        "tool.input weather",
        "run.paused",
    ]
    given = events[-2].body
    assert isinstance(given, ev.ToolInput)
    assert (given.name, given.input, given.client) == ("get_weather", {"city": "Bern"}, True)
    assert (await stage.run(started)).status == "paused"
    continued = await stage.go_on(started, {given.call: "sunny"})
    assert (continued.outcome, continued.run.id) == ("resumed", started.run.id)
    rest = await stage.until(continued)
    assert told(rest)[:3] == ["run.resumed", "tool.output weather", "step.completed weather"]
    assert rest[-1].body == ev.RunCompleted(result="It is sunny in Bernx")


@pytest.mark.requirement("NOU-24")
async def test_only_the_pending_calls_can_be_answered_and_all_of_them(stage: Stage) -> None:
    await stage.open(Flow("p/f", [WEATHER]))
    started = await stage.start()
    (call,) = await stage.paused(started)
    for outputs in (None, {}, {"other": 1}, {call: 1, "other": 2}):
        with pytest.raises(BadRequest) as refused:
            await stage.go_on(started, outputs)
        assert refused.value.code == "bad_request:outputs"
    with pytest.raises(BadRequest) as refused:
        await stage.go_on(started, {call: 1}, step=1)
    assert refused.value.code == "bad_request:step"
    assert (await stage.run(started)).status == "paused"
    with pytest.raises(NotFound):
        await stage.engine.continue_flow("other", started.run.id, None)  # type: ignore[arg-type]  # not looked at
    assert await stage.end(await stage.go_on(started, {call: None}, step=0)) == ev.RunCompleted(
        result="It is None in hi"
    )


async def test_the_same_outputs_again_give_the_same_continuation_and_others_are_refused(stage: Stage) -> None:
    await stage.open(Flow("p/f", [WEATHER, WEATHER_TOO]))
    started = await stage.start()
    (call,) = await stage.paused(started)
    first = await stage.go_on(started, {call: "wet"})
    whole = await stage.until(first, ev.RunPaused)
    again = await stage.go_on(started, {call: "wet"})
    assert again.outcome == "repeated"
    assert await stage.until(again, ev.RunPaused) == whole
    with pytest.raises(Conflict) as refused:
        await stage.go_on(started, {call: "dry"})
    assert refused.value.code == "conflict:run"
    (second,) = whole[-1].body.calls  # type: ignore[union-attr]  # it is the pause
    last = await stage.go_on(started, {second: 5})
    end = await stage.until(last)
    assert await stage.until(await stage.go_on(started, {second: 5})) == end, "also when the run is over"
    with pytest.raises(Conflict):
        await stage.go_on(started, {second: 6})


WEATHER_TOO = client_tool("again", tool="get_weather", arguments={"city": "Rome"})


async def test_a_repetition_is_known_after_the_journal_was_scrubbed(stage: Stage) -> None:
    await stage.open(Flow("p/f", [WEATHER], capture="off"))
    started = await stage.start()
    (call,) = await stage.paused(started)
    assert await stage.end(await stage.go_on(started, {call: "wet"})) == ev.RunCompleted(result="It is wet in hi")
    assert (await stage.go_on(started, {call: "wet"})).outcome == "repeated"
    with pytest.raises(Conflict):
        await stage.go_on(started, {call: "dry"})


async def test_two_continuations_at_once_are_one(stage: Stage) -> None:
    await stage.open(Flow("p/f", [WEATHER]))
    started = await stage.start()
    (call,) = await stage.paused(started)
    both = await asyncio.gather(*(stage.go_on(started, {call: "x"}) for _ in range(2)))
    assert sorted(one.outcome for one in both) == ["repeated", "resumed"]
    other = await asyncio.gather(*(stage.go_on(started, {call: text}) for text in "ab"), return_exceptions=True)
    assert all(isinstance(one, Conflict) for one in other)


async def test_rounds_of_tools_are_bounded(stage: Stage) -> None:
    await stage.open(Flow("p/f", [loop("l", [WEATHER_TOO], times=5)], max_rounds=2))
    started = await stage.start()
    calls = await stage.paused(started)
    for _ in range(2):
        calls = await stage.paused(await stage.go_on(started, {calls[0]: 1}))
    with pytest.raises(Conflict) as refused:
        await stage.go_on(started, {calls[0]: 1})
    assert refused.value.code == "conflict:rounds"


async def test_a_tool_of_the_caller_in_a_loop_is_called_each_round(stage: Stage) -> None:
    ask = client_tool("ask", arguments=lambda ctx: {"item": ctx.item})
    await stage.open(Flow("p/f", [loop("l", [ask], over=lambda ctx: [1, 2])]))
    started = await stage.start()
    events = await stage.until(started, ev.RunPaused)
    for number in (1, 2):
        body = events[-2].body
        assert isinstance(body, ev.ToolInput)
        assert body.input == {"item": number}
        continued = await stage.go_on(started, {body.call: f"got {number}"})
        events = await stage.until(continued, ev.RunPaused)
    assert events[-1].body == ev.RunCompleted(result=["got 1", "got 2"])


async def test_a_caller_without_tools_is_told_so(stage: Stage) -> None:
    await stage.open(Flow("p/f", [WEATHER]))
    assert (await stage.result(client_tools=False)).startswith("TOOLS_NOT_ENABLED: ")
    assert (await stage.result(client_tools=False, kind="job")).startswith("TOOLS_REQUIRE_SYNC_EXECUTE: ")


async def test_bad_arguments_or_results_fail_the_step(stage: Stage) -> None:
    await stage.open(
        Flow("p/f", [client_tool("c", arguments=lambda ctx: [1])]),
        Flow("p/g", [client_tool("c", result=lambda ctx, output: output["x"])]),
    )
    assert (await stage.result()).startswith("OUTPUT_NOT_JSON: ")
    started = await stage.start("p/g")
    (call,) = await stage.paused(started)
    assert isinstance(await stage.end(await stage.go_on(started, {call: {}})), ev.RunFailed)


# --------------------------------------------------------------------------- step by step


@pytest.mark.requirement("NOU-10", "NOU-11")
async def test_a_run_in_segments_pauses_after_each_top_level_step_but_the_last(stage: Stage) -> None:
    await stage.open(Flow("p/f", [*names("a"), loop("l", names("b"), times=2), *names("c")]))
    started = await stage.start(kind="step", remaining=False)
    first = await stage.until(started, ev.RunPaused)
    assert first[-1].body == ev.RunPaused("segment")
    second = await stage.until(await stage.go_on(started, step=1), ev.RunPaused)
    assert told(second)[0] == "run.resumed"
    assert second[0].body.step == 1  # type: ignore[union-attr]  # the resumption
    assert told(second)[-2:] == ["step.completed l", "run.paused"]
    third = await stage.until(await stage.go_on(started))
    assert third[-1].body == ev.RunCompleted(result="hiabbc")


@pytest.mark.requirement("NOU-85")
async def test_the_cursor_is_checked_and_a_lost_segment_is_told_again(stage: Stage) -> None:
    await stage.open(Flow("p/f", names("a", "b", "c", "d")))
    started = await stage.start(kind="step", remaining=False)
    await stage.until(started, ev.RunPaused)
    for number in (0, 2, 7, -1):
        with pytest.raises(BadRequest) as refused:
            await stage.go_on(started, step=number)
        assert refused.value.code == "bad_request:step"
    second = await stage.go_on(started, step=1)
    whole = await stage.until(second, ev.RunPaused)
    again = await stage.go_on(started, step=1)
    assert (again.outcome, again.after) == ("repeated", second.after)
    assert await stage.until(again, ev.RunPaused) == whole
    with pytest.raises(Conflict):
        await stage.go_on(started, step=1, overrides={"b": {"name": "other"}})
    with pytest.raises(BadRequest):
        await stage.go_on(started, {"call": 1})
    third = await stage.until(await stage.go_on(started, step=2, remaining=True))
    assert third[-1].body == ev.RunCompleted(result="hiabcd")
    assert (await stage.go_on(started, step=2, remaining=True)).outcome == "repeated"
    with pytest.raises(BadRequest) as refused:
        await stage.go_on(started, step=3)
    assert refused.value.code == "bad_request:step"


async def test_what_a_continuation_changes_holds_for_the_rest_of_the_run(stage: Stage) -> None:
    say = [step(lambda ctx, word="-": f"{ctx.output}{word}", name=name) for name in "abc"]
    await stage.open(Flow("p/f", say))
    started = await stage.start(kind="step", remaining=False, overrides={"a": {"word": "1"}})
    await stage.until(started, ev.RunPaused)
    with pytest.raises(BadRequest) as refused:
        await stage.go_on(started, overrides={"b": {"nope": 1}})
    assert refused.value.code == "bad_request:overrides"
    changed = {"b": {"word": "2"}, "c": {"word": "3"}}
    await stage.until(await stage.go_on(started, overrides=changed), ev.RunPaused)
    assert (await stage.run(started)).options["overrides"] == changed
    assert await stage.end(await stage.go_on(started, input_overrides={"c": {"output": "x"}})) == ev.RunCompleted(
        result="x3"
    )


async def test_a_run_that_moves_cannot_be_continued(stage: Stage) -> None:
    @step
    async def wait(ctx: FlowContext) -> None:
        stage.reached.set()
        await stage.gate.wait()

    await stage.open(Flow("p/f", [wait]))
    started = await stage.start()
    await stage.reached.wait()
    with pytest.raises(Conflict) as refused:
        await stage.go_on(started)
    assert refused.value.code == "conflict:run"
    for id in ("nope", "x" * 500, started.run.id[:-1] + "/"):
        with pytest.raises(NotFound):
            await stage.engine.continue_flow("t", id, None)  # type: ignore[arg-type]  # not looked at


# --------------------------------------------------------------------------- models


@pytest.mark.requirement("NOU-09", "NOU-13")
async def test_a_model_step_streams_under_its_key_and_counts_what_it_used(stage: Stage) -> None:
    requests: list[ModelRequest] = []

    async def model(request: ModelRequest) -> AsyncIterator[Any]:
        requests.append(request)
        yield "a "
        yield "b"
        yield ModelUsage(Usage(3, 2), 0.5)

    ask = model_step("ask", model=model, instructions="Be brief.", temperature=0.5)
    await stage.open(Flow("p/f", [ask]))
    started = await stage.start(
        overrides={"ask": {"temperature": 1, "instructions": "Be long."}},
        attachments=({"url": "https://x/y.png", "mime_type": "image/png"},),
    )
    events = await stage.until(started)
    assert events[-1].body == ev.RunCompleted(result="a b")
    assert told(events)[2:6] == [
        "step.started ask",
        "step.input ask",
        "step.started ask/model:1",
        "block.started ask/model:1",
    ]
    assert requests[0].instructions == "Be long."
    assert requests[0].options == {"temperature": 1}
    assert [part.__class__.__name__ for part in requests[0].messages[0].parts] == ["TextPart", "FilePart"]
    outer, inner = await stage.trace(started)
    assert (outer.step, inner.step, outer.model, inner.model) == ("ask", "ask/model:1", "model", "model")
    assert (outer.usage, inner.usage, outer.cost, outer.output, inner.output) == (
        Usage(3, 2),
        Usage(3, 2),
        0.5,
        "a b",
        "a b",
    )
    assert (outer.place, inner.place) == (0, 0)
    run = await stage.run(started)
    assert (run.usage, run.cost) == (Usage(3, 2), 0.5)


async def test_prompts_and_json_answers(stage: Stage) -> None:
    async def model(request: ModelRequest) -> AsyncIterator[str]:
        yield f'```json\n{{"asked": "{request.messages[-1].text}"}}\n```'

    async def prose(request: ModelRequest) -> AsyncIterator[str]:
        yield "no json"

    ask = model_step("ask", model=model, prompt=lambda ctx: f"{ctx.message}?", output="json")
    await stage.open(
        Flow("p/f", [ask]),
        Flow("p/g", [model_step("m", model=prose, output="json")]),
        Flow("p/h", [model_step("m", model=prose, prompt=lambda ctx: 1 / 0)]),
    )
    events = await stage.until(await stage.start())
    assert events[-1].body == ev.RunCompleted(result={"asked": "hi?"})
    assert [e.body.input for e in events if isinstance(e.body, ev.StepInput)] == [{"message": "hi", "prompt": "hi?"}]
    assert (await stage.result("p/g")).startswith("OUTPUT_NOT_JSON: ")
    assert (await stage.result("p/h")).startswith("STEP_FAILED: ")


@pytest.mark.requirement("NOU-70")
async def test_a_model_is_given_the_callers_conversation(stage: Stage) -> None:
    requests: list[ModelRequest] = []

    async def model(request: ModelRequest) -> AsyncIterator[str]:
        requests.append(request)
        yield "ok"

    await stage.open(Flow("p/f", [model_step("m", model=model), model_step("n", model=model)]))
    call = {"id": "c", "type": "function", "function": {"name": "look", "arguments": '{"a": 1}'}}
    await stage.result(
        message=None,
        messages=(
            {"role": "user", "content": [{"type": "text", "text": "one"}]},
            {"role": "assistant", "content": None, "toolCalls": [call]},
            {"role": "tool", "toolCallId": "c", "content": "seen"},
            {"role": "user", "content": "two"},
        ),
    )
    first, second = requests
    assert [(m.role, m.text) for m in first.messages] == [
        ("user", "one"),
        ("assistant", ""),
        ("tool", ""),
        ("user", "two"),
    ]
    assert first.messages[1].parts[0].input == {"a": 1}  # type: ignore[union-attr]  # the call
    assert (first.messages[2].parts[0].name, first.messages[2].parts[0].output) == ("look", "seen")  # type: ignore[union-attr]  # its result
    assert [(m.role, m.text) for m in second.messages] == [("user", "ok")]


async def test_a_model_that_fails_fails_the_step_with_a_reference(stage: Stage) -> None:
    async def model(request: ModelRequest) -> AsyncIterator[str]:
        yield "some"
        raise RuntimeError("out of cheese")

    await stage.open(Flow("p/f", [model_step("m", model=model)]))
    events = await stage.until(await stage.start())
    body = events[-1].body
    assert isinstance(body, ev.RunFailed)
    assert (body.code, bool(body.ref)) == ("model_error", True)
    assert told(events)[-3:] == ["step.failed m/model:1", "step.failed m", "run.failed"]


@pytest.mark.requirement("NOU-17", "NOU-21")
async def test_a_model_may_call_the_callers_tools_two_at_once(stage: Stage) -> None:
    await stage.open(Flow("p/f", [model_step("m", model=echo_model)]))
    started = await stage.start(message="call place place", tools=(PLACE,))
    events = await stage.until(started, ev.RunPaused)
    one, two = events[-1].body.calls  # type: ignore[union-attr]  # the pause
    with pytest.raises(BadRequest):
        await stage.go_on(started, {one: "x"})
    continued = await stage.go_on(started, {two: {"y": 1}, one: "x"})
    rest = await stage.until(continued)
    assert rest[-1].body == ev.RunCompleted(result="got ['x', {'y': 1}]")
    assert [e.step for e in rest if isinstance(e.body, ev.StepStarted)] == ["m/model:2"]


async def test_a_model_of_a_caller_without_tools_is_offered_none(stage: Stage) -> None:
    seen: list[tuple[str, ...]] = []

    async def model(request: ModelRequest) -> AsyncIterator[Any]:
        seen.append((*(tool.name for tool in request.tools), str(request.options.get("tool_choice"))))
        yield "ok"

    await stage.open(Flow("p/f", [model_step("m", model=model)]))
    await stage.result(tools=(PLACE,), client_tools=False)
    await stage.result(tools=(PLACE,), tool_choice="none")
    await stage.result(tools=(PLACE,), tool_choice="required")
    assert seen == [("None",), ("None",), ("place", "required")]
    with pytest.raises(BadRequest):
        await stage.start(tools=(PLACE, PLACE))


# --------------------------------------------------------------------------- agents


async def test_an_agent_step_runs_its_tools_and_denies_what_needs_a_human(stage: Stage) -> None:
    @tool(read_only=True)
    def look() -> str:
        """Looks."""
        return "seen"

    @tool
    def write() -> str:
        """Writes."""
        return "written"

    @tool(read_only=True)
    def broken() -> str:
        """Breaks."""
        raise ValueError("no")

    async def model(request: ModelRequest) -> AsyncIterator[Any]:
        if request.messages[-1].role == "user":
            for name in ("look", "write", "broken"):
                yield ModelToolCall(name, name, {})
        else:
            yield "; ".join(f"{p.name} {p.outcome}" for p in request.messages[-1].parts)  # type: ignore[union-attr]  # results

    stage.agents = [Agent("helper", model=model, tools=[look, write, broken])]
    await stage.open(Flow("p/f", [agent_step("ask", "helper"), *names("x")]))
    started = await stage.start()
    events = await stage.until(started)
    assert events[-1].body == ev.RunCompleted(result="look output; write denied; broken errorx")
    denied = next(e.body for e in events if isinstance(e.body, ev.ToolDenied))
    assert "cannot ask" in str(denied.reason)
    rows = {r.step.partition(":")[0]: r for r in await stage.trace(started) if r.output == "seen"}
    assert rows["ask/tool"].status == "completed"
    kinds = [(r.kind, r.status) for r in await stage.trace(started)]
    assert kinds == [
        ("flow", "completed"),
        ("model", "completed"),
        ("tool", "completed"),
        ("tool", "failed"),
        ("model", "completed"),
        ("flow", "completed"),
    ]


async def test_an_agent_and_the_caller_may_both_run_tools(stage: Stage) -> None:
    @tool(read_only=True)
    def look(n: int) -> str:
        """Looks."""
        return "seen"

    await stage.open(Flow("p/f", [agent_step("ask", Agent("helper", model=echo_model, tools=[look]))]))
    started = await stage.start(message="call look place", tools=(PLACE,))
    calls = await stage.paused(started)
    assert len(calls) == 1
    assert await stage.end(await stage.go_on(started, {calls[0]: "here"})) == ev.RunCompleted(
        result="got ['seen', 'here']"
    )
