"""Pictures, sounds and documents as blocks of each wire.

One function per wire format, so that a contract (A5) may name the format of another family than its
own. What a wire cannot carry raises ValidationError before anything is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dragoman.ai.adapters.conversation import Media
from dragoman.ai.adapters.parameters import put
from dragoman.ai.errors import ValidationError
from dragoman.ai.protocol.contract import BlockMapping

__all__ = ["BY_FORMAT", "anthropic_media", "by_mapping", "gemini_media", "openai_media", "refuse", "responses_media"]

_SOUND_FORMATS = {
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/mp4": "m4a",
    "audio/x-m4a": "m4a",
}


def refuse(what: str, wire: str, hint: str = "") -> ValidationError:
    """The error for a block that a wire cannot carry."""
    text = f"{what} cannot be sent over the {wire} wire"
    return ValidationError(
        f"{text}: {hint}" if hint else text, field="messages", expected="a block this wire has", actual=what
    )


def openai_media(media: Media) -> dict[str, Any]:
    """A content part of chat completions."""
    if media.kind == "image":
        image: dict[str, Any] = {"url": media.data_url if media.data is not None else media.url}
        if detail := media.extras.get("detail"):
            image["detail"] = detail
        return {"type": "image_url", "image_url": image}
    if media.kind == "audio":
        return _input_audio(media, "openai_chat")
    if media.kind == "document":
        if media.data is None:
            raise refuse("a document by URL", "openai_chat", "send its bytes")
        return {"type": "file", "file": {"filename": _file_name(media), "file_data": media.data_url}}
    raise refuse(f"{media.kind} input", "openai_chat")


def responses_media(media: Media) -> dict[str, Any]:
    """An input part of the responses wire."""
    if media.kind == "image":
        part: dict[str, Any] = {
            "type": "input_image",
            "image_url": media.data_url if media.data is not None else media.url,
        }
        if detail := media.extras.get("detail"):
            part["detail"] = detail
        return part
    if media.kind == "audio":
        return _input_audio(media, "openai_responses")
    if media.kind == "document":
        if media.data is None:
            return {"type": "input_file", "file_url": media.url}
        return {"type": "input_file", "filename": _file_name(media), "file_data": media.data_url}
    raise refuse(f"{media.kind} input", "openai_responses")


def anthropic_media(media: Media) -> dict[str, Any]:
    """A content block of the messages wire; text documents go as text."""
    if media.kind not in ("image", "document"):
        raise refuse(f"{media.kind} input", "anthropic")
    block: dict[str, Any] = {"type": media.kind}
    if media.data is not None:
        block["source"] = {"type": "base64", "media_type": media.type, "data": media.data}
    else:
        block["source"] = {"type": "url", "url": media.url}
    if media.kind == "document" and media.name:
        block["title"] = media.name
    if control := media.extras.get("cache_control"):
        block["cache_control"] = control
    return block


def gemini_media(media: Media) -> dict[str, Any]:
    """A part of generateContent: data inline, anything else by its address."""
    if media.data is not None:
        return {"inlineData": {"mimeType": media.type, "data": media.data}}
    file: dict[str, Any] = {"fileUri": media.url}
    if media.media_type:
        file = {"mimeType": media.media_type, **file}
    return {"fileData": file}


def by_mapping(mapping: BlockMapping, media: Media) -> dict[str, Any]:
    """A block made of the fields that a contract names."""
    block: dict[str, Any] = {}
    kind = (mapping.model_extra or {}).get("type_field")
    if kind:
        block["type"] = kind
    if media.data is not None:
        field, value = mapping.base64_field or mapping.field, media.data
    else:
        field, value = mapping.url_field or mapping.field, media.url or ""
    if field is None:
        raise refuse(f"{media.kind} input", "manifest's", "its contract names no field for it")
    put(block, tuple(field.split(".")), value)
    if mapping.mime_type_field:
        put(block, tuple(mapping.mime_type_field.split(".")), media.type)
    return block


BY_FORMAT: Mapping[str, Callable[[Media], dict[str, Any]]] = {
    "openai_url": openai_media,
    "openai_image_url": openai_media,
    "openai_file": openai_media,
    "anthropic_source": anthropic_media,
    "anthropic_document": anthropic_media,
    "gemini_inline_data": gemini_media,
}
"""The block formats that contracts name."""


def _input_audio(media: Media, wire: str) -> dict[str, Any]:
    if media.data is None:
        raise refuse("a sound by URL", wire, "send its bytes")
    form = _SOUND_FORMATS.get(media.type) or media.type.partition("/")[2]
    return {"type": "input_audio", "input_audio": {"data": media.data, "format": form}}


def _file_name(media: Media) -> str:
    if media.name:
        return media.name
    subtype = media.type.partition("/")[2].partition("+")[0] or "bin"
    return f"document.{'txt' if subtype == 'plain' else subtype}"
