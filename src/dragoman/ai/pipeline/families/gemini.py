"""Gemini generateContent: candidates with parts. Source: specification C4.

Frames hold several candidates and each of them several parts of different kinds, so both are split.
A part with `thought: true` is reasoning, whatever rules say of its text. Usage is cumulative and in
every frame; the reason to stop is STOP with tool calls too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dragoman.ai.pipeline.families.family import Family, Piece, beside, check_width, read_error, rule
from dragoman.ai.pipeline.frames import Frame
from dragoman.ai.pipeline.reading import Finish, Reading, Text, Thought, function_fragment, index_of, text_of
from dragoman.ai.types.events import PartialContentDelta, StreamingEvent

if TYPE_CHECKING:
    from dragoman.ai.pipeline.engine import Engine


def special(frame: Frame) -> bool:
    """A prompt that was refused has no candidates and would fall through the selector."""
    feedback = frame.get("promptFeedback")
    return isinstance(feedback, dict) and bool(feedback.get("blockReason"))


def pieces(frame: Frame) -> list[Piece]:
    """One piece per candidate and part; what lies beside comes with the last of them."""
    candidates = frame.get("candidates")
    if not isinstance(candidates, list) or not candidates:
        return [Piece(0, frame)]
    found: list[Piece] = []
    check_width(len(candidates))
    for place, candidate in enumerate(candidates):
        check_width(len(found))
        index = index_of(candidate.get("index")) if isinstance(candidate, dict) else None
        found += _parts(candidate, place if index is None else index)
    if len(found) == 1 and found[0].frame["candidates"][0] is candidates[0]:
        return [Piece(found[0].candidate, frame)]
    last = found[-1]
    found[-1] = Piece(last.candidate, {**frame, **last.frame})
    return found


def _parts(candidate: Any, index: int) -> list[Piece]:
    content = candidate.get("content") if isinstance(candidate, dict) else None
    if not isinstance(content, dict):
        return [Piece(index, {"candidates": [candidate]})]
    parts = content.get("parts")
    if not isinstance(parts, list) or not parts or (len(parts) == 1 and not _is_thought(parts[0])):
        return [Piece(index, {"candidates": [candidate]})]
    check_width(len(parts))
    found = []
    texts = beside(content)
    for part in parts[:-1]:
        alone = {"index": index, "content": {**texts, "parts": [part]}}
        found.append(Piece(index, {"candidates": [alone]}, not _is_thought(part)))
    last = parts[-1]
    if _is_thought(last):
        alone = {"index": index, "content": {**content, "parts": [last]}}
        found.append(Piece(index, {"candidates": [alone]}, by_rules=False))
        rest: list[Any] = []
    else:
        rest = [last]
    found.append(Piece(index, {"candidates": [{**candidate, "content": {**content, "parts": rest}}]}))
    return found


def _is_thought(part: Any) -> bool:
    return isinstance(part, dict) and bool(part.get("thought"))


def read(frame: Frame) -> Reading:
    reading = Reading()
    read_error(frame, reading)
    usage = frame.get("usageMetadata")
    reading.usage = usage if isinstance(usage, dict) and usage else None
    candidates = frame.get("candidates")
    candidate = candidates[0] if isinstance(candidates, list) and candidates else None
    if not isinstance(candidate, dict):
        if special(frame):
            reading.finishes.append(Finish(str(frame["promptFeedback"]["blockReason"])))
            reading.refused = True
        return reading
    content = candidate.get("content")
    parts = content.get("parts") if isinstance(content, dict) else None
    for part in parts if isinstance(parts, list) else ():
        if isinstance(part, dict):
            _read_part(part, reading)
    if reason := text_of(candidate.get("finishReason")):
        reading.finishes.append(Finish(reason))
    return reading


def _read_part(part: Frame, reading: Reading) -> None:
    signature, text = text_of(part.get("thoughtSignature")), text_of(part.get("text"))
    call = part.get("functionCall")
    if isinstance(call, dict):
        fragment = function_fragment(call, key=id(part))
        if fragment is not None:
            fragment.signature = signature
            reading.fragments.append(fragment)
    elif part.get("thought"):
        if text or signature:
            reading.thoughts.append(Thought(text or "", signature))
    elif text or signature:  # a stream may end in a part that is signed and otherwise empty
        reading.texts.append(Text(text or "", extras={"signature": signature} if signature else {}))


def fast(engine: Engine, frame: Frame, out: list[StreamingEvent]) -> bool:
    """One candidate with one part that is nothing but text, and no usage."""
    candidates = frame.get("candidates")
    if type(candidates) is not list or len(candidates) != 1 or "error" in frame or "type" in frame:
        return False
    candidate = candidates[0]
    if type(candidate) is not dict or "finishReason" in candidate or "usageMetadata" in frame:
        return False
    index, content = candidate.get("index", 0), candidate.get("content")
    parts = content.get("parts") if type(content) is dict else None
    if type(index) is not int or type(parts) is not list or len(parts) != 1:
        return False
    part, state = parts[0], engine.candidates.get(index)
    if state is None or type(part) is not dict or len(part) != 1:
        return False
    text = part.get("text")
    if type(text) is not str or not text:
        return False
    state.texts.append(text)
    out.append(StreamingEvent("PartialContentDelta", PartialContentDelta(text, None, index)))
    return True


_PART: Final = "$.candidates[*].content.parts[*]"


def _recognised() -> frozenset[str]:
    known: set[str] = set()

    def both(path: str, emit: str, **fields: str) -> None:
        known.update((rule(path, emit, **fields), rule(f"exists({path})", emit, **fields)))

    call, reason = f"{_PART}.functionCall", "$.candidates[*].finishReason"
    both(f"{_PART}.text", "PartialContentDelta", content=f"{_PART}.text")
    both(f"{call}.name", "ToolCallStarted", tool_name=f"{call}.name", tool_call_id="_generate_uuid")
    both(
        f"{call}.args",
        "PartialToolCall",
        arguments=f"{call}.args",
        tool_name=f"{call}.name",
        tool_call_id="_generate_uuid",
    )
    both(call, "PartialToolCall", tool_call=call)
    both(
        "$.usageMetadata",
        "Metadata",
        usage="$.usageMetadata",
        prompt_tokens="$.usageMetadata.promptTokenCount",
        completion_tokens="$.usageMetadata.candidatesTokenCount",
    )
    both(reason, "StreamEnd", finish_reason=reason)
    both(reason, "FinalCandidate", finish_reason=reason, candidate_index="$.candidates[*].index")
    known.add(rule("exists($.error)", "StreamError", error="$.error", model_version="$.modelVersion"))
    known.add(rule("exists($.candidates) || exists($.error)", "selector"))
    known.add(rule(f"exists({reason})", "stop"))
    known.add(rule("$.candidates[*].index", "candidate"))
    return frozenset(known)


FAMILY: Final = Family("gemini", read, pieces=pieces, special=special, fast=fast, recognised=_recognised())
