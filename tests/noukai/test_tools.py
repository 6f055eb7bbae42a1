"""Tools: the automatic loop, manual resumes, limits."""

from __future__ import annotations

from typing import Any

import pytest
from tests.noukai.shells import (
    CALLS,
    COMPLETED,
    FIRST,
    FLOW,
    PAUSED,
    SECOND,
    TOOL_PAUSE,
    Awaiting,
    Blocking,
    Shell,
    answer,
    body_of,
    kinds,
    path_of,
    scripted,
    streamed,
)

from dragoman.core.errors import ProtocolError, TooManyRounds
from dragoman.noukai import (
    APIConnectionError,
    BlockingPausedResult,
    NoukaiError,
    PausedResult,
    ToolCallLimitError,
    ToolCallsRequired,
)

RESULTS = [{"tool_call_id": "call_1", "output": "20 degrees"}]
TOOLS = [{"type": "function", "function": {"name": "get_weather"}}]


def weather(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    assert calls == CALLS
    return RESULTS


async def weather_later(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return weather(calls)


@pytest.mark.requirement("NOU-17")
async def test_a_handler_answers_until_the_run_ends(shell: Shell) -> None:
    io = scripted(answer(PAUSED), answer({**PAUSED, "iterationsUsed": 2}), answer(COMPLETED))
    flow = shell.client(io).flow(FLOW)
    result = await shell.call(
        flow.execute, "Bern", parameters={"a": 1}, tools=TOOLS, tool_choice="auto", trace=True, tool_handler=weather
    )
    assert result.result == "HI!"
    assert body_of(io, 1) == {
        "parameters": {"a": 1},
        "tools": TOOLS,
        "toolChoice": "auto",
        "executionId": "r1",
        "pausedAtStep": "weather",
        "iterationsUsed": 1,
        "toolCallMessages": [*PAUSED["toolCallMessages"], *RESULTS],
        "accumulatedOutputs": {"upper": "HI"},
        "trace": True,
    }
    assert body_of(io, 2)["iterationsUsed"] == 2
    assert len({path_of(request) for request in io.requests}) == 1


@pytest.mark.requirement("NOU-18")
async def test_the_awaiting_client_takes_async_handlers() -> None:
    io = scripted(answer(PAUSED), answer(COMPLETED))
    result = await Awaiting().client(io).flow(FLOW).execute("Bern", tools=TOOLS, tool_handler=weather_later)
    assert result.status == "completed"


class CallableLater:
    async def __call__(self, calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return weather(calls)


@pytest.mark.requirement("NOU-18")
@pytest.mark.parametrize("handler", [weather_later, CallableLater()])
def test_the_blocking_client_refuses_them_before_any_request(handler: Any) -> None:
    io = scripted()
    flow = Blocking().client(io).flow(FLOW)
    for method in (flow.execute, flow.events, flow.steps, flow.execute_async):
        with pytest.raises(TypeError, match="async tool_handler"):
            method("Bern", tool_handler=handler)
    assert io.requests == []


@pytest.mark.requirement("NOU-18")
def test_a_handler_that_turns_out_to_be_async_is_refused_too() -> None:
    flow = Blocking().client(scripted(answer(PAUSED))).flow(FLOW)
    with pytest.raises(TypeError, match="await"):
        flow.execute("Bern", tool_handler=lambda calls: weather_later(calls))  # type: ignore[arg-type,return-value]  # the mistake


@pytest.mark.requirement("NOU-19", "NOU-93")
async def test_a_pause_is_resumed_by_hand_again_and_again(shell: Shell) -> None:
    io = scripted(answer(PAUSED), answer({**PAUSED, "iterationsUsed": 2}), answer(COMPLETED))
    result = await shell.call(
        shell.client(io).flow(FLOW).execute, "Bern", tools=TOOLS, block_overrides={"a": {"b": 1}}, version=2
    )
    while result.status == "tool_calls_required":
        result = await shell.resume(result, [{"role": "tool", "toolCallId": "call_1", "content": {"t": 20}}])
    assert result.result == "HI!"
    assert body_of(io, 2)["blockOverrides"] == {"a": {"b": 1}}
    assert {path_of(request) for request in io.requests} == {"/seq/acme/spelling/grade-3/v2/execute"}


@pytest.mark.requirement("NOU-94")
async def test_a_resume_whose_answer_is_lost_is_sent_again(shell: Shell) -> None:
    io = scripted(answer(PAUSED), ProtocolError("cut"), answer(COMPLETED))
    paused = await shell.call(shell.client(io).flow(FLOW).execute, "Bern", tools=TOOLS)
    assert (await shell.resume(paused, RESULTS)).result == "HI!"
    assert body_of(io, 1) == body_of(io, 2)
    io = scripted(answer(PAUSED), ProtocolError("cut"))
    paused = await shell.call(shell.client(io, retry_posts=False).flow(FLOW).execute, "Bern", tools=TOOLS)
    with pytest.raises(APIConnectionError):
        await shell.resume(paused, RESULTS)


@pytest.mark.requirement("NOU-19", "NOU-93")
async def test_the_two_kinds_of_paused_results_are_not_mixed_up() -> None:
    blocking = Blocking().client(scripted(answer(PAUSED), answer(COMPLETED))).flow(FLOW).execute("x")
    assert isinstance(blocking, BlockingPausedResult)
    assert blocking.resume_sync(tool_results=RESULTS).status == "completed"
    awaiting = await Awaiting().client(scripted(answer(PAUSED))).flow(FLOW).execute("x")
    with pytest.raises(TypeError, match="await"):
        awaiting.resume_sync(tool_results=RESULTS)


@pytest.mark.requirement("NOU-19")
async def test_objects_made_by_hand_cannot_be_resumed() -> None:
    made = PausedResult.model_validate(PAUSED)
    with pytest.raises(RuntimeError, match="manually constructed"):
        await made.resume(tool_results=RESULTS)
    with pytest.raises(RuntimeError, match="manually constructed"):
        made.resume_sync(tool_results=RESULTS)
    event = ToolCallsRequired(step_id="weather")
    with pytest.raises(RuntimeError, match="stream"):
        event.resume(tool_results=RESULTS)


@pytest.mark.requirement("NOU-20")
@pytest.mark.parametrize(("limit", "asked"), [(0, 0), (2, 2), (None, 10)])
async def test_rounds_are_limited_before_the_handler_is_asked(shell: Shell, limit: int | None, asked: int) -> None:
    calls: list[Any] = []

    def handler(pending: list[dict[str, Any]]) -> list[dict[str, Any]]:
        calls.append(pending)
        return RESULTS

    client = shell.client(scripted(*[answer(PAUSED)] * 11))
    with pytest.raises(ToolCallLimitError, match="max_tool_rounds") as caught:
        await shell.call(client.flow(FLOW).execute, "x", tool_handler=handler, max_tool_rounds=limit)
    assert len(calls) == asked
    assert (caught.value.code, caught.value.execution_id) == ("TOOL_CALL_LIMIT_CLIENT", "r1")
    assert isinstance(caught.value, TooManyRounds)


@pytest.mark.requirement("NOU-20")
async def test_rounds_are_limited_in_streams_too(shell: Shell) -> None:
    client = shell.client(scripted(*[streamed(TOOL_PAUSE)] * 3))
    seen: list[Any] = []
    with pytest.raises(ToolCallLimitError):
        await shell.events(client.flow(FLOW).events("x", tool_handler=weather, max_tool_rounds=2), into=seen)
    assert seen == []


@pytest.mark.requirement("NOU-22")
async def test_a_handler_hides_pauses_of_streams(shell: Shell) -> None:
    done = SECOND[1:]
    io = scripted(streamed(FIRST[0], TOOL_PAUSE), streamed(*done))
    events = await shell.events(shell.client(io).flow(FLOW).events("Bern", tools=TOOLS, tool_handler=weather))
    assert kinds(events) == ["run_started", "step_completed", "flow_completed"]
    second = body_of(io, 1)
    assert second["toolCallMessages"] == [{"role": "user", "content": "Bern"}, *RESULTS]
    assert (second["iterationsUsed"], second["stepIndex"], second["executionId"]) == (1, 0, "r1")
    assert second["tools"] == TOOLS
    assert "message" not in second
    io = scripted(streamed(FIRST[0], TOOL_PAUSE), streamed(*done))
    steps = await shell.events(shell.client(io).flow(FLOW).steps("Bern", tool_handler=weather))
    assert kinds(steps) == ["step_completed"]


@pytest.mark.requirement("NOU-23", "NOU-93")
async def test_a_pause_within_a_stream_is_resumed_by_hand(shell: Shell) -> None:
    io = scripted(streamed(FIRST[0], TOOL_PAUSE), streamed(TOOL_PAUSE), streamed(*SECOND[1:]))
    stream = shell.client(io).flow(FLOW).events("Bern")
    events = await shell.answering(stream, [RESULTS, RESULTS])
    expected = ["run_started", "tool_calls_required", "tool_calls_required", "step_completed", "flow_completed"]
    assert kinds(events) == expected
    assert events[1].tool_calls == CALLS
    assert body_of(io, 1)["toolCallMessages"][-1] == RESULTS[0]
    assert io.open_streams == []


@pytest.mark.requirement("NOU-23", "NOU-98")
async def test_a_pause_that_nobody_answers_ends_the_stream(shell: Shell) -> None:
    io = scripted(streamed(FIRST[0], TOOL_PAUSE))
    events = await shell.answering(shell.client(io).flow(FLOW).events("Bern"), [None])
    assert kinds(events) == ["run_started", "tool_calls_required"]
    assert len(io.requests) == 1


@pytest.mark.requirement("NOU-98")
async def test_steps_say_clearly_that_tools_are_wanted(shell: Shell) -> None:
    io = scripted(streamed(FIRST[0], TOOL_PAUSE))
    with pytest.raises(NoukaiError, match="tool_handler") as caught:
        await shell.events(shell.client(io).flow(FLOW).steps("Bern"))
    assert (caught.value.code, caught.value.execution_id) == ("TOOL_CALLS_REQUIRED", "r1")
    assert io.open_streams == []


@pytest.mark.requirement("NOU-17")
@pytest.mark.parametrize("category", [UserWarning, ResourceWarning])
async def test_many_tool_messages_warn(shell: Shell, category: type[Warning]) -> None:
    many = {**PAUSED, "toolCallMessages": [{"role": "user"}] * 200}
    client = shell.client(scripted(answer(many), answer(COMPLETED)))
    with pytest.warns(category, match="201"):
        await shell.call(client.flow(FLOW).execute, "x", tool_handler=weather)
