"""Stored items → the messages of `GET /api/chat/{id}` (kai.md 3.10).

Items come in the order of the thread; those of one answer become one assistant message whose
parts are UI parts of the AI SDK. Nothing is ever null in them. Knows no store.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime
from typing import Any, TypeAlias

from dragoman.core.records import Item, Thread
from dragoman.kai.translate import as_object, item_chunk

EXTRA = "kai"
"""The key below `Item.extra` that is this dialect's own."""


def timestamp(seconds: float) -> str:
    """ISO 8601 in UTC, with milliseconds and `Z`."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def summary(thread: Thread) -> dict[str, Any]:
    """What lists and details say about a chat."""
    return {
        "id": thread.id,
        "title": thread.title or "New chat",
        "createdAt": timestamp(thread.created),
        "updatedAt": timestamp(thread.updated),
        "visibility": thread.visibility,
        "userId": thread.owner or "nobody",
    }


AddressOf: TypeAlias = Callable[[str], str]
"""The URL of a part as a client may use it."""


def as_stored(url: str) -> str:
    """The same URL."""
    return url


def messages(
    items: Iterable[Item], *, hidden: Collection[str] = (), address: AddressOf = as_stored
) -> list[dict[str, Any]]:
    """The messages of a chat, in order; `hidden` are answers to leave out, `address` makes URLs of files usable.

    An answer that was cut short is marked as interrupted, even if nothing of it was stored but the
    mark of its end.
    """
    built = _Builder(address)
    for item in items:
        if item.role == "user" and item.kind == "message":
            built.user(item)
        elif item.role == "assistant" and item.answer is not None and item.answer not in hidden:
            built.assistant(item, item.answer)
    return built.messages


def is_hidden(item: Item) -> bool:
    """Whether whoever sent this message wants it kept out of views (`metadata.hidden`)."""
    metadata = (item.extra.get(EXTRA) or {}).get("metadata")
    return isinstance(metadata, dict) and metadata.get("hidden") is True


class _Builder:
    def __init__(self, address: AddressOf) -> None:
        self._address = address
        self.messages: list[dict[str, Any]] = []
        self._open: dict[str, Any] | None = None
        self._step = -1

    def user(self, item: Item) -> None:
        self._open = None
        own = item.extra.get(EXTRA) or {}
        message: dict[str, Any] = {
            "id": item.id,
            "role": "user",
            "parts": own.get("parts") or [user_part(part, self._address) for part in item.body.get("parts", ())],
            "createdAt": timestamp(item.created),
        }
        if isinstance(own.get("metadata"), dict):
            message["metadata"] = own["metadata"]
        self.messages.append(message)

    def assistant(self, item: Item, answer: str) -> None:
        if self._open is None or self._open["id"] != answer:
            self._open = {"id": answer, "role": "assistant", "parts": [], "createdAt": timestamp(item.created)}
            self._step = -1
            self.messages.append(self._open)
        part = item_part(item, self._address)
        if part is not None:
            if item.step != self._step:
                self._step = item.step
                self._open["parts"].append({"type": "step-start"})
            self._open["parts"].append(part)
        if item.status == "interrupted":
            self._open["metadata"] = {"interrupted": True}


def user_part(part: dict[str, Any], address: AddressOf = as_stored) -> dict[str, Any]:
    """One part of a user's stored message, as the wire spells it."""
    if part.get("type") != "file":
        return {"type": "text", "text": part.get("text", "")}
    told = {"type": "file", "mediaType": part.get("media_type", ""), "url": address(part.get("url", ""))}
    if part.get("name"):
        told["filename"] = part["name"]
    return told


def item_part(item: Item, address: AddressOf = as_stored) -> dict[str, Any] | None:
    """The UI part of one item of an answer, or None for what is not shown."""
    body = item.body
    match item.kind:
        case "message" | "reasoning":
            if not body.get("text"):
                return None
            kind = "text" if item.kind == "message" else "reasoning"
            return {"type": kind, "text": body["text"], "state": "done"}
        case "tool_call":
            return _tool_part(body)
    chunk = item_chunk(item.kind, item.id, body)
    if chunk is None or chunk.get("transient"):
        return None
    if chunk["type"] == "file":
        chunk["url"] = address(chunk.get("url", ""))
        if body.get("name"):
            chunk["filename"] = body["name"]
    return chunk


def _tool_part(body: dict[str, Any]) -> dict[str, Any]:
    state = body.get("state", "input-available")
    part: dict[str, Any] = {
        "type": f"tool-{body['name']}",
        "toolCallId": body["call"],
        "state": state,
        "input": body.get("input") or {},
    }
    if state == "output-available":
        part["output"] = as_object(body.get("output"))
    elif state == "output-error":
        part["errorText"] = str(body.get("error") or "The tool failed.")
    asked = body.get("approval")
    if isinstance(asked, dict) and asked.get("id"):
        part["approval"] = {key: asked[key] for key in ("id", "approved", "reason") if asked.get(key) is not None}
    return part
