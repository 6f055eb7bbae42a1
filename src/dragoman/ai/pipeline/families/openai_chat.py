"""OpenAI chat completions and everybody who speaks like it. Source: specification C1, C9.

A frame is `{"choices": [{"index", "delta", "finish_reason"}], "usage"}`. Compatible servers differ
in the name of reasoning, in where usage is, in indexes and ids of calls, and some send the whole
answer as one frame with `message` in the place of `delta`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dragoman.ai.pipeline.families.family import Family, Piece, beside, check_width, read_error, rule
from dragoman.ai.pipeline.frames import Frame
from dragoman.ai.pipeline.reading import (
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
from dragoman.ai.utils.thinking_extract import THINKING_FIELDS

if TYPE_CHECKING:
    from dragoman.ai.pipeline.engine import Engine


def pieces(frame: Frame) -> list[Piece]:
    """One piece per choice; what lies beside the choices comes with the last one."""
    choices = frame.get("choices")
    if not isinstance(choices, list) or not choices:
        return [Piece(0, frame)]
    if len(choices) == 1:
        choice = choices[0]
        plain = _plain(choice)
        return [Piece(_index(choice, 0), frame if plain is choice else {**frame, "choices": [plain]})]
    check_width(len(choices))
    texts = beside(frame)
    found = [
        Piece(_index(choice, place), {**texts, "choices": [_plain(choice)]}) for place, choice in enumerate(choices)
    ]
    found[-1] = Piece(found[-1].candidate, {**frame, **found[-1].frame})
    return found


def _index(choice: Any, place: int) -> int:
    index = index_of(choice.get("index")) if isinstance(choice, dict) else None
    return place if index is None else index


def _plain(choice: Any) -> Any:
    """The choice with a whole `message` as its delta, and without an empty reason to finish."""
    if not isinstance(choice, dict):
        return choice
    if not isinstance(choice.get("delta"), dict) and isinstance(choice.get("message"), dict):
        choice = {**choice, "delta": choice["message"]}
    if choice.get("finish_reason") == "":
        choice = {**choice, "finish_reason": None}
    return choice


def read(frame: Frame) -> Reading:
    reading = Reading()
    read_error(frame, reading)
    groq = frame.get("x_groq")
    for usage in (groq.get("usage") if isinstance(groq, dict) else None, frame.get("usage")):
        if isinstance(usage, dict) and usage:
            reading.usage = usage
    choices = frame.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, dict):
        return reading
    delta = choice.get("delta")
    if isinstance(delta, dict):
        _read_delta(delta, reading)
    if reason := text_of(choice.get("finish_reason")):
        reading.finishes.append(Finish(reason))
    return reading


def _read_delta(delta: Frame, reading: Reading) -> None:
    for name in THINKING_FIELDS:
        if name in delta and (thinking := joined(delta[name])):
            reading.thoughts.append(Thought(thinking))
            break
    add_content(reading, delta.get("content"))
    if refusal := text_of(delta.get("refusal")):
        reading.asides.append(Text(refusal))
        reading.refused = True
    calls = delta.get("tool_calls")
    elements = calls if isinstance(calls, list) else [calls]
    old = delta.get("function_call")
    if isinstance(old, dict):
        elements = [*elements, {"index": 0, "function": old}]
    for element in elements:
        if (fragment := function_fragment(element)) is not None:
            reading.fragments.append(fragment)


def fast(engine: Engine, frame: Frame, out: list[StreamingEvent]) -> bool:
    """Frames of one choice that say nothing but the next piece of text or of one call's arguments."""
    try:
        (choice,) = frame["choices"]
        delta, index = choice["delta"], choice["index"]
        if choice.get("finish_reason") is not None or frame.get("usage") is not None or type(index) is not int:
            return False
        if "error" in frame or "type" in frame or "x_groq" in frame:
            return False
        state = engine.candidates[index]
        content = delta.get("content")
    except (KeyError, ValueError, TypeError, AttributeError):
        return False  # another shape, or the first words of a candidate
    if content:
        if type(content) is not str:
            return False
        if len(delta) != 1:
            for key, value in delta.items():
                if value and key != "content" and key != "role":
                    return False
        state.texts.append(content)
        out.append(StreamingEvent("PartialContentDelta", PartialContentDelta(content, None, index)))
        return True
    return _fast_arguments(state, delta, out)


def _fast_arguments(state: Any, delta: Frame, out: list[StreamingEvent]) -> bool:
    calls = delta.get("tool_calls")
    if type(calls) is not list or len(calls) != 1 or type(calls[0]) is not dict:
        return False
    for key, value in delta.items():
        if value and key != "tool_calls" and key != "role":
            return False
    element = calls[0]
    function, place = element.get("function"), element.get("index")
    if type(function) is not dict or type(place) is not int or "extra_content" in element:
        return False
    call = state.assembler.by_index.get(place)
    if call is None or not call.started or call.ended or function.get("name"):
        return False
    arguments, said = function.get("arguments"), element.get("id")
    if type(arguments) is not str or not arguments or (said is not None and said != "" and said != call.wire_id):
        return False
    state.assembler.last = call
    out.append(call.push(arguments))
    return True


_CHOICE: Final = "$.choices[*]"
_DELTA: Final = f"{_CHOICE}.delta"
_CALL: Final = f"{_DELTA}.tool_calls[*]"


def _recognised() -> frozenset[str]:
    known: set[str] = set()

    def both(path: str, emit: str, **fields: str) -> None:
        for match in (path, f"exists({path})", f"{path} != null"):
            known.add(rule(match, emit, **fields))

    both(f"{_DELTA}.content", "PartialContentDelta", content=f"{_DELTA}.content")
    for name in THINKING_FIELDS:
        both(f"{_DELTA}.{name}", "ThinkingDelta", thinking=f"{_DELTA}.{name}")
    both(
        f"{_CALL}.function.name",
        "ToolCallStarted",
        tool_call_id=f"{_CALL}.id",
        tool_name=f"{_CALL}.function.name",
        index=f"{_CALL}.index",
    )
    both(
        f"{_CALL}.function.arguments",
        "PartialToolCall",
        arguments=f"{_CALL}.function.arguments",
        index=f"{_CALL}.index",
    )
    both(f"{_DELTA}.tool_calls", "PartialToolCall", tool_calls=f"{_DELTA}.tool_calls")
    counts = {"prompt_tokens": "$.usage.prompt_tokens", "completion_tokens": "$.usage.completion_tokens"}
    both("$.usage", "Metadata", usage="$.usage")
    both("$.usage", "Metadata", usage="$.usage", **counts)
    both("$.x_groq.usage", "Metadata", usage="$.x_groq.usage")
    reason = f"{_CHOICE}.finish_reason"
    both(reason, "StreamEnd", finish_reason=reason)
    both(reason, "FinalCandidate", finish_reason=reason)
    both(reason, "FinalCandidate", finish_reason=reason, candidate_index=f"{_CHOICE}.index")
    typed = {"type": "$.type", "event_id": "$.event_id", "error": "$.error"}
    known.add(rule("exists($.error) || $.type == 'error'", "StreamError", **typed))
    known.add(rule("exists($.error)", "StreamError", error="$.error"))
    there = "exists($.choices) || exists($.error)"
    selectors = (there, f"{there} || $.type == 'error'", f"{there} || exists($.x_groq)")
    known.update(rule(selector, "selector") for selector in selectors)
    known.add(rule(f"{reason} != null", "stop"))
    known.add(rule(f"{_CHOICE}.index", "candidate"))
    return frozenset(known)


FAMILY: Final = Family("openai_chat", read, pieces=pieces, fast=fast, recognised=_recognised())
