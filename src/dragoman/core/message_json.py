"""Messages ⇄ JSON, for conversations that a run's row keeps.

`decode_messages(encode_messages(x)) == x` for everything that JSON has. Called where a run is made and where its model
is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from dragoman.core.messages import FilePart, Message, Part, ReasoningPart, TextPart, ToolCallPart, ToolResultPart

_KINDS: dict[str, type[Any]] = {
    "text": TextPart,
    "reasoning": ReasoningPart,
    "file": FilePart,
    "tool_call": ToolCallPart,
    "tool_result": ToolResultPart,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def encode_messages(messages: Iterable[Message]) -> list[dict[str, Any]]:
    """`[{role, parts: [{type, …}]}]`; fields without a value are left out."""
    return [{"role": one.role, "parts": [_encode(part) for part in one.parts]} for one in messages]


def decode_messages(value: Iterable[Mapping[str, Any]]) -> tuple[Message, ...]:
    """The messages that `encode_messages` wrote."""
    return tuple(Message(one["role"], tuple(_decode(part) for part in one["parts"])) for one in value)


def _encode(part: Part) -> dict[str, Any]:
    told = {field.name: getattr(part, field.name) for field in fields(part)}
    return {"type": _NAMES[type(part)], **{name: value for name, value in told.items() if value is not None}}


def _decode(value: Mapping[str, Any]) -> Part:
    rest = {name: one for name, one in value.items() if name != "type"}
    if value["type"] == "tool_result":
        rest.setdefault("output", None)
    part: Part = _KINDS[value["type"]](**rest)
    return part
