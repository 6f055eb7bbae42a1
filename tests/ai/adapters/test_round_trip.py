"""A tool loop on every wire: the model's answer goes back as it came, with the result behind it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.ai.adapters.families import FAMILIES, body, family
from tests.ai.adapters.test_answers import BODIES

from dragoman.ai.adapters import parse_answer
from dragoman.ai.pipeline import Pipeline
from dragoman.ai.pipeline.answer import Answer
from dragoman.ai.types import ContentBlock, Message

pytestmark = pytest.mark.requirement("AIP-21")


def _message(answer: Answer) -> Message:
    """An answer as a message, as the client's `to_message` makes it."""
    blocks = [*answer.thinking_blocks, ContentBlock.text_block(answer.content)]
    return Message(role="assistant", content=blocks, tool_calls=answer.tool_calls)


def _next(wire: str) -> list[dict[str, Any]]:
    answer = parse_answer(family(wire), BODIES[wire])
    messages = [Message.user("Weather?"), _message(answer), Message.tool("c1", "sunny")]
    found = body(wire, messages)
    sent: list[dict[str, Any]] = found.get("messages") or found.get("input") or found["contents"]
    return sent[1:]


CHAT = [
    {
        "role": "assistant",
        "content": "I look.",
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Ulm"}'}}
        ],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
]
EXPECTED: dict[str, list[dict[str, Any]]] = {
    "openai_chat": CHAT,
    "cohere_v2": CHAT,
    "openai_responses": [
        BODIES["openai_responses"]["output"][0],
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look."}]},
        {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": '{"city":"Ulm"}'},
        {"type": "function_call_output", "call_id": "c1", "output": "sunny"},
    ],
    "anthropic": [
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": "sealed"},
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Ulm"}},
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "sunny"}]},
    ],
    "gemini": [
        {
            "role": "model",
            "parts": [
                {"text": "Hm.", "thought": True, "thoughtSignature": "sealed"},
                {"text": "I look."},
                {
                    "functionCall": {"id": "c1", "name": "weather", "args": {"city": "Ulm"}},
                    "thoughtSignature": "mark",
                },
            ],
        },
        {
            "role": "user",
            "parts": [{"functionResponse": {"id": "c1", "name": "weather", "response": {"output": "sunny"}}}],
        },
    ],
    "ollama": [
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [{"function": {"name": "weather", "arguments": {"city": "Ulm"}}}],
        },
        {"role": "tool", "content": "sunny", "tool_name": "weather"},
    ],
}


@pytest.mark.parametrize("wire", FAMILIES)
def test_call_result_and_signature_go_back_as_they_came(wire: str) -> None:
    assert _next(wire) == EXPECTED[wire]


@pytest.mark.parametrize("wire", FAMILIES)
def test_an_answer_that_was_stored_as_json_goes_back_the_same(wire: str) -> None:
    answer = parse_answer(family(wire), BODIES[wire])
    stored = Message.from_dict(_message(answer).to_dict())
    assert body(wire, [stored]) == body(wire, [_message(answer)])


@pytest.mark.parametrize("to", FAMILIES)
@pytest.mark.parametrize("wire", FAMILIES)
def test_an_answer_of_one_family_can_go_on_with_another(wire: str, to: str) -> None:
    answer = parse_answer(family(wire), BODIES[wire])
    found = repr(body(to, [Message.user("Weather?"), _message(answer), Message.tool("c1", "sunny")]))
    assert "I look." in found
    assert "Ulm" in found
    assert "sunny" in found
    if wire != to:  # what one provider has signed, another refuses
        assert "sealed" not in found
        assert "mark" not in found


@pytest.mark.requirement("AIP-105")
def test_a_mark_of_the_gemini_surface_goes_back_on_its_call() -> None:
    extra = {"google": {"thought_signature": "s"}}
    call = {"id": "c", "type": "function", "extra_content": extra, "function": {"name": "f", "arguments": "{}"}}
    choice = {"message": {"content": "", "tool_calls": [call]}, "finish_reason": "stop"}
    answer = parse_answer(family("openai_chat"), {"choices": [choice]})
    assert answer.stop_reason == "tool_use"
    assert body("openai_chat", [_message(answer)])["messages"][0]["tool_calls"] == [call]


# ------------------------------------------------------------------------- after a stream


def _events(*frames: dict[str, Any]) -> bytes:
    return b"".join(b"data: " + json.dumps(frame).encode() + b"\n\n" for frame in frames)


ITEM = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}]}
SEALED = {**ITEM, "encrypted_content": "sealed"}
ASKED = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "weather", "arguments": '{"city":"Ulm"}'}
STREAMS: dict[str, bytes] = {
    "anthropic": _events(
        {"type": "message_start", "message": {"id": "r1", "model": "m", "usage": {"input_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm."}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "sealed"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "redacted_thinking", "data": "xyz"}},
        {"type": "content_block_stop", "index": 1},
        {
            "type": "content_block_start",
            "index": 2,
            "content_block": {"type": "tool_use", "id": "c1", "name": "weather", "input": {}},
        },
        {
            "type": "content_block_delta",
            "index": 2,
            "delta": {"type": "input_json_delta", "partial_json": '{"city":"Ulm"}'},
        },
        {"type": "content_block_stop", "index": 2},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}},
        {"type": "message_stop"},
    ),
    "gemini": _events(
        {"candidates": [{"content": {"role": "model", "parts": [{"text": "Hm.", "thought": True}]}, "index": 0}]},
        {
            "candidates": [
                {
                    "content": {
                        "role": "model",
                        "parts": [
                            {"functionCall": {"name": "weather", "args": {"city": "Ulm"}}, "thoughtSignature": "mark"}
                        ],
                    },
                    "finishReason": "STOP",
                    "index": 0,
                }
            ]
        },
    ),
    "openai_responses": _events(
        {"type": "response.output_item.added", "output_index": 0, "item": ITEM},
        {"type": "response.reasoning_summary_text.delta", "output_index": 0, "delta": "Hm."},
        {"type": "response.output_item.done", "output_index": 0, "item": SEALED},
        {"type": "response.output_item.added", "output_index": 1, "item": {**ASKED, "arguments": ""}},
        {"type": "response.function_call_arguments.delta", "output_index": 1, "delta": '{"city":"Ulm"}'},
        {"type": "response.output_item.done", "output_index": 1, "item": ASKED},
        {"type": "response.completed", "response": {"status": "completed", "output": [SEALED, ASKED]}},
    ),
}


def _streamed(wire: str) -> Answer:
    run = Pipeline.from_manifest(family(wire, streaming={"decoder": {"format": "sse"}})).start()
    run.feed(STREAMS[wire])
    run.close()
    assert run.error is None
    return run.answer()


@pytest.mark.requirement("AIP-106", "AIP-107", "AIP-108")
@pytest.mark.parametrize("wire", STREAMS)
def test_a_streamed_answer_goes_back_as_it_came(wire: str) -> None:
    answer = _streamed(wire)
    (call,) = answer.tool_calls
    blocks = [*answer.thinking_blocks]
    message = Message(role="assistant", content=blocks, tool_calls=answer.tool_calls)
    found = body(wire, [Message.user("Weather?"), message, Message.tool(call.id, "sunny")])
    if wire == "anthropic":
        assert found["messages"][1]["content"] == [
            {"type": "thinking", "thinking": "Hm.", "signature": "sealed"},
            {"type": "redacted_thinking", "data": "xyz"},
            {"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Ulm"}},
        ]
    elif wire == "gemini":
        (part,) = found["contents"][1]["parts"]
        assert part["thoughtSignature"] == "mark"
        assert part["functionCall"]["args"] == {"city": "Ulm"}
        assert found["contents"][2]["parts"][0]["functionResponse"]["id"] == call.id
    else:
        assert found["input"][1:] == [
            SEALED,
            {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "weather", "arguments": '{"city":"Ulm"}'},
            {"type": "function_call_output", "call_id": "c1", "output": "sunny"},
        ]


@pytest.mark.parametrize("to", FAMILIES)
@pytest.mark.parametrize("wire", STREAMS)
def test_what_a_stream_signed_stays_in_its_family(wire: str, to: str) -> None:
    answer = _streamed(wire)
    message = Message(role="assistant", content=[*answer.thinking_blocks], tool_calls=answer.tool_calls)
    found = repr(body(to, [Message.user("Weather?"), message]))
    assert "Ulm" in found
    signed = any(word in found for word in ("sealed", "mark", "xyz"))
    assert signed is (wire == to)
