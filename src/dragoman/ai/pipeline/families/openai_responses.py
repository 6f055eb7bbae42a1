"""OpenAI responses: typed events about numbered output items. Source: specification C2.

The id of a call is its item's `call_id`; argument pieces name the item by `output_index` or
`item_id`. Whole values that come at the end of an item count only if its pieces never came.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dragoman.ai.pipeline.families.family import Family, passed, read_error, rule
from dragoman.ai.pipeline.frames import Frame
from dragoman.ai.pipeline.reading import (
    Ending,
    Failure,
    Finish,
    Fragment,
    Reading,
    Text,
    Thought,
    id_of,
    index_of,
    joined,
    text_of,
)
from dragoman.ai.types.events import PartialContentDelta, StreamingEvent

if TYPE_CHECKING:
    from dragoman.ai.pipeline.engine import Engine

_TEXT: Final = ("response.output_text.delta", "response.refusal.delta")
_THINKING: Final = ("response.reasoning_summary_text.delta", "response.reasoning_text.delta")
_ENDS: Final = ("response.completed", "response.incomplete", "response.failed")


def read(frame: Frame) -> Reading:
    reading = Reading()
    read_error(frame, reading)
    kind = frame.get("type")
    if kind in _TEXT:
        if text := text_of(frame.get("delta")):
            reading.texts.append(Text(text))
            reading.refused = kind == _TEXT[1]
    elif kind in _THINKING:
        if text := text_of(frame.get("delta")):
            reading.thoughts.append(Thought(text))
    elif kind == "response.function_call_arguments.delta":
        found = _reference(frame)
        found.read_arguments(frame.get("delta"))
        reading.fragments.append(found)
    elif kind == "response.function_call_arguments.done":
        found = _reference(frame)
        found.fallback = text_of(frame.get("arguments"))
        reading.fragments.append(found)
    elif kind in ("response.output_item.added", "response.output_item.done"):
        _read_item(frame, kind == "response.output_item.done", reading)
    elif kind in _ENDS:
        _read_end(frame, kind, reading)
    return reading


def _reference(frame: Frame) -> Fragment:
    """A piece that names its call by the place of the item, else by the item's own id."""
    index = index_of(frame.get("output_index"))
    return Fragment(id(frame), index, id_of(frame.get("item_id")) if index is None else None)


def _read_item(frame: Frame, done: bool, reading: Reading) -> None:
    item, index = frame.get("item"), index_of(frame.get("output_index"))
    if not isinstance(item, dict):
        return
    if item.get("type") == "function_call":
        call_id = id_of(item.get("call_id"))
        found = Fragment(id(frame), index, call_id or id_of(item.get("id")), text_of(item.get("name")))
        found.alias = id_of(item.get("id"))
        found.fallback = text_of(item.get("arguments"))
        reading.fragments.append(found)
        if done:
            reading.endings.append(Ending(index, found.id))
    elif item.get("type") == "reasoning" and done and (item.get("encrypted_content") or item.get("id")):
        # goes back unchanged with the next request, so the item itself is kept beside its text
        data = text_of(item.get("encrypted_content"))
        kept = {key: value for key, value in item.items() if value is not None}
        block = {"id": id_of(item.get("id")), "item": kept, "item_type": "reasoning"}
        reading.thoughts.append(Thought(data=data, block=block))


def _read_end(frame: Frame, kind: str, reading: Reading) -> None:
    response = frame.get("response")
    response = response if isinstance(response, dict) else {}
    usage = response.get("usage")
    reading.usage = usage if isinstance(usage, dict) and usage else None
    if kind == "response.failed":
        reading.failures.append(Failure(response.get("error") or {"message": "the response failed"}))
    elif kind == "response.incomplete":
        details = response.get("incomplete_details")
        reason = text_of(details.get("reason")) if isinstance(details, dict) else None
        reading.finishes.append(Finish(reason or "incomplete"))
    else:
        reading.finishes.append(Finish(text_of(response.get("status")) or "completed"))


def special(frame: Frame) -> bool:
    return frame.get("type") == "response.failed"


def expand(body: Any) -> list[Frame]:
    """A plain response as the events that would have told it."""
    if not isinstance(body, dict) or not isinstance(body.get("output"), list):
        return passed(body)
    frames: list[Frame] = []
    for place, item in enumerate(body["output"]):
        if not isinstance(item, dict):
            continue
        at = {"output_index": place}
        frames.append({"type": "response.output_item.added", **at, "item": {**item, "arguments": ""}})
        for part in _listed(item, "content"):
            if isinstance(part, dict) and item.get("type") == "message":
                refused = part.get("type") == "refusal"
                kind, delta = (_TEXT[1], part.get("refusal")) if refused else (_TEXT[0], part.get("text"))
                frames.append({"type": kind, **at, "delta": delta})
        if item.get("type") == "reasoning":
            for name, kind in (("summary", _THINKING[0]), ("content", _THINKING[1])):
                frames += [{"type": kind, **at, "delta": joined(part)} for part in _listed(item, name)]
        if item.get("type") == "function_call":
            delta = item.get("arguments")
            frames.append({"type": "response.function_call_arguments.delta", **at, "delta": delta})
        frames.append({"type": "response.output_item.done", **at, "item": item})
    status = body.get("status")
    kind = f"response.{status}" if f"response.{status}" in _ENDS else "response.completed"
    return [*frames, {"type": kind, "response": body}]


def _listed(item: Frame, name: str) -> list[Any]:
    value = item.get(name)
    return value if isinstance(value, list) else []


def fast(engine: Engine, frame: Frame, out: list[StreamingEvent]) -> bool:
    """The next piece of text, or of one call's arguments."""
    kind, delta, state = frame.get("type"), frame.get("delta"), engine.candidates.get(0)
    if state is None or type(delta) is not str or not delta or "error" in frame or "response" in frame:
        return False
    if kind == "response.output_text.delta":
        state.texts.append(delta)
        out.append(StreamingEvent("PartialContentDelta", PartialContentDelta(delta)))
        return True
    index = frame.get("output_index")
    if kind != "response.function_call_arguments.delta" or type(index) is not int:
        return False
    call = state.assembler.by_index.get(index)
    if call is None or not call.started or call.ended:
        return False
    state.assembler.last = call
    out.append(call.push(delta))
    return True


def _recognised() -> frozenset[str]:
    item = "$.item.type == 'function_call'"
    known = {
        rule("$.type == 'error'", "StreamError", error="$"),
        rule("$.type == 'response.failed'", "StreamError", error="$.response.error"),
        rule(f"$.type in ['{_THINKING[0]}', '{_THINKING[1]}']", "ThinkingDelta", thinking="$.delta"),
        rule(f"$.type in ['{_TEXT[0]}', '{_TEXT[1]}']", "PartialContentDelta", content="$.delta"),
        rule(
            f"$.type == 'response.output_item.added' && {item}",
            "ToolCallStarted",
            tool_call_id="$.item.call_id",
            tool_name="$.item.name",
            index="$.output_index",
        ),
        rule(
            "$.type == 'response.function_call_arguments.delta'",
            "PartialToolCall",
            arguments="$.delta",
            index="$.output_index",
        ),
        rule(
            f"$.type == 'response.output_item.done' && {item}",
            "ToolCallEnded",
            tool_call_id="$.item.call_id",
            index="$.output_index",
        ),
        rule("$.type in ['response.completed', 'response.incomplete']", "Metadata", usage="$.response.usage"),
        rule("$.type == 'response.incomplete'", "StreamEnd", finish_reason="$.response.incomplete_details.reason"),
        rule("$.type == 'response.completed'", "StreamEnd", finish_reason="$.response.status"),
        rule("$.type in ['response.completed', 'response.incomplete', 'response.failed']", "stop"),
    }
    return frozenset(known)


FAMILY: Final = Family("openai_responses", read, special=special, expand=expand, fast=fast, recognised=_recognised())
