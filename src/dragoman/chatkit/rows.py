"""ChatKit's threads and items ⇄ the rows that every face shares. No I/O; for attachments see `file_rows`.

A row of the core reads as exactly one ChatKit item or as a hidden one, so that pages stay full. What a user's own
`ChatKitServer` stores keeps its whole JSON document below `extra["chatkit"]` and also fills kind, role and body, so
that the other faces and models understand it. For each function that reads a row there is one that makes it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias, cast, get_args

from pydantic import ValidationError

from dragoman.chatkit import texts
from dragoman.chatkit.cards import approval_card, form_card
from dragoman.chatkit.logger import logger
from dragoman.chatkit.types import HiddenContextItem, ThreadItem, ThreadMetadata, WidgetItem
from dragoman.chatkit.types.adapters import item_adapter
from dragoman.chatkit.widgets import DynamicWidgetRoot
from dragoman.core.ids import as_prefixed, canonical
from dragoman.core.records import Item, ItemKind, Thread

EXTRA = "chatkit"
"""The key of this dialect below `Item.extra`, `Thread.metadata` and `Blob.metadata`."""

HIDDEN_KINDS: tuple[ItemKind, ...] = ("hidden", "data")
"""Kinds whose items are never sent, whatever their body."""

BLOB_SCHEME = "blob:"
"""What the url of a message's file part begins with when the file is a blob of ours; its id follows."""

Preview: TypeAlias = Callable[[str], str | None]
"""Blob id → a URL that shows the file to whoever holds it; None if there is none."""

_SHORT = 500
_PREFIXES: Mapping[str, str] = {
    "user_message": "msg_",
    "assistant_message": "msg_",
    "client_tool_call": "tc_",
    "widget": "msg_",
    "generated_image": "msg_",
    "structured_input": "msg_",
    "workflow": "wf_",
    "task": "tsk_",
    "hidden_context_item": "msg_",
    "sdk_hidden_context": "shcx_",
    "end_of_turn": "msg_",
    "thread": "thr_",
    "attachment": "atc_",
}
_KINDS: Mapping[str, tuple[ItemKind, Literal["user", "assistant", "system"]]] = {
    "user_message": ("message", "user"),
    "assistant_message": ("message", "assistant"),
    "client_tool_call": ("tool_call", "assistant"),
    "widget": ("widget", "assistant"),
    "generated_image": ("image", "assistant"),
    "structured_input": ("structured_input", "assistant"),
    "workflow": ("workflow", "assistant"),
    "task": ("task", "assistant"),
    "hidden_context_item": ("hidden", "system"),
    "sdk_hidden_context": ("hidden", "system"),
    "end_of_turn": ("end_of_turn", "assistant"),
}
_TYPED: Mapping[str, frozenset[str]] = {
    cls.model_fields["type"].default: frozenset(field.alias or name for name, field in cls.model_fields.items())
    for cls in get_args(get_args(ThreadItem)[0])
}


# --------------------------------------------------------------------------- ids and times


def wire_id(row_id: str, type: str) -> str:
    """How this dialect spells a row's id; `type` is that of the item, `thread` or `attachment`.

    An id that is no UUID is kept as it is.
    """
    if len(row_id) != 36:
        return row_id
    try:
        return as_prefixed(row_id, _PREFIXES[type])
    except ValueError:
        return row_id


def row_ids(id: str) -> tuple[str, ...]:
    """The ids under which the row of a wire's id may be stored, the likelier first."""
    plain = canonical(id)
    return (id,) if plain == id else (plain, id)


def timestamp(at: datetime) -> float:
    """Seconds since the epoch; a time without zone is local."""
    return at.timestamp()


def moment(seconds: float) -> datetime:
    """The inverse of `timestamp`, in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


# --------------------------------------------------------------------------- threads


def thread_id_of(row: Thread) -> str:
    """How this dialect spells the thread's id."""
    return (row.metadata.get(EXTRA) or {}).get("id") or wire_id(row.id, "thread")


def thread_of(row: Thread) -> ThreadMetadata:
    """A thread as this dialect tells it; `metadata` is the private one of a `ChatKitServer`."""
    kept = row.metadata.get(EXTRA) or {}
    status = kept.get("status")
    if not isinstance(status, dict) or status.get("type") != row.status:
        status = {"type": row.status}
    document = {
        **kept,
        "id": thread_id_of(row),
        "title": row.title or None,
        "created_at": moment(row.created),
        "status": status,
        "metadata": kept.get("metadata") or {},
    }
    try:
        return ThreadMetadata.model_validate(document)
    except ValidationError:  # of a newer version, or another face's word for a status
        return ThreadMetadata(id=document["id"], title=document["title"], created_at=document["created_at"])


def thread_row(
    thread: ThreadMetadata, *, tenant: str, owner: str, now: float, existing: Thread | None = None
) -> Thread:
    """The row of a thread; of an `existing` one the place, the time of creation and other dialects' data stay."""
    before = dict((existing.metadata.get(EXTRA) or {}) if existing is not None else {})
    told = thread.model_dump(mode="json", by_alias=True, exclude={"id", "title", "created_at", "items"})
    kept = {**before, **told}
    row_id = existing.id if existing is not None else canonical(thread.id)
    if wire_id(row_id, "thread") != thread.id:
        kept["id"] = thread.id
    values: dict[str, Any] = {"title": thread.title or "", "status": thread.status.type, "updated": now}
    if existing is not None:
        return replace(existing, **values, metadata={**existing.metadata, EXTRA: kept})
    return Thread(row_id, tenant, owner, timestamp(thread.created_at), metadata={EXTRA: kept}, **values)


# --------------------------------------------------------------------------- rows → items


def item_of(row: Item, thread_id: str, *, preview: Preview | None = None) -> ThreadItem:
    """The one item as which a row reads. `thread_id` is the wire's; `preview` signs anew the URLs of images."""
    document = {**item_document(row, preview=preview), "thread_id": thread_id}
    try:
        item = item_adapter.validate_python(document)
        return _as_stored(item, document["widget"]) if isinstance(item, WidgetItem) else item
    except ValidationError:
        logger.warning("item %r cannot be shown: its %s does not read as one of ChatKit", row.id, row.kind)
        return HiddenContextItem(
            id=document["id"], thread_id=thread_id, created_at=moment(row.created), content=dict(row.body)
        )


def _as_stored(item: WidgetItem, widget: Any) -> WidgetItem:
    """The item with the widget as it was stored, where the strict classes would add to it."""
    if item.widget.model_dump(mode="json", by_alias=True) == widget:
        return item
    return item.model_copy(update={"widget": DynamicWidgetRoot.model_validate(widget)})


def item_document(row: Item, *, preview: Preview | None = None) -> dict[str, Any]:
    """What `item_of` validates, without the thread's id."""
    kept = row.extra.get(EXTRA)
    if isinstance(kept, dict) and kept.get("type") in _KINDS:
        document = {"id": wire_id(row.id, kept["type"]), "created_at": moment(row.created), **kept}
        if preview is not None and document.get("attachments"):
            document["attachments"] = [_signed(one, preview) for one in document["attachments"]]
        return document
    own = _own_document(row, preview)
    return {"id": wire_id(row.id, own["type"]), "created_at": moment(row.created), **own}


def _own_document(row: Item, preview: Preview | None) -> dict[str, Any]:
    body = row.body
    match row.kind:
        case "message" if row.role == "user":
            return _user_message(row, preview)
        case "message" if row.role == "assistant":
            return {"type": "assistant_message", "content": [text_content(body.get("text") or "")]}
        case "reasoning":
            return {"type": "workflow", "workflow": reasoning_workflow(body.get("text") or "")}
        case "tool_call":
            return tool_document(body)
        case "source":
            return {"type": "task", "task": _source_task(body)}
        case "image" | "file" if row.kind == "image" or str(body.get("media_type") or "").startswith("image/"):
            return {"type": "generated_image", "image": _image(row, preview)}
        case "widget":
            return {"type": "widget", "widget": body}
        case "workflow":
            return {"type": "workflow", "workflow": body}
        case "task":
            return {"type": "task", "task": body}
        case "structured_input":
            return {**body, "type": "structured_input"}
        case "end_of_turn":
            return {"type": "end_of_turn"}
        case "hidden":
            hidden = "sdk_hidden_context" if body.get("sdk") else "hidden_context_item"
            return {"type": hidden, "content": body.get("content")}
    return {"type": "hidden_context_item", "content": {"kind": row.kind, **body}}


def text_content(text: str) -> dict[str, Any]:
    """The one part of an assistant's message."""
    return {"type": "output_text", "text": text, "annotations": []}


def reasoning_workflow(text: str, *, done: bool = True) -> dict[str, Any]:
    """A stretch of reasoning: a workflow of one thought."""
    thought = {"type": "thought", "content": text, "status_indicator": "complete" if done else "loading"}
    return {"type": "reasoning", "tasks": [thought], "expanded": False}


def tool_document(body: Mapping[str, Any]) -> dict[str, Any]:
    """What a stored tool call reads as, without id and times: a card, a call of the client's tool, or a workflow."""
    if body.get("approval"):
        return {"type": "widget", "widget": approval_card(dict(body))}
    if body.get("client") and body.get("widget"):
        return {"type": "widget", "widget": form_card(dict(body))}
    if body.get("client"):
        return _client_call(body)
    return {"type": "workflow", "workflow": tool_workflow(body)}


def tool_workflow(body: Mapping[str, Any]) -> dict[str, Any]:
    """A call of a tool that the server runs: a workflow of one task, named after the tool."""
    state = body.get("state")
    task: dict[str, Any] = {"type": "custom", "title": str(body.get("name") or "tool")}
    task["status_indicator"] = "complete" if str(state).startswith("output-") else "loading"
    if state == "output-available":
        task["content"] = short(body.get("output"))
    elif state == "output-error":
        task["content"] = "The tool failed."  # what it raised is for the model and the log
    elif state == "output-denied":
        task["content"] = short(body.get("error") or "denied")
    return {"type": "custom", "tasks": [task], "expanded": False}


def short(value: Any) -> str:
    """A value as a text that fits on a card."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHORT else f"{text[:_SHORT]}…"


def _client_call(body: Mapping[str, Any]) -> dict[str, Any]:
    state = body.get("state")
    told: dict[str, Any] = {
        "type": "client_tool_call",
        "status": "completed" if str(state).startswith("output-") else "pending",
        "call_id": str(body.get("call")),
        "name": str(body.get("name")),
        "arguments": body.get("input") or {},
    }
    if state == "output-available":
        told["output"] = body.get("output")
    elif told["status"] == "completed":
        told["output"] = {"error": body.get("error") or "denied"}
    return told


def _user_message(row: Item, preview: Preview | None) -> dict[str, Any]:
    content: list[dict[str, Any]] = []
    attachments: list[dict[str, Any]] = []
    for n, part in enumerate(row.body.get("parts") or ()):
        if part.get("type") == "text":
            content.append({"type": "input_text", "text": part.get("text") or ""})
        elif part.get("type") == "file":
            attachments.append(_part_attachment(row, n, part, preview))
    return {"type": "user_message", "content": content, "attachments": attachments, "inference_options": {}}


def _part_attachment(row: Item, n: int, part: Mapping[str, Any], preview: Preview | None) -> dict[str, Any]:
    url, media_type = str(part.get("url") or ""), str(part.get("media_type") or "application/octet-stream")
    shown: str | None = url if url.startswith(("http://", "https://")) else None
    id = f"{wire_id(row.id, 'user_message')}.{n}"
    if url.startswith(BLOB_SCHEME):
        blob = url.removeprefix(BLOB_SCHEME)
        id, shown = wire_id(blob, "attachment"), preview(blob) if preview is not None else None
    told = {"type": "file", "id": id, "name": str(part.get("name") or "file"), "mime_type": media_type}
    if media_type.startswith("image/") and shown:
        told |= {"type": "image", "preview_url": shown}
    return told


def _source_task(body: Mapping[str, Any]) -> dict[str, Any]:
    title = str(body.get("title") or body.get("name") or body.get("url") or body.get("id") or "source")
    if body.get("url"):
        source = {"type": "url", "url": str(body["url"]), "title": title}
        return {"type": "web_search", "sources": [source], "status_indicator": "complete"}
    source = {"type": "file", "filename": str(body.get("name") or title), "title": title}
    return {"type": "file", "sources": [source], "status_indicator": "complete"}


def _image(row: Item, preview: Preview | None) -> dict[str, Any] | None:
    url = str(row.body.get("url") or "")
    if url.startswith(BLOB_SCHEME):
        url = (preview(url.removeprefix(BLOB_SCHEME)) if preview is not None else None) or ""
    return {"id": str(row.body.get("id") or wire_id(row.id, "generated_image")), "url": url} if url else None


def _signed(attachment: Any, preview: Preview) -> Any:
    if not isinstance(attachment, dict) or "preview_url" not in attachment:
        return attachment
    shown = preview(canonical(str(attachment.get("id"))))
    return attachment if shown is None else {**attachment, "preview_url": shown}


# --------------------------------------------------------------------------- items → rows


def item_row(item: ThreadItem, *, existing: Item | None = None, answer: str | None = None) -> Item:
    """The row of an item that a `ChatKitServer` stores.

    Of an `existing` one the place and what the item's type does not say stay; a tool call of the engine stays one,
    whatever it is shown as by now. `answer` is for a new item of the assistant.
    """
    document = item.model_dump(mode="json", by_alias=True, exclude={"thread_id"})
    kind, role = _KINDS[item.type]
    row_id = existing.id if existing is not None else canonical(item.id)
    if wire_id(row_id, item.type) == item.id:
        del document["id"]
    if existing is None:
        body = _body(document)
        extra = {EXTRA: document}
        return Item(row_id, kind, role, timestamp(item.created_at), body, answer=answer, extra=extra)
    before = existing.extra.get(EXTRA)
    if isinstance(before, dict) and before.get("type") == item.type:  # what a newer version knows stays
        document = {key: value for key, value in before.items() if key not in _TYPED[item.type]} | document
    body = existing.body
    if existing.kind == kind:
        body = {**existing.body, **_body(document)} if kind == "tool_call" else _body(document)
    elif existing.kind != "tool_call":
        body = _body(document)
        existing = replace(existing, kind=kind, role=role)
    return replace(existing, body=body, extra={**existing.extra, EXTRA: document})


def _body(document: Mapping[str, Any]) -> dict[str, Any]:
    """What the other faces and models know of an item."""
    match document["type"]:
        case "user_message":
            return {"parts": message_parts(document)}
        case "assistant_message":
            return {"text": "".join(part.get("text") or "" for part in document.get("content") or ())}
        case "client_tool_call":
            call = {"call": document["call_id"], "name": document["name"], "input": document.get("arguments") or {}}
            if document.get("status") == "completed":
                return {**call, "client": True, "state": "output-available", "output": document.get("output")}
            return {**call, "client": True, "state": "input-available"}
        case "generated_image":
            image = document.get("image") or {}
            return {"media_type": "image/png", **{key: image[key] for key in ("id", "url") if image.get(key)}}
        case "structured_input":
            return {key: document.get(key) for key in ("status", "inputs")}
        case "widget" | "workflow" | "task" as name:
            return cast("dict[str, Any]", document[name])
        case "hidden_context_item" | "sdk_hidden_context" as name:
            content = document.get("content")
            text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
            text = texts.fill(texts.HIDDEN_CONTEXT, content=text)
            sdk = {"sdk": True} if name == "sdk_hidden_context" else {}
            return {"content": content, "parts": [{"type": "text", "text": text}], **sdk}
    return {}


def message_parts(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The parts of a user's message: its text as a model reads it, then its files by blob id."""
    text = "".join(_said(part) for part in document.get("content") or ())
    parts: list[dict[str, Any]] = [{"type": "text", "text": text}] if text else []
    for one in document.get("attachments") or ():
        url = f"{BLOB_SCHEME}{canonical(str(one['id']))}"
        parts.append({"type": "file", "url": url, "media_type": one["mime_type"], "name": one["name"]})
    return parts


def _said(part: Mapping[str, Any]) -> str:
    return f"@{part.get('text') or ''}" if part.get("type") == "input_tag" else str(part.get("text") or "")
