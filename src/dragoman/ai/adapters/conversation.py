"""Reads messages into turns and parts, the one form that every adapter encodes.

Messages may say the same thing in several ways: a tool result is a message of role tool or a block
of a user message, a call stands in `tool_calls` or in a `tool_use` block, a picture is base64 or a
data URL. Here they become one. Knows no provider's wire.
"""

from __future__ import annotations

import base64
import binascii
import json
import mimetypes
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import unquote_to_bytes, urlsplit

from dragoman.ai.errors import ValidationError
from dragoman.ai.types.message import ContentBlock, Message, ToolCall

__all__ = [
    "Call",
    "Media",
    "Part",
    "Raw",
    "Result",
    "Text",
    "Thinking",
    "Turn",
    "compact",
    "joined_text",
    "read_turns",
]

_MAGIC = (
    ("iVBORw0KGgo", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
    ("JVBERi", "application/pdf"),
)
_DEFAULT_TYPES = {"image": "image/png", "audio": "audio/wav", "document": "application/pdf"}


@dataclass(slots=True)
class Text:
    """Plain text; `signature` is a provider's mark on it."""

    text: str
    signature: str | None = None
    extras: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Media:
    """A picture, sound or document: base64 `data`, or a `url`, or a `reference` nobody has resolved."""

    kind: str
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    reference: str | None = None
    name: str | None = None
    source: Any = None
    extras: Mapping[str, Any] = field(default_factory=dict)

    @property
    def type(self) -> str:
        """The media type: as given, as the first bytes say, or the usual one of the kind."""
        if self.media_type:
            return self.media_type
        for start, media_type in _MAGIC if self.data else ():
            if self.data and self.data.startswith(start):
                return media_type
        return _DEFAULT_TYPES.get(self.kind, "application/octet-stream")

    @property
    def data_url(self) -> str:
        """The data as a `data:` URL."""
        return f"data:{self.type};base64,{self.data}"


@dataclass(slots=True)
class Thinking:
    """Reasoning of the model; `data` when it is sealed, `item` and `summary` as the provider sent them."""

    text: str
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    item: Any = None
    summary: list[Any] | None = None
    family: str | None = None


@dataclass(slots=True)
class Call:
    """A tool call the model made."""

    id: str
    name: str
    arguments: dict[str, Any]
    raw: str | None = None
    signature: str | None = None
    family: str | None = None
    extras: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The arguments as JSON text, as the model wrote them when that was JSON."""
        return self.raw if self.raw and self.raw.strip() else compact(self.arguments)


@dataclass(slots=True)
class Result:
    """The answer to a call; `name` is the called tool's, when the call is in the conversation."""

    call_id: str
    parts: list[Part]
    is_error: bool = False
    name: str | None = None
    extras: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The text of the answer."""
        return joined_text(self.parts)


@dataclass(slots=True)
class Raw:
    """A block of a type that is not ours; it goes to the wire as it is."""

    value: dict[str, Any]


Part: TypeAlias = Text | Media | Thinking | Call | Result | Raw


@dataclass(slots=True)
class Turn:
    """One message: `role` is system, user, assistant or tool; a tool turn holds results only."""

    role: str
    parts: list[Part]
    name: str | None = None
    extras: Mapping[str, Any] = field(default_factory=dict)

    @property
    def only_text(self) -> bool:
        """Whether there is nothing but text."""
        return all(isinstance(part, Text) for part in self.parts)

    def of(self, kind: type[Any]) -> list[Any]:
        """The parts of one kind."""
        return [part for part in self.parts if isinstance(part, kind)]


def compact(value: Any) -> str:
    """JSON text without blanks, characters as they are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def joined_text(parts: Iterable[Part]) -> str:
    """The text parts, joined by line feeds."""
    return "\n".join(part.text for part in parts if isinstance(part, Text))


def read_turns(messages: Sequence[Message]) -> list[Turn]:
    """Messages as turns, in order. Raises ValidationError for blocks that make no sense where they are.

    A user message that holds tool results is split: the results come first, as a turn of role tool.
    Results get the name of the tool they answer.
    """
    turns: list[Turn] = []
    names: dict[str, str] = {}
    for message in messages:
        for turn in _turns(message):
            for part in turn.parts:
                if isinstance(part, Call):
                    names[part.id] = part.name
                elif isinstance(part, Result) and part.name is None:
                    part.name = names.get(part.call_id)
            turns.append(turn)
    return turns


def _turns(message: Message) -> list[Turn]:
    extras = message.model_extra or {}
    name = extras.get("name")
    if message.role == "tool" and message.tool_call_id is not None:
        parts = _parts(message.content)
        if not any(isinstance(part, Result) for part in parts):
            return [Turn("tool", [_result(message.tool_call_id, parts, bool(extras.get("is_error")), name, {})])]
        return [Turn("tool", [part for part in parts if isinstance(part, Result)])]
    parts = _parts(message.content)
    calls = {part.id for part in parts if isinstance(part, Call)}
    parts.extend(_call(call) for call in message.tool_calls or () if call.id not in calls)
    results: list[Part] = [part for part in parts if isinstance(part, Result)]
    rest: list[Part] = [part for part in parts if not isinstance(part, Result)]
    if message.role != "assistant":
        rest = [part for part in rest if not isinstance(part, Thinking)]
        if any(isinstance(part, Call) for part in rest):
            raise ValidationError(
                f"a message of role {message.role!r} holds a tool call, which only the assistant makes",
                field="messages",
                expected="role assistant",
                actual=message.role,
            )
    turns = [Turn("tool", results)] if results else []
    if rest or not results:
        turns.append(Turn("user" if message.role == "tool" else message.role, rest, name, extras))
    return turns


def _parts(content: Any) -> list[Part]:
    """The parts of a content: text, blocks, or what a tool gave, which becomes text as JSON."""
    if content is None or content == "":
        return []
    if isinstance(content, str):
        return [Text(content)]
    if not isinstance(content, list) or not all(_is_block(item) for item in content):
        return [Text(compact(content))]
    return [_part(item if isinstance(item, ContentBlock) else _block(item)) for item in content]


def _is_block(item: Any) -> bool:
    return isinstance(item, str | ContentBlock) or (isinstance(item, Mapping) and isinstance(item.get("type"), str))


def _block(item: Any) -> ContentBlock:
    if isinstance(item, str):
        return ContentBlock.text_block(item)
    try:
        return ContentBlock.model_validate(item)
    except ValueError as error:
        raise ValidationError(f"a content block cannot be read: {error}", field="messages") from error


def _part(block: ContentBlock) -> Part:
    extras = block.model_extra or {}
    match block.type:
        case "text":
            return Text(block.text or "", block.signature, extras)
        case "image" | "audio" | "document" | "video" if block.source is not None:
            return _media(block, extras)
        case "thinking" | "redacted_thinking":
            return _thinking(block, extras)
        case "tool_use" if block.name is not None:
            raw = extras.get("arguments_raw") if not extras.get("parse_error") else None
            return Call(
                block.id or "", block.name, block.input or {}, raw, block.signature, extras.get("family"), extras
            )
        case "tool_result":
            name = block.name
            return _result(block.tool_use_id or "", _parts(block.content), bool(block.is_error), name, extras)
    return Raw(block.model_dump(mode="json", exclude_none=True, by_alias=True))


def _thinking(block: ContentBlock, extras: Mapping[str, Any]) -> Thinking:
    thinking = Thinking(block.text or "", block.signature, block.data, block.id, extras.get("item"))
    thinking.summary = extras.get("summary")
    thinking.family = extras.get("family")
    return thinking


def _result(call_id: str, parts: list[Part], is_error: bool, name: str | None, extras: Mapping[str, Any]) -> Result:
    said: list[Part] = [part for part in parts if isinstance(part, Text | Media | Raw)]
    return Result(call_id, said, is_error, name, extras)


def _call(call: ToolCall) -> Call:
    extras = call.model_extra or {}
    raw = None if call.parse_error else call.arguments_raw
    return Call(call.id, call.function_name, call.arguments, raw, call.signature, extras.get("family"), extras)


def _media(block: ContentBlock, extras: Mapping[str, Any]) -> Media:
    source = block.source
    if source is None:
        raise ValidationError(f"a block of type {block.type!r} needs a source", field="messages")
    media = Media(block.type, source.media_type, name=block.name or extras.get("filename"), extras=extras)
    media.source = source
    if source.source_type == "base64":
        media.data = source.data
    elif source.source_type != "url":
        media.reference = source.data
    elif source.data.startswith("data:"):
        _read_data_url(media, source.data)
    else:
        media.url = source.data
        if media.media_type is None:
            media.media_type = mimetypes.guess_type(urlsplit(source.data).path)[0]
    return media


def _read_data_url(media: Media, url: str) -> None:
    head, _, payload = url[5:].partition(",")
    words = head.split(";")
    media.media_type = media.media_type or words[0] or None
    if "base64" in words[1:]:
        media.data = payload
        return
    try:
        media.data = base64.b64encode(unquote_to_bytes(payload)).decode("ascii")
    except (ValueError, binascii.Error):
        media.url = url
