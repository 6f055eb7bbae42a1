"""What a request may say: every field that is wrong is named, and nobody is asked; what a model cannot give is told."""

from __future__ import annotations

from typing import Any

import pytest
from tests.ai.wires.server import Reply, serving
from tests.ai.wires.speak import speaker_of
from tests.server.openai.gateway import CHAT, app_of, asking

from dragoman import Agent, App, provider_model

TOOL = {"type": "function", "function": {"name": "add"}}

WRONG: list[tuple[Any, str | None]] = [
    ([], "body"),
    ({"messages": [{"role": "user", "content": "x"}]}, "model"),
    ({"model": "near"}, "messages"),
    ({"model": "near", "messages": []}, "messages"),
    ({"model": "near", "messages": ["x"]}, "messages[0]"),
    ({"model": "near", "messages": [{"role": "nobody", "content": "x"}]}, "messages[0].role"),
    ({"model": "near", "messages": [{"content": "x"}]}, "messages[0].role"),
    ({"model": "near", "messages": [{"role": "user"}]}, "messages[0].content"),
    ({"model": "near", "messages": [{"role": "user", "content": 1}]}, "messages[0].content"),
    ({"model": "near", "messages": [{"role": "user", "content": [{"type": "x"}]}]}, "messages[0].content[0].type"),
    (
        {
            "model": "near",
            "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}],
        },
        "messages[0].content[0].image_url.url",
    ),
    (
        {
            "model": "near",
            "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://[::1"}}]}],
        },
        "messages[0].content[0].image_url.url",
    ),
    (
        {"model": "near", "messages": [{"role": "assistant", "thinking_blocks": [{"thinking": 1}]}]},
        "messages[0].thinking_blocks[0].thinking",
    ),
    (
        {"model": "near", "messages": [{"role": "assistant", "thinking_blocks": [{"data": 1}]}]},
        "messages[0].thinking_blocks[0].data",
    ),
    (
        {"model": "near", "messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}]},
        "messages[0].content[0].file.file_id",
    ),
    ({"model": "near", "messages": [{"role": "assistant", "content": None}]}, "messages[0].content"),
    ({"model": "near", "messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
    (asking(temperature="hot"), "temperature"),
    (asking(temperature=2.1), "temperature"),
    (asking(top_p=-1), "top_p"),
    (asking(frequency_penalty=3), "frequency_penalty"),
    (asking(presence_penalty=True), "presence_penalty"),
    (asking(max_tokens=0), "max_tokens"),
    (asking(max_tokens=1.5), "max_tokens"),
    (asking(max_tokens=1, max_completion_tokens=1), "max_tokens"),
    (asking(n=0), "n"),
    (asking(n=129), "n"),
    (asking(seed="x"), "seed"),
    (asking(stop=["a"] * 5), "stop"),
    (asking(stop=[1]), "stop[0]"),
    (asking(stream="yes"), "stream"),
    (asking(stream_options={"include_usage": True}), "stream_options"),
    (asking(stream=True, stream_options={"include_usage": 1}), "stream_options.include_usage"),
    (asking(store="x"), "store"),
    (asking(metadata={"a": 1}), "metadata.a"),
    (asking(metadata={str(n): "x" for n in range(17)}), "metadata"),
    (asking(metadata={"k" * 65: "x"}), "metadata"),
    (asking(metadata={"k": "x" * 513}), "metadata.k"),
    (asking(top_logprobs=1), "top_logprobs"),
    (asking(logprobs=True, top_logprobs=21), "top_logprobs"),
    (asking(logit_bias=[]), "logit_bias"),
    (asking(response_format={"type": "xml"}), "response_format.type"),
    (asking(response_format={"type": "json_schema"}), "response_format.json_schema"),
    (asking(response_format={"type": "json_schema", "json_schema": {}}), "response_format.json_schema.name"),
    (asking(reasoning_effort=1), "reasoning_effort"),
    (asking(verbosity="much"), "verbosity"),
    (asking(tools={}), "tools"),
    (asking(tools=[{"type": "function"}]), "tools[0].function"),
    (asking(tools=[{"type": "function", "function": {"name": ""}}]), "tools[0].function.name"),
    (asking(tools=[TOOL], functions=[{"name": "x"}]), "functions"),
    (asking(tool_choice="auto"), "tool_choice"),
    (asking(tools=[TOOL], tool_choice="perhaps"), "tool_choice"),
    (asking(tools=[TOOL], tool_choice={}), "tool_choice.type"),
    (asking(tools=[TOOL], tool_choice={"type": "function"}), "tool_choice.function"),
    (asking(tools=[TOOL], tool_choice={"type": "function", "function": {"name": "sub"}}), "tool_choice"),
    (asking(tools=[TOOL], tool_choice={"type": "custom", "custom": {}}), "tool_choice.custom.name"),
    (
        asking(tools=[TOOL], tool_choice={"type": "allowed_tools", "allowed_tools": {}}),
        "tool_choice.allowed_tools.mode",
    ),
    (
        asking(tools=[TOOL], tool_choice={"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [1]}}),
        "tool_choice.allowed_tools.tools[0]",
    ),
    (asking(function_call="auto"), "function_call"),
    (asking(functions=[{"name": "add"}], function_call="required"), "function_call"),
    (asking(functions=[{"name": "add"}], function_call={"name": "sub"}), "function_call"),
    (asking(parallel_tool_calls="x"), "parallel_tool_calls"),
    (asking(user=1), "user"),
    (asking(modalities="text"), "modalities"),
    (asking(**{f"k{n}": n for n in range(300)}), "body"),
    (asking(tools=[TOOL] * 1025), "tools"),
    (asking(functions=[{"name": "x"}] * 1025), "functions"),
    (
        asking(
            tools=[TOOL],
            tool_choice={"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [TOOL] * 1025}},
        ),
        "tool_choice.allowed_tools.tools",
    ),
    ({"model": "near", "messages": [{"role": "user", "content": "x"}] * 20_001}, "messages"),
    (
        {"model": "near", "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}] * 20_001}]},
        "messages",
    ),
]


@pytest.mark.parametrize(("body", "param"), WRONG)
async def test_a_field_that_is_wrong_is_named(start_inside: Any, body: Any, param: str) -> None:
    inside = await start_inside(app_of())
    if isinstance(body, dict) and body.get("model") == "far":
        body = {**body, "model": "near"}
    reply = await inside.ask("POST", CHAT, body)
    error = reply.json()["error"]
    assert reply.status == 400, reply.text
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert error["message"]
    assert error["code"]


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'{"model": NaN}'])
async def test_what_is_no_json_is_refused(start_inside: Any, content: bytes) -> None:
    inside = await start_inside(app_of())
    reply = await inside.ask("POST", CHAT, content=content)
    assert (reply.status, reply.json()["error"]["type"]) == (400, "invalid_request_error")


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"logprobs": True}, "logprobs"),
        ({"modalities": ["text", "audio"], "audio": {"voice": "x", "format": "wav"}}, "modalities"),
        ({"audio": {"voice": "x", "format": "wav"}}, "audio"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools"),
    ],
)
async def test_what_another_dialect_cannot_give_is_refused_before_it_is_asked(
    start_inside: Any, more: dict[str, Any], param: str
) -> None:
    async with serving([]) as provider:
        inside = await start_inside(app_of(provider.url, "anthropic"))
        reply = await inside.ask("POST", CHAT, asking(**more))
        assert not provider.requests
    assert (reply.status, reply.json()["error"]["param"]) == (400, param)
    assert reply.json()["error"]["code"] == "unsupported_parameter"


async def test_hints_that_another_dialect_has_no_word_for_are_left_out(start_inside: Any) -> None:
    speaker = speaker_of("anthropic")
    hints = {"user": "u", "verbosity": "low", "logit_bias": {}, "seed": 1, "frequency_penalty": 1, "of_tomorrow": 1}
    async with serving([Reply.json(speaker.plain("Hello"))]) as provider:
        inside = await start_inside(app_of(provider.url, "anthropic"))
        reply = await inside.ask("POST", CHAT, asking(temperature=0.5, max_tokens=9, stop="x", **hints))
        body = provider.requests[0].json()
    assert reply.status == 200, reply.text
    assert (body["temperature"], body["max_tokens"], body["stop_sequences"]) == (0.5, 9, ["x"])
    assert not hints.keys() & body.keys()


async def test_strictly_they_are_refused(start_inside: Any) -> None:
    async with serving([]) as provider:
        inside = await start_inside(app_of(provider.url, "anthropic"), settings={"openai.strict": True})
        reply = await inside.ask("POST", CHAT, asking(seed=1))
    assert (reply.status, reply.json()["error"]["param"]) == (400, "seed")


async def test_a_schema_for_the_answer_reaches_a_provider_of_another_dialect(start_inside: Any) -> None:
    speaker = speaker_of("gemini")
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": True}}
    async with serving([Reply.json(speaker.plain('{"a": 1}'))]) as provider:
        inside = await start_inside(app_of(provider.url, "gemini"))
        reply = await inside.ask("POST", CHAT, asking(response_format=form))
        body = provider.requests[0].json()
    assert reply.json()["choices"][0]["message"]["content"] == '{"a": 1}'
    assert "integer" in str(body["generationConfig"]).lower()


async def test_the_predecessor_of_tools_is_understood_and_answered_in_its_own_words(start_inside: Any) -> None:
    inside = await start_inside(app_of())
    functions = [{"name": "add", "parameters": {"type": "object"}}]
    body = asking("tool: add 2 3", "near", functions=functions)
    choice = (await inside.ask("POST", CHAT, body)).json()["choices"][0]
    assert choice["finish_reason"] == "function_call"
    called = choice["message"]["function_call"]
    assert called == {"name": "add", "arguments": '{"a":2,"b":3}'}
    said = [*body["messages"], choice["message"], {"role": "function", "name": "add", "content": "5"}]
    again = await inside.ask("POST", CHAT, {**body, "messages": said})
    assert again.json()["choices"][0]["message"]["content"] == "5"


async def test_a_body_that_is_too_large_is_refused(start_inside: Any) -> None:
    inside = await start_inside(app_of(), settings={"openai.limits.body": 1000})
    reply = await inside.ask("POST", CHAT, asking("x" * 2000, "near"))
    assert (reply.status, reply.json()["error"]["code"]) == (413, "request_too_large")


@pytest.mark.parametrize("token", [None, "nonsense"])
async def test_who_is_not_known_is_told_so(start_inside: Any, token: str | None) -> None:
    inside = await start_inside(app_of())
    reply = await inside.ask("POST", CHAT, asking(model="near"), token=token)
    error = reply.json()["error"]
    assert (reply.status, error["type"], error["code"]) == (401, "invalid_request_error", "invalid_api_key")
    assert reply.headers["www-authenticate"].startswith("Bearer")


async def test_what_a_model_cannot_do_is_no_field_of_the_request(start_inside: Any) -> None:
    """`param` names a field, and the manifest's word `capabilities` is none."""
    picture = [{"type": "image_url", "image_url": {"url": "https://x.org/a.png"}}]
    blind = provider_model("deepseek/deepseek-chat", api_key="k", base_url="http://127.0.0.1:1")
    inside = await start_inside(App("acme", agents=[Agent("a", model=blind)], models={"far": blind}))
    body = {"model": "far", "messages": [{"role": "user", "content": picture}]}
    for more in ({}, {"stream": True}, {"store": True}):
        reply = await inside.ask("POST", CHAT, {**body, **more})
        error = reply.json()["error"]
        assert (reply.status, error["param"], error["code"]) == (400, None, "unsupported_value")


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"logprobs": True}, "logprobs"),
        ({"modalities": ["text", "audio"], "audio": {"voice": "x", "format": "wav"}}, "modalities"),
    ],
)
@pytest.mark.parametrize("model", ["agent/helper", "near"])
async def test_nobody_gets_another_answer_than_was_asked_for(
    start_inside: Any, model: str, more: dict[str, Any], param: str
) -> None:
    inside = await start_inside(app_of())
    for way in ({}, {"stream": True}, {"store": True}):
        reply = await inside.ask("POST", CHAT, asking("json: {}", model, **more, **way))
        if (model, param) == ("near", "response_format"):
            assert reply.status == 200
        else:
            assert (reply.status, reply.json()["error"]["param"]) == (400, param)


async def test_strictly_an_agent_is_told_nothing_that_it_does_not_hear(start_inside: Any) -> None:
    inside = await start_inside(app_of(), settings={"openai.strict": True})
    heard = {"metadata": {"a": "b"}, "store": True, "n": 1, "user": None}
    assert (await inside.ask("POST", CHAT, asking("echo: x", "agent/helper", **heard))).status == 200
    reply = await inside.ask("POST", CHAT, asking("echo: x", "agent/helper", temperature=0))
    assert (reply.status, reply.json()["error"]["param"]) == (400, "temperature")


@pytest.mark.parametrize("model", ["nobody", "agent/nobody", "openai/gpt-4o", "no/such", "x/" + "y" * 300])
async def test_a_model_that_nobody_answers_for_is_not_found(
    start_inside: Any, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    inside = await start_inside(app_of())
    reply = await inside.ask("POST", CHAT, asking(model=model))
    assert (reply.status, reply.json()["error"]["code"]) == (404, "model_not_found")
    assert "OPENAI_API_KEY" not in reply.text


async def test_a_path_that_is_not_there_is_told_in_this_dialect(start_inside: Any) -> None:
    inside = await start_inside(app_of())
    reply = await inside.ask("POST", "/v1/responses", {})
    assert (reply.status, reply.json()["error"]["type"]) == (404, "invalid_request_error")
