"""Every family of wires behind the gateway: text, parallel calls, plain and streamed, and what reaches the provider."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.ai.wires.server import Reply, serving
from tests.ai.wires.speak import SPEAKERS, TOKENS, Call, Speaker, stream
from tests.server.openai.gateway import CHAT, app_of, asking, frames, text_of

from dragoman.server.metric_table import TOKENS as COUNTED

pytestmark = pytest.mark.requirement("AIP-111")
EVERY = pytest.mark.parametrize("speaker", [pytest.param(each, id=each.name) for each in SPEAKERS])
TOOLS = [{"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name in ("add", "now")]
CALLS = [Call("add", {"a": 2, "b": 3}, "call_a"), Call("now", {"zone": "UTC"}, "call_b")]


def calls_of(chunks: list[Any]) -> list[tuple[str, str]]:
    made: dict[int, list[str]] = {}
    for chunk in chunks:
        for choice in chunk["choices"] if chunk != "[DONE]" else ():
            for call in choice["delta"].get("tool_calls") or ():
                entry = made.setdefault(call["index"], ["", ""])
                entry[0] += call["function"].get("name") or ""
                entry[1] += call["function"].get("arguments") or ""
    return [(name, arguments) for name, arguments in made.values()]


@EVERY
async def test_a_stream_is_told_with_usage(start_inside: Any, speaker: Speaker) -> None:
    async with serving([stream(speaker, speaker.text(["Hé", "llo ", "you"]))]) as provider:
        inside = await start_inside(app_of(provider.url, speaker.name))
        reply = await inside.ask("POST", CHAT, asking(stream=True, stream_options={"include_usage": True}))
    told = frames(reply.body)
    assert (reply.status, text_of(told), told[-1]) == (200, "Héllo you", "[DONE]")
    assert told[0]["choices"][0]["delta"]["role"] == "assistant"
    assert [chunk["choices"][0]["finish_reason"] for chunk in told[:-1] if chunk["choices"]][-1] == "stop"
    usage = told[-2]["usage"]
    assert (told[-2]["choices"], usage["prompt_tokens"], usage["completion_tokens"]) == ([], *TOKENS)
    assert speaker.asked(provider.requests[0].json()) == "hi"


@EVERY
async def test_what_an_answer_has_used_is_counted_once(start_inside: Any, speaker: Speaker) -> None:
    said = [stream(speaker, speaker.text(["Hello"])), Reply.json(speaker.plain("Hello"))]
    async with serving(said) as provider:
        inside = await start_inside(app_of(provider.url, speaker.name))
        for times, streamed in enumerate((True, False), start=1):
            assert (await inside.ask("POST", CHAT, asking(stream=streamed))).status == 200
            for kind, count in zip(("prompt", "completion"), TOKENS, strict=True):
                assert inside.services.metrics.value(COUNTED, (("kind", kind),)) == count * times


@EVERY
async def test_without_a_wish_for_it_no_usage_is_told(start_inside: Any, speaker: Speaker) -> None:
    async with serving([stream(speaker, speaker.text(["Hello"]))]) as provider:
        inside = await start_inside(app_of(provider.url, speaker.name))
        reply = await inside.ask("POST", CHAT, asking(stream=True))
    assert not any(chunk.get("usage") for chunk in frames(reply.body)[:-1])
    assert all(chunk["choices"] for chunk in frames(reply.body)[:-1])


@EVERY
async def test_parallel_calls_survive(start_inside: Any, speaker: Speaker) -> None:
    async with serving([stream(speaker, speaker.calls(CALLS)), Reply.json(speaker.plain("", CALLS))]) as provider:
        inside = await start_inside(app_of(provider.url, speaker.name))
        streamed = await inside.ask("POST", CHAT, asking(stream=True, tools=TOOLS))
        plain = (await inside.ask("POST", CHAT, asking(tools=TOOLS))).json()
    told = frames(streamed.body)
    said = calls_of(told)
    assert [name for name, _ in said] == ["add", "now"]
    assert [json.loads(arguments) for _, arguments in said] == [{"a": 2, "b": 3}, {"zone": "UTC"}]
    assert [c["choices"][0]["finish_reason"] for c in told[:-1]][-1] == "tool_calls"
    message = plain["choices"][0]["message"]
    assert message["content"] is None
    assert [call["function"]["name"] for call in message["tool_calls"]] == ["add", "now"]
    assert plain["choices"][0]["finish_reason"] == "tool_calls"
    ids = [call["id"] for call in message["tool_calls"]]
    assert len({*ids}) == 2


@EVERY
async def test_a_plain_answer_is_told(start_inside: Any, speaker: Speaker) -> None:
    async with serving([Reply.json(speaker.plain("Hello"))]) as provider:
        inside = await start_inside(app_of(provider.url, speaker.name))
        reply = await inside.ask("POST", CHAT, asking())
    answer = reply.json()
    assert (reply.status, answer["object"]) == (200, "chat.completion")
    assert answer["choices"][0]["message"]["content"] == "Hello"
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert (answer["usage"]["prompt_tokens"], answer["usage"]["total_tokens"]) == (TOKENS[0], sum(TOKENS))
    assert isinstance(answer["created"], int)


@EVERY
async def test_results_of_tools_go_back(start_inside: Any, speaker: Speaker) -> None:
    called = {"id": "call_a", "type": "function", "function": {"name": "add", "arguments": '{"a":2,"b":3}'}}
    messages = [
        {"role": "user", "content": "add"},
        {"role": "assistant", "content": None, "tool_calls": [called]},
        {"role": "tool", "tool_call_id": "call_a", "content": "5"},
    ]
    async with serving([Reply.json(speaker.plain("It is 5"))]) as provider:
        inside = await start_inside(app_of(provider.url, speaker.name))
        reply = await inside.ask("POST", CHAT, {"model": "far", "messages": messages, "tools": TOOLS})
    assert reply.json()["choices"][0]["message"]["content"] == "It is 5"
    [(_, result)] = speaker.results(provider.requests[0].json())
    assert "5" in result


@EVERY
@pytest.mark.parametrize(("status", "told", "code"), [(400, 400, "invalid_request"), (404, 404, "model_not_found")])
async def test_what_a_provider_says_against_the_request_is_told(
    start_inside: Any, speaker: Speaker, status: int, told: int, code: str
) -> None:
    async with serving([Reply.json(speaker.refused(status), status)] * 2) as provider:
        inside = await start_inside(app_of(provider.url, speaker.name), settings={"errors.expose": False})
        for streamed in (False, True):
            reply = await inside.ask("POST", CHAT, asking(stream=streamed))
            assert (reply.status, reply.json()["error"]["code"]) == (told, code)
            assert f"refused with {status}" in reply.json()["error"]["message"]


@EVERY
@pytest.mark.parametrize("status", [401, 403])
async def test_that_the_servers_key_is_refused_is_no_matter_of_the_caller(
    start_inside: Any, speaker: Speaker, status: int
) -> None:
    async with serving([Reply.json(speaker.refused(status), status)]) as provider:
        inside = await start_inside(app_of(provider.url, speaker.name))
        reply = await inside.ask("POST", CHAT, asking())
    assert (reply.status, reply.json()["error"]["code"]) == (502, "provider_credentials")
    assert "refused with" not in reply.text
    assert "sk-secret" not in reply.text


@EVERY
@pytest.mark.parametrize(("status", "told"), [(500, 502), (503, 503), (504, 504)])
async def test_what_a_provider_says_of_itself_is_for_the_log(
    start_inside: Any, speaker: Speaker, status: int, told: int
) -> None:
    async with serving([Reply.json(speaker.refused(status), status)]) as provider:
        inside = await start_inside(app_of(provider.url, speaker.name), settings={"errors.expose": False})
        reply = await inside.ask("POST", CHAT, asking())
    assert reply.status == told
    assert reply.json()["error"]["type"] == "server_error"
    assert "refused with" not in reply.text


@EVERY
@pytest.mark.parametrize(("said", "told"), [("7", "7"), ("90000", "86400"), ("Fri, 31 Dec 9999 23:59:59 GMT", "86400")])
async def test_a_limit_of_the_provider_says_when_to_come_back(
    start_inside: Any, speaker: Speaker, said: str, told: str
) -> None:
    async with serving([Reply.json(speaker.refused(429), 429, retry_after=said)]) as provider:
        inside = await start_inside(app_of(provider.url, speaker.name))
        reply = await inside.ask("POST", CHAT, asking())
    assert (reply.status, reply.headers["retry-after"]) == (429, told)
    assert reply.json()["error"]["code"] == "rate_limit_exceeded"


@EVERY
async def test_an_error_in_the_stream_before_the_first_word_has_a_status(start_inside: Any, speaker: Speaker) -> None:
    async with serving([stream(speaker, speaker.error())]) as provider:
        inside = await start_inside(app_of(provider.url, speaker.name))
        reply = await inside.ask("POST", CHAT, asking(stream=True))
    assert reply.status >= 500
    assert reply.json()["error"]["type"] == "server_error"


@EVERY
async def test_an_error_behind_the_first_word_is_a_frame(start_inside: Any, speaker: Speaker) -> None:
    steps = [*speaker.text(["Hel", "lo"])[:-2], *speaker.error()]
    if speaker.name == "gemini":  # its text ends with its last frame
        steps = [*speaker.text(["Hel", "lo"])[:1], *speaker.error()]
    async with serving([stream(speaker, steps)]) as provider:
        inside = await start_inside(app_of(provider.url, speaker.name))
        reply = await inside.ask("POST", CHAT, asking(stream=True))
    told = frames(reply.body)
    assert (reply.status, told[-1]["error"]["type"]) == (200, "server_error")
    assert "[DONE]" not in told
