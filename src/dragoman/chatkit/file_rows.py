"""ChatKit's attachments ⇄ rows of files. No I/O, and no bytes."""

from __future__ import annotations

from typing import Any

from dragoman.chatkit.rows import EXTRA, Preview, wire_id
from dragoman.chatkit.types import Attachment
from dragoman.chatkit.types.adapters import attachment_adapter
from dragoman.core.ids import canonical
from dragoman.core.records import Blob

ELSEWHERE = "elsewhere"
"""Set in `Blob.metadata` where the bytes are not ours."""


def attachment_of(blob: Blob, *, thread_id: str | None = None, preview: Preview | None = None) -> Attachment:
    """A file as this dialect tells it; the address of an image is signed anew."""
    kept = blob.metadata.get(EXTRA) or {}
    document: dict[str, Any] = {
        "type": "file",
        "id": wire_id(blob.id, "attachment"),
        "name": blob.name,
        "mime_type": blob.type,
        **kept,
    }
    if thread_id is not None:
        document["thread_id"] = thread_id
    shown = preview(blob.id) if preview is not None and blob.type.startswith("image/") else None
    if shown is not None:
        document |= {"type": "image", "preview_url": shown}
    return attachment_adapter.validate_python(document)


def attachment_document(attachment: Attachment, row_id: str, *, lost: bool = False) -> dict[str, Any]:
    """What `Blob.metadata` keeps of an attachment; with the thread's id where that is no thread of ours (`lost`)."""
    document = attachment.model_dump(mode="json", by_alias=True, exclude=None if lost else {"thread_id"})
    if wire_id(row_id, "attachment") == attachment.id:
        del document["id"]
    return document


def attachment_blob(attachment: Attachment, *, tenant: str, owner: str, now: float, lost: bool = False) -> Blob:
    """The row of a file whose bytes somebody else keeps."""
    row_id = canonical(attachment.id)
    metadata = {EXTRA: attachment_document(attachment, row_id, lost=lost), ELSEWHERE: True}
    name, type = attachment.name, attachment.mime_type
    return Blob(row_id, tenant, owner, "attachment", name, type, now, state="ready", metadata=metadata)
