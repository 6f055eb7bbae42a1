"""What was said in a thread, for a model: the newest items, in the shape that its API takes.

`load` reads them from any store; `to_responses_input`, `to_chat_completions` and `to_messages` make
the input of the Responses API, the messages of chat completions, and Dragoman's own. All three go
through one converter, so an override in it holds for all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from dragoman.chatkit import texts
from dragoman.chatkit.agents.items import InputItem, Inputs, ThreadItemConverter, input_text, user_message
from dragoman.chatkit.store import Store
from dragoman.chatkit.types import (
    AssistantMessageItem,
    Attachment,
    HiddenContextItem,
    ThreadItem,
    ThreadMetadata,
    UserMessageTagContent,
)
from dragoman.core.messages import FilePart, Message, Part, Role, TextPart, ToolCallPart, ToolResultPart

TContext = TypeVar("TContext")

DEFAULT_LIMIT = 100
PAGE = 100
CHARACTERS_PER_TOKEN = 4
ITEM_TOKENS = 8
ROLES: dict[str, Role] = {"developer": "system", "system": "system", "assistant": "assistant"}


class AttachmentContent(Protocol):
    """An attachment store that can say what a model gets of an attachment."""

    async def as_message_content(self, attachment: Attachment) -> dict[str, Any]: ...


async def load(
    store: Store[TContext],
    thread: ThreadMetadata | str,
    context: TContext,
    *,
    limit: int | None = DEFAULT_LIMIT,
    max_tokens: int | None = None,
    count_tokens: Callable[[ThreadItem], int] | None = None,
) -> list[ThreadItem]:
    """The newest `limit` items of a thread, oldest first; None for all.

    With `max_tokens` no more than fit, but always the newest one; they are counted by
    `count_tokens`, else by `estimated_tokens`. Raises NotFoundError as the store does.
    """
    thread_id = thread if isinstance(thread, str) else thread.id
    count = count_tokens or estimated_tokens
    found: list[ThreadItem] = []
    spent, after, has_more = 0, None, limit is None or limit > 0
    while has_more:
        size = PAGE if limit is None else min(PAGE, limit - len(found))
        page = await store.load_thread_items(thread_id, after, size, "desc", context)
        for item in page.data[:size]:
            spent += count(item) if max_tokens is not None else 0
            if max_tokens is not None and spent > max_tokens and found:
                return found[::-1]
            found.append(item)
        after = page.after or (page.data[-1].id if page.data else None)
        has_more = page.has_more and bool(page.data) and (limit is None or len(found) < limit)
    return found[::-1]


def estimated_tokens(item: ThreadItem) -> int:
    """A rough count: four characters of what a model would read are a token, and each item costs a few more."""
    body = item.model_dump(mode="json", exclude_none=True, exclude={"id", "thread_id", "created_at"})
    return ITEM_TOKENS + sum(map(len, strings(body))) // CHARACTERS_PER_TOKEN


def strings(value: Any) -> list[str]:
    """All texts in a JSON value, but for images and files that stand in a `data:` URL."""
    match value:
        case str():
            return [] if value.startswith("data:") else [value]
        case dict():
            return [text for entry in value.values() for text in strings(entry)]
        case list():
            return [text for entry in value for text in strings(entry)]
        case _:
            return []


class HistoryConverter(ThreadItemConverter):
    """As `ThreadItemConverter`, with an answer for everything.

    A mention is described by its data, hidden context that is no string by its JSON, an attachment
    by what `attachments` makes of it, else by its name. What the assistant said is one string, which
    models behind chat completions take as well as the Responses API does; an empty one is left out.
    """

    mention_text = texts.MENTION
    attachment_text = texts.ATTACHMENT

    def __init__(self, attachments: AttachmentContent | None = None) -> None:
        self.attachments = attachments

    async def attachment_to_message_content(self, attachment: Attachment) -> dict[str, Any]:
        if self.attachments is not None:
            return await self.attachments.as_message_content(attachment)
        about = texts.fill(self.attachment_text, name=attachment.name, mime_type=attachment.mime_type)
        return input_text(about)

    async def tag_to_message_content(self, tag: UserMessageTagContent) -> dict[str, Any]:
        data = json.dumps({"id": tag.id} | tag.data, ensure_ascii=False)
        return input_text(texts.fill(self.mention_text, name=tag.text, content=data))

    async def hidden_context_to_input(self, item: HiddenContextItem) -> Inputs:
        if isinstance(item.content, str):
            return await super().hidden_context_to_input(item)
        content = json.dumps(item.content, ensure_ascii=False, default=str)
        return user_message(input_text(texts.fill(self.hidden_context_text, content=content)))

    async def assistant_message_to_input(self, item: AssistantMessageItem) -> Inputs:
        text = "".join(part.text for part in item.content)
        return {"type": "message", "role": "assistant", "content": text} if text else None


DEFAULT_CONVERTER = HistoryConverter()


async def to_responses_input(
    items: Sequence[ThreadItem], *, converter: ThreadItemConverter = DEFAULT_CONVERTER
) -> list[InputItem]:
    """Items, oldest first, as input of the Responses API."""
    return await converter.to_agent_input(items)


async def to_chat_completions(
    items: Sequence[ThreadItem], *, converter: ThreadItemConverter = DEFAULT_CONVERTER
) -> list[dict[str, Any]]:
    """Items, oldest first, as messages of chat completions."""
    return [chat_message(found) for found in await converter.to_agent_input(items)]


async def to_messages(
    items: Sequence[ThreadItem], *, converter: ThreadItemConverter = DEFAULT_CONVERTER
) -> list[Message]:
    """Items, oldest first, as Dragoman's own messages."""
    names: dict[str, str] = {}
    return [core_message(found, names) for found in await converter.to_agent_input(items)]


# ---------------------------------------------------------------------- from the Responses shape


def chat_message(found: InputItem) -> dict[str, Any]:
    match found.get("type", "message"):
        case "function_call":
            function = {"name": found["name"], "arguments": found["arguments"]}
            call = {"id": found["call_id"], "type": "function", "function": function}
            return {"role": "assistant", "content": None, "tool_calls": [call]}
        case "function_call_output":
            return {"role": "tool", "tool_call_id": found["call_id"], "content": found["output"]}
        case _:
            content = found["content"]
            if isinstance(content, list):
                parts = [chat_part(part) for part in content]
                is_text = all(part["type"] == "text" for part in parts)
                is_one = len(parts) == 1 or found["role"] == "assistant"
                content = "".join(part["text"] for part in parts) if is_text and is_one else parts
            return {"role": found["role"], "content": content}


def chat_part(part: dict[str, Any]) -> dict[str, Any]:
    match part.get("type"):
        case "input_text" | "output_text":
            return {"type": "text", "text": part["text"]}
        case "input_image" if part.get("image_url"):
            return {"type": "image_url", "image_url": {"url": part["image_url"], "detail": part.get("detail", "auto")}}
        case "input_file":
            known = ("file_data", "file_id", "filename")
            return {"type": "file", "file": {name: part[name] for name in known if part.get(name)}}
        case _:
            return part


def core_message(found: InputItem, names: dict[str, str]) -> Message:
    """`names` remembers which tool each call id stands for."""
    match found.get("type", "message"):
        case "function_call":
            names[found["call_id"]] = found["name"]
            call = ToolCallPart(found["call_id"], found["name"], decoded(found["arguments"]))
            return Message("assistant", (call,))
        case "function_call_output":
            call_id = found["call_id"]
            return Message("tool", (ToolResultPart(call_id, names.get(call_id, ""), decoded(found["output"])),))
        case _:
            role = ROLES.get(found["role"], "user")
            content = found["content"]
            if isinstance(content, str):
                return Message.of(role, content)
            return Message(role, tuple(core_part(part) for part in content))


def core_part(part: dict[str, Any]) -> Part:
    match part.get("type"):
        case "input_image" if part.get("image_url"):
            return FilePart(part["image_url"], media_type_of(part["image_url"], "image/*"))
        case "input_file" if address := part.get("file_data") or part.get("file_url") or part.get("file_id"):
            return FilePart(address, media_type_of(address, "application/octet-stream"), part.get("filename"))
        case "input_text" | "output_text":
            return TextPart(part["text"])
        case _:
            return TextPart(json.dumps(part, ensure_ascii=False))


def media_type_of(address: str, default: str) -> str:
    if not address.startswith("data:"):
        return default
    return address[5:].partition(",")[0].partition(";")[0] or default


def decoded(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return text
