"""Ollama chat: one JSON object per line, whole calls, counts in the last line. Source: specification C5."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dragoman.ai.pipeline.families.family import Family, read_error, rule
from dragoman.ai.pipeline.frames import Frame
from dragoman.ai.pipeline.reading import Finish, Reading, Thought, add_content, function_fragment, joined, text_of
from dragoman.ai.types.events import PartialContentDelta, StreamingEvent

if TYPE_CHECKING:
    from dragoman.ai.pipeline.engine import Engine

_COUNTS: Final = (
    "prompt_eval_count",
    "eval_count",
    "total_duration",
    "load_duration",
    "prompt_eval_duration",
    "eval_duration",
)


def read(frame: Frame) -> Reading:
    reading = Reading()
    read_error(frame, reading)
    message = frame.get("message")
    if isinstance(message, dict):
        if thinking := joined(message.get("thinking")):
            reading.thoughts.append(Thought(thinking))
        add_content(reading, message.get("content"))
        calls = message.get("tool_calls")
        for element in calls if isinstance(calls, list) else ():
            if (fragment := function_fragment(element)) is not None:
                reading.fragments.append(fragment)
    if frame.get("done") is True:
        usage = {name: frame[name] for name in _COUNTS if frame.get(name) is not None}
        reading.usage = usage or None
        reading.finishes.append(Finish(text_of(frame.get("done_reason")), ends=True))
    return reading


def fast(engine: Engine, frame: Frame, out: list[StreamingEvent]) -> bool:
    """The next piece of text."""
    message, state = frame.get("message"), engine.candidates.get(0)
    if type(message) is not dict or state is None or frame.get("done") is not False:
        return False
    if "error" in frame or "type" in frame or "eval_count" in frame:
        return False
    for key, value in message.items():
        if value and key != "content" and key != "role":
            return False
    text = message.get("content")
    if type(text) is not str or not text:
        return False
    state.texts.append(text)
    out.append(StreamingEvent("PartialContentDelta", PartialContentDelta(text)))
    return True


def _recognised() -> frozenset[str]:
    function = "$.message.tool_calls[*].function"
    known = {
        rule("exists($.error)", "StreamError", error="$.error"),
        rule("exists($.message.thinking)", "ThinkingDelta", thinking="$.message.thinking"),
        rule("exists($.message.content)", "PartialContentDelta", content="$.message.content"),
        rule(
            f"exists({function}.name)",
            "PartialToolCall",
            tool_name=f"{function}.name",
            arguments=f"{function}.arguments",
            tool_call_id="_generate_uuid",
        ),
        rule(
            "$.done == true && exists($.eval_count)",
            "Metadata",
            prompt_tokens="$.prompt_eval_count",
            completion_tokens="$.eval_count",
        ),
        rule("$.done == true", "StreamEnd", finish_reason="$.done_reason"),
        rule("$.done == true", "stop"),
    }
    return frozenset(known)


FAMILY: Final = Family("ollama", read, fast=fast, recognised=_recognised())
