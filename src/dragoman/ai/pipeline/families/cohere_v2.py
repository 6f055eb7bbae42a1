"""Cohere v2 chat: typed events; `tool_calls` in deltas is an object. Source: specification C6."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dragoman.ai.pipeline.families.family import Family, passed, read_error, rule
from dragoman.ai.pipeline.frames import Frame
from dragoman.ai.pipeline.reading import (
    Ending,
    Failure,
    Finish,
    Reading,
    Text,
    Thought,
    add_content,
    function_fragment,
    index_of,
    joined,
    text_of,
)
from dragoman.ai.types.events import PartialContentDelta, StreamingEvent

if TYPE_CHECKING:
    from dragoman.ai.pipeline.engine import Engine


def _message(frame: Frame) -> Frame:
    delta = frame.get("delta")
    message = delta.get("message") if isinstance(delta, dict) else None
    return message if isinstance(message, dict) else {}


def read(frame: Frame) -> Reading:
    reading = Reading()
    read_error(frame, reading)
    kind = frame.get("type")
    message = _message(frame)
    if kind in ("content-delta", "content-start"):
        content = message.get("content")
        if isinstance(content, dict):
            if thinking := joined(content.get("thinking")):
                reading.thoughts.append(Thought(thinking))
            if text := text_of(content.get("text")):
                (reading.texts if kind == "content-delta" else reading.asides).append(Text(text))
    elif kind == "tool-plan-delta":
        if plan := text_of(message.get("tool_plan")):
            reading.thoughts.append(Thought(plan))
    elif kind in ("tool-call-start", "tool-call-delta"):
        calls = message.get("tool_calls")
        element = calls[0] if isinstance(calls, list) and calls else calls
        if (fragment := function_fragment(element, key=id(frame))) is not None:
            fragment.index = index_of(frame.get("index"))
            reading.fragments.append(fragment)
    elif kind == "tool-call-end":
        reading.endings.append(Ending(index_of(frame.get("index"))))
    elif kind == "message-end":
        delta = frame.get("delta")
        delta = delta if isinstance(delta, dict) else {}
        usage = delta.get("usage")
        reading.usage = usage if isinstance(usage, dict) and usage else None
        if error := text_of(delta.get("error")):
            reading.failures.append(Failure({"message": error}))
        reading.finishes.append(Finish(text_of(delta.get("finish_reason")), ends=True))
    return reading


def expand(body: Any) -> list[Frame]:
    """A plain answer as the events that would have told it."""
    message = body.get("message") if isinstance(body, dict) else None
    if not isinstance(message, dict) or "type" in body:
        return passed(body)
    frames: list[Frame] = []
    if plan := message.get("tool_plan"):
        frames.append({"type": "tool-plan-delta", "delta": {"message": {"tool_plan": plan}}})
    reading = Reading()
    add_content(reading, message.get("content"))
    for kind, texts in (
        ("thinking", [one.text for one in reading.thoughts]),
        ("text", [t.content for t in reading.texts]),
    ):
        frames += [{"type": "content-delta", "delta": {"message": {"content": {kind: text}}}} for text in texts]
    calls = message.get("tool_calls")
    for place, call in enumerate(calls if isinstance(calls, list) else ()):
        begun = {"type": "tool-call-start", "index": place, "delta": {"message": {"tool_calls": call}}}
        frames += [begun, {"type": "tool-call-end", "index": place}]
    delta = {"finish_reason": body.get("finish_reason"), "usage": body.get("usage")}
    return [*frames, {"type": "message-end", "id": body.get("id"), "delta": delta}]


def fast(engine: Engine, frame: Frame, out: list[StreamingEvent]) -> bool:
    """The next piece of text."""
    if frame.get("type") != "content-delta" or "error" in frame:
        return False
    content, state = _message(frame).get("content"), engine.candidates.get(0)
    if type(content) is not dict or len(content) != 1 or state is None:
        return False
    text = content.get("text")
    if type(text) is not str or not text:
        return False
    state.texts.append(text)
    out.append(StreamingEvent("PartialContentDelta", PartialContentDelta(text)))
    return True


def _recognised() -> frozenset[str]:
    calls = "$.delta.message.tool_calls"
    known = {
        rule("$.type == 'content-delta'", "PartialContentDelta", content="$.delta.message.content.text"),
        rule("$.type == 'tool-call-start'", "ToolCallStarted", tool_call_id=f"{calls}.id", tool_name=f"{calls}.name"),
        rule("$.type == 'tool-call-delta'", "PartialToolCall", arguments=f"{calls}.parameters"),
        rule("$.type == 'message-end'", "FinalCandidate", finish_reason="$.delta.finish_reason", usage="$.delta.usage"),
        rule("$.type == 'message-end'", "stop"),
        rule("exists($.type)", "selector"),
    }
    return frozenset(known)


FAMILY: Final = Family("cohere_v2", read, expand=expand, fast=fast, recognised=_recognised())
