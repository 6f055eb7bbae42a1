"""A provider of OpenAI's own dialect: what goes to it, what comes back as bytes, what is tapped, and how it ends."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from tests.ai.wires.server import CUT, HOLD, Received, Reply, pieces, serving
from tests.ai.wires.speak import TOKENS, Call, speaker_of, stream
from tests.server.openai.gateway import CHAT, LONG, app_of, asking, calling, frames, text_of

from dragoman import Agent, App, provider_model
from dragoman.server.metric_table import TOKENS as COUNTED

OPENAI = speaker_of("openai_chat")
HELLO = OPENAI.text(["Hé", "llo"])


async def test_a_stream_goes_on_as_the_bytes_that_came(start_inside: Any) -> None:
    async with serving([stream(OPENAI, HELLO)]) as provider:
        inside = await start_inside(app_of(provider.url))
        reply = await inside.ask("POST", CHAT, asking(stream=True, stream_options={"include_usage": True}))
    assert reply.body == b"".join(HELLO)
    assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"


@pytest.mark.parametrize("size", [1, 7, 1 << 16])
async def test_the_counts_that_nobody_asked_for_are_taken_out_and_counted(start_inside: Any, size: int) -> None:
    async with serving([stream(OPENAI, pieces(b"".join(HELLO), size))]) as provider:
        inside = await start_inside(app_of(provider.url))
        reply = await inside.ask("POST", CHAT, asking(stream=True))
    assert reply.body == b"".join(HELLO).replace(HELLO[-2], b"")
    assert provider.requests[0].json()["stream_options"] == {"include_usage": True}
    for kind, count in (("prompt", TOKENS[0]), ("completion", TOKENS[1])):
        assert inside.services.metrics.value(COUNTED, (("kind", kind),)) == count


async def test_lines_that_end_otherwise_are_written_anew(start_inside: Any) -> None:
    crlf = b": hello\r\n\r\n" + b"".join(HELLO).replace(b"\n", b"\r\n")
    async with serving([stream(OPENAI, pieces(crlf, 11))]) as provider:
        inside = await start_inside(app_of(provider.url))
        reply = await inside.ask("POST", CHAT, asking(stream=True))
    assert text_of(frames(reply.body)) == "Héllo"
    assert reply.body.endswith(b"data: [DONE]\n\n")


async def test_an_end_without_done_gets_one(start_inside: Any) -> None:
    async with serving([stream(OPENAI, HELLO[:-2], framing="close")]) as provider:
        inside = await start_inside(app_of(provider.url))
        reply = await inside.ask("POST", CHAT, asking(stream=True))
    assert frames(reply.body)[-1] == "[DONE]"


async def test_a_stream_that_is_cut_ends_with_an_error(start_inside: Any) -> None:
    async with serving([stream(OPENAI, [*HELLO[:2], CUT])]) as provider:
        inside = await start_inside(app_of(provider.url))
        reply = await inside.ask("POST", CHAT, asking(stream=True))
    told = frames(reply.body)
    assert text_of(told[:-1]) == "Hé"
    assert told[-1]["error"]["type"] == "server_error"


async def test_a_whole_answer_in_the_place_of_a_stream_is_told_as_one(start_inside: Any) -> None:
    async with serving([Reply.json(OPENAI.plain("Hello"))]) as provider:
        inside = await start_inside(app_of(provider.url))
        reply = await inside.ask("POST", CHAT, asking(stream=True))
    told = frames(reply.body)
    assert (text_of(told), told[-1]) == ("Hello", "[DONE]")


async def test_a_page_in_the_place_of_a_stream_is_an_error(start_inside: Any) -> None:
    page = Reply([b"<html>secret</html>"], headers={"content-type": "text/html"}, framing="length")
    async with serving([page]) as provider:
        inside = await start_inside(app_of(provider.url), settings={"errors.expose": False})
        reply = await inside.ask("POST", CHAT, asking(stream=True))
    assert reply.status == 502
    assert "secret" not in reply.text


async def test_all_that_openai_documents_reaches_it(start_inside: Any) -> None:
    given = {
        "temperature": 0.5,
        "top_p": 0.9,
        "frequency_penalty": 0.1,
        "presence_penalty": -0.1,
        "max_tokens": 50,
        "seed": 7,
        "logprobs": True,
        "top_logprobs": 2,
        "stop": ["\n"],
        "n": 2,
        "logit_bias": {"50256": -100},
        "user": "u",
        "safety_identifier": "s",
        "prompt_cache_key": "k",
        "service_tier": "default",
        "parallel_tool_calls": False,
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}},
        "reasoning_effort": "low",
        "verbosity": "low",
        "modalities": ["text"],
        "prediction": {"type": "content", "content": "x"},
        "web_search_options": {},
        "tool_choice": {"type": "function", "function": {"name": "add"}},
        "tools": [{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}],
        "of_tomorrow": {"a": 1},
    }
    async with serving([Reply.json(OPENAI.plain("Hello"))]) as provider:
        inside = await start_inside(app_of(provider.url))
        reply = await inside.ask("POST", CHAT, asking(**given))
        body = provider.requests[0].json()
    assert reply.status == 200, reply.text
    assert {name: body.get(name) for name in given} == given
    assert body["model"] == "gpt-4o"
    assert provider.requests[0].headers["authorization"] == "Bearer sk-secret"


async def test_what_is_for_this_server_stays_here(start_inside: Any) -> None:
    async with serving([Reply.json(OPENAI.plain("Hello"))]) as provider:
        inside = await start_inside(app_of(provider.url))
        await inside.ask("POST", CHAT, asking(metadata={"a": "b"}, store=False))
        asked = provider.requests[0]
    assert not {"metadata", "store"} & asked.json().keys()
    assert "demo-you" not in json.dumps(asked.headers)


async def test_every_part_of_a_message_reaches_it(start_inside: Any) -> None:
    png = "data:image/png;base64,iVBORw0KGgo="
    parts = [
        {"type": "text", "text": "see"},
        {"type": "image_url", "image_url": {"url": png, "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://x.org/a.png"}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}},
    ]
    messages = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": parts, "name": "ann"},
        {"role": "assistant", "content": [{"type": "text", "text": "ok"}, {"type": "refusal", "refusal": " no"}]},
        {"role": "user", "content": "on"},
    ]
    async with serving([Reply.json(OPENAI.plain("Hello"))]) as provider:
        unheard = provider_model("openai/of-tomorrow", api_key="k", base_url=provider.url + OPENAI.base)
        inside = await start_inside(App("acme", agents=[Agent("a", model=unheard)], models={"far": unheard}))
        reply = await inside.ask("POST", CHAT, {"model": "far", "messages": messages})
        assert reply.status == 200, reply.text
        said = provider.requests[0].json()["messages"]
    assert said[0] == {"role": "system", "content": "Be brief."}
    assert said[1] == {"role": "user", "content": parts, "name": "ann"}
    assert said[2]["content"] == "ok no"


async def test_calls_of_tools_that_are_no_functions_reach_it_unchanged(start_inside: Any) -> None:
    called = {"id": "c1", "type": "custom", "custom": {"name": "run", "input": "print(1)"}}
    messages = [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": None, "tool_calls": [called]},
        {"role": "tool", "tool_call_id": "c1", "content": "1"},
    ]
    tools = [{"type": "custom", "custom": {"name": "run"}}]
    async with serving([Reply.json(OPENAI.plain("Hello"))]) as provider:
        inside = await start_inside(app_of(provider.url))
        reply = await inside.ask("POST", CHAT, {"model": "far", "messages": messages, "tools": tools})
        body = provider.requests[0].json()
    assert reply.status == 200, reply.text
    assert (body["messages"], body["tools"]) == (messages, tools)


async def test_a_plain_answer_comes_with_all_that_the_provider_said(start_inside: Any) -> None:
    answer = OPENAI.plain("Hello") | {"service_tier": "default", "system_fingerprint": "fp_1"}
    answer["choices"][0]["logprobs"] = {"content": []}
    async with serving([Reply.json(answer)]) as provider:
        inside = await start_inside(app_of(provider.url))
        assert (await inside.ask("POST", CHAT, asking())).json() == answer


@pytest.mark.parametrize("given", [None, 1.5, "absent"])
async def test_what_a_plain_answer_lacks_is_put_in(start_inside: Any, given: Any) -> None:
    """A client's types say that these are there."""
    answer = OPENAI.plain("Hello")
    for name in ("id", "created", "model", "object"):
        answer[name] = given
        if given == "absent":
            del answer[name]
    async with serving([Reply.json(answer)]) as provider:
        inside = await start_inside(app_of(provider.url))
        told = (await inside.ask("POST", CHAT, asking())).json()
    assert told["id"].startswith("chatcmpl-")
    assert (type(told["created"]), told["model"], told["object"]) == (int, "far", "chat.completion")


@pytest.mark.parametrize("more", [{}, {"stream": True}, {"store": True}])
async def test_a_conversation_that_is_too_long_is_told_as_openai_tells_it(
    start_inside: Any, more: dict[str, Any]
) -> None:
    """Programs look for this code, and shorten what they send."""
    error = {"message": "too long", "type": "invalid_request_error", "param": "messages"}
    refused = Reply.json({"error": {**error, "code": "context_length_exceeded"}}, 400)
    async with serving([refused]) as provider:
        inside = await start_inside(app_of(provider.url))
        reply = await inside.ask("POST", CHAT, asking(**more))
    told = reply.json()["error"]
    assert (reply.status, told["code"], told["message"]) == (400, "context_length_exceeded", "too long")
    assert told["param"] == (None if more.get("store") else "messages")


@pytest.mark.parametrize("how", ["stream", "plain", "odd"])
async def test_the_servers_key_goes_to_no_caller_wherever_a_provider_repeats_it(start_inside: Any, how: str) -> None:
    key = "Zq7Very0Secret1Value2For3This4Test5"
    said = json.dumps({"id": key, "headers": {"x": key}, "choices": [{"index": 0, "delta": {"content": "hi"}}]})
    plain = {**OPENAI.plain("hi"), "system_fingerprint": key, "debug": {"authorization": [key]}}
    odd = {**plain, "choices": [{"index": 0, "message": None, "finish_reason": "stop"}]}
    answers = {
        "stream": stream(OPENAI, [f": {key}\n\ndata: {said}\n\ndata: [DONE]\n\n".encode()]),
        "plain": Reply.json(plain),
        "odd": Reply.json(odd),
    }
    async with serving([answers[how]]) as provider:
        inside = await start_inside(app_of(provider.url, api_key=key))
        reply = await inside.ask("POST", CHAT, asking(stream=how == "stream"))
    assert reply.status == 200
    assert key.encode() not in reply.body
    assert b"[redacted]" in reply.body


async def test_of_several_calls_the_predecessor_of_tools_has_the_first(start_inside: Any) -> None:
    calls = [Call("add", {"a": 2}, "call_a"), Call("now", {"zone": "UTC"}, "call_b")]
    async with serving([stream(OPENAI, OPENAI.calls(calls)), Reply.json(OPENAI.plain("", calls))]) as provider:
        inside = await start_inside(app_of(provider.url))
        body = asking(functions=[{"name": "add"}, {"name": "now"}])
        streamed = frames((await inside.ask("POST", CHAT, {**body, "stream": True})).body)
        plain = (await inside.ask("POST", CHAT, body)).json()["choices"][0]["message"]["function_call"]
    pieces = [chunk["choices"][0]["delta"].get("function_call") or {} for chunk in streamed[:-1]]
    told = {name: "".join(piece.get(name, "") for piece in pieces) for name in ("name", "arguments")}
    assert told["name"] == plain["name"] == "add"
    assert json.loads(told["arguments"]) == json.loads(plain["arguments"]) == {"a": 2}


async def test_the_code_and_the_field_that_a_provider_names_are_told(start_inside: Any) -> None:
    error = {"message": "no", "type": "invalid_request_error", "param": "seed", "code": "unsupported_parameter"}
    odd = {"message": "no", "param": 5, "code": "Not A Word"}
    async with serving([Reply.json({"error": each}, 400) for each in (error, odd)] + [Reply([b""], 413)]) as provider:
        inside = await start_inside(app_of(provider.url))
        told = [await inside.ask("POST", CHAT, asking()) for _ in range(3)]
    assert told[0].json()["error"] == error
    assert (told[1].json()["error"]["param"], told[1].json()["error"]["code"]) == (None, "invalid_request")
    assert (told[2].status, told[2].json()["error"]["code"]) == (413, "request_too_large")


async def test_a_fallback_is_asked_while_nothing_has_come(start_inside: Any) -> None:
    for streamed in (False, True):
        answer = stream(OPENAI, HELLO) if streamed else Reply.json(OPENAI.plain("Héllo"))
        async with serving([Reply.json(OPENAI.refused(500), 500), answer]) as provider:
            spare = provider_model(OPENAI.model, api_key="k", base_url=provider.url + OPENAI.base)
            inside = await start_inside(app_of(provider.url, fallbacks=[spare]))
            reply = await inside.ask("POST", CHAT, asking(stream=streamed))
            assert len(provider.requests) == 2
        said = text_of(frames(reply.body)) if streamed else reply.json()["choices"][0]["message"]["content"]
        assert said == "Héllo"


@pytest.mark.parametrize("family", ["openai_chat", "anthropic"])
async def test_a_caller_who_leaves_a_stream_ends_the_providers_call(start_inside: Any, family: str) -> None:
    speaker = speaker_of(family)
    said = speaker.text(["Hel", "lo"])
    place = next(n for n, step in enumerate(said) if b"Hel" in step) + 1
    async with serving([stream(speaker, [*said[:place], HOLD, *said[place:]])]) as provider:
        inside = await start_inside(app_of(provider.url, family))
        async with calling(inside, asking(stream=True)) as caller:
            await caller.until(b"Hel")
            await caller.leave()
        await provider.requests[0].gone()


async def test_a_caller_who_leaves_while_nothing_has_come_ends_the_providers_call(start_inside: Any) -> None:
    for streamed in (False, True):
        async with serving([stream(OPENAI, HELLO, hold=True)]) as provider:
            inside = await start_inside(app_of(provider.url))
            async with calling(inside, asking(stream=streamed)) as caller:
                request = await provider.arrived()
                await caller.leave()
            await request.gone()


async def test_the_head_does_not_wait_for_ever_for_the_first_word(start_inside: Any) -> None:
    async with serving([stream(OPENAI, [HOLD, *HELLO])]) as provider:
        inside = await start_inside(app_of(provider.url), settings={"openai.head_seconds": 0.05})
        async with calling(inside, asking(stream=True)) as caller:
            await provider.arrived()
            await caller.head()
            provider.release()
            await caller.end()
    assert text_of(frames(caller.body)) == "Héllo"


async def test_a_provider_is_read_no_faster_than_the_caller_reads(start_inside: Any) -> None:
    """What the provider writes fills the buffers between, and then it must wait."""
    big = OPENAI.text(["x" * 65536] * 600)
    is_full = asyncio.Event()

    def answering(request: Received) -> Reply:
        provider.connections[0].pause_writing = is_full.set  # the transport says so
        return stream(OPENAI, big)

    async with serving(answering) as provider:
        inside = await start_inside(app_of(provider.url))
        async with calling(inside, asking(stream=True)) as caller:
            await caller.until(b"xxx")
            caller.stop_reading()
            async with asyncio.timeout(LONG):
                await is_full.wait()
            assert len(caller.body) < 8 * 1024 * 1024
            caller.read_on()
            await caller.end()
    assert len(text_of(frames(caller.body))) == 600 * 65536
