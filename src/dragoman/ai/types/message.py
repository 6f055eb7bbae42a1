"""What is said to a model and by it: messages, their content blocks, the calls of tools.

This is the one internal form of a conversation; the adapters turn it into each provider's own.
Unknown fields are kept, so that an answer of a newer provider goes back to it unchanged. Files
are read only by the two `…_from_file` constructors.
"""

from __future__ import annotations

import base64
import json
import mimetypes
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, field_validator, model_validator

from dragoman.wire.json_text import read_json

__all__ = [
    "AudioSource",
    "ContentBlock",
    "ImageSource",
    "Message",
    "MessageContent",
    "MessageRole",
    "ToolCall",
    "parse_arguments",
]

MAX_FILE_BYTES = 20 * 1024 * 1024
"""The largest file that becomes a block; providers refuse larger ones."""

_MEDIA_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".mp3": "audio/mpeg",
    ".wav": "audio/wav",
    ".ogg": "audio/ogg",
    ".m4a": "audio/mp4",
    ".flac": "audio/flac",
}


class MessageRole(StrEnum):
    """Who speaks."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class _Source(BaseModel):
    """Where the bytes of a block come from: `data` is base64 text or a URL, by `source_type`."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow", populate_by_name=True, defer_build=True)

    source_type: str = Field(alias="type")
    media_type: str | None = None
    data: str


class ImageSource(_Source):
    """The bytes of an image, or the URL of one."""

    @classmethod
    def from_base64(cls, data: str, media_type: str | None = None) -> ImageSource:
        """An image given as base64 text."""
        return cls(source_type="base64", media_type=media_type, data=data)

    @classmethod
    def from_url(cls, url: str) -> ImageSource:
        """An image that the provider fetches itself."""
        return cls(source_type="url", data=url)


class AudioSource(_Source):
    """The bytes of a sound."""

    @classmethod
    def from_base64(cls, data: str, media_type: str | None = None) -> AudioSource:
        """A sound given as base64 text."""
        return cls(source_type="base64", media_type=media_type, data=data)


class ContentBlock(BaseModel):
    """One piece of a message; which fields count is said by `type`.

    text: `text` · image, audio, document: `source` · tool_use: `id, name, input` ·
    tool_result: `tool_use_id, content, is_error` · thinking: `text, signature`, or `data` when
    the provider redacted it.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow", populate_by_name=True, defer_build=True)

    type: str
    text: str | None = None
    source: SerializeAsAny[ImageSource | AudioSource] | None = None
    id: str | None = None
    name: str | None = None
    input: dict[str, Any] | None = None
    tool_use_id: str | None = None
    content: Any = None
    is_error: bool | None = None
    signature: str | None = None
    data: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _by_type(cls, value: Any) -> Any:
        """Sounds get their own source class; reasoning that comes as `thinking` is the text."""
        if not isinstance(value, Mapping):
            return value
        kind, source = value.get("type"), value.get("source")
        if kind == "audio" and isinstance(source, Mapping):
            return {**value, "source": AudioSource.model_validate(source)}
        if kind == "thinking" and value.get("text") is None and isinstance(value.get("thinking"), str):
            rest = {name: field for name, field in value.items() if name != "thinking"}
            return {**rest, "text": value["thinking"]}
        return value

    @classmethod
    def text_block(cls, text: str) -> ContentBlock:
        """Plain text."""
        return cls(type="text", text=text)

    @classmethod
    def image_base64(cls, data: str, media_type: str | None = None) -> ContentBlock:
        """An image given as base64 text."""
        return cls(type="image", source=ImageSource.from_base64(data, media_type))

    @classmethod
    def image_url(cls, url: str) -> ContentBlock:
        """An image that the provider fetches itself."""
        return cls(type="image", source=ImageSource.from_url(url))

    @classmethod
    def image_from_file(cls, path: str | Path) -> ContentBlock:
        """The image in a file of at most 20 MiB; its type is judged by the file's extension."""
        return cls.image_base64(*_read(path))

    @classmethod
    def audio_base64(cls, data: str, media_type: str | None = None) -> ContentBlock:
        """A sound given as base64 text."""
        return cls(type="audio", source=AudioSource.from_base64(data, media_type))

    @classmethod
    def audio_from_file(cls, path: str | Path) -> ContentBlock:
        """The sound in a file of at most 20 MiB; its type is judged by the file's extension."""
        return cls.audio_base64(*_read(path))

    @classmethod
    def document_base64(cls, data: str, media_type: str = "application/pdf") -> ContentBlock:
        """A document given as base64 text."""
        return cls(type="document", source=ImageSource.from_base64(data, media_type))

    @classmethod
    def thinking(cls, text: str | None, signature: str | None = None, *, data: str | None = None) -> ContentBlock:
        """A model's reasoning, kept so that it can go back unchanged; `data` when it was redacted."""
        return cls(type="thinking", text=text, signature=signature, data=data)

    @classmethod
    def tool_use(cls, id: str, name: str, input: dict[str, Any]) -> ContentBlock:
        """A call the model made."""
        return cls(type="tool_use", id=id, name=name, input=input)

    @classmethod
    def tool_result(cls, tool_use_id: str, content: Any, is_error: bool = False) -> ContentBlock:
        """The answer to a call; `is_error` False is stored as None, so that it is not sent."""
        return cls(type="tool_result", tool_use_id=tool_use_id, content=content, is_error=is_error or None)

    def to_dict(self) -> dict[str, Any]:
        """The block without its empty fields; `ContentBlock(**…)` reads it back."""
        return self.model_dump(mode="json", exclude_none=True)


class _TextOrBlock:
    """`ContentBlock.text("…")`, as printed examples have it, where a block's own text is a value."""

    def __get__(self, block: ContentBlock | None, owner: type[Any]) -> Any:
        if block is None and owner is ContentBlock:  # subclasses look for a default value here
            return ContentBlock.text_block
        raise AttributeError("text")


type.__setattr__(ContentBlock, "text", _TextOrBlock())

MessageContent: TypeAlias = str | list[ContentBlock]
"""A message holds plain text or blocks."""


class ToolCall(BaseModel):
    """A call the model made.

    `arguments_raw` is the text as it came. When that is no JSON object, `arguments` is empty and
    `parse_error` says why. `signature` is a provider's mark that has to go back with the call.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow", defer_build=True)

    id: str
    type: str = "function"
    function_name: str
    arguments: dict[str, Any] = Field(default_factory=dict)
    arguments_raw: str | None = None
    parse_error: str | None = None
    signature: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _wire_form(cls, value: Any) -> Any:
        """Also read `{"id", "function": {"name", "arguments"}}`, the form most wires use."""
        if not isinstance(value, Mapping) or not isinstance(value.get("function"), Mapping) or "function_name" in value:
            return value
        function = value["function"]
        arguments, raw, error = parse_arguments(function.get("arguments"))
        rest = {name: field for name, field in value.items() if name != "function"}
        return {
            **rest,
            "id": value.get("id") or "",
            "function_name": function.get("name"),
            "arguments": arguments,
            "arguments_raw": raw,
            "parse_error": error,
        }

    @classmethod
    def from_openai_format(cls, id: str, function_name: str, arguments: str | dict[str, Any] | None) -> ToolCall:
        """A call whose arguments come as JSON text (kept in `arguments_raw`) or as an object."""
        parsed, raw, error = parse_arguments(arguments)
        return cls(id=id, function_name=function_name, arguments=parsed, arguments_raw=raw, parse_error=error)

    def to_content_block(self) -> dict[str, Any]:
        """The call as a `tool_use` block."""
        return {"type": "tool_use", "id": self.id, "name": self.function_name, "input": self.arguments}

    @staticmethod
    def to_message(tool_call: ToolCall, result: Any) -> Message:
        """The tool message that answers `tool_call`: text as it is, anything else as JSON."""
        text = result if isinstance(result, str) else json.dumps(result, ensure_ascii=False, default=str)
        return Message.tool(tool_call.id, text)


class Message(BaseModel):
    """One utterance. `role` is a plain string that also equals the `MessageRole` of that value.

    `tool_call_id` belongs to messages of role tool, `tool_calls` to those of the assistant;
    `metadata` is the caller's own and is never sent.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow", defer_build=True)

    role: str
    content: str | list[ContentBlock] = ""
    tool_call_id: str | None = None
    tool_calls: list[ToolCall] | None = None
    metadata: dict[str, Any] | None = None

    @field_validator("role", mode="before")
    @classmethod
    def _known_role(cls, value: Any) -> str:
        return MessageRole(value).value

    @field_validator("content", mode="before")
    @classmethod
    def _no_content(cls, value: Any) -> Any:
        # An assistant message that only calls tools has null content on most wires.
        return "" if value is None else value

    @classmethod
    def system(cls, text: str) -> Message:
        """Instructions to the model."""
        return cls(role="system", content=text)

    @classmethod
    def user(cls, text: str) -> Message:
        """What the user says."""
        return cls(role="user", content=text)

    @classmethod
    def assistant(cls, text: str) -> Message:
        """What the model said."""
        return cls(role="assistant", content=text)

    @classmethod
    def tool(cls, tool_call_id: str, content: str) -> Message:
        """The result of a tool call."""
        return cls(role="tool", content=content, tool_call_id=tool_call_id)

    @classmethod
    def tool_result(cls, tool_call_id: str, result: Any, is_error: bool = False) -> Message:
        """The result of a tool call; what is no text becomes JSON."""
        text = result if isinstance(result, str) else json.dumps(result, ensure_ascii=False, default=str)
        if not is_error:
            return cls.tool(tool_call_id, text)
        block = ContentBlock.tool_result(tool_call_id, text, is_error=True)
        return cls(role="tool", content=[block], tool_call_id=tool_call_id)

    @classmethod
    def user_with_image(
        cls, text: str, image_url: str | None = None, *, image_base64: str | None = None, media_type: str | None = None
    ) -> Message:
        """What the user says, and an image: a URL or base64 text. ValueError for none, or both."""
        if (image_url is None) == (image_base64 is None):
            raise ValueError("give either image_url or image_base64")
        if image_base64 is not None:
            image = ContentBlock.image_base64(image_base64, media_type)
        else:
            image = ContentBlock.image_url(str(image_url))
        return cls(role="user", content=[ContentBlock.text_block(text), image])

    @classmethod
    def assistant_with_tool_calls(cls, tool_calls: Sequence[ToolCall], text: str = "") -> Message:
        """What the model said, and the calls that it made."""
        return cls(role="assistant", content=text, tool_calls=list(tool_calls))

    @classmethod
    def with_content(cls, role: MessageRole | str, content: Sequence[ContentBlock]) -> Message:
        """A message made of blocks."""
        return cls(role=role, content=list(content))

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Message:
        """The message that `to_dict` described; OpenAI's form of tool calls is understood too."""
        return cls.model_validate(dict(value))

    def to_dict(self) -> dict[str, Any]:
        """The message without its empty fields; `from_dict` reads it back."""
        return self.model_dump(mode="json", exclude_none=True)

    def contains_image(self) -> bool:
        """Whether one of the blocks is an image."""
        return self._has("image")

    def contains_audio(self) -> bool:
        """Whether one of the blocks is a sound."""
        return self._has("audio")

    def is_multimodal(self) -> bool:
        """Whether there is an image or a sound."""
        return self._has("image") or self._has("audio")

    def get_text_content(self) -> str:
        """The plain text, or that of the text blocks, joined by line feeds."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(block.text for block in self.content if block.type == "text" and block.text is not None)

    def _has(self, kind: str) -> bool:
        return not isinstance(self.content, str) and any(block.type == kind for block in self.content)


def parse_arguments(value: Any) -> tuple[dict[str, Any], str | None, str | None]:
    """Arguments as they came → (object, their text if they came as text, what was wrong with it).

    Nothing, blank text and `null` mean no arguments.
    """
    if value is None:
        return {}, None, None
    if isinstance(value, Mapping):
        return dict(value), None, None
    if not isinstance(value, str):
        return {}, None, f"expected JSON text or an object, got {type(value).__name__}"
    if not value.strip():
        return {}, value, None
    try:
        parsed = read_json(value)
    except ValueError as error:
        return {}, value, f"not valid JSON: {error}"
    if parsed is None:
        return {}, value, None
    if not isinstance(parsed, dict):
        return {}, value, f"expected a JSON object, got {type(parsed).__name__}"
    return parsed, value, None


def _read(path: str | Path) -> tuple[str, str | None]:
    """A file as base64 text, and its media type if the extension tells it."""
    file = Path(path)
    with file.open("rb") as source:
        data = source.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise ValueError(f"{file.name!r} is larger than {MAX_FILE_BYTES} bytes, the most a content block may hold")
    media_type = _MEDIA_TYPES.get(file.suffix.lower()) or mimetypes.guess_type(file.name)[0]
    return base64.b64encode(data).decode("ascii"), media_type
