"""The request builder, and plain and streamed calls over a scripted port."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from tests.ai.client.acme import KEY, body_of, call_of, delta, frame, kinds, manifest, refusal, streamed, whole

from dragoman.ai.client import AiClient, CancelToken, create_cancel_pair
from dragoman.ai.errors import AiLibError, PipelineError, ProtocolError, RemoteError, TransportError, ValidationError
from dragoman.ai.types import Message, StreamingEvent, ToolDefinition
from dragoman.core.errors import ConnectionFailed
from dragoman.testing import ScriptedIO
from dragoman.transport.scripted import Reply
from dragoman.wire.http import Headers, Response


def weather(city: str) -> str:
    """How the weather is."""
    return f"sun in {city}"


# ---------------------------------------------------------------------------------- the builder


@pytest.mark.requirement("AIP-50")
async def test_every_setter_returns_the_builder_and_reaches_the_body(client_of) -> None:
    client, io = await client_of([whole()])
    chat = client.chat()
    steps = [
        chat.system("Be brief."),
        chat.user("Hi"),
        chat.assistant("Yes?"),
        chat.add_message({"role": "user", "content": "Why?"}),
        chat.temperature(0.5),
        chat.max_tokens(64),
        chat.top_p(0.9),
        chat.stop(["x"]),
        chat.tools([ToolDefinition.from_function("f"), weather, {"function": {"name": "g"}}]),
        chat.tool_choice("auto"),
        chat.response_format({"type": "json_object"}),
        chat.param("seed", 7),
        chat.param("own", {"a": {"b": 1}}),
        chat.param("own", {"a": {"c": 2}}),
        chat.headers({"x-call": "1"}),
        chat.timeout(9),
    ]
    assert all(step is chat for step in steps)
    await chat.execute()
    body = body_of(io)
    assert [message["role"] for message in body["messages"]] == ["system", "user", "assistant", "user"]
    assert (body["temperature"], body["max_tokens"], body["top_p"], body["stop"]) == (0.5, 64, 0.9, ["x"])
    assert [tool["function"]["name"] for tool in body["tools"]] == ["f", "weather", "g"]
    assert (body["tool_choice"], body["seed"], body["model"]) == ("auto", 7, "acme-1")
    assert body["response_format"] == {"type": "json_object"}
    assert body["own"] == {"a": {"b": 1, "c": 2}}
    request = io.requests[0]
    assert (request.headers["x-call"], request.timeouts.read) == ("1", 9)


@pytest.mark.requirement("AIP-50")
async def test_standard_names_given_as_param_go_where_their_setters_put_them(client_of) -> None:
    client, _ = await client_of([])
    chat = client.chat().user("Hi").param("n", 2).param("stop_sequences", "x").param("reasoning_effort", "low")
    chat.param("system_message", "S").param("tools", [weather]).param("max_tokens", 5)
    body = chat.build_payload()
    assert (body["stop"], body["reasoning_effort"], body["max_tokens"]) == (["x"], "low", 5)
    assert [message["role"] for message in body["messages"]] == ["user", "system"]
    assert "stop_sequences" not in body
    for name, value in (("stream", True), ("n", 0)):
        with pytest.raises(ValidationError):
            client.chat().param(name, value)


@pytest.mark.requirement("AIP-50")
async def test_a_builder_copies_what_it_is_given_and_can_be_sent_many_times(client_of) -> None:
    client, io = await client_of([whole(), whole()])
    mine = [Message.user("one")]
    tools: list[Any] = [weather]
    chat = client.chat().messages(mine).tools(tools).add_message(Message.user("two"))
    assert len(mine) == 1
    assert chat.build_payload() == chat.build_payload()
    tools.clear()
    other = chat.copy().user("three").param("x", 1)
    await chat.execute()
    await other.execute()
    assert [len(body_of(io, number)["messages"]) for number in (0, 1)] == [2, 3]
    assert "x" not in body_of(io, 0)
    assert body_of(io, 0)["tools"]
    assert mine[0].content == "one"


@pytest.mark.requirement("AIP-50")
async def test_what_is_no_message_and_no_tool_is_refused_with_its_field(client_of) -> None:
    client, _ = await client_of([])
    for bad, field in (([5], "messages"), ([{"role": "nobody", "content": ""}], "messages")):
        with pytest.raises(ValidationError) as caught:
            client.chat().messages(bad)
        assert caught.value.field == field
    for tool in (5, {"no": "function"}):
        with pytest.raises(ValidationError) as caught:
            client.chat().tools([tool])
        assert caught.value.field == "tools"
    with pytest.raises(ValidationError):
        client.chat().timeout(0)


# ---------------------------------------------------------------------------------- plain calls


@pytest.mark.requirement("AIP-51", "AIP-54")
async def test_a_plain_call_gives_the_answer_and_what_it_took(client_of) -> None:
    client, io = await client_of([whole("Hi", **{"x-left": "4", "x-reset": "1m30s", "x-request-id": "r9"})])
    response, stats = await client.chat().user("Hello").execute_with_stats()
    assert (response.content, response.model, response.stop_reason) == ("Hi", "acme-1-0", "end_turn")
    assert (response.prompt_tokens, response.completion_tokens, response.total_tokens) == (3, 2, 5)
    assert response.rate_limits == {"requests_remaining": 4, "requests_reset": 90}
    assert response.request_id == "r9"
    assert response.raw_response["id"] == "r"
    assert (stats.provider, stats.model, stats.endpoint) == ("acme", "acme-1", "/chat/completions")
    assert (stats.prompt_tokens, stats.total_tokens, stats.retry_count) == (3, 5, 0)
    assert stats.latency_ms > 0
    assert io.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert "stream" not in body_of(io) or body_of(io)["stream"] is False


@pytest.mark.requirement("AIP-51")
async def test_errors_of_a_plain_call_have_their_classes_and_name_who_was_asked(client_of) -> None:
    html = Response(200, Headers({"content-type": "text/html"}), b"<html>busy</html>")
    script = [refusal(401), html, Response(204), whole(status=503), ConnectionFailed("no")]
    client, _ = await client_of(script)
    expected: list[type[AiLibError]] = [RemoteError, PipelineError, PipelineError, RemoteError, TransportError]
    for error_class in expected:
        with pytest.raises(error_class) as caught:
            await client.chat().user("Hello").execute()
        [attempt] = caught.value.attempts
        assert (attempt.provider, attempt.model, attempt.error) == ("acme", "acme-1", caught.value)


@pytest.mark.requirement("AIP-51")
async def test_a_capability_that_the_manifest_denies_is_refused_before_sending(client_of) -> None:
    client, io = await client_of([whole()], changes={"capabilities": {"streaming": False, "tools": False}})
    with pytest.raises(ValidationError) as caught:
        await client.chat().user("x").tools([weather]).execute()
    assert caught.value.standard_code.code == "E1005"
    with pytest.raises(ValidationError):
        await client.chat().user("x").collect()
    assert io.requests == []


@pytest.mark.requirement("AIP-16")
async def test_a_missing_key_fails_before_sending_and_names_the_variable(client_of, monkeypatch) -> None:
    monkeypatch.delenv("ACME_TOKEN")
    client, io = await client_of([], allow_keyring=False)
    for call in (client.chat().user("x").execute, client.chat().user("x").collect):
        with pytest.raises(ProtocolError, match="ACME_TOKEN"):
            await call()
    assert io.requests == []


# -------------------------------------------------------------------------------------- streams


@pytest.mark.requirement("AIP-51")
async def test_a_stream_sends_nothing_before_its_first_event_and_ends_with_stream_end(client_of) -> None:
    client, io = await client_of([streamed("Hel", "lo")])
    stream = client.chat().user("x").stream()
    assert io.requests == []
    assert await stream is stream
    events = [event async for event in stream]
    assert "".join(event.data.content for event in events if event.is_content_delta) == "Hello"
    assert kinds(events)[-1] == "StreamEnd"
    assert kinds(events).count("StreamEnd") == 1
    assert events[-1].as_stream_end.usage["total_tokens"] == 5
    assert body_of(io)["stream"] is True
    assert io.open_streams == []
    assert [event async for event in stream] == []


@pytest.mark.requirement("AIP-51", "AIP-54")
async def test_a_stream_with_stats_times_its_first_output_and_counts_tokens() -> None:
    now = [0.0]
    pause = [frame(choices=[{"index": 0, "delta": {"role": "assistant"}}]), 0.5, delta("Hi", "stop")]
    io = ScriptedIO([Reply([*pause, 0.25, b"data: [DONE]\n\n"])])
    client = await AiClient.from_manifest(manifest(), "acme-1", io=io, clock=io.now)
    stream, stats = await client.chat().user("x").stream_with_stats()
    now[0] = io.now()
    async for event in stream:
        if event.is_content_delta:
            assert stats.time_to_first_token_ms == 500
    assert (stats.latency_ms, stats.provider, stats.retry_count) == (750, "acme", 0)
    assert now == [0.0]


@pytest.mark.requirement("AIP-51")
async def test_collect_folds_a_stream_into_a_response(client_of) -> None:
    client, io = await client_of([streamed("Hel", "lo", headers={"x-left": "2", "x-request-id": "r3"})])
    response = await client.chat().user("x").collect()
    assert (response.content, response.stop_reason, response.total_tokens) == ("Hello", "end_turn", 5)
    assert (response.rate_limits, response.request_id) == ({"requests_remaining": 2}, "r3")
    assert io.open_streams == []


@pytest.mark.requirement("AIP-35")
async def test_leaving_a_loop_early_closes_the_answer_though_the_stream_is_still_held(client_of) -> None:
    client, io = await client_of([streamed("a", "b", "c")] * 4)
    stream = client.chat().user("x").stream()
    async for _ in stream:
        break
    await anyio.wait_all_tasks_blocked()
    assert io.open_streams == []
    assert [event async for event in stream] == []
    async with client.chat().user("x").stream() as stream:
        await anext(stream)
        assert len(io.open_streams) == 1
    assert io.open_streams == []
    stream = client.chat().user("x").stream()
    await anext(stream)
    await stream.aclose()
    await stream.aclose()
    assert io.open_streams == []
    unread = client.chat().user("x").stream()
    await unread.aclose()
    assert [event async for event in unread] == []
    assert len(io.requests) == 3


@pytest.mark.requirement("AIP-51")
async def test_single_steps_and_a_loop_share_one_iteration(client_of) -> None:
    client, _ = await client_of([streamed("a", "b")])
    stream = client.chat().user("x").stream()
    first = await anext(stream)
    rest = [event async for event in stream]
    assert first.data.content == "a"
    assert rest[0].data.content == "b"


@pytest.mark.requirement("AIP-33")
async def test_a_stream_that_breaks_off_raises_with_what_there_was(client_of) -> None:
    client, io = await client_of([[delta("Half")], [delta("Half")]])
    stream = client.chat().user("x").stream()
    assert (await anext(stream)).data.content == "Half"
    with pytest.raises(TransportError) as caught:
        await anext(stream)
    assert (caught.value.kind, caught.value.partial.content) == ("stream_truncated", "Half")
    with pytest.raises(TransportError):
        await client.chat().user("x").collect()
    assert io.open_streams == []


@pytest.mark.requirement("AIP-33")
async def test_a_stream_that_breaks_off_before_any_event_raises_as_well(client_of) -> None:
    client, _ = await client_of([[]])
    with pytest.raises(TransportError) as caught:
        await anext(client.chat().user("x").stream())
    assert caught.value.kind == "stream_truncated"


@pytest.mark.requirement("AIP-33")
async def test_a_break_after_the_answer_was_complete_is_no_error(client_of) -> None:
    client, _ = await client_of([[delta("All", "stop"), ConnectionFailed("late")]])
    assert (await client.chat().user("x").collect()).content == "All"


@pytest.mark.requirement("AIP-33")
@pytest.mark.parametrize("before", [[], [delta("Half")]])
async def test_an_error_frame_is_an_event_for_who_iterates_and_raised_for_who_collects(client_of, before) -> None:
    error = frame(error={"message": "too much", "type": "server_error"})
    client, io = await client_of([[*before, error], [*before, error]])
    events = [event async for event in client.chat().user("x").stream()]
    assert kinds(events) == ["PartialContentDelta"] * len(before) + ["StreamError", "StreamEnd"]
    assert events[-1].as_stream_end.finish_reason == "error"
    with pytest.raises(RemoteError, match="too much"):
        await client.chat().user("x").collect()
    assert io.open_streams == []


@pytest.mark.requirement("AIP-51")
async def test_a_whole_json_answer_to_a_stream_request_is_read_as_one(client_of) -> None:
    client, _ = await client_of([whole("Hi")])
    assert (await client.chat().user("x").collect()).content == "Hi"


@pytest.mark.requirement("AIP-51")
async def test_a_page_instead_of_a_stream_raises_with_status_and_type(client_of) -> None:
    client, _ = await client_of([Response(200, Headers({"content-type": "text/html"}), b"<html>login</html>")])
    with pytest.raises(PipelineError, match="text/html"):
        await client.chat().user("x").collect()


@pytest.mark.requirement("AIP-63", "AIP-115")
async def test_no_limit_passes_while_bytes_come_and_one_passes_when_they_do_not() -> None:
    alive = [b": wait\n\n", 4.0] * 30
    io = ScriptedIO([Reply([delta("a"), *alive, delta("b", "stop")]), Reply([delta("a"), 6.0, delta("b", "stop")])])
    client = await AiClient.from_manifest(manifest(), "acme-1", io=io, timeout=5)
    assert (await client.chat().user("x").collect()).content == "ab"
    assert io.now() == 120
    with pytest.raises(TransportError) as caught:
        await client.chat().user("x").collect()
    assert caught.value.kind == "timeout_read"


@pytest.mark.requirement("AIP-34")
async def test_streams_of_one_client_do_not_share_anything(client_of) -> None:
    def tool(index: int, name: str) -> bytes:
        return frame(choices=[{"index": 0, "delta": {"tool_calls": [{"index": index, **call_of(name, "{}", name)}]}}])

    def script(request: Any) -> Reply:
        name = "first" if b"first" in request.body else "second"
        return Reply([tool(0, name), frame(choices=[{"index": 0, "delta": {}, "finish_reason": "tool_calls"}])])

    client, _ = await client_of(script)
    first, second = (client.chat().user(name).stream() for name in ("first", "second"))
    seen: dict[str, list[StreamingEvent]] = {"first": [await anext(first)], "second": [await anext(second)]}
    seen["first"] += [event async for event in first]
    seen["second"] += [event async for event in second]
    for name, events in seen.items():
        assert [event.data.tool_name for event in events if event.is_tool_call_started] == [name]


# --------------------------------------------------------------------------------- cancellation


@pytest.mark.requirement("AIP-57")
async def test_a_token_ends_a_stream_without_an_error_and_a_collecting_call_with_one(client_of) -> None:
    client, io = await client_of([streamed("a", "b")] * 3)
    handle, token = create_cancel_pair()
    seen = []
    async for event in client.chat().user("x").cancel(token).stream():
        seen.append(event)
        handle.cancel()
    assert kinds(seen) == ["PartialContentDelta"]
    assert io.open_streams == []
    with pytest.raises(AiLibError) as caught:
        await client.chat().user("x").cancel(token).collect()
    assert (caught.value.error_class, caught.value.standard_code.code) == ("cancelled", "E4002")
    assert [event async for event in client.chat().user("x").cancel(handle).stream()] == []
    assert len(io.requests) == 1


@pytest.mark.requirement("AIP-57")
async def test_a_token_that_is_cancelled_already_sends_nothing(client_of) -> None:
    client, io = await client_of([whole()])
    token = CancelToken()
    token.cancel()
    with pytest.raises(AiLibError) as caught:
        await client.chat().user("x").cancel(token).execute()
    assert caught.value.error_class == "cancelled"
    assert io.requests == []


# ------------------------------------------------------------------------------- several answers
