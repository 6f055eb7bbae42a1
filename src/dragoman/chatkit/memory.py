"""A store in memory: for tests, demos and first steps. Nothing outlives the process.

Rows are copied in and out, as any database would.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Generic, Protocol, TypeVar

from dragoman.chatkit.store import NotFoundError, Store, TContext, is_hidden, owner_of
from dragoman.chatkit.types import Attachment, FeedbackKind, Page, ThreadItem, ThreadMetadata
from dragoman.core.errors import Conflict


class _Row(Protocol):
    @property
    def id(self) -> str: ...


R = TypeVar("R", bound=_Row)


class _Rows(Generic[R]):
    """Rows by id, in the order in which they came."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._rows: dict[str, tuple[int, R]] = {}
        self._order: list[tuple[int, str]] = []
        self._last = 0

    def __contains__(self, row_id: str) -> bool:
        return row_id in self._rows

    def __iter__(self) -> Any:
        return (self._rows[row_id][1] for _, row_id in self._order)

    def put(self, row: R) -> None:
        known = self._rows.get(row.id)
        if known is None:
            self._last += 1
            insort(self._order, (self._last, row.id))
        self._rows[row.id] = (known[0] if known else self._last, row)

    def get(self, row_id: str) -> R:
        try:
            return self._rows[row_id][1]
        except KeyError:
            raise NotFoundError(f"{self._what} {row_id} not found") from None

    def drop(self, row_id: str) -> None:
        found = self._rows.pop(row_id, None)
        if found is not None:
            del self._order[bisect_left(self._order, (found[0], row_id))]

    def page(self, after: str | None, limit: int, order: str, shown: Callable[[R], bool] | None = None) -> Page[R]:
        """At most `limit` rows that are `shown`, beyond the cursor, which need not be."""
        taken: list[R] = []
        for row_id in self._ids_after(after, order):
            row = self._rows[row_id][1]
            if shown is not None and not shown(row):
                continue
            if len(taken) == limit:
                return Page(data=taken, has_more=True, after=taken[-1].id if taken else None)
            taken.append(row)
        return Page(data=taken, has_more=False, after=None)

    def _ids_after(self, after: str | None, order: str) -> Any:
        known = None if after is None else self._rows.get(after)
        if after is not None and known is None:
            raise NotFoundError(f"{self._what} {after} not found")
        if order == "asc":
            start = bisect_right(self._order, (known[0], after)) if known and after else 0
            return (self._order[place][1] for place in range(start, len(self._order)))
        end = bisect_left(self._order, (known[0], after)) if known and after else len(self._order)
        return (self._order[place][1] for place in range(end - 1, -1, -1))


class _Account:
    """All that belongs to one user."""

    def __init__(self) -> None:
        self.threads: _Rows[ThreadMetadata] = _Rows("Thread")
        self.items: dict[str, _Rows[Any]] = {}
        self.attachments: dict[str, Attachment] = {}
        self.feedback: dict[tuple[str, str], dict[str, Any]] = {}

    def items_of(self, thread_id: str) -> _Rows[Any]:
        found = self.items.get(thread_id)
        if found is None:
            raise NotFoundError(f"Thread {thread_id} not found")
        return found


def _copy_page(page: Page[Any]) -> Page[Any]:
    return page.model_copy(update={"data": [row.model_copy(deep=True) for row in page.data]})


class MemoryStore(Store[TContext]):
    """Keeps everything in this object. `key` finds the user in a context; see `owner_of` for the default."""

    def __init__(self, *, key: Callable[[TContext], str] = owner_of) -> None:
        self._key = key
        self._accounts: dict[str, _Account] = {}

    def _account(self, context: TContext) -> _Account:
        return self._accounts.setdefault(self._key(context), _Account())

    async def load_thread(self, thread_id: str, context: TContext) -> ThreadMetadata:
        return self._account(context).threads.get(thread_id).model_copy(deep=True)

    async def save_thread(self, thread: ThreadMetadata, context: TContext) -> None:
        account = self._account(context)
        row = thread.model_copy(deep=True)
        if thread.id in account.threads:
            row.created_at = account.threads.get(thread.id).created_at
        account.threads.put(row)
        account.items.setdefault(thread.id, _Rows("Item"))

    async def load_threads(self, limit: int, after: str | None, order: str, context: TContext) -> Page[ThreadMetadata]:
        return _copy_page(self._account(context).threads.page(after, limit, order))

    async def delete_thread(self, thread_id: str, context: TContext) -> None:
        account = self._account(context)
        account.threads.drop(thread_id)
        account.items.pop(thread_id, None)
        account.feedback = {key: kept for key, kept in account.feedback.items() if key[0] != thread_id}

    async def load_thread_items(
        self, thread_id: str, after: str | None, limit: int, order: str, context: TContext
    ) -> Page[ThreadItem]:
        rows = self._account(context).items.get(thread_id, _Rows("Item"))
        return _copy_page(rows.page(after, limit, order))

    async def load_visible_items(
        self, thread_id: str, after: str | None, limit: int, order: str, context: TContext
    ) -> Page[ThreadItem]:
        rows = self._account(context).items.get(thread_id, _Rows("Item"))
        return _copy_page(rows.page(after, limit, order, lambda item: not is_hidden(item)))

    async def add_thread_item(self, thread_id: str, item: ThreadItem, context: TContext) -> None:
        rows = self._account(context).items_of(thread_id)
        if item.id in rows:
            raise Conflict(f"Item {item.id} is already in thread {thread_id}; save_item() replaces it.")
        rows.put(item.model_copy(deep=True))

    async def save_item(self, thread_id: str, item: ThreadItem, context: TContext) -> None:
        self._account(context).items_of(thread_id).put(item.model_copy(deep=True))

    async def load_item(self, thread_id: str, item_id: str, context: TContext) -> ThreadItem:
        found: ThreadItem = self._account(context).items_of(thread_id).get(item_id)
        return found.model_copy(deep=True)

    async def delete_thread_item(self, thread_id: str, item_id: str, context: TContext) -> None:
        rows = self._account(context).items.get(thread_id)
        if rows is not None:
            rows.drop(item_id)

    async def save_attachment(self, attachment: Attachment, context: TContext) -> None:
        self._account(context).attachments[attachment.id] = attachment.model_copy(deep=True)

    async def load_attachment(self, attachment_id: str, context: TContext) -> Attachment:
        found = self._account(context).attachments.get(attachment_id)
        if found is None:
            raise NotFoundError(f"Attachment {attachment_id} not found")
        return found.model_copy(deep=True)

    async def delete_attachment(self, attachment_id: str, context: TContext) -> None:
        self._account(context).attachments.pop(attachment_id, None)

    async def load_thread_attachments(self, thread_id: str, context: TContext) -> list[Attachment]:
        rows = self._account(context).attachments.values()
        return [row.model_copy(deep=True) for row in rows if row.thread_id == thread_id]

    async def save_feedback(self, thread_id: str, item_ids: list[str], kind: FeedbackKind, context: TContext) -> None:
        account, user = self._account(context), self._key(context)
        for item_id in item_ids:
            account.feedback.pop((thread_id, item_id), None)  # the newest verdict is the last
            account.feedback[thread_id, item_id] = {
                "thread_id": thread_id,
                "item_id": item_id,
                "kind": kind,
                "created_at": datetime.now(UTC),
                "user": user,
            }

    async def load_feedback(self, context: TContext, thread_id: str | None = None) -> list[dict[str, Any]]:
        kept = self._account(context).feedback.values()
        return [dict(one) for one in kept if thread_id is None or one["thread_id"] == thread_id]
