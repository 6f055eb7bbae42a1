"""ChatKit's `Store` over the rows that every face shares.

Joins `dragoman.chatkit` to a `core.ports.Store`: threads that other faces began are there, and what is stored here
they see. What a row reads as is said by `chatkit.rows`; here is only which rows, in which order, and whose.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import cache
from typing import Any, TypeAlias

from dragoman.chatkit.file_rows import ELSEWHERE, attachment_blob, attachment_document, attachment_of
from dragoman.chatkit.logger import logger
from dragoman.chatkit.rows import (
    EXTRA,
    HIDDEN_KINDS,
    Preview,
    item_of,
    item_row,
    moment,
    row_ids,
    thread_id_of,
    thread_of,
    thread_row,
    wire_id,
)
from dragoman.chatkit.store import NotFoundError, Store, StoreItemType, TContext, default_generate_id, is_hidden
from dragoman.chatkit.types import Attachment, FeedbackKind, Page, ThreadItem, ThreadMetadata
from dragoman.core.errors import Conflict, NotFound, StaleWrite
from dragoman.core.ids import new_id
from dragoman.core.ports import Clock
from dragoman.core.ports import Store as Rows
from dragoman.core.records import Blob, Item, Thread, Vote
from dragoman.core.writes import (
    ChangeBlob,
    ChangeThread,
    DeleteThread,
    DropBlob,
    PutBlob,
    PutItem,
    PutThread,
    PutVote,
    RemoveItem,
    Write,
)

Identify: TypeAlias = Callable[[Any], tuple[str, str]]
"""A context → (tenant, owner)."""

MARKED = 24 * 3600.0
"""Seconds for which lists know the place of a deleted thread."""


_MANY = 500
"""Rows that are read at once where those read before were hidden; so many do not hold up the loop."""


class RowsStore(Store[TContext]):
    """The caller's rows; `identify` tells from a context whose they are.

    `delete` deletes a thread in place of this store (tenant, owner, row id), where an engine may be running in it.
    `admin` tells whether a caller may read the feedback of the whole tenant. `preview` gives an image's address that
    the caller's browser can load, from (blob id, context). An attachment store of ours sets it, and `sweep`, which
    deletes the bytes of files that have gone.
    """

    def __init__(
        self,
        store: Rows | None,
        *,
        identify: Identify,
        clock: Clock = time.time,
        preview: Callable[[str, Any], str | None] | None = None,
        delete: Callable[[str, str, str], Awaitable[Any]] | None = None,
        admin: Callable[[Any], bool] | None = None,
    ) -> None:
        self._store = store
        self.identify = identify
        self.clock = clock
        self.preview = preview
        self.sweep: Callable[[], Awaitable[Any]] | None = None
        self._delete = delete
        self._admin = admin

    async def rows(self) -> Rows:
        """The store of rows beneath."""
        if self._store is None:
            raise NotFound("this store was given no rows")
        return self._store

    def generate_thread_id(self, context: TContext) -> str:
        """Ordered by time, as all ids of rows are."""
        return wire_id(new_id(self.clock()), "thread")

    def generate_item_id(self, item_type: StoreItemType, thread: ThreadMetadata, context: TContext) -> str:
        """Ordered by time, as all ids of rows are."""
        return f"{_prefix(item_type)}_{new_id(self.clock()).replace('-', '')}"

    # ----------------------------------------------------------------------- threads

    async def find_thread(self, thread_id: str, context: TContext, *, everybodys: bool = False) -> Thread | None:
        """The row of the caller's thread, however its id is spelt; with `everybodys` of any of the tenant's."""
        tenant, owner = self.identify(context)
        store = await self.rows()
        for id in row_ids(thread_id):
            row = await store.thread(tenant, id, owner=None if everybodys else owner)
            if row is not None:
                return row
        return None

    async def _thread(self, thread_id: str, context: TContext) -> Thread:
        row = await self.find_thread(thread_id, context)
        if row is None:
            raise _no_thread(thread_id)
        return row

    async def load_thread(self, thread_id: str, context: TContext) -> ThreadMetadata:
        return thread_of(await self._thread(thread_id, context))

    async def save_thread(self, thread: ThreadMetadata, context: TContext) -> None:
        tenant, owner = self.identify(context)
        store = await self.rows()
        now = self.clock()
        existing = await self.find_thread(thread.id, context)
        if existing is None:
            row = thread_row(thread, tenant=tenant, owner=owner, now=now)
            try:
                await store.commit(PutThread(row, tenant_wide=False))
                return
            except StaleWrite:  # somebody was quicker
                existing = await self._thread(thread.id, context)
        row = thread_row(thread, tenant=tenant, owner=owner, now=now, existing=existing)
        changes = {name: getattr(row, name) for name in ("title", "status", "metadata", "updated")}
        try:
            await store.commit(ChangeThread(existing.number, changes))
        except StaleWrite as stale:  # deleted meanwhile
            raise _no_thread(thread.id) from stale

    async def begin_thread(self, thread: ThreadMetadata, item: ThreadItem, context: TContext) -> None:
        """A new thread with its first item, both or neither."""
        tenant, owner = self.identify(context)
        row = thread_row(thread, tenant=tenant, owner=owner, now=self.clock())
        try:
            await (await self.rows()).commit(PutThread(row, tenant_wide=False), PutItem(0, item_row(item)))
        except StaleWrite:  # an id of the user's own making, which is there already
            await self.save_thread(thread, context)
            await self.add_thread_item(thread.id, item, context)

    async def load_threads(self, limit: int, after: str | None, order: str, context: TContext) -> Page[ThreadMetadata]:
        tenant, owner = self.identify(context)
        page = await self._thread_page(tenant, owner, limit, after, oldest=order == "asc")
        data = [thread_of(row) for row in page.rows]
        more = page.more and bool(data)
        return Page(data=data, has_more=more, after=data[-1].id if more else None)

    async def _thread_page(self, tenant: str, owner: str, limit: int, after: str | None, *, oldest: bool) -> Any:
        store = await self.rows()
        for id in row_ids(after) if after is not None else (None,):
            try:
                return await store.threads(tenant, owner, limit=limit, after=id, oldest=oldest)
            except NotFound:
                continue
        raise NotFoundError(f"Thread {after} not found", code="not_found:cursor")

    async def delete_thread(self, thread_id: str, context: TContext) -> None:
        row = await self.find_thread(thread_id, context)
        if row is None:
            return
        if self._delete is not None:
            await self._delete(row.tenant, row.owner, row.id)
        else:
            try:
                await (await self.rows()).commit(DeleteThread(row.number, self.clock() + MARKED))
            except StaleWrite:  # somebody was quicker
                return
        if self.sweep is not None:
            try:
                await self.sweep()
            except Exception:  # the thread is gone, and the next sweep tries again
                logger.exception("The bytes of a deleted thread's files could not be deleted")

    # ----------------------------------------------------------------------- items

    async def find_item(self, row: Thread, item_id: str) -> Item | None:
        """The row of a thread's item, however its id is spelt."""
        store = await self.rows()
        for id in row_ids(item_id):
            item = await store.item(row.number, id)
            if item is not None:
                return item
        return None

    async def load_thread_items(
        self, thread_id: str, after: str | None, limit: int, order: str, context: TContext
    ) -> Page[ThreadItem]:
        return await self._items(thread_id, after, limit, order, context, hidden=True)

    async def load_visible_items(
        self, thread_id: str, after: str | None, limit: int, order: str, context: TContext
    ) -> Page[ThreadItem]:
        return await self._items(thread_id, after, limit, order, context, hidden=False)

    async def _items(
        self, thread_id: str, after: str | None, limit: int, order: str, context: TContext, *, hidden: bool
    ) -> Page[ThreadItem]:
        row = await self.find_thread(thread_id, context)
        cursor = None
        if after is not None:
            cursor = await self.find_item(row, after) if row is not None else None
            if cursor is None:
                raise NotFoundError(f"Item {after} not found", code="not_found:cursor")
        if row is None:
            return Page(data=[])
        place = cursor.pos if cursor is not None else None
        found = await self._some(row, place, limit + 1, context, newest=order != "asc", hidden=hidden)
        more = len(found) > limit > 0
        data = found[:limit]
        return Page(data=data, has_more=more, after=data[-1].id if more else None)

    def previewing(self, context: Any) -> Preview | None:
        """What signs the addresses of images for this caller."""
        preview = self.preview
        return None if preview is None else lambda id: preview(id, context)

    async def _some(
        self, row: Thread, place: int | None, count: int, context: Any, *, newest: bool, hidden: bool
    ) -> list[ThreadItem]:
        """`count` items from a place on, or as many as there are; a few kinds are hidden by what is in them."""
        store, thread_id = await self.rows(), thread_id_of(row)
        found: list[ThreadItem] = []
        size = count
        while True:
            bounds = {"before": place} if newest else {"after": place or 0}
            without = () if hidden else HIDDEN_KINDS
            page = await store.items(row.number, limit=size, newest=newest, without=without, **bounds)
            items = (item_of(one, thread_id, preview=self.previewing(context)) for one in page.rows)
            found += [item for item in items if hidden or not is_hidden(item)]
            if len(found) >= count or not page.more or not page.rows:
                return found[:count]
            place, size = page.rows[-1].pos, _MANY

    async def load_item(self, thread_id: str, item_id: str, context: TContext) -> ThreadItem:
        row = await self._thread(thread_id, context)
        item = await self.find_item(row, item_id)
        if item is None:
            raise NotFoundError(f"Item {item_id} not found", code="not_found:item")
        return item_of(item, thread_id_of(row), preview=self.previewing(context))

    async def add_thread_item(self, thread_id: str, item: ThreadItem, context: TContext) -> None:
        row = await self._thread(thread_id, context)
        try:
            await self._put(row, await self._new_item(row, item))
        except StaleWrite as stale:
            if stale.what != "item_id":
                raise _no_thread(thread_id) from stale
            raise Conflict(f"Item {item.id} is already in thread {thread_id}; save_item() replaces it.") from stale

    async def save_item(self, thread_id: str, item: ThreadItem, context: TContext) -> None:
        row = await self._thread(thread_id, context)
        existing = await self.find_item(row, item.id)
        made = await self._new_item(row, item) if existing is None else item_row(item, existing=existing)
        try:
            await self._put(row, made, replace=True)
        except StaleWrite as stale:
            raise _no_thread(thread_id) from stale

    async def _put(self, row: Thread, item: Item, *, replace: bool = False) -> None:
        store = await self.rows()
        await store.commit(
            PutItem(row.number, item, replace=replace), ChangeThread(row.number, {"updated": self.clock()})
        )

    async def _new_item(self, row: Thread, item: ThreadItem) -> Item:
        """The row of an item that is not there yet; the assistant's belong to the answer that is under way."""
        made = item_row(item)
        if made.role != "assistant":
            return made
        last = (await (await self.rows()).items(row.number, limit=1, newest=True, without=HIDDEN_KINDS)).rows
        answer = last[0].answer if last and last[0].role == "assistant" else None
        return replace(made, answer=answer or new_id(self.clock()))

    async def delete_thread_item(self, thread_id: str, item_id: str, context: TContext) -> None:
        row = await self.find_thread(thread_id, context)
        item = await self.find_item(row, item_id) if row is not None else None
        if row is not None and item is not None:
            await (await self.rows()).commit(RemoveItem(row.number, item.id))

    # ----------------------------------------------------------------------- feedback

    async def save_feedback(self, thread_id: str, item_ids: list[str], kind: FeedbackKind, context: TContext) -> None:
        """One vote for each item, and one for its answer, which is what the other faces know."""
        row = await self._thread(thread_id, context)
        now, up = self.clock(), kind == "positive"
        votes: dict[str, Write] = {}
        for item_id in item_ids:
            item = await self.find_item(row, item_id)
            if item is None:
                raise NotFoundError(f"Item {item_id} not found", code="not_found:item")
            for target in (item.id, item.answer):
                if target is not None:
                    votes[target] = PutVote(Vote(row.number, target, row.owner, up, now, new_id(now)))
        await (await self.rows()).commit(*votes.values())

    async def load_feedback(self, context: TContext, thread_id: str | None = None) -> list[dict[str, Any]]:
        """The caller's, or the whole tenant's for an `admin`; of one thread, or of the newest ones."""
        tenant, owner = self.identify(context)
        store = await self.rows()
        everybody = self._admin is not None and self._admin(context)
        if thread_id is None:
            found = list(await store.tenant_votes(tenant, owner=None if everybody else owner))
        else:
            row = await self.find_thread(thread_id, context, everybodys=everybody)
            votes = await store.votes(row.number, None if everybody else owner) if row is not None else ()
            found = [(row, vote) for vote in votes if row is not None]
        items = [await store.item(vote.thread, vote.answer) for _, vote in found]
        by_item = {_given(vote) for (_, vote), item in zip(found, items, strict=True) if item is not None}
        told = [
            _feedback(row, vote, item)
            for (row, vote), item in zip(found, items, strict=True)
            if item is not None or _given(vote) not in by_item
        ]
        return sorted(told, key=lambda one: one["created_at"])

    # ----------------------------------------------------------------------- attachments

    async def find_blob(self, attachment_id: str, context: TContext) -> Blob | None:
        """The row of the caller's file; one that has expired is none."""
        tenant, owner = self.identify(context)
        store = await self.rows()
        for id in row_ids(attachment_id):
            blob = await store.blob(id, tenant=tenant, owner=owner)
            if blob is not None:
                return None if blob.expires is not None and blob.expires <= self.clock() else blob
        return None

    async def save_attachment(self, attachment: Attachment, context: TContext) -> None:
        tenant, owner = self.identify(context)
        store = await self.rows()
        thread: Thread | None = None
        is_there: tuple[Write, ...] = ()
        if attachment.thread_id is not None:
            thread = await self.find_thread(attachment.thread_id, context)
            # a file that joined a thread as it was deleted would stay for ever
            is_there = (ChangeThread(thread.number, {}),) if thread is not None else ()
        known = await self.find_blob(attachment.id, context)
        try:
            if known is None:
                blob = attachment_blob(attachment, tenant=tenant, owner=owner, now=self.clock(), lost=thread is None)
                await store.commit(
                    *is_there, PutBlob(replace(blob, thread=thread.number if thread is not None else None))
                )
                return
            document = attachment_document(attachment, known.id, lost=thread is None)
            changes: dict[str, Any] = {"name": attachment.name, "metadata": {**known.metadata, EXTRA: document}}
            if thread is not None:
                changes |= {"thread": thread.number, "expires": None}
            await store.commit(*is_there, ChangeBlob(known.id, changes, only_if=("pending", "ready")))
        except StaleWrite as stale:
            raise NotFoundError(f"Attachment {attachment.id} not found", code="not_found:attachment") from stale

    async def load_attachment(self, attachment_id: str, context: TContext) -> Attachment:
        blob = await self.find_blob(attachment_id, context)
        if blob is None:
            raise NotFoundError(f"Attachment {attachment_id} not found", code="not_found:attachment")
        thread_id = None
        if blob.thread is not None:
            row = await (await self.rows()).thread_by_number(blob.thread)
            thread_id = thread_id_of(row) if row is not None else None
        return attachment_of(blob, thread_id=thread_id, preview=self.previewing(context))

    async def delete_attachment(self, attachment_id: str, context: TContext) -> None:
        blob = await self.find_blob(attachment_id, context)
        if blob is None:
            return
        gone = ChangeBlob(blob.id, {"state": "gone"}, only_if=("pending", "ready"))
        try:  # a row without bytes of ours is needed by nobody
            await (await self.rows()).commit(DropBlob(blob.id) if blob.metadata.get(ELSEWHERE) else gone)
        except StaleWrite:  # somebody was quicker
            return

    async def load_thread_attachments(self, thread_id: str, context: TContext) -> list[Attachment]:
        """Those whose bytes somebody else keeps; ours go with the thread."""
        row = await self.find_thread(thread_id, context)
        if row is None:
            return []
        blobs = await (await self.rows()).thread_blobs(row.number)
        return [attachment_of(blob, thread_id=thread_id_of(row)) for blob in blobs if blob.metadata.get(ELSEWHERE)]


def _no_thread(thread_id: str) -> NotFoundError:
    return NotFoundError(f"Thread {thread_id} not found", code="not_found:thread")


@cache
def _prefix(item_type: StoreItemType) -> str:
    return default_generate_id(item_type).partition("_")[0]


def _given(vote: Vote) -> tuple[int, str, float]:
    """What the votes that one click made have in common."""
    return vote.thread, vote.user, vote.created


def _feedback(row: Thread, vote: Vote, item: Item | None) -> dict[str, Any]:
    """`item_id` is the answer's where the vote came by a face that knows whole answers only."""
    type = item_of(item, "").type if item is not None else "assistant_message"
    return {
        "thread_id": thread_id_of(row),
        "item_id": wire_id(vote.answer, type),
        "kind": "positive" if vote.up else "negative",
        "created_at": moment(vote.created),
        "user": vote.user,
    }
