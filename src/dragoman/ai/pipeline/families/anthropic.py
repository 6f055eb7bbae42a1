"""Anthropic messages: typed events, one block after the other. Source: specification C3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dragoman.ai.pipeline.families.family import Family, passed, read_error, rule
from dragoman.ai.pipeline.frames import Frame
from dragoman.ai.pipeline.reading import (
    Ending,
    Finish,
    Fragment,
    Reading,
    Text,
    Thought,
    compact,
    id_of,
    index_of,
    text_of,
)
from dragoman.ai.types.events import PartialContentDelta, StreamingEvent

if TYPE_CHECKING:
    from dragoman.ai.pipeline.engine import Engine

_PLAIN_BLOCKS: Final = ("text", "thinking", "redacted_thinking")


def read(frame: Frame) -> Reading:
    reading = Reading()
    read_error(frame, reading)
    kind = frame.get("type")
    if kind == "content_block_delta":
        _read_delta(frame, reading)
    elif kind == "content_block_start":
        _read_start(frame, reading)
    elif kind == "content_block_stop":
        reading.endings.append(Ending(index_of(frame.get("index"))))
    elif kind == "message_start":
        message = frame.get("message")
        usage = message.get("usage") if isinstance(message, dict) else None
        reading.usage = usage if isinstance(usage, dict) else None
    elif kind == "message_delta":
        usage, delta = frame.get("usage"), frame.get("delta")
        reading.usage = usage if isinstance(usage, dict) else None
        if isinstance(delta, dict) and (reason := text_of(delta.get("stop_reason"))):
            reading.finishes.append(Finish(reason))
    elif kind == "message_stop":
        reading.finishes.append(Finish(None, "silent", ends=True))
    return reading


def _read_delta(frame: Frame, reading: Reading) -> None:
    delta = frame.get("delta")
    if not isinstance(delta, dict):
        return
    kind = delta.get("type")
    if kind == "text_delta":
        if text := text_of(delta.get("text")):
            reading.texts.append(Text(text))
    elif kind == "thinking_delta":
        if text := text_of(delta.get("thinking")):
            reading.thoughts.append(Thought(text))
    elif kind == "signature_delta":
        if signature := text_of(delta.get("signature")):
            reading.thoughts.append(Thought(signature=signature))
    elif kind == "input_json_delta":
        found = Fragment(id(frame), index_of(frame.get("index")))
        found.read_arguments(delta.get("partial_json"))
        reading.fragments.append(found)


def _read_start(frame: Frame, reading: Reading) -> None:
    block, index = frame.get("content_block"), index_of(frame.get("index"))
    if not isinstance(block, dict):
        return
    kind = block.get("type")
    if kind == "tool_use":
        found = Fragment(id(frame), index, id_of(block.get("id")), text_of(block.get("name")))
        if isinstance(block.get("input"), dict) and block["input"]:
            found.fallback = compact(block["input"])
        reading.fragments.append(found)
    elif kind == "text":
        if text := text_of(block.get("text")):
            reading.asides.append(Text(text))
    elif kind == "thinking":
        thought = Thought(text_of(block.get("thinking")) or "", text_of(block.get("signature")))
        if thought.text or thought.signature:
            reading.thoughts.append(thought)
    elif kind == "redacted_thinking":
        reading.thoughts.append(Thought(data=text_of(block.get("data"))))
    elif kind not in _PLAIN_BLOCKS:
        reading.foreign = index  # a tool that the provider runs itself


def expand(body: Any) -> list[Frame]:
    """A plain message as the events that would have told it."""
    if not isinstance(body, dict) or not isinstance(body.get("content"), list):
        return passed(body)
    frames: list[Frame] = [{"type": "message_start", "message": {**body, "content": []}}]
    for index, block in enumerate(body["content"]):
        if not isinstance(block, dict):
            continue
        begun, deltas = _told(block)
        frames.append({"type": "content_block_start", "index": index, "content_block": begun})
        frames += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        frames.append({"type": "content_block_stop", "index": index})
    delta = {"stop_reason": body.get("stop_reason"), "stop_sequence": body.get("stop_sequence")}
    frames.append({"type": "message_delta", "delta": delta, "usage": body.get("usage")})
    frames.append({"type": "message_stop"})
    return frames


def _told(block: Frame) -> tuple[Frame, list[Frame]]:
    """How a block begins and goes on when it is streamed."""
    match block.get("type"):
        case "text":
            return {**block, "text": ""}, [{"type": "text_delta", "text": block.get("text")}]
        case "thinking":
            deltas = [{"type": "thinking_delta", "thinking": block.get("thinking")}]
            deltas.append({"type": "signature_delta", "signature": block.get("signature")})
            return {**block, "thinking": "", "signature": ""}, deltas
        case "tool_use":
            text = compact(block.get("input") or {})
            return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": text}]
        case _:
            return block, []


def fast(engine: Engine, frame: Frame, out: list[StreamingEvent]) -> bool:
    """The next piece of text, or of one call's arguments."""
    try:
        if frame["type"] != "content_block_delta" or "error" in frame:
            return False
        delta, state = frame["delta"], engine.candidates[0]
        kind = delta["type"]
    except (KeyError, TypeError):
        return False  # another shape, or the first words of all
    if kind == "text_delta":
        text = delta.get("text")
        if type(text) is not str or not text:
            return False
        state.texts.append(text)
        out.append(StreamingEvent("PartialContentDelta", PartialContentDelta(text)))
        return True
    if kind != "input_json_delta":
        return False
    arguments, index = delta.get("partial_json"), frame.get("index")
    if type(arguments) is not str or not arguments or type(index) is not int:
        return False
    call = state.assembler.by_index.get(index)
    if call is None or not call.started or call.ended:
        return False
    state.assembler.last = call
    out.append(call.push(arguments))
    return True


def _recognised() -> frozenset[str]:
    delta, start = "$.type == 'content_block_delta'", "$.type == 'content_block_start'"
    partial = f"{delta} && $.delta.type == 'input_json_delta'"
    stopped = {"finish_reason": "$.delta.stop_reason"}
    known = {
        rule(f"{delta} && $.delta.type == 'text_delta'", "PartialContentDelta", content="$.delta.text"),
        rule(f"{delta} && $.delta.type == 'thinking_delta'", "ThinkingDelta", thinking="$.delta.thinking"),
        rule(
            f"{start} && $.content_block.type == 'tool_use'",
            "ToolCallStarted",
            tool_call_id="$.content_block.id",
            tool_name="$.content_block.name",
            index="$.index",
        ),
        rule(partial, "PartialToolCall", arguments="$.delta.partial_json", index="$.index"),
        rule(partial, "PartialToolCall", partial_json="$.delta.partial_json"),
        rule("$.type == 'content_block_stop'", "ToolCallEnded", index="$.index"),
        rule("$.type == 'message_delta'", "Metadata", stop_reason="$.delta.stop_reason", usage="$.usage"),
        rule("$.type == 'message_delta'", "StreamEnd", **stopped),
        rule("$.type == 'message_delta'", "StreamEnd", **stopped, usage="$.usage"),
        rule("$.type == 'message_stop'", "StreamEnd", finish_reason="end_turn"),
        rule("$.type == 'message_stop'", "stop"),
        rule(
            "$.type in ['message_start', 'content_block_start', 'content_block_delta', 'content_block_stop',"
            " 'message_delta', 'message_stop', 'ping']",
            "selector",
        ),
    }
    return frozenset(known)


FAMILY: Final = Family("anthropic", read, expand=expand, fast=fast, recognised=_recognised())
