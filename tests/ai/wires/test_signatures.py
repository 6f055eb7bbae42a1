"""What a provider wants back with its own reasoning goes back unchanged, streamed and plain alike."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.ai.wires.server import Reply, serving
from tests.ai.wires.speak import Speaker, speaker_of, stream

from dragoman.ai import AiClient, Message, ToolDefinition

pytestmark = pytest.mark.requirement("AIP-21", "AIP-55")

WEATHER = ToolDefinition.from_function("get_weather", "The weather of a city.")
ARGUMENTS = {"city": "Zürich"}
MARK = "c2lnbmF0dXJl"

ANTHROPIC_BLOCKS: list[dict[str, Any]] = [
    {"type": "thinking", "thinking": "I need the weather.", "signature": MARK},
    {"type": "redacted_thinking", "data": "cmVkYWN0ZWQ="},
    {"type": "text", "text": "I look."},
    {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": ARGUMENTS},
]
RESPONSES_ITEMS: list[dict[str, Any]] = [
    {
        "id": "rs_1",
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "I need the weather."}],
        "encrypted_content": MARK,
    },
    {
        "id": "fc_1",
        "type": "function_call",
        "call_id": "call_1",
        "name": "get_weather",
        "arguments": json.dumps(ARGUMENTS),
    },
]
GEMINI_PARTS: list[dict[str, Any]] = [
    {"text": "I need the weather.", "thought": True},
    {"functionCall": {"name": "get_weather", "args": ARGUMENTS}, "thoughtSignature": MARK},
    {"functionCall": {"name": "get_weather", "args": {"city": "Genève"}}},
]


def sse(*events: dict[str, Any]) -> list[bytes]:
    return [f"event: {event.get('type', '')}\ndata: {json.dumps(event)}\n\n".encode() for event in events]


def anthropic_stream() -> list[bytes]:
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {"id": "m", "model": "c", "usage": {"input_tokens": 1}}}
    ]
    pieces = {"thinking": "thinking", "text": "text"}
    for index, block in enumerate(ANTHROPIC_BLOCKS):
        empty: dict[str, Any] = {**block, **dict.fromkeys({"thinking", "text", "signature"} & set(block), "")}
        deltas = [{"type": f"{kind}_delta", key: block[key]} for key, kind in pieces.items() if key in block]
        if "signature" in block:
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
        if "input" in block:
            empty["input"] = {}
            deltas.append({"type": "input_json_delta", "partial_json": json.dumps(block["input"])})
        events.append({"type": "content_block_start", "index": index, "content_block": empty})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    usage = {"output_tokens": 9}
    events += [
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": usage},
        {"type": "message_stop"},
    ]
    return sse(*events)


def responses_stream() -> list[bytes]:
    reasoning, call = RESPONSES_ITEMS
    summary = {
        "type": "response.reasoning_summary_text.delta",
        "output_index": 0,
        "item_id": "rs_1",
        "summary_index": 0,
    }
    return sse(
        {"type": "response.output_item.added", "output_index": 0, "item": {**reasoning, "summary": []}},
        {**summary, "delta": "I need the weather."},
        {"type": "response.output_item.done", "output_index": 0, "item": reasoning},
        {"type": "response.output_item.added", "output_index": 1, "item": {**call, "arguments": ""}},
        {
            "type": "response.function_call_arguments.delta",
            "output_index": 1,
            "item_id": "fc_1",
            "delta": call["arguments"],
        },
        {"type": "response.output_item.done", "output_index": 1, "item": call},
        {
            "type": "response.completed",
            "response": {"id": "r", "model": "g", "status": "completed", "output": RESPONSES_ITEMS},
        },
    )


def gemini_frame() -> dict[str, Any]:
    return {"candidates": [{"content": {"role": "model", "parts": GEMINI_PARTS}, "finishReason": "STOP", "index": 0}]}


async def second_request(speaker: Speaker, first: Reply, *, streamed: bool) -> Any:
    """The body of the request that brings the result of the call."""
    replies = [first, stream(speaker, speaker.text(["Clear."]))]
    async with (
        serving(replies) as server,
        await AiClient.create(speaker.model, api_key="k", base_url=server.url + speaker.base) as client,
    ):
        question = Message.user("And the weather?")
        chat = client.chat().messages([question]).tools([WEATHER])
        answer = await (chat.collect() if streamed else chat.execute())
        results = [Message.tool(call.id, "clear") for call in answer.tool_calls]
        conversation = [question, answer.to_message(), *results]
        stored = [Message.from_dict(json.loads(json.dumps(message.to_dict()))) for message in conversation]
        await client.chat().messages(stored).tools([WEATHER]).collect()
        return server.requests[1].json()


@pytest.mark.requirement("AIP-107")
@pytest.mark.parametrize("streamed", [True, False])
async def test_anthropic_gets_its_thinking_blocks_back_first_and_unchanged(streamed: bool) -> None:
    speaker = speaker_of("anthropic")
    plain = {"id": "m", "type": "message", "role": "assistant", "model": "c", "content": ANTHROPIC_BLOCKS}
    ending = {"stop_reason": "tool_use", "usage": {"input_tokens": 1, "output_tokens": 9}}
    first = stream(speaker, anthropic_stream()) if streamed else Reply.json(plain | ending)
    body = await second_request(speaker, first, streamed=streamed)
    assert body["messages"][1] == {"role": "assistant", "content": ANTHROPIC_BLOCKS}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "clear"}
    assert body["messages"][2] == {"role": "user", "content": [result]}


@pytest.mark.requirement("AIP-106")
@pytest.mark.parametrize("streamed", [True, False])
async def test_responses_gets_its_reasoning_item_back_unchanged(streamed: bool) -> None:
    speaker = speaker_of("openai_responses")
    plain = {"id": "r", "model": "g", "status": "completed", "output": RESPONSES_ITEMS, "usage": None}
    first = stream(speaker, responses_stream()) if streamed else Reply.json(plain)
    items = (await second_request(speaker, first, streamed=streamed))["input"]
    assert items[1] == RESPONSES_ITEMS[0]
    assert {key: items[2][key] for key in ("type", "id", "call_id", "name")} == {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "call_1",
        "name": "get_weather",
    }
    assert json.loads(items[2]["arguments"]) == ARGUMENTS
    assert items[3] == {"type": "function_call_output", "call_id": "call_1", "output": "clear"}


@pytest.mark.requirement("AIP-108")
@pytest.mark.parametrize("streamed", [True, False])
async def test_gemini_gets_a_signature_back_on_the_part_it_came_on(streamed: bool) -> None:
    speaker = speaker_of("gemini")
    frame = gemini_frame()
    first = stream(speaker, [f"data: {json.dumps(frame)}\r\n\r\n".encode()]) if streamed else Reply.json(frame)
    contents = (await second_request(speaker, first, streamed=streamed))["contents"]
    calls = [part for part in contents[1]["parts"] if "functionCall" in part]
    assert [part["functionCall"]["args"] for part in calls] == [ARGUMENTS, {"city": "Genève"}]
    assert [part.get("thoughtSignature") for part in calls] == [MARK, None]
    results = [part["functionResponse"]["name"] for part in contents[2]["parts"]]
    assert results == ["get_weather", "get_weather"]


@pytest.mark.requirement("AIP-108")
@pytest.mark.parametrize("streamed", [True, False])
async def test_gemini_gets_the_signature_of_its_text_back(streamed: bool) -> None:
    speaker = speaker_of("gemini")
    parts = [{"text": "Clear"}, {"text": " sky.", "thoughtSignature": MARK}]
    frame = {"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}]}
    first = stream(speaker, [f"data: {json.dumps(frame)}\r\n\r\n".encode()]) if streamed else Reply.json(frame)
    contents = (await second_request(speaker, first, streamed=streamed))["contents"]
    assert contents[1] == {"role": "model", "parts": [{"text": "Clear sky.", "thoughtSignature": MARK}]}


@pytest.mark.requirement("AIP-105")
async def test_chat_completions_gets_no_reasoning_back() -> None:
    speaker = speaker_of("openai_chat")
    thought = b'data: {"choices":[{"index":0,"delta":{"reasoning_content":"Hm."}}]}\n\n'
    call = {"index": 0, "id": "call_1", "function": {"name": "get_weather", "arguments": "{}"}}
    called = f"data: {json.dumps({'choices': [{'index': 0, 'delta': {'tool_calls': [call]}, 'finish_reason': 'tool_calls'}]})}\n\n"
    first = stream(speaker, [thought, called.encode(), b"data: [DONE]\n\n"])
    message = (await second_request(speaker, first, streamed=True))["messages"][1]
    assert set(message) == {"role", "content", "tool_calls"}
    assert message["content"] in ("", None)
