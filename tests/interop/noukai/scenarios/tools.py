"""Tools of the caller: handlers, rounds, results by hand."""

from __future__ import annotations

from typing import Any

from tests.interop.noukai.registry import scenario
from tests.interop.noukai.stage import TOOLS, Stage, arguments_of, weather


@scenario.requirement("NOU-17")
async def a_handler_answers_the_pauses_of_execute(stage: Stage) -> None:
    asked: list[Any] = []

    def handler(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
        asked.extend(calls)
        return weather(calls)

    async with stage.flow("weather") as flow:
        result = await stage.call(flow.execute, "Bern", tools=TOOLS, tool_handler=handler)
        assert result.output == "It is 20 in Bern"
        chosen = {"type": "function", "function": {"name": "get_weather"}}
        again = await stage.call(flow.execute, "Ulm", tools=TOOLS, tool_choice=chosen, tool_handler=handler)
        assert again.output == "It is 20 in Ulm"
    assert [call["type"] for call in asked] == ["function"] * 2
    assert [call["function"]["name"] for call in asked] == ["get_weather"] * 2
    assert [arguments_of(call) for call in asked] == [{"city": "Bern"}, {"city": "Ulm"}]


@scenario.requirement("NOU-18")
async def an_async_handler_is_for_the_awaiting_client(stage: Stage) -> None:
    async def handler(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return weather(calls)

    async with stage.flow("weather") as flow:
        try:
            result = await stage.call(flow.execute, "Bern", tools=TOOLS, tool_handler=handler)
        except TypeError:
            assert stage.blocking
            return
        assert not stage.blocking
        assert result.output == "It is 20 in Bern"
        assert [each.output for each in await stage.all(flow.steps("Bern", tools=TOOLS, tool_handler=handler))] == [
            "It is 20 in Bern"
        ]


@scenario.requirement("NOU-19")
async def a_pause_is_answered_by_hand(stage: Stage) -> None:
    async with stage.flow("weather") as flow:
        paused = await stage.call(flow.execute, "Bern", tools=TOOLS)
        assert paused.status == "tool_calls_required"
        assert paused.paused_at_step == "weather"
        assert paused.iterations_used == 1
        assert paused.block_count == 1
        assert [arguments_of(call) for call in paused.tool_calls] == [{"city": "Bern"}]
        done = await stage.resumed(paused, weather(paused.tool_calls))
        assert done.output == "It is 20 in Bern"
        assert done.execution_id == paused.execution_id
        for key in ("output", "content"):
            for name in ("tool_call_id", "toolCallId"):
                paused = await stage.call(flow.execute, "Ulm", tools=TOOLS)
                entry = {"role": "tool", name: paused.tool_calls[0]["id"], key: "7"}
                assert (await stage.resumed(paused, [entry])).output == "It is 7 in Ulm"


@scenario.requirement("NOU-20")
async def rounds_have_a_limit_that_the_client_keeps(stage: Stage) -> None:
    asked: list[Any] = []

    def handler(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
        asked.append(calls)
        return weather(calls)

    async with stage.flow("weather") as flow:
        async with stage.raises("ToolCallLimitError") as caught:
            await stage.call(flow.execute, "Bern", tools=TOOLS, tool_handler=handler, max_tool_rounds=0)
        async with stage.raises("ToolCallLimitError"):
            await stage.all(flow.events("Bern", tools=TOOLS, tool_handler=handler, max_tool_rounds=0))
        assert asked == []
        assert caught[0].code == "TOOL_CALL_LIMIT_CLIENT"
        assert caught[0].execution_id
        done = await stage.call(flow.execute, "Bern", tools=TOOLS, tool_handler=handler, max_tool_rounds=1)
        assert done.output == "It is 20 in Bern"


@scenario.requirement("NOU-24")
async def results_must_fit_the_calls(stage: Stage) -> None:
    async with stage.flow("weather") as flow:
        paused = await stage.call(flow.execute, "Bern", tools=TOOLS)
        right = weather(paused.tool_calls)
        wrong: list[list[dict[str, Any]]] = [
            [],
            [{"tool_call_id": "call_of_another", "output": "20"}],
            [*right, {"tool_call_id": "call_of_another", "output": "20"}],
            [*right, *right],
        ]
        for results in wrong:
            async with stage.raises("FlowExecutionError") as caught:
                await stage.resumed(paused, results)
            assert (caught[0].status_code, caught[0].code) == (400, "TOOL_RESULTS_MISMATCH")
        assert (await stage.resumed(paused, right)).output == "It is 20 in Bern"


@scenario.requirement("NOU-60")
async def a_run_with_tools_is_one_recording_and_replays(stage: Stage) -> None:
    async with stage.client() as client:
        flow = client.flow("demo/basics/weather")
        async with stage.scope() as scope:
            first = await stage.call(flow.execute, "Bern", tools=TOOLS, tool_handler=weather)
        [recorded] = (await stage.session(scope.session_id))["executions"]
        assert recorded["executionId"] == first.execution_id
        assert recorded["status"] == "completed"
        asked: list[Any] = []
        async with stage.replaying(client, scope.session_id):
            again = await stage.call(flow.execute, "Bern", tools=TOOLS, tool_handler=asked.append)
    assert again.output == first.output == "It is 20 in Bern"
    assert asked == []
