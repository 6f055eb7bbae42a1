"""What every ChatKit store must do, as tests that a user's own store can run.

    # test_my_store.py
    from dragoman.testing.chatkit import store_contract

    TestMyStore = store_contract(MyStore)

pytest collects the class. It needs no plugin: each test runs in an event loop of its own, with a store of its own.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeAlias

import pytest

from dragoman.chatkit.store import NotFoundError, Store
from dragoman.chatkit.types import LockedStatus, Page, ThreadMetadata
from dragoman.testing.chatkit.examples import NOON, THREAD, every_item, file, filled, image, mixed, said, threads

__all__ = ["Caller", "StoreContract", "store_contract"]

AnyStore: TypeAlias = Store[Any]
Factory: TypeAlias = Callable[[], AnyStore | Awaitable[AnyStore] | AbstractAsyncContextManager[AnyStore]]


@dataclass(frozen=True, slots=True)
class Caller:
    """A context with nothing but who is asking."""

    user_id: str


def store_contract(factory: Factory, *, context: Callable[[str], Any] = Caller) -> type[StoreContract]:
    """A class of tests for the stores that `factory` makes, one per test.

    The factory may give a store, something to await for one, or an async context manager around one (which a store
    may be itself); it is called in the loop that uses the store. `context` makes the context of a user from a name.
    """
    members = {"factory": staticmethod(factory), "context": staticmethod(context), "__test__": True}
    return type("TestStoreContract", (StoreContract,), members)


@asynccontextmanager
async def _opened(factory: Factory) -> AsyncIterator[AnyStore]:
    """The store, let go of afterwards where it can be."""
    made = factory()
    if inspect.isawaitable(made):
        made = await made
    if isinstance(made, AbstractAsyncContextManager):
        async with made as store:
            yield store
    else:
        yield made


class StoreContract:
    """The tests. `factory` and `context` come from `store_contract`."""

    __test__ = False
    factory: Factory
    context: Callable[[str], Any]

    def run(self, test: Callable[[AnyStore, Any, Any], Awaitable[None]]) -> None:
        """One test with a fresh store and the contexts of two users."""

        async def main() -> None:
            async with _opened(self.factory) as store:
                await test(store, self.context("ann"), self.context("ben"))

        asyncio.run(main())

    # ------------------------------------------------------------------------------- threads

    def test_a_thread_comes_back_as_it_was_saved(self) -> None:
        async def test(store: AnyStore, ann: Any, ben: Any) -> None:
            thread = ThreadMetadata(
                id=THREAD,
                created_at=NOON,
                title="A title",
                status=LockedStatus(reason="because"),
                allowed_image_domains=["images.example"],
                metadata={"nested": {"n": 1, "none": None, "list": [True, "é"]}},
            )
            await store.save_thread(thread, ann)
            assert await store.load_thread(THREAD, ann) == thread

        self.run(test)

    def test_a_thread_without_a_title_has_none_when_it_comes_back(self) -> None:
        async def test(store: AnyStore, ann: Any, ben: Any) -> None:
            await store.save_thread(ThreadMetadata(id=THREAD, created_at=NOON), ann)
            assert (await store.load_thread(THREAD, ann)).title is None

        self.run(test)

    def test_saving_a_thread_again_keeps_its_place_and_its_time(self) -> None:
        async def test(store: AnyStore, ann: Any, ben: Any) -> None:
            ids = await threads(store, ann, 3)
            later = ThreadMetadata(id=ids[0], created_at=NOON + timedelta(days=1), title="renamed")
            await store.save_thread(later, ann)
            page = await store.load_threads(10, None, "asc", ann)
            assert [one.id for one in page.data] == ids
            assert (page.data[0].title, page.data[0].created_at) == ("renamed", NOON)

        self.run(test)

    def test_a_deleted_thread_is_gone_with_its_items(self) -> None:
        async def test(store: AnyStore, ann: Any, ben: Any) -> None:
            ids = await filled(store, ann, 2)
            await store.delete_thread(THREAD, ann)
            await _is_missing(store.load_thread(THREAD, ann))
            await _is_missing(store.load_item(THREAD, ids[0], ann))
            assert (await store.load_threads(10, None, "asc", ann)).data == []
            assert (await store.load_thread_items(THREAD, None, 10, "asc", ann)).data == []

        self.run(test)

    def test_deleting_what_is_not_there_is_no_error(self) -> None:
        async def test(store: AnyStore, ann: Any, ben: Any) -> None:
            await store.delete_thread("thr_unknown", ann)
            await filled(store, ann, 1)
            await store.delete_thread_item(THREAD, "msg_unknown", ann)
            await store.delete_attachment("atc_unknown", ann)
            assert len((await store.load_thread_items(THREAD, None, 10, "asc", ann)).data) == 1

        self.run(test)

    def test_what_is_unknown_is_not_found(self) -> None:
        async def test(store: AnyStore, ann: Any, ben: Any) -> None:
            await _is_missing(store.load_thread("thr_unknown", ann))
            await filled(store, ann, 1)
            await _is_missing(store.load_item(THREAD, "msg_unknown", ann))
            await _is_missing(store.load_attachment("atc_unknown", ann))
            await _is_missing(store.load_thread_items(THREAD, "msg_unknown", 10, "asc", ann))
            await _is_missing(store.load_threads(10, "thr_unknown", "desc", ann))

        self.run(test)

    # --------------------------------------------------------------------------------- items

    def test_items_of_every_type_come_back_as_they_were_stored(self) -> None:
        async def test(store: AnyStore, ann: Any, ben: Any) -> None:
            await store.save_thread(ThreadMetadata(id=THREAD, created_at=NOON), ann)
            for item in every_item(THREAD):
                await store.add_thread_item(THREAD, item, ann)
                loaded = await store.load_item(THREAD, item.id, ann)
                assert loaded == item
                assert loaded.model_dump(by_alias=True) == item.model_dump(by_alias=True)

        self.run(test)

    def test_saving_an_item_again_keeps_its_place(self) -> None:
        async def test(store: AnyStore, ann: Any, ben: Any) -> None:
            ids = await filled(store, ann, 3)
            await store.save_item(THREAD, said("changed", ids[1]), ann)
            page = await store.load_thread_items(THREAD, None, 10, "asc", ann)
            assert [one.id for one in page.data] == ids
            assert page.data[1] == said("changed", ids[1])

        self.run(test)

    def test_saving_an_item_that_is_new_appends_it(self) -> None:
        async def test(store: AnyStore, ann: Any, ben: Any) -> None:
            ids = await filled(store, ann, 2)
            await store.save_item(THREAD, said("new", "msg_new"), ann)
            page = await store.load_thread_items(THREAD, None, 10, "asc", ann)
            assert [one.id for one in page.data] == [*ids, "msg_new"]

        self.run(test)

    def test_adding_an_id_twice_is_refused_and_changes_nothing(self) -> None:
        async def test(store: AnyStore, ann: Any, ben: Any) -> None:
            ids = await filled(store, ann, 1)
            before = await store.load_item(THREAD, ids[0], ann)
            with pytest.raises(Exception):  # noqa: B017, PT011  # each database has its own error
                await store.add_thread_item(THREAD, said("again", ids[0]), ann)
            assert (await store.load_thread_items(THREAD, None, 10, "asc", ann)).data == [before]

        self.run(test)

    def test_a_deleted_item_is_gone(self) -> None:
        async def test(store: AnyStore, ann: Any, ben: Any) -> None:
            ids = await filled(store, ann, 3)
            await store.delete_thread_item(THREAD, ids[1], ann)
            await _is_missing(store.load_item(THREAD, ids[1], ann))
            page = await store.load_thread_items(THREAD, None, 10, "asc", ann)
            assert [one.id for one in page.data] == [ids[0], ids[2]]

        self.run(test)

    def test_changing_what_was_loaded_or_stored_changes_nothing_in_the_store(self) -> None:
        async def test(store: AnyStore, ann: Any, ben: Any) -> None:
            thread = ThreadMetadata(id=THREAD, created_at=NOON, metadata={"a": 1})
            await store.save_thread(thread, ann)
            thread.metadata["a"] = 2
            (await store.load_thread(THREAD, ann)).metadata["a"] = 3
            assert (await store.load_thread(THREAD, ann)).metadata == {"a": 1}
            item = said("as it was", "msg_1")
            await store.add_thread_item(THREAD, item, ann)
            item.content[0].text = "changed"
            assert await store.load_item(THREAD, "msg_1", ann) == said("as it was", "msg_1")

        self.run(test)

    # --------------------------------------------------------------------------------- pages

    @pytest.mark.parametrize("order", ["asc", "desc"])
    @pytest.mark.parametrize("size", [1, 2, 3, 4, 7])
    def test_pages_of_items_lose_nothing_although_all_have_the_same_time(self, order: str, size: int) -> None:
        async def test(store: AnyStore, ann: Any, ben: Any) -> None:
            ids = await filled(store, ann, 7)
            found = await _walk(lambda after: store.load_thread_items(THREAD, after, size, order, ann), size)
            assert found == (ids if order == "asc" else ids[::-1])

        self.run(test)

    @pytest.mark.parametrize("order", ["asc", "desc"])
    @pytest.mark.parametrize("size", [1, 2, 5])
    def test_pages_of_threads_lose_nothing_although_all_have_the_same_time(self, order: str, size: int) -> None:
        async def test(store: AnyStore, ann: Any, ben: Any) -> None:
            ids = await threads(store, ann, 5)
            found = await _walk(lambda after: store.load_threads(size, after, order, ann), size)
            assert found == (ids if order == "asc" else ids[::-1])

        self.run(test)

    def test_a_cursor_works_in_both_directions_and_is_not_part_of_its_page(self) -> None:
        async def test(store: AnyStore, ann: Any, ben: Any) -> None:
            ids = await filled(store, ann, 5)
            newer = await store.load_thread_items(THREAD, ids[2], 10, "asc", ann)
            older = await store.load_thread_items(THREAD, ids[2], 10, "desc", ann)
            assert [one.id for one in newer.data] == ids[3:]
            assert [one.id for one in older.data] == ids[1::-1]

        self.run(test)

    @pytest.mark.parametrize("order", ["asc", "desc"])
    def test_a_page_of_what_clients_see_is_full_although_hidden_items_lie_between(self, order: str) -> None:
        async def test(store: AnyStore, ann: Any, ben: Any) -> None:
            ids = await mixed(store, ann, 9)
            found = await _walk(
                lambda after: store.load_visible_items(THREAD, after, 3, order, ann), 3, may_be_empty=True
            )
            assert found == (ids if order == "asc" else ids[::-1])

        self.run(test)

    # ----------------------------------------------------------------------------- isolation

    def test_nobody_reads_what_belongs_to_somebody_else(self) -> None:
        async def test(store: AnyStore, ann: Any, ben: Any) -> None:
            ids = await filled(store, ann, 2)
            await store.save_attachment(file("atc_1"), ann)
            await _is_missing(store.load_thread(THREAD, ben))
            await _is_missing(store.load_item(THREAD, ids[0], ben))
            await _is_missing(store.load_attachment("atc_1", ben))
            assert (await store.load_threads(10, None, "desc", ben)).data == []
            assert (await store.load_thread_items(THREAD, None, 10, "asc", ben)).data == []

        self.run(test)

    def test_nobody_changes_what_belongs_to_somebody_else(self) -> None:
        async def test(store: AnyStore, ann: Any, ben: Any) -> None:
            ids = await filled(store, ann, 2)
            await store.save_attachment(file("atc_1"), ann)
            stolen = ThreadMetadata(id=THREAD, created_at=NOON, title="ben's")
            attempts = (
                lambda: store.delete_thread_item(THREAD, ids[0], ben),
                lambda: store.save_item(THREAD, said("ben was here", ids[0]), ben),
                lambda: store.add_thread_item(THREAD, said("ben was here", "msg_ben"), ben),
                lambda: store.save_thread(stolen, ben),
                lambda: store.delete_thread(THREAD, ben),
                lambda: store.save_attachment(file("atc_1", name="ben.txt"), ben),
                lambda: store.delete_attachment("atc_1", ben),
            )
            for attempt in attempts:
                await _try(attempt)
                assert (await store.load_thread(THREAD, ann)).title is None
                assert [one.id for one in (await store.load_thread_items(THREAD, None, 10, "asc", ann)).data] == ids
                assert await store.load_item(THREAD, ids[0], ann) == said("0", ids[0])
                assert await store.load_attachment("atc_1", ann) == file("atc_1")

        self.run(test)

    # --------------------------------------------------------------- attachments, many at once

    def test_an_attachment_comes_back_and_saving_it_again_replaces_it(self) -> None:
        async def test(store: AnyStore, ann: Any, ben: Any) -> None:
            for attachment in (file("atc_1"), image("atc_2")):
                await store.save_attachment(attachment, ann)
                assert await store.load_attachment(attachment.id, ann) == attachment
                sent = attachment.model_copy(update={"upload_descriptor": None, "thread_id": THREAD})
                await store.save_attachment(sent, ann)
                assert await store.load_attachment(attachment.id, ann) == sent
            await store.delete_attachment("atc_1", ann)
            await _is_missing(store.load_attachment("atc_1", ann))

        self.run(test)

    def test_items_that_are_added_at_once_are_all_kept_each_once(self) -> None:
        async def test(store: AnyStore, ann: Any, ben: Any) -> None:
            await store.save_thread(ThreadMetadata(id=THREAD, created_at=NOON), ann)
            items = [said(str(number), f"msg_{number:03}") for number in range(40)]
            await asyncio.gather(*(store.add_thread_item(THREAD, item, ann) for item in items))
            found = await _walk(lambda after: store.load_thread_items(THREAD, after, 7, "asc", ann), 7)
            assert sorted(found) == [item.id for item in items]

        self.run(test)

    def test_fresh_ids_differ(self) -> None:
        async def test(store: AnyStore, ann: Any, ben: Any) -> None:
            thread = ThreadMetadata(id=store.generate_thread_id(ann), created_at=NOON)
            ids = {store.generate_item_id("message", thread, ann) for _ in range(1000)}
            assert len(ids | {store.generate_thread_id(ann), thread.id}) == 1002

        self.run(test)


async def _walk(
    load: Callable[[str | None], Awaitable[Page[Any]]], size: int, *, may_be_empty: bool = False
) -> list[str]:
    """The ids of all pages; every page but the last is full, and its cursor is its last row."""
    found: list[str] = []
    after: str | None = None
    while True:
        page = await load(after)
        found += [row.id for row in page.data]
        if not page.has_more:
            assert page.after is None, "the last page has no cursor"
            assert page.data or not found or may_be_empty, "has_more was true, and nothing followed"
            return found
        assert len(page.data) == size, "a page is full unless it is the last"
        assert may_be_empty or page.after == page.data[-1].id, "the cursor is the id of the last row"
        after = page.after


async def _is_missing(loading: Awaitable[Any]) -> None:
    with pytest.raises(NotFoundError):
        await loading


async def _try(attempt: Callable[[], Awaitable[None]]) -> None:
    """A store may refuse a foreign write or let it go nowhere."""
    try:
        await attempt()
    except Exception:
        return
