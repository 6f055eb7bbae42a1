"""`execute`: bodies, versions, results."""

from __future__ import annotations

from typing import Any

import pytest
from tests.noukai.shells import COMPLETED, FLOW, PAUSED, Shell, answer, body_of, path_of, scripted

from dragoman.noukai import ChatMessage, ExecuteResult, FlowExecutionError, PausedResult
from dragoman.noukai.types import API_VERSION


@pytest.mark.requirement("NOU-05", "NOU-06")
async def test_a_result_and_the_request_behind_it(shell: Shell) -> None:
    io = scripted(answer({**COMPLETED, "result": {"köln": [1, None]}}))
    result = await shell.call(shell.client(io).flow(FLOW).execute, "Grüße 🦉")
    assert isinstance(result, ExecuteResult)
    assert result.result == result.output == {"köln": [1, None]}
    assert (result.status, result.flow_id, result.block_count, result.execution_id) == ("completed", "f1", 2, "r1")
    assert (result.session_id, result.requires_tool_calls) == (None, False)
    assert "session_id" not in result.model_dump()
    [request] = io.requests
    assert (request.method, path_of(request)) == ("POST", "/seq/acme/spelling/grade-3/execute")
    assert request.headers["authorization"] == "Bearer nk_test"
    assert request.headers["x-noukai-api-version"] == API_VERSION
    assert not request.headers["user-agent"].startswith("noukai-python")
    assert body_of(io) == {
        "message": "Grüße 🦉",
        "parameters": {},
        "iterationsUsed": 0,
        "accumulatedOutputs": {},
        "trace": False,
    }


@pytest.mark.requirement("NOU-07")
async def test_every_option_reaches_the_wire(shell: Shell) -> None:
    io = scripted(answer(COMPLETED))
    options: dict[str, Any] = {
        "parameters": {"unit": None},
        "block_overrides": {"ask": {"temperature": 0.2, "top": None}},
        "attachments": [{"url": "https://files.example/a.png", "mime_type": "image/png"}],
        "tools": [{"type": "function", "function": {"name": "get_weather"}}],
        "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
    }
    await shell.call(shell.client(io).flow(FLOW).execute, message="x", trace=True, timeout=7.0, **options)
    body = body_of(io)
    assert body["parameters"] == {"unit": None}
    assert body["blockOverrides"] == options["block_overrides"]
    assert body["attachments"] == options["attachments"]
    assert (body["tools"], body["toolChoice"], body["trace"]) == (options["tools"], options["tool_choice"], True)
    assert io.requests[0].timeouts.read == 7.0


@pytest.mark.requirement("NOU-33", "NOU-35", "NOU-95")
@pytest.mark.parametrize(
    ("version", "segment"), [(None, ""), ("production", ""), ("draft", "/v0"), (0, "/v0"), (3, "/v3")]
)
async def test_versions_and_their_paths(shell: Shell, version: Any, segment: str) -> None:
    last = b'data: {"eventType": "flow_completed", "executionId": "r"}\n\n'
    io = scripted(answer(COMPLETED), [last], [last], answer({**COMPLETED, "status": "pending"}, 202))
    flow = shell.client(io).flow(FLOW)
    await shell.call(flow.execute, "x", version=version)
    assert len(await shell.events(flow.events("x", version=version))) == 1
    assert await shell.events(flow.steps("x", version=version)) == []
    await shell.call(flow.execute_async, "x", version=version)
    base = f"/seq/acme/spelling/grade-3{segment}"
    assert [path_of(each) for each in io.requests] == [f"{base}/{end}" for end in ("execute", "step", "step", "jobs")]


@pytest.mark.requirement("NOU-33")
@pytest.mark.parametrize("version", [True, False, -1, "latest", "3", 1.5])
async def test_other_versions_are_refused_before_anything_is_sent(shell: Shell, version: Any) -> None:
    io = scripted()
    flow = shell.client(io).flow(FLOW)
    for method in (flow.execute, flow.execute_async):
        with pytest.raises(ValueError, match="Invalid version"):
            await shell.call(method, "x", version=version)
    for stream in (flow.events, flow.steps):
        with pytest.raises(ValueError, match="Invalid version"):
            stream("x", version=version)
    assert io.requests == []


@pytest.mark.requirement("NOU-70")
async def test_messages_stand_in_for_a_message_everywhere(shell: Shell) -> None:
    end = b'data: {"eventType": "flow_completed", "executionId": "r"}\n\n'
    io = scripted(answer(COMPLETED), [end], answer({**COMPLETED, "status": "pending"}, 202))
    flow = shell.client(io).flow(FLOW)
    turns = [
        ChatMessage(role="assistant", content=None, tool_calls=[{"id": "c"}], custom=7),
        {"role": "tool", "toolCallId": "c", "content": {"t": 20}},
        {"role": "user", "content": "and now?"},
    ]
    await shell.call(flow.execute, messages=turns)
    await shell.events(flow.events(messages=turns))
    await shell.call(flow.execute_async, messages=turns)
    sent = [
        {"role": "assistant", "toolCalls": [{"id": "c"}], "custom": 7},
        {"role": "tool", "content": {"t": 20}, "toolCallId": "c"},
        {"role": "user", "content": "and now?"},
    ]
    for index in range(3):
        assert body_of(io, index)["messages"] == sent
        assert "message" not in body_of(io, index)


@pytest.mark.requirement("NOU-71")
async def test_roles_and_exclusivity_are_checked_before_the_request(shell: Shell) -> None:
    io = scripted(answer(COMPLETED))
    flow = shell.client(io).flow(FLOW)
    for role in ("system", "function", "developer"):
        with pytest.raises(ValueError, match="not allowed"):
            await shell.call(flow.execute, messages=[{"role": role, "content": "x"}])
    with pytest.raises(ValueError, match="needs a role"):
        await shell.call(flow.execute, messages=[{"content": "x"}])
    with pytest.raises(ValueError, match="not both"):
        await shell.call(flow.execute, "hi", messages=[{"role": "user", "content": "hi"}])
    assert io.requests == []
    await shell.call(flow.execute, "hi", messages=[])
    assert "messages" not in body_of(io)


@pytest.mark.requirement("NOU-07")
async def test_what_json_cannot_say_is_refused_before_anything_is_sent(shell: Shell) -> None:
    io = scripted()
    with pytest.raises(ValueError, match="serialize"):
        await shell.call(shell.client(io).flow(FLOW).execute, "x", parameters={"a": object()})
    assert io.requests == []


@pytest.mark.requirement("NOU-70")
async def test_large_messages_warn(shell: Shell) -> None:
    io = scripted(answer(COMPLETED))
    with pytest.warns(UserWarning, match="bytes"):
        await shell.call(shell.client(io).flow(FLOW).execute, messages=[{"role": "user", "content": "x" * 900_001}])


@pytest.mark.requirement("NOU-05")
async def test_a_pause_is_returned_as_it_is(shell: Shell) -> None:
    paused = await shell.call(shell.client(scripted(answer(PAUSED))).flow(FLOW).execute, "Bern")
    assert isinstance(paused, PausedResult)
    assert (paused.status, paused.paused_at_step, paused.iterations_used) == ("tool_calls_required", "weather", 1)
    assert paused.tool_calls == PAUSED["toolCalls"]
    assert paused.accumulated_outputs == {"upper": "HI"}
    assert paused.requires_tool_calls


@pytest.mark.requirement("NOU-05")
@pytest.mark.parametrize("body", [{"status": "completed"}, [], "text", None])
async def test_an_answer_that_is_no_result_is_an_error_with_the_body(shell: Shell, body: Any) -> None:
    client = shell.client(scripted(answer(body, x_request_id="q1")))
    with pytest.raises(FlowExecutionError, match="ExecuteResult") as caught:
        await shell.call(client.flow(FLOW).execute, "x")
    error = caught.value
    assert (error.code, error.request_id, error.response_body) == ("INVALID_ANSWER", "q1", body)


@pytest.mark.requirement("NOU-05")
async def test_a_failed_status_in_a_good_answer_is_accepted(shell: Shell) -> None:
    client = shell.client(scripted(answer({**COMPLETED, "status": "failed", "result": None})))
    assert (await shell.call(client.flow(FLOW).execute, "x")).status == "failed"
