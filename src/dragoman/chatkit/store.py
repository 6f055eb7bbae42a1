"""Where a ChatKit server keeps threads, items and attachments: the interfaces that a user's own store implements.

Every method acts on rows of the caller in `context` alone: what belongs to somebody else does not exist.
"""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Generic, Literal, TypeAlias

from typing_extensions import TypeVar

from dragoman.chatkit.errors import NotSupported
from dragoman.chatkit.logger import logger
from dragoman.chatkit.types import (
    Attachment,
    AttachmentCreateParams,
    FeedbackKind,
    HiddenContextItem,
    Page,
    SDKHiddenContextItem,
    ThreadItem,
    ThreadItemBase,
    ThreadMetadata,
)
from dragoman.core.errors import NotFound, UsageError

__all__ = [
    "AttachmentStore",
    "NotFoundError",
    "Store",
    "StoreItemType",
    "default_generate_id",
    "find_item",
    "is_hidden",
    "owner_of",
]

TContext = TypeVar("TContext", default=Any)

StoreItemType: TypeAlias = Literal[
    "thread", "message", "tool_call", "task", "workflow", "attachment", "sdk_hidden_context"
]

_PREFIXES: dict[StoreItemType, str] = {
    "thread": "thr",
    "message": "msg",
    "tool_call": "tc",
    "task": "tsk",
    "workflow": "wf",
    "attachment": "atc",
    "sdk_hidden_context": "shcx",
}


def default_generate_id(item_type: StoreItemType) -> str:
    """The prefix of the type, an underscore, and 128 random bits in hex."""
    return f"{_PREFIXES[item_type]}_{uuid.uuid4().hex}"


class NotFoundError(NotFound):
    """404: no such thread, item, attachment or cursor, or none that the caller may know of."""

    def __init__(self, message: str = "Not found", **details: Any) -> None:
        super().__init__(message, **details)


def is_hidden(item: ThreadItem) -> bool:
    """Whether an item is stored for the model alone and never sent to a client."""
    return isinstance(item, HiddenContextItem | SDKHiddenContextItem)


def owner_of(context: object) -> str:
    """Who is asking: the context itself if it is a string, else its `user_id` (attribute or key).

    No context, or an empty one, is a single user without a name. Raises UsageError for any other, since
    everybody would share the same threads.
    """
    if isinstance(context, str):
        return context
    if context is None or (isinstance(context, Mapping) and not context):
        return ""
    found = context.get("user_id") if isinstance(context, Mapping) else getattr(context, "user_id", None)
    if found is None:
        raise UsageError(
            f"Cannot tell whose rows to use: the context ({type(context).__name__}) has no 'user_id'. "
            "Give it one, or give the store a `key` that finds the user in a context."
        )
    return str(found)


OwnerKey: TypeAlias = Callable[[Any], str]


class Store(ABC, Generic[TContext]):
    """Threads and their items, and what is known about attachments.

    Pages: `asc` is oldest first, `desc` newest first. `after` is an exclusive cursor, the id of a row, valid in
    either direction; an unknown one raises NotFoundError. At most `limit` rows; `has_more` says whether others
    follow, and then `after` is the id of the last row. The order must be total: an insertion sequence, not a time.
    """

    def generate_thread_id(self, context: TContext) -> str:
        """A fresh id for a thread."""
        return default_generate_id("thread")

    def generate_item_id(self, item_type: StoreItemType, thread: ThreadMetadata, context: TContext) -> str:
        """A fresh id for something in a thread."""
        return default_generate_id(item_type)

    @abstractmethod
    async def load_thread(self, thread_id: str, context: TContext) -> ThreadMetadata:
        """One thread. Raises NotFoundError."""

    @abstractmethod
    async def save_thread(self, thread: ThreadMetadata, context: TContext) -> None:
        """Insert or replace by id; a replaced one keeps its place and its `created_at`."""

    @abstractmethod
    async def load_thread_items(
        self, thread_id: str, after: str | None, limit: int, order: str, context: TContext
    ) -> Page[ThreadItem]:
        """A page of a thread's items, hidden ones included; an unknown thread has none."""

    @abstractmethod
    async def save_attachment(self, attachment: Attachment, context: TContext) -> None:
        """Insert or replace by id."""

    @abstractmethod
    async def load_attachment(self, attachment_id: str, context: TContext) -> Attachment:
        """What is known about one attachment. Raises NotFoundError."""

    @abstractmethod
    async def delete_attachment(self, attachment_id: str, context: TContext) -> None:
        """Forget an attachment; its bytes are the attachment store's."""

    @abstractmethod
    async def load_threads(self, limit: int, after: str | None, order: str, context: TContext) -> Page[ThreadMetadata]:
        """A page of the caller's threads."""

    @abstractmethod
    async def add_thread_item(self, thread_id: str, item: ThreadItem, context: TContext) -> None:
        """Append an item to a thread."""

    @abstractmethod
    async def save_item(self, thread_id: str, item: ThreadItem, context: TContext) -> None:
        """Insert or replace by id; a replaced one keeps its place."""

    @abstractmethod
    async def load_item(self, thread_id: str, item_id: str, context: TContext) -> ThreadItem:
        """One item of a thread. Raises NotFoundError."""

    @abstractmethod
    async def delete_thread(self, thread_id: str, context: TContext) -> None:
        """Delete a thread and its items; an unknown one is no error."""

    @abstractmethod
    async def delete_thread_item(self, thread_id: str, item_id: str, context: TContext) -> None:
        """Delete one item; an unknown one is no error."""

    # What a store may add to. None of it is needed to serve.

    async def load_visible_items(
        self, thread_id: str, after: str | None, limit: int, order: str, context: TContext
    ) -> Page[ThreadItem]:
        """A full page without hidden items; a store that can leave them out in its query overrides it."""
        shown: list[ThreadItem] = []
        while True:
            page = await self.load_thread_items(thread_id, after, limit, order, context)
            shown += [item for item in page.data if not is_hidden(item)]
            if len(shown) > limit:
                return Page(data=shown[:limit], has_more=True, after=shown[limit - 1].id)
            if not page.has_more or not page.data:
                return Page(data=shown)
            after = page.after or page.data[-1].id
            if len(shown) == limit:
                return Page(data=shown, has_more=True, after=after)

    async def save_feedback(self, thread_id: str, item_ids: list[str], kind: FeedbackKind, context: TContext) -> None:
        """Keep the caller's verdict on items; a later one on the same item replaces it. Keeps nothing by default."""

    async def load_feedback(self, context: TContext, thread_id: str | None = None) -> list[dict[str, Any]]:
        """What was kept: `{thread_id, item_id, kind, created_at, user?}`, oldest first."""
        return []

    async def load_thread_attachments(self, thread_id: str, context: TContext) -> list[Attachment]:
        """The attachments of a thread's messages, so that deleting the thread can delete them."""
        return []


async def find_item(store: Store[TContext], thread_id: str, item_id: str, context: TContext) -> ThreadItem | None:
    """The item, or None if there is none, in whatever way the store says so."""
    try:
        item = await store.load_item(thread_id, item_id, context=context)
    except NotFoundError:
        return None
    except Exception as error:
        logger.warning("Item %s is taken as unknown, since its store raised %r", item_id, error)
        return None
    return item if isinstance(item, ThreadItemBase) else None


class AttachmentStore(ABC, Generic[TContext]):
    """Where the bytes of attachments are. A store that serves uploads itself also has `receive`, `send` and `check`."""

    @abstractmethod
    async def delete_attachment(self, attachment_id: str, context: TContext) -> None:
        """Delete the bytes."""

    async def create_attachment(self, input: AttachmentCreateParams, context: TContext) -> Attachment:
        """Announce an upload: an attachment that says where its bytes go. The server saves it."""
        raise NotSupported(f"{type(self).__name__} does not take uploads in two phases: implement create_attachment().")

    def generate_attachment_id(self, mime_type: str, context: TContext) -> str:
        """A fresh id for an attachment."""
        return default_generate_id("attachment")
