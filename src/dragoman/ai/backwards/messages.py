"""The messages of OpenAI's chat dialect → `Message`: every role, every content part, calls and their results.

What only this dialect can say (sounds that it made before, calls of tools that are no functions) is left to it:
`Conversation.needs_own_dialect` names the first of these. Fields of a message or of a part that are not read here go
to providers of this dialect as they came, under its name. Raises ValidationError that names the place.
"""

from __future__ import annotations

import base64
import binascii
import mimetypes
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from dragoman.ai.backwards.fields import a_list, a_text, an_object, kind_of, one_of, refusal
from dragoman.ai.types.message import ContentBlock, ImageSource, Message, ToolCall

__all__ = ["Conversation", "read_messages"]

_ROLES = ("system", "developer", "user", "assistant", "tool", "function")
_SOUNDS = {"wav": "audio/wav", "mp3": "audio/mpeg"}
_OWN = "openai_chat"
"""The family whose adapter is told the fields that are not read here."""
MOST_PIECES = 20_000
"""Messages of a request, with their parts and calls. Each costs the server work that others wait for."""
_READ = frozenset(
    {
        *("role", "content", "name", "refusal", "audio", "tool_calls", "function_call", "tool_call_id"),
        *("reasoning_content", "thinking_blocks"),
        *("annotations", "parsed", "reasoning"),  # in answers alone: a client that sends one back means nothing by them
    }
)


_LISTS = ("content", "tool_calls", "thinking_blocks")


@dataclass(slots=True)
class Conversation:
    """The messages, and what among them only this dialect can say."""

    messages: list[Message] = field(default_factory=list)
    needs_own_dialect: str | None = None


def read_messages(value: Any) -> Conversation:
    """The messages of a request, at least one."""
    given = a_list("messages", value)
    if not given:
        text = (
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead."
        )
        raise refusal("messages", text, "empty_array")
    if sum(map(_pieces, given)) > MOST_PIECES:
        text = f"Invalid 'messages': array too long. Expected at most {MOST_PIECES} messages, parts and calls in all."
        raise refusal("messages", text, "array_above_max_length")
    said = Conversation()
    for place, one in enumerate(given):
        where = f"messages[{place}]"
        message = an_object(where, one)
        role = one_of(_ROLES)(f"{where}.role", _needed(where, message, "role"))
        said.messages.append(_READERS[role](where, message, said))
    return said


def _pieces(message: Any) -> int:
    """How many things there are in a message, itself included."""
    parts = [message.get(name) for name in _LISTS] if isinstance(message, dict) else []
    return 1 + sum(len(part) for part in parts if isinstance(part, list))


def _needed(where: str, message: Mapping[str, Any], name: str) -> Any:
    if message.get(name) is None:
        raise refusal(f"{where}.{name}", f"Missing required parameter: '{where}.{name}'.", "missing_required_parameter")
    return message[name]


def _instructions(where: str, message: Mapping[str, Any], said: Conversation) -> Message:
    content = _text(where, _needed(where, message, "content"))
    return _whole(Message(role="system", content=content), where, message)


def _user(where: str, message: Mapping[str, Any], said: Conversation) -> Message:
    content = _needed(where, message, "content")
    if isinstance(content, str):
        return _whole(Message.user(content), where, message)
    parts = _parts_of(where, content)
    blocks = [_part(f"{where}.content[{place}]", part) for place, part in enumerate(parts)]
    return _whole(Message.with_content("user", blocks), where, message)


def _assistant(where: str, message: Mapping[str, Any], said: Conversation) -> Message:
    content, refused = message.get("content"), message.get("refusal")
    said_so = _text(where, content, with_refusals=True) if content is not None else ""
    if refused is not None:
        said_so = _with_text(said_so, a_text(f"{where}.refusal", refused))
    if message.get("audio") is not None:
        said.needs_own_dialect = said.needs_own_dialect or "A sound that a model made before"
    calls = _calls(where, message, said)
    thoughts = _thoughts(where, message)
    if content is None and refused is None and not calls and not thoughts and said.needs_own_dialect is None:
        text = f"Invalid value for '{where}.content': expected a string, got null."
        raise refusal(f"{where}.content", text, "invalid_type")
    if thoughts:
        said_so = [*thoughts, *_with_text([], said_so)] if isinstance(said_so, str) else [*thoughts, *said_so]
    made = Message(role="assistant", content=said_so, tool_calls=calls or None)
    return _whole(made, where, message)


def _tool(where: str, message: Mapping[str, Any], said: Conversation) -> Message:
    call = a_text(f"{where}.tool_call_id", message.get("tool_call_id"))
    content = _text(where, _needed(where, message, "content"))
    return Message(role="tool", content=content, tool_call_id=call)


def _old_function(where: str, message: Mapping[str, Any], said: Conversation) -> Message:
    """A result of the predecessor of tools: the call has no id but its name."""
    name = a_text(f"{where}.name", message.get("name"))
    content = message.get("content")
    return Message.tool(_old_id(name), "" if content is None else a_text(f"{where}.content", content))


_READERS: Mapping[str, Callable[[str, Mapping[str, Any], Conversation], Message]] = {
    "system": _instructions,
    "developer": _instructions,
    "user": _user,
    "assistant": _assistant,
    "tool": _tool,
    "function": _old_function,
}


def _whole(made: Message, where: str, message: Mapping[str, Any]) -> Message:
    """The message with its speaker's name, and with what is not read here."""
    more: dict[str, Any] = {}
    name = message.get("name")
    if name is not None:
        more["name"] = a_text(f"{where}.name", name)
    unread = {field: value for field, value in message.items() if field not in _READ and value is not None}
    if unread:
        more[_OWN] = unread
    return made.model_copy(update=more) if more else made


def _parts_of(where: str, content: Any) -> list[Any]:
    if not isinstance(content, list):
        text = f"Invalid type for '{where}.content': expected a string or an array of objects, but got {kind_of(content)} instead."
        raise refusal(f"{where}.content", text, "invalid_type")
    return content


def _text(where: str, content: Any, *, with_refusals: bool = False) -> str | list[ContentBlock]:
    """Content that is text alone; in blocks where there is more to a part than its text."""
    if isinstance(content, str):
        return content
    blocks: list[ContentBlock] = []
    for place, part in enumerate(_parts_of(where, content)):
        at = f"{where}.content[{place}]"
        part = an_object(at, part)
        kind = one_of(("text", "refusal") if with_refusals else ("text",))(f"{at}.type", part.get("type"))
        blocks.append(_marked_block(ContentBlock.text_block(a_text(f"{at}.{kind}", part.get(kind))), part, kind))
    if any(block.model_extra for block in blocks):
        return blocks
    return ("" if with_refusals else "\n").join(block.text or "" for block in blocks)


def _with_text(said: str | list[ContentBlock], text: str) -> Any:
    if isinstance(said, str):
        return said + text
    return [*said, ContentBlock.text_block(text)] if text else said


# --------------------------------------------------------------------------- parts


def _part(where: str, value: Any) -> ContentBlock:
    part = an_object(where, value)
    kind = one_of(("text", "image_url", "input_audio", "file"))(f"{where}.type", part.get("type"))
    if kind == "text":
        return _marked_block(ContentBlock.text_block(a_text(f"{where}.text", part.get("text"))), part, kind)
    inner = an_object(f"{where}.{kind}", part.get(kind))
    return _marked_block(_MEDIA[kind](f"{where}.{kind}", inner), part, kind)


def _marked_block(block: ContentBlock, part: Mapping[str, Any], kind: str) -> ContentBlock:
    """The block with what its part says besides; the mark for a prompt cache has a place on another wire too."""
    more = {name: value for name, value in part.items() if name not in ("type", kind) and value is not None}
    if not more:
        return block
    control = {"cache_control": more["cache_control"]} if isinstance(more.get("cache_control"), dict) else {}
    return block.model_copy(update={_OWN: more, **control})


def _image(where: str, image: Mapping[str, Any]) -> ContentBlock:
    url = a_text(f"{where}.url", image.get("url"))
    if not _is_address(url):
        raise refusal(f"{where}.url", f"Invalid '{where}.url': expected an http(s) address or a data: URL.")
    block = ContentBlock.image_url(url)
    detail = image.get("detail")
    if detail is None:
        return block
    return block.model_copy(update={"detail": a_text(f"{where}.detail", detail)})


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:  # half an IPv6 address
        return False
    return url.startswith("data:") or (parts.scheme in ("http", "https") and bool(parts.netloc))


def _sound(where: str, sound: Mapping[str, Any]) -> ContentBlock:
    kind = one_of(tuple(_SOUNDS))(f"{where}.format", sound.get("format"))
    return ContentBlock.audio_base64(_base64(f"{where}.data", sound.get("data")), _SOUNDS[kind])


def _file(where: str, file: Mapping[str, Any]) -> ContentBlock:
    if file.get("file_id") is not None:
        text = f"'{where}.file_id': files at a provider belong to the account of the server; send 'file_data' instead."
        raise refusal(f"{where}.file_id", text, "unsupported_value")
    data = a_text(f"{where}.file_data", file.get("file_data"))
    name = file.get("filename")
    if name is not None:
        a_text(f"{where}.filename", name)
    if data.startswith("data:"):
        source = ImageSource.from_url(data)
    else:
        kind = mimetypes.guess_type(name)[0] if name else None
        source = ImageSource.from_base64(_base64(f"{where}.file_data", data), kind or "application/pdf")
    return ContentBlock(type="document", source=source, name=name)


_MEDIA: Mapping[str, Callable[[str, Mapping[str, Any]], ContentBlock]] = {
    "image_url": _image,
    "input_audio": _sound,
    "file": _file,
}


def _base64(where: str, value: Any) -> str:
    text = a_text(where, value)
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise refusal(where, f"Invalid '{where}': expected base64.") from None
    return text


# --------------------------------------------------------------------------- calls and thoughts


def _calls(where: str, message: Mapping[str, Any], said: Conversation) -> list[ToolCall]:
    calls: list[ToolCall] = []
    old = message.get("function_call")
    if old is not None:
        old = an_object(f"{where}.function_call", old)
        name = a_text(f"{where}.function_call.name", old.get("name"))
        calls.append(ToolCall.from_openai_format(_old_id(name), name, _arguments(f"{where}.function_call", old)))
    given = message.get("tool_calls")
    for place, one in enumerate(a_list(f"{where}.tool_calls", given) if given is not None else ()):
        at = f"{where}.tool_calls[{place}]"
        call = an_object(at, one)
        if call.get("type", "function") != "function":
            said.needs_own_dialect = said.needs_own_dialect or f"A tool call of type {call['type']!r}"
            continue
        function = an_object(f"{at}.function", call.get("function"))
        name = a_text(f"{at}.function.name", function.get("name"))
        id = a_text(f"{at}.id", call.get("id"))
        made = ToolCall.from_openai_format(id, name, _arguments(f"{at}.function", function))
        calls.append(_marked(made, call.get("extra_content")))
    return calls


def _arguments(where: str, function: Mapping[str, Any]) -> str:
    return a_text(f"{where}.arguments", function.get("arguments"))


def _marked(call: ToolCall, extra: Any) -> ToolCall:
    """A call with the signature that it was given out with."""
    google = extra.get("google") if isinstance(extra, Mapping) else None
    mark = google.get("thought_signature") if isinstance(google, Mapping) else None
    return call.model_copy(update={"signature": mark}) if isinstance(mark, str) else call


def _old_id(name: str) -> str:
    return f"call_{name}"


def _thoughts(where: str, message: Mapping[str, Any]) -> list[ContentBlock]:
    """Reasoning as we gave it out: blocks with what their provider wants back, else the text."""
    blocks = message.get("thinking_blocks")
    if isinstance(blocks, list) and blocks:
        made = []
        for place, one in enumerate(blocks):
            at = f"{where}.thinking_blocks[{place}]"
            block = {name: value for name, value in an_object(at, one).items() if value is not None}
            said = {
                name: a_text(f"{at}.{name}", block[name])
                for name in ("thinking", "signature", "data", "family")
                if name in block
            }
            thought = ContentBlock.thinking(said.get("thinking"), said.get("signature"), data=said.get("data"))
            made.append(thought.model_copy(update={"family": said.get("family", "anthropic")}))
        return made
    text = message.get("reasoning_content")
    if text is None:
        return []
    return [ContentBlock.thinking(a_text(f"{where}.reasoning_content", text))] if text else []
