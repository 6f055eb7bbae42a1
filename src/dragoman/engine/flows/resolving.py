"""What steps are given and what comes out of them, read from the state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dragoman.core.flows import Node
from dragoman.engine.flows.declared import ModelStep, Step
from dragoman.engine.flows.inputs import Failed
from dragoman.engine.flows.state import FlowState, Frame
from dragoman.engine.state import Block, RunState
from dragoman.wire.json_text import read_json


def message_of(given: Mapping[str, Any]) -> str | None:
    """The message of a run's input: its own, else the text of the last of its messages."""
    message = given.get("message")
    if isinstance(message, str) or not given.get("messages"):
        return message if isinstance(message, str) else None
    return text_of(given["messages"][-1].get("content"))


def text_of(content: Any) -> str:
    """The text of a chat message's content: a text, or a list of parts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str))


def current(state: FlowState, given: Mapping[str, Any]) -> Any:
    """The output of the step before; the message before the first."""
    return state.previous if state.has_previous else message_of(given)


def resolved_input(state: FlowState, node: Node, given: Mapping[str, Any]) -> dict[str, Any]:
    """What the step is given, as its `step.input` shows it: the caller's overrides win."""
    frame = next((frame for frame in reversed(state.frames) if _is_loop(frame)), None)
    resolved = _seen(state, given) | (_round(frame, frame.rounds) if frame is not None else {})
    overrides: Mapping[str, Any] = (state.options.get("input_overrides") or {}).get(node.id, {})
    return {**resolved, **overrides}


def choice_input(state: FlowState, what: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """What a loop or branch decides by; a loop sees the round that is over, before its first one the loop outside."""
    frame = state.frames[-1]
    if what == "until":
        return _seen(state, given) | _round(frame, frame.rounds - 1)
    outside = next((frame for frame in reversed(state.frames[:-1]) if _is_loop(frame)), None)
    return _seen(state, given) | (_round(outside, outside.rounds) if outside is not None else {})


def _seen(state: FlowState, given: Mapping[str, Any]) -> dict[str, Any]:
    message = message_of(given)
    seen: dict[str, Any] = {} if message is None else {"message": message}
    if state.has_previous:
        seen["output"] = state.previous
    for name in ("parameters", "attachments"):
        if given.get(name):
            seen[name] = given[name]
    return seen


def _is_loop(frame: Frame) -> bool:
    return frame.node is not None and frame.node.kind == "loop"


def _round(frame: Frame, number: int) -> dict[str, Any]:
    return {"index": number} | ({"item": frame.chosen[number]} if isinstance(frame.chosen, list) else {})


def agent_output(inner: RunState, made: Step | None) -> Any:
    """The text of the agent's last answer, or its value where the step wants JSON; Failed where it is none."""
    last = f"model:{inner.rounds}"
    blocks = [entry for entry in inner.of_step(last) if isinstance(entry, Block) and entry.kind != "reasoning"]
    text = "".join(block.text for block in blocks)
    if not isinstance(made, ModelStep) or made.output != "json":
        return text
    try:
        return read_json(_unfenced(text))
    except ValueError as error:
        return Failed(made.id, 1, "OUTPUT_NOT_JSON", f"the answer of step {made.id!r} is no JSON: {error}", status=502)


def _unfenced(text: str) -> str:
    """The text without the fence that models like to put around JSON."""
    stripped = text.strip()
    if stripped.startswith("```") and stripped.endswith("```") and "\n" in stripped:
        return stripped.partition("\n")[2].removesuffix("```")
    return stripped
