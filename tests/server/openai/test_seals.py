"""What a provider wants back with reasoning and calls comes out and goes in again, also through an answer that is kept."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.ai.wires.server import Reply, serving
from tests.ai.wires.speak import speaker_of, stream
from tests.server.openai.gateway import CHAT, app_of, asking, frames

TOOLS = [{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}]
THOUGHT = {"type": "thinking", "thinking": "Let me add.", "signature": "sealed=="}


def anthropic_steps() -> list[bytes]:
    speaker: Any = speaker_of("anthropic")
    thought = [
        {"type": "thinking_delta", "thinking": "Let me add."},
        {"type": "signature_delta", "signature": "sealed=="},
    ]
    hidden = {"type": "redacted_thinking", "data": "dark=="}
    call = {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {}}
    return [
        speaker._start(),
        *speaker._block(0, {"type": "thinking", "thinking": "", "signature": ""}, thought),
        *speaker._block(1, hidden, []),
        *speaker._block(2, call, [{"type": "input_json_delta", "partial_json": '{"a":2}'}]),
        *speaker._end("tool_use"),
    ]


def gemini_steps() -> list[bytes]:
    speaker: Any = speaker_of("gemini")
    part = {"functionCall": {"name": "add", "args": {"a": 2}}, "thoughtSignature": "sealed=="}
    return [speaker._bytes(speaker._frame([part])), speaker._bytes(speaker._frame([{"text": ""}], "STOP"))]


def anthropic_plain() -> Any:
    content = [
        THOUGHT,
        {"type": "redacted_thinking", "data": "dark=="},
        {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"a": 2}},
    ]
    return speaker_of("anthropic").plain("") | {"content": content, "stop_reason": "tool_use"}


def gemini_plain() -> Any:
    speaker: Any = speaker_of("gemini")
    return speaker._frame([{"functionCall": {"name": "add", "args": {"a": 2}}, "thoughtSignature": "sealed=="}], "STOP")


PLAIN = {"anthropic": anthropic_plain, "gemini": gemini_plain}
STEPS = {"anthropic": anthropic_steps, "gemini": gemini_steps}


def gathered(told: list[Any]) -> dict[str, Any]:
    """A stream's message, put together as clients do."""
    made: dict[str, Any] = {"role": "assistant", "content": None, "thinking_blocks": [], "reasoning_content": ""}
    calls: dict[int, dict[str, Any]] = {}
    for chunk in told[:-1]:
        for choice in chunk["choices"]:
            delta = choice["delta"]
            made["reasoning_content"] += delta.get("reasoning_content") or ""
            made["thinking_blocks"] += delta.get("thinking_blocks") or []
            for call in delta.get("tool_calls") or ():
                entry = calls.setdefault(call["index"], {"function": {"name": "", "arguments": ""}})
                function = call.get("function", {})
                entry.update({name: call[name] for name in ("id", "type", "extra_content") if name in call})
                entry["function"]["name"] += function.get("name", "")
                entry["function"]["arguments"] += function.get("arguments", "")
    for block in made["thinking_blocks"]:
        if block["type"] == "thinking":
            block.setdefault("thinking", made["reasoning_content"])
    return {**made, "tool_calls": list(calls.values())}


@pytest.mark.parametrize("store", [False, True])
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("family", list(STEPS))
async def test_an_answer_goes_back_with_the_seals_it_came_with(
    start_inside: Any, family: str, streamed: bool, store: bool
) -> None:
    speaker = speaker_of(family)
    last_words = stream(speaker, speaker.text(["It is 2"])) if store else Reply.json(speaker.plain("It is 2"))
    sealed = stream(speaker, STEPS[family]()) if streamed or store else Reply.json(PLAIN[family]())
    async with serving([sealed, last_words]) as provider:
        inside = await start_inside(app_of(provider.url, family))
        body = asking("add", tools=TOOLS, store=store)
        reply = await inside.ask("POST", CHAT, {**body, "stream": streamed})
        assert reply.status == 200, reply.text
        message = gathered(frames(reply.body)) if streamed else reply.json()["choices"][0]["message"]
        [call] = message["tool_calls"]
        assert json.loads(call["function"]["arguments"]) == {"a": 2}
        result = {"role": "tool", "tool_call_id": call["id"], "content": "2"}
        again = {**body, "messages": [*body["messages"], message, result]}
        last = await inside.ask("POST", CHAT, again)
        assert last.json()["choices"][0]["message"]["content"] == "It is 2"
        said = provider.requests[1].json()
    if family == "anthropic":
        blocks = said["messages"][1]["content"]
        assert blocks[:2] == [THOUGHT, {"type": "redacted_thinking", "data": "dark=="}]
        assert blocks[2]["type"] == "tool_use"
    else:
        [part] = said["contents"][1]["parts"]
        assert part["thoughtSignature"] == "sealed=="
