"""`steps` and `events`: segments, order, deltas, errors, leaving."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from tests.interop.noukai.registry import scenario
from tests.interop.noukai.stage import TOOLS, Stage, kinds, weather

STEP = ["step_started", "step_input", "step_output", "step_completed"]


@scenario.requirement("NOU-10")
async def steps_come_one_by_one(stage: Stage) -> None:
    async with stage.flow("two-step") as flow:
        steps = await stage.all(flow.steps("hi", block_overrides={"exclaim": {"suffix": "?"}}))
    assert kinds(steps) == ["step_completed"] * 2
    assert [(each.step_id, each.output) for each in steps] == [("upper", "HI"), ("exclaim", "HI?")]
    assert all(each.duration_ms is not None for each in steps)


@scenario.requirement("NOU-11")
async def events_come_in_order_over_several_segments(stage: Stage) -> None:
    async with stage.flow("two-step") as flow:
        events = await stage.all(flow.events("hi"))
    assert kinds(events) == ["run_started", *STEP, "step_paused", *STEP, "flow_completed"]
    started, end = events[0], events[-1]
    assert started.run_id == started.execution_id == end.execution_id
    assert started.flow_id
    assert started.step_count == 2
    assert end.result == "HI!"
    assert isinstance(end.summary, dict)
    assert events[2].input_data["message"] == "hi"


@scenario.requirement("NOU-12")
async def the_rest_runs_in_one_segment(stage: Stage) -> None:
    async with stage.flow("two-step") as flow:
        events = await stage.all(flow.events("hi", run_remaining=True))
    assert kinds(events) == ["run_started", *STEP, *STEP, "flow_completed"]
    assert events[-1].result == "HI!"


@scenario.requirement("NOU-13")
async def a_model_step_sends_deltas_tokens_and_its_cost_as_text(stage: Stage) -> None:
    async with stage.flow("model") as flow:
        events = await stage.all(flow.events("count: 5"))
    deltas = [each.output_data for each in events if each.event_type == "step_output"]
    assert deltas == ["1", " 2", " 3", " 4", " 5"]
    [done] = [each for each in events if each.event_type == "step_completed"]
    assert done.output == "1 2 3 4 5"
    assert done.tokens.prompt > 0
    assert done.tokens.total == done.tokens.prompt + done.tokens.completion
    assert done.cost_usd is None or isinstance(done.cost_usd, str)


@scenario.requirement("NOU-14")
async def leaving_early_stops_the_run_between_two_steps(stage: Stage) -> None:
    async with stage.flow("two-step") as flow:
        execution_id = ""
        if stage.blocking:
            for event in flow.events("hi"):
                execution_id = event.execution_id if event.event_type == "run_started" else execution_id
                if event.event_type == "step_completed":
                    break
        else:
            async for event in flow.events("hi"):
                execution_id = event.execution_id if event.event_type == "run_started" else execution_id
                if event.event_type == "step_completed":
                    break
        trace = await stage.call(flow.run(execution_id).trace)
    assert [step.step_id for step in trace.steps] == ["upper"]
    assert trace.flow_run.status != "completed"


@scenario.requirement("NOU-15")
async def a_failing_step_ends_the_stream(stage: Stage) -> None:
    async with stage.flow("broken") as flow:
        events = await stage.all(flow.events("hi"))
        steps = await stage.all(flow.steps("hi"))
    assert kinds(events)[-1] == "step_error"
    assert events[-1].step_id == "second"
    assert events[-1].error["code"] == "STEP_FAILED"
    assert kinds(steps) == ["step_completed", "step_error"]


@scenario.requirement("NOU-16")
async def frames_are_sent_as_they_happen(stage: Stage) -> None:
    async with stage.flow("slow") as flow:
        await spread(lambda: stage.each(flow.events("x", run_remaining=True)), 5)


async def spread(stream: Callable[[], AsyncIterator[Any]], count: int) -> list[Any]:
    """The events of a stream whose steps are seen to end one after the other.

    A reader that is kept from reading sees them together, so it may look again.
    """
    for _ in range(3):
        times: list[float] = []
        seen = []
        async for event in stream():
            seen.append(event)
            if event.event_type == "step_completed":
                times.append(time.monotonic())
        assert len(times) == count
        if times[-1] - times[0] > 0.6:
            return seen
    raise AssertionError("the steps ended at once")


@scenario.requirement("NOU-22")
async def a_tool_handler_answers_within_a_stream(stage: Stage) -> None:
    async with stage.flow("weather") as flow:
        events = await stage.all(flow.events("Bern", tools=TOOLS, tool_handler=weather))
        steps = await stage.all(flow.steps("Bern", tools=TOOLS, tool_handler=weather))
    assert "step_paused_for_tool_calls" not in kinds(events)
    assert kinds(events).count("step_started") == 1
    assert events[-1].result == "It is 20 in Bern"
    assert [each.output for each in steps] == ["It is 20 in Bern"]


@scenario.requirement("NOU-23")
async def a_pause_within_a_stream_is_answered_by_hand(stage: Stage) -> None:
    async with stage.flow("weather") as flow:
        seen = []
        async for event in stage.each(flow.events("Bern", tools=TOOLS)):
            seen.append(event)
            if event.event_type != "step_paused_for_tool_calls":
                continue
            assert event.run_id == event.execution_id
            assert event.step_id == "weather"
            assert event.iterations_used == 1
            if not stage.blocking:
                assert await event.resume(tool_results=weather(event.tool_calls)) is None
            elif stage.ours:
                event.resume(tool_results=weather(event.tool_calls))
    assert "step_paused_for_tool_calls" in kinds(seen)
    if stage.blocking and not stage.ours:  # it can but show the pause
        assert kinds(seen)[-1] == "step_paused_for_tool_calls"
    else:
        assert seen[-1].result == "It is 20 in Bern"


@scenario.requirement("NOU-72", since="0.5")
async def events_carry_their_place_in_the_flow(stage: Stage) -> None:
    async with stage.flow("two-step") as flow:
        for remaining in (False, True):
            events = await stage.all(flow.events("hi", run_remaining=remaining))
            places = [each.step_index for each in events if each.event_type in ("step_started", "step_completed")]
            assert places == [0, 0, 1, 1]
            assert [each.step_index for each in events if each.event_type == "step_paused"] == [0] * (not remaining)
