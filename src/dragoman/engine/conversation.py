"""Stored items → the conversation that a model is given.

Denied, failed and cut-off calls reach the model as results that say so; hidden messages count,
answers without content do not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from dragoman.core.messages import (
    FilePart,
    Message,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from dragoman.core.records import Item


def conversation(items: Sequence[Item]) -> tuple[Message, ...]:
    """Messages in order; each model call of an answer is one assistant message, its results one tool message."""
    messages: list[Message] = []
    for (role, _answer, _step), group in groupby(items, key=lambda item: (item.role, item.answer, item.step)):
        members = list(group)
        if role == "assistant":
            messages.extend(_assistant(members))
        else:
            messages.extend(Message(role, parts) for item in members if (parts := tuple(_said(item.body))))
    return tuple(messages)


def _said(body: dict[str, Any]) -> Iterable[Part]:
    for part in body.get("parts", ()):
        if part.get("type") == "text":
            yield TextPart(part["text"])
        elif part.get("type") == "file":
            yield FilePart(part["url"], part["media_type"], part.get("name"))


def _assistant(items: Iterable[Item]) -> Iterable[Message]:
    said: list[Part] = []
    results: list[Part] = []
    for item in items:
        body = item.body
        match item.kind:
            case "message":
                said.append(TextPart(body["text"], body.get("provider")))
            case "reasoning":
                said.append(ReasoningPart(body["text"], body.get("provider")))
            case "tool_call":
                said.append(ToolCallPart(item.id, body["name"], body["input"], body.get("provider")))
                results.append(_result(item))
            case _:
                pass
    if said:
        yield Message("assistant", tuple(said))
    if results:
        yield Message("tool", tuple(results))


def _result(item: Item) -> ToolResultPart:
    body = item.body
    match body["state"]:
        case "output-available":
            return ToolResultPart(item.id, body["name"], body.get("output"))
        case "output-error":
            return ToolResultPart(item.id, body["name"], body.get("error", "failed"), "error")
        case _:
            reason = (body.get("approval") or {}).get("reason") or body.get("error")
            text = f"denied: {reason}" if reason else "denied"
            return ToolResultPart(item.id, body["name"], text, "denied")
