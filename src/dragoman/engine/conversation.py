"""Stored items → the conversation that a model is given.

Denied, failed and cut-off calls reach the model as results that say so; hidden messages count,
answers without content do not. What else is told stands in a named tag, so that it cannot be taken for speech.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
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

CUT = (
    "<interrupted_answer>The latest answer above was stopped before it was complete. Do not go on with it unless the "
    "user asks for that; answer what the user says next.</interrupted_answer>"
)
"""What a model is told once, right after an answer that was cut short."""


def conversation(items: Sequence[Item]) -> tuple[Message, ...]:
    """Messages in order; each model call of an answer is one assistant message, its results one tool message."""
    messages: list[Message] = []
    cut, is_told = _last_cut(items), False
    for (role, answer, _step), group in groupby(items, key=lambda item: (item.role, item.answer, item.step)):
        members = list(group)
        if role == "assistant":
            told = list(_assistant(members))
            messages += told
            if answer is not None and answer == cut:
                is_told |= bool(told)
                if is_told and members[-1].kind == "end_of_turn":
                    messages.append(Message.of("system", CUT))
        else:
            messages.extend(Message(role, parts) for item in members if (parts := tuple(_said(item))))
    return tuple(messages)


def _last_cut(items: Sequence[Item]) -> str | None:
    """The answer before the latest question, or the latest answer, if it was cut short."""
    questions = 0
    for item in reversed(items):
        if item.kind == "message" and item.role == "user":
            questions += 1
            if questions > 1:
                break
        elif item.kind == "end_of_turn" and item.status == "interrupted":
            return item.answer
    return None


def _said(item: Item) -> Iterable[Part]:
    for part in item.body.get("parts", ()):
        if part.get("type") == "text":
            yield TextPart(part["text"])
        elif part.get("type") == "file":
            yield FilePart(part["url"], part["media_type"], part.get("name"))


def _inside(text: str) -> str:
    """The text as it may stand in a tag: it closes none. In JSON it means the same."""
    return text.replace("</", "<\\/")


def _assistant(items: Iterable[Item]) -> Iterable[Message]:
    said: list[Part] = []
    results: list[Part] = []
    shown: list[Message] = []
    for item in items:
        body = item.body
        match item.kind:
            case "message":
                said.append(TextPart(body["text"], body.get("provider")))
            case "reasoning":
                said.append(ReasoningPart(body["text"], body.get("provider")))
            case "tool_call" if not _is_open(body):
                said.append(ToolCallPart(item.id, body["name"], body["input"], body.get("provider")))
                results.append(_result(item))
            case "widget":
                content = _inside(json.dumps(body, ensure_ascii=False))
                text = f'<displayed_widget id="{item.id}">{content}</displayed_widget>'
                shown.append(Message.of("system", text))
            case "structured_input":
                shown.append(Message.of("user", "\n".join(_answers(body))))
            case _:
                pass
    if said:
        yield Message("assistant", tuple(said))
    if results:
        yield Message("tool", tuple(results))
    yield from shown


def _is_open(body: dict[str, Any]) -> bool:
    """Whether nobody has answered the call: one that a server of the user's own had left behind."""
    return body["state"] in ("input-available", "approval-requested", "approval-responded")


def _answers(body: dict[str, Any]) -> Iterator[str]:
    yield f'<structured_input status="{body.get("status")}">'
    for one in body.get("inputs") or ():
        answer = one.get("answer") or {}
        values = ", ".join(map(str, answer.get("values") or ())) or "unanswered"
        told = "skipped" if answer.get("skipped") else values
        yield _inside(f"{one.get('question')}: {told}")
    yield "</structured_input>"


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
