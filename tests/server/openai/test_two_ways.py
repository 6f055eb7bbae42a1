"""An answer that passes through and one that is kept say the same, before every family of wires."""

from __future__ import annotations

from typing import Any

import pytest
from tests.ai.wires.server import Reply, serving
from tests.ai.wires.speak import SPEAKERS, Call, Speaker, stream
from tests.server.openai.gateway import CHAT, app_of, asking, frames, text_of

pytestmark = pytest.mark.requirement("AIP-111")
EVERY = pytest.mark.parametrize("speaker", [pytest.param(each, id=each.name) for each in SPEAKERS])
TOOLS = [{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}]
CALLS = [Call("add", {"a": 2, "b": 3}, "call_a"), Call("add", {"a": 4, "b": 5}, "call_b")]


def counts(usage: dict[str, Any]) -> list[int]:
    """The three that every provider gives; what passes through may have details that it has not, and lack ours."""
    return [usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]]


def told(body: bytes) -> dict[str, Any]:
    """What a program that reads this stream has in the end; ids of calls are each provider's own matter."""
    chunks = frames(body)
    choices = [chunk["choices"][0] for chunk in chunks[:-1] if chunk["choices"]]
    calls: dict[int, list[str]] = {}
    for choice in choices:
        for call in choice["delta"].get("tool_calls") or ():
            entry = calls.setdefault(call["index"], ["", ""])
            entry[0] += call["function"].get("name") or ""
            entry[1] += call["function"].get("arguments") or ""
    return {
        "text": text_of(chunks),
        "calls": calls,
        "reasons": [choice["finish_reason"] for choice in choices if choice["finish_reason"]],
        "usage": [counts(chunk["usage"]) for chunk in chunks[:-1] if chunk.get("usage")],
        "last": chunks[-1],
    }


def answered(body: dict[str, Any]) -> dict[str, Any]:
    [choice] = body["choices"]
    message = choice["message"]
    calls = [(call["function"]["name"], call["function"]["arguments"]) for call in message.get("tool_calls") or ()]
    return {
        "text": message["content"],
        "calls": calls,
        "reason": choice["finish_reason"],
        "usage": counts(body["usage"]),
    }


@EVERY
@pytest.mark.parametrize("calls", [False, True], ids=["text", "calls"])
async def test_a_kept_stream_says_what_one_that_passes_through_says(
    start_inside: Any, speaker: Speaker, calls: bool
) -> None:
    said = speaker.calls(CALLS) if calls else speaker.text(["Hé", "llo ", "you"])
    asked = asking(stream=True, stream_options={"include_usage": True}, tools=TOOLS)
    async with serving([stream(speaker, said), stream(speaker, said)]) as provider:
        inside = await start_inside(app_of(provider.url, speaker.name))
        passing = await inside.ask("POST", CHAT, asked)
        kept = await inside.ask("POST", CHAT, {**asked, "store": True})
    assert "x-dragoman-run" not in passing.headers
    assert kept.headers["x-dragoman-run"]
    assert told(kept.body) == told(passing.body)


@EVERY
@pytest.mark.parametrize("calls", [False, True], ids=["text", "calls"])
async def test_a_kept_answer_says_what_one_that_passes_through_says(
    start_inside: Any, speaker: Speaker, calls: bool
) -> None:
    words, made = ("", CALLS) if calls else ("Hello you", [])
    streamed = speaker.calls(CALLS) if calls else speaker.text(["Hello you"])
    async with serving([Reply.json(speaker.plain(words, made)), stream(speaker, streamed)]) as provider:
        inside = await start_inside(app_of(provider.url, speaker.name))
        passing = await inside.ask("POST", CHAT, asking(tools=TOOLS))
        kept = await inside.ask("POST", CHAT, asking(tools=TOOLS, store=True))
    assert kept.headers["x-dragoman-run"]
    assert answered(kept.json()) == answered(passing.json())
