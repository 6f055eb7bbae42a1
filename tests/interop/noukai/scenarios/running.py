"""`execute`: results, inputs, versions, sizes of values."""

from __future__ import annotations

from tests.interop.noukai.registry import scenario
from tests.interop.noukai.stage import TOOLS, Stage


@scenario.requirement("NOU-05")
async def a_flow_of_one_step_gives_its_result(stage: Stage) -> None:
    async with stage.flow("echo") as flow:
        text = "Grüezi, 世界 🌍\nzweite Zeile"
        result = await stage.call(flow.execute, text)
    assert result.status == "completed"
    assert result.result == result.output == text
    assert result.execution_id
    assert isinstance(result.flow_id, str)
    assert result.block_count == 1
    assert result.requires_tool_calls is False
    assert result.session_id is None


@scenario.requirement("NOU-06")
async def a_flow_of_several_steps_has_one_id_for_good(stage: Stage) -> None:
    async with stage.flow("two-step") as flow:
        first, second = await stage.call(flow.execute, "hi"), await stage.call(flow.execute, "ho")
    assert (first.output, second.output) == ("HI!", "HO!")
    assert first.block_count == 2
    assert first.flow_id == second.flow_id
    assert first.execution_id != second.execution_id


@scenario.requirement("NOU-07")
async def all_arguments_are_taken_and_overrides_count(stage: Stage) -> None:
    async with stage.flow("two-step") as flow:
        result = await stage.call(
            flow.execute,
            "hi",
            parameters={"unit": "C", "none": None, "deep": {"none": None}},
            block_overrides={"exclaim": {"suffix": "?"}},
            attachments=[{"url": "https://files.example/a.png", "mime_type": "image/png"}],
            trace=True,
            timeout=20.0,
        )
        assert result.output == "HI?"
        async with stage.raises("FlowExecutionError") as caught:
            await stage.call(flow.execute, "hi", block_overrides={"nothing": {"suffix": "?"}})
        assert (caught[0].status_code, caught[0].code) == (400, "BLOCK_OVERRIDES_INVALID")


@scenario.requirement("NOU-08")
async def a_flow_that_needs_a_message_says_so(stage: Stage) -> None:
    async with stage.flow("echo") as flow, stage.raises("FlowExecutionError") as caught:
        await stage.call(flow.execute)
    assert (caught[0].status_code, caught[0].code) == (400, "MISSING_MESSAGE")


@scenario.requirement("NOU-09")
async def a_model_step_answers(stage: Stage) -> None:
    async with stage.flow("model") as flow:
        result = await stage.call(flow.execute, "echo: Hallo Welt")
        assert result.output == "Hallo Welt"
        trace = await stage.call(flow.run(result.execution_id).trace)
    assert trace.steps[0].model_used
    assert trace.steps[0].tokens.total > 0


@scenario.requirement("NOU-21")
async def results_have_each_shape(stage: Stage) -> None:
    async with stage.flow("echo") as flow:
        for text in (" ", "x" * 100_000, '{"a": [1, null, "ä"]}', "\x00\x1f\u2028", "\\u0000"):
            assert (await stage.call(flow.execute, text)).output == text
    async with stage.flow("weather") as flow:
        paused = await stage.call(flow.execute, "Bern", tools=TOOLS)
        assert paused.requires_tool_calls is True
        value = {"degrees": 20.5, "sky": ["blue", None, True], "deep": {"a": {"b": []}}}
        done = await stage.resumed(paused, [{"tool_call_id": paused.tool_calls[0]["id"], "output": value}])
        assert done.output.startswith("It is ")
        assert "20.5" in done.output


@scenario.requirement("NOU-33")
async def a_version_is_chosen_by_its_number(stage: Stage) -> None:
    async with stage.flow("versions") as flow:
        assert (await stage.call(flow.execute, "x", version=1)).output == "v1:x"
        assert (await stage.call(flow.execute, "x", version=2)).output == "v2:x"
        assert [each.output for each in await stage.all(flow.steps("x", version=1))] == ["v1:x"]
        draft = await stage.call(flow.execute, "x", version="draft")
        assert draft.output == "draft:x"
        numbered = await stage.call(flow.execute, "x", version=1)
        assert numbered.flow_id == draft.flow_id


@scenario.requirement("NOU-34")
async def an_unknown_version_is_not_found(stage: Stage) -> None:
    async with stage.flow("versions") as flow:
        async with stage.raises("FlowNotFoundError") as caught:
            await stage.call(flow.execute, "x", version=77)
        assert (caught[0].status_code, caught[0].code) == (404, "FLOW_VERSION_NOT_FOUND")
        async with stage.raises("FlowNotFoundError"):
            await stage.all(flow.events("x", version=77))


@scenario.requirement("NOU-35")
async def the_base_path_means_what_the_clients_generation_means(stage: Stage) -> None:
    async with stage.flow("versions") as flow:
        base = (await stage.call(flow.execute, "x")).output
        assert base == ("v2:x" if stage.release >= (0, 5) else "draft:x")
        if stage.release >= (0, 5):
            assert (await stage.call(flow.execute, "x", version="production")).output == "v2:x"
        else:
            try:
                await stage.call(flow.execute, "x", version="production")
            except NotImplementedError:
                return
            raise AssertionError("0.2 has no production version")
