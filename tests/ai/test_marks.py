"""What each family of wires wants back with reasoning and calls goes back unchanged in a tool loop."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from dragoman.ai.model import provider_model
from dragoman.ai.protocol import ProtocolLoader
from dragoman.core import messages as core
from dragoman.transport.scripted import Reply, ScriptedIO
from dragoman.wire.http import Headers

pytestmark = pytest.mark.requirement("AIP-21")


def sse(*frames: Mapping[str, Any], named: bool = False, done: bool = False) -> Reply:
    data = b""
    for frame in frames:
        data += f"event: {frame['type']}\n".encode() if named else b""
        data += b"data: " + json.dumps(frame).encode() + b"\n\n"
    return Reply(
        [data + (b"data: [DONE]\n\n" if done else b"")], headers=Headers({"content-type": "text/event-stream"})
    )


def lines(*frames: Mapping[str, Any]) -> Reply:
    data = b"".join(json.dumps(frame).encode() + b"\n" for frame in frames)
    return Reply([data], headers=Headers({"content-type": "application/x-ndjson"}))


def parts_of(pieces: list[Any]) -> tuple[core.Part, ...]:
    """The answer as the journal keeps it."""
    parts: list[core.Part] = []
    said, thought = "", ""
    for piece in pieces:
        if isinstance(piece, core.ModelText):
            said += piece.delta
            if piece.provider is not None:
                parts.append(core.TextPart(said, json.loads(json.dumps(piece.provider))))
                said = ""
        elif isinstance(piece, core.ModelReasoning):
            thought += piece.delta
            if piece.provider is not None:
                parts.append(core.ReasoningPart(thought, json.loads(json.dumps(piece.provider))))
                thought = ""
        elif isinstance(piece, core.ModelToolCall):
            if said:
                parts.append(core.TextPart(said))
                said = ""
            given = json.loads(piece.input or "{}") if isinstance(piece.input, str) else piece.input
            number = sum(isinstance(part, core.ToolCallPart) for part in parts) + 1
            kept = json.loads(json.dumps(piece.provider))
            parts.append(core.ToolCallPart(f"ours-{number}", piece.name, given, kept))
    return tuple(parts)


async def sent_back(name: str, first: Reply, last: Reply, **options: Any) -> dict[str, Any]:
    """The second request of a tool loop."""
    io = ScriptedIO([first, last])
    model = provider_model(name, api_key="k", io=io, **options)
    asked = (core.Message.of("user", "How warm is it?"),)
    tools = (core.ToolSpec("weather", "Tells.", {"type": "object", "properties": {}}),)
    pieces = [piece async for piece in model.stream(core.ModelRequest("m", asked, tools=tools))]
    said = parts_of(pieces)
    calls = [part for part in said if isinstance(part, core.ToolCallPart)]
    results = tuple(core.ToolResultPart(call.call_id, call.name, {"degrees": 7}) for call in calls)
    again = (*asked, core.Message("assistant", said), core.Message("tool", results))
    answer = [piece async for piece in model.stream(core.ModelRequest("m", again, tools=tools))]
    assert any(isinstance(piece, core.ModelText) for piece in answer)
    await model.aclose()
    body: dict[str, Any] = json.loads(io.requests[1].body or b"{}")
    return body


def anthropic(*blocks: dict[str, Any], reason: str) -> Reply:
    frames: list[dict[str, Any]] = [
        {
            "type": "message_start",
            "message": {"id": "m", "model": "c", "usage": {"input_tokens": 3, "output_tokens": 1}},
        }
    ]
    for index, block in enumerate(blocks):
        deltas = block.pop("deltas", [])
        frames.append({"type": "content_block_start", "index": index, "content_block": block})
        frames += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        frames.append({"type": "content_block_stop", "index": index})
    frames.append({"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 5}})
    return sse(*frames, {"type": "message_stop"}, named=True)


async def test_signatures_and_sealed_thoughts_of_the_messages_wire() -> None:
    first = anthropic(
        {
            "type": "thinking",
            "thinking": "",
            "signature": "",
            "deltas": [
                {"type": "thinking_delta", "thinking": "It is "},
                {"type": "thinking_delta", "thinking": "cold?"},
                {"type": "signature_delta", "signature": "c2ln"},
            ],
        },
        {"type": "redacted_thinking", "data": "opaque"},
        {"type": "text", "text": "", "deltas": [{"type": "text_delta", "text": "Let me look."}]},
        {
            "type": "tool_use",
            "id": "toolu_1",
            "name": "weather",
            "input": {},
            "deltas": [{"type": "input_json_delta", "partial_json": '{"city": "Brno"}'}],
        },
        reason="tool_use",
    )
    text = {"type": "text", "text": "", "deltas": [{"type": "text_delta", "text": "Seven."}]}
    body = await sent_back("anthropic/claude-sonnet-4-5", first, anthropic(text, reason="end_turn"))
    assert body["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "It is cold?", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "opaque"},
        {"type": "text", "text": "Let me look."},
        {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Brno"}},
    ]
    (result,) = body["messages"][2]["content"]
    assert (result["type"], result["tool_use_id"]) == ("tool_result", "toolu_1")


def gemini(*parts: dict[str, Any]) -> Reply:
    frames = [{"candidates": [{"content": {"role": "model", "parts": [part]}, "index": 0}]} for part in parts]
    end = {"candidates": [{"content": {"parts": []}, "finishReason": "STOP", "index": 0}]}
    return sse(*frames, end)


async def test_signatures_of_parts_of_the_generate_content_wire() -> None:
    first = gemini(
        {"text": "It is cold?", "thought": True},
        {"functionCall": {"name": "weather", "args": {"city": "Brno"}}, "thoughtSignature": "c2ln"},
        {"functionCall": {"name": "weather", "args": {"city": "Prague"}}},
    )
    body = await sent_back("gemini/gemini-3-pro", first, gemini({"text": "Seven."}))
    calls = [part for part in body["contents"][1]["parts"] if "functionCall" in part]
    assert [call.get("thoughtSignature") for call in calls] == ["c2ln", None]
    assert [call["functionCall"]["args"] for call in calls] == [{"city": "Brno"}, {"city": "Prague"}]
    results = [part["functionResponse"] for part in body["contents"][2]["parts"]]
    assert [result["name"] for result in results] == ["weather", "weather"]


@pytest.mark.requirement("AIP-108")
async def test_a_signature_on_text_of_the_generate_content_wire() -> None:
    first = gemini(
        {"text": "It is "},
        {"text": "cold."},
        {"text": "", "thoughtSignature": "dGV4dA=="},
        {"functionCall": {"name": "weather", "args": {}}, "thoughtSignature": "c2ln"},
    )
    body = await sent_back("gemini/gemini-3-pro", first, gemini({"text": "Seven."}))
    said, call = body["contents"][1]["parts"]
    assert said == {"text": "It is cold.", "thoughtSignature": "dGV4dA=="}
    assert call["thoughtSignature"] == "c2ln"


@pytest.mark.requirement("AIP-108")
async def test_calls_of_another_provider_are_vouched_for_on_the_generate_content_wire() -> None:
    call = core.ToolCallPart("ours-1", "weather", {}, {"of": "openai", "id": "call_1", "signature": "c2ln"})
    talk = (
        core.Message.of("user", "How warm is it?"),
        core.Message("assistant", (call,)),
        core.Message("tool", (core.ToolResultPart("ours-1", "weather", {"degrees": 7}),)),
    )
    io = ScriptedIO([gemini({"text": "Seven."})])
    model = provider_model("gemini/gemini-3-pro", api_key="k", io=io)
    assert [piece async for piece in model.stream(core.ModelRequest("m", talk))]
    await model.aclose()
    (part,) = json.loads(io.requests[0].body or b"{}")["contents"][1]["parts"]
    assert part["thoughtSignature"] == "skip_thought_signature_validator"


async def test_reasoning_items_of_the_responses_wire() -> None:
    item = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "It is cold?"}],
        "encrypted_content": "opaque",
    }
    call = {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "call_1",
        "name": "weather",
        "arguments": '{"city":"Brno"}',
    }
    first = sse(
        {"type": "response.created", "response": {"id": "r", "model": "m"}},
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": {"type": "reasoning", "id": "rs_1", "summary": []},
        },
        {"type": "response.reasoning_summary_text.delta", "output_index": 0, "item_id": "rs_1", "delta": "It is cold?"},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.output_item.added", "output_index": 1, "item": {**call, "arguments": ""}},
        {
            "type": "response.function_call_arguments.delta",
            "output_index": 1,
            "item_id": "fc_1",
            "delta": '{"city":"Brno"}',
        },
        {"type": "response.output_item.done", "output_index": 1, "item": call},
        {
            "type": "response.completed",
            "response": {"status": "completed", "usage": {"input_tokens": 3, "output_tokens": 9}},
        },
        named=True,
    )
    last = sse(
        {"type": "response.output_text.delta", "output_index": 0, "delta": "Seven."},
        {"type": "response.completed", "response": {"status": "completed"}},
        named=True,
    )
    body = await sent_back("openai-responses/gpt-5.4", first, last)
    kinds = [one.get("type", "message") for one in body["input"]]
    assert kinds[-3:] == ["reasoning", "function_call", "function_call_output"]
    assert body["input"][-3] == item
    assert (body["input"][-2]["call_id"], body["input"][-1]["call_id"]) == ("call_1", "call_1")
    assert body["input"][-2]["id"] == "fc_1"  # the service keeps both items, and wants them together


def chat(*deltas: dict[str, Any], finish: str) -> Reply:
    frames = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    return sse(*frames, {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}, done=True)


async def test_marks_beside_calls_of_the_chat_completions_wire() -> None:
    mark = {"google": {"thought_signature": "c2ln"}}
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Brno"}'}}
    first = chat({"reasoning_content": "It is cold?"}, {"tool_calls": [{**call, "extra_content": mark}]}, finish="stop")
    body = await sent_back("openai/gpt-4o", first, chat({"content": "Seven."}, finish="stop"))
    assert body["messages"][1]["tool_calls"] == [{**call, "extra_content": mark}]
    assert body["messages"][2]["tool_call_id"] == "call_1"
    assert "It is cold?" not in json.dumps(body)


@pytest.mark.requirement("AIP-105", "AIP-112")
@pytest.mark.parametrize("generation", ["v1", "v2"])
async def test_reasoning_goes_back_in_the_tool_loops_of_a_service_that_asks_for_it(generation: str) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    first = chat({"reasoning_content": "It is cold?"}, {"tool_calls": [call]}, finish="tool_calls")
    last = chat({"content": "Seven."}, finish="stop")
    loader = ProtocolLoader(generation=generation)
    body = await sent_back("deepseek/deepseek-v4-pro", first, last, loader=loader)
    assert body["messages"][1]["reasoning_content"] == "It is cold?"


async def test_calls_of_ollama_keep_their_order_and_their_names() -> None:
    first = lines(
        {
            "message": {
                "role": "assistant",
                "content": "",
                "tool_calls": [{"function": {"name": "weather", "arguments": {"city": "Brno"}}}],
            },
            "done": False,
        },
        {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop"},
    )
    last = lines({"message": {"role": "assistant", "content": "Seven."}, "done": True, "done_reason": "stop"})
    body = await sent_back("ollama/llama3.2", first, last)
    assert body["messages"][1]["tool_calls"][0]["function"] == {"name": "weather", "arguments": {"city": "Brno"}}
    assert body["messages"][2]["tool_name"] == "weather"


async def test_calls_of_cohere_keep_their_ids() -> None:
    call = {"id": "weather_1", "type": "function", "function": {"name": "weather", "arguments": ""}}
    first = sse(
        {"type": "message-start", "id": "m"},
        {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "I look."}}},
        {"type": "tool-call-start", "index": 0, "delta": {"message": {"tool_calls": call}}},
        {
            "type": "tool-call-delta",
            "index": 0,
            "delta": {"message": {"tool_calls": {"function": {"arguments": '{"city":"Brno"}'}}}},
        },
        {"type": "tool-call-end", "index": 0},
        {"type": "message-end", "delta": {"finish_reason": "TOOL_CALL"}},
        named=True,
    )
    last = sse(
        {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "Seven."}}}},
        {"type": "message-end", "delta": {"finish_reason": "COMPLETE"}},
        named=True,
    )
    body = await sent_back("cohere/command-a-03-2025", first, last)
    assert body["messages"][1]["tool_calls"][0]["id"] == "weather_1" == body["messages"][2]["tool_call_id"]
