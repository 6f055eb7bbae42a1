"""The question that a step puts to a model: the run's messages or the step's prompt, then what the step has said."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic_core import from_json

from dragoman.core.messages import FilePart, Message, Part, TextPart, ToolCallPart, ToolResultPart
from dragoman.engine.conversation import conversation
from dragoman.engine.flows.resolving import message_of, text_of
from dragoman.engine.projection import item_of
from dragoman.engine.state import RunState


def question(given: Mapping[str, Any], run_input: Mapping[str, Any], inner: RunState) -> tuple[Message, ...]:
    """Everything the model is told: `given` is the step's input, `run_input` the run's."""
    return (*_asked(given, run_input), *_said(inner))


def _asked(given: Mapping[str, Any], run_input: Mapping[str, Any]) -> list[Message]:
    messages = run_input.get("messages") or ()
    asks_more = "prompt" in given or "output" in given or given.get("message") != message_of(run_input)
    if messages and not asks_more:
        asked = [*_conversation(messages)]
    else:
        value = next((given[name] for name in ("prompt", "output", "message") if name in given), "")
        asked = [Message.of("user", value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))]
    files = [*_files(given.get("attachments") or ())]
    if files and asked and asked[-1].role == "user":
        asked[-1] = Message("user", (*asked[-1].parts, *files))
    return asked


def _files(attachments: Sequence[Mapping[str, Any]]) -> Iterator[FilePart]:
    for one in attachments:
        kind = one.get("mime_type") or one.get("media_type") or "application/octet-stream"
        if isinstance(one.get("url"), str):
            yield FilePart(one["url"], kind, one.get("name"))


def _said(inner: RunState) -> tuple[Message, ...]:
    items = [item for entry in inner.entries if (item := item_of(inner, entry, "completed", 0.0)) is not None]
    return conversation(items)


# --------------------------------------------------------------------------- chat messages of callers


def _conversation(messages: Sequence[Mapping[str, Any]]) -> Iterator[Message]:
    names: dict[str, str] = {}
    for one in messages:
        role = one.get("role")
        if role == "tool":
            call = str(one.get("toolCallId") or one.get("tool_call_id") or "")
            name = str(one.get("name") or names.get(call, ""))
            yield Message("tool", (ToolResultPart(call, name, one.get("content")),))
        elif role == "assistant":
            parts: list[Part] = [TextPart(text)] if (text := text_of(one.get("content"))) else []
            for made in _calls(one):
                names[made.call_id] = made.name
                parts.append(made)
            if parts:
                yield Message("assistant", tuple(parts))
        else:
            yield Message.of("system" if role == "system" else "user", text_of(one.get("content")))


def _calls(message: Mapping[str, Any]) -> Iterator[ToolCallPart]:
    for one in message.get("toolCalls") or message.get("tool_calls") or ():
        function = one.get("function") if isinstance(one, Mapping) else None
        if isinstance(function, Mapping):
            yield ToolCallPart(str(one.get("id", "")), str(function.get("name", "")), _arguments(function))


def _arguments(function: Mapping[str, Any]) -> dict[str, Any]:
    given = function.get("arguments")
    try:
        value = from_json(given) if isinstance(given, str) else given
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {}
