"""The interface of stores: ids, whose rows they are, and the contract that every store keeps."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from dragoman.chatkit.memory import MemoryStore
from dragoman.chatkit.store import AttachmentStore, NotFoundError, Store, default_generate_id, owner_of
from dragoman.chatkit.types import AttachmentCreateParams, HiddenContextItem, Page, ThreadItem, ThreadMetadata
from dragoman.core.errors import NotFound, UsageError
from dragoman.testing.chatkit import StoreContract, store_contract
from dragoman.testing.chatkit.examples import NOON, THREAD, filled, said

TestMemoryStore = pytest.mark.requirement("CHK-33", "CHK-10", "CHK-17", "CHK-21")(store_contract(MemoryStore))


class PlainStore(MemoryStore):
    """Adds nothing to what the interface demands."""

    load_visible_items = Store.load_visible_items
    save_feedback = Store.save_feedback
    load_feedback = Store.load_feedback


TestPlainStore = pytest.mark.requirement("CHK-33", "CHK-17")(store_contract(PlainStore))


class SortedByTime(MemoryStore):
    """The mistake of the published sample: rows with equal times fall out between pages."""

    async def load_thread_items(
        self, thread_id: str, after: str | None, limit: int, order: str, context: Any
    ) -> Page[ThreadItem]:
        page = await super().load_thread_items(thread_id, None, 1000, order, context)
        since = (await self.load_item(thread_id, after, context)).created_at if after else None
        rows = [row for row in page.data if since is None or row.created_at > since]
        return Page(
            data=rows[:limit], has_more=len(rows) > limit, after=rows[limit - 1].id if len(rows) > limit else None
        )


class SharedByAll(MemoryStore):
    def __init__(self) -> None:
        super().__init__(key=lambda context: "everybody")


class Forgetful(MemoryStore):
    async def save_item(self, thread_id: str, item: ThreadItem, context: Any) -> None:
        await self.delete_thread_item(thread_id, item.id, context)
        await super().save_item(thread_id, item, context)


@pytest.mark.requirement("CHK-33")
@pytest.mark.parametrize(
    ("store", "test"),
    [
        (SortedByTime, "test_a_cursor_works_in_both_directions_and_is_not_part_of_its_page"),
        (SharedByAll, "test_nobody_reads_what_belongs_to_somebody_else"),
        (SharedByAll, "test_nobody_changes_what_belongs_to_somebody_else"),
        (Forgetful, "test_saving_an_item_again_keeps_its_place"),
    ],
)
def test_the_contract_finds_the_mistakes_that_stores_make(store: type[Store], test: str) -> None:
    contract: StoreContract = store_contract(store)()
    with pytest.raises(AssertionError if "reads" not in test else pytest.fail.Exception):
        getattr(contract, test)()


@pytest.mark.requirement("CHK-33")
def test_a_user_can_be_told_in_any_way_that_a_key_understands() -> None:
    contract = store_contract(
        lambda: MemoryStore(key=lambda context: context["who"]), context=lambda name: {"who": name}
    )
    contract().test_nobody_reads_what_belongs_to_somebody_else()


@pytest.mark.requirement("CHK-33")
def test_the_contract_lets_go_of_a_store_that_can_be_let_go_of() -> None:
    released: list[Store] = []

    class Held(MemoryStore):
        async def __aenter__(self) -> Store:
            return self

        async def __aexit__(self, *_: Any) -> None:
            released.append(self)

    store_contract(Held)().test_a_thread_comes_back_as_it_was_saved()
    assert len(released) == 1


# ----------------------------------------------------------------------------------------- ids


@pytest.mark.requirement("CHK-01", "CHK-02")
@pytest.mark.parametrize(
    ("kind", "prefix"),
    [
        ("thread", "thr"),
        ("message", "msg"),
        ("tool_call", "tc"),
        ("task", "tsk"),
        ("workflow", "wf"),
        ("attachment", "atc"),
        ("sdk_hidden_context", "shcx"),
    ],
)
def test_ids_have_their_prefix_and_128_bits(kind: Any, prefix: str) -> None:
    head, _, tail = default_generate_id(kind).partition("_")
    assert head == prefix
    assert len(bytes.fromhex(tail)) == 16


@pytest.mark.requirement("CHK-02")
def test_a_store_may_make_its_own_ids() -> None:
    class Numbered(MemoryStore):
        def generate_thread_id(self, context: Any) -> str:
            return "thr_1"

    store = Numbered()
    thread = ThreadMetadata(id=store.generate_thread_id("ann"), created_at=NOON)
    assert thread.id == "thr_1"
    assert store.generate_item_id("message", thread, "ann").startswith("msg_")


# -------------------------------------------------------------------------------------- owners


@pytest.mark.parametrize("context", ["ann", {"user_id": "ann"}, SimpleNamespace(user_id="ann")])
def test_the_owner_is_the_text_itself_or_the_user_id(context: Any) -> None:
    assert owner_of(context) == "ann"


@pytest.mark.parametrize("context", [None, {}])
def test_no_context_is_one_user_without_a_name(context: Any) -> None:
    assert owner_of(context) == ""


@pytest.mark.parametrize("context", [{"user": "ann"}, object(), 7, {"user_id": None}])
def test_a_context_that_names_nobody_is_refused_rather_than_shared(context: Any) -> None:
    with pytest.raises(UsageError, match="has no 'user_id'"):
        owner_of(context)


# ---------------------------------------------------------------------------- errors, defaults


def test_not_found_is_one_of_our_errors_and_needs_no_words() -> None:
    assert isinstance(NotFoundError(), NotFound)
    assert (str(NotFoundError()), NotFoundError("Thread x not found").status) == ("Not found", 404)


async def test_a_store_of_attachments_need_not_take_uploads_in_two_phases() -> None:
    class Deleting(AttachmentStore):
        async def delete_attachment(self, attachment_id: str, context: Any) -> None: ...

    files = Deleting()
    assert files.generate_attachment_id("text/plain", None).startswith("atc_")
    with pytest.raises(NotImplementedError, match="implement create_attachment"):
        await files.create_attachment(AttachmentCreateParams(name="a", size=1, mime_type="text/plain"), None)


class Counting(MemoryStore):
    reads = 0

    async def load_thread_items(
        self, thread_id: str, after: str | None, limit: int, order: str, context: Any
    ) -> Page[ThreadItem]:
        self.reads += 1
        return await super().load_thread_items(thread_id, after, limit, order, context)

    load_visible_items = Store.load_visible_items


@pytest.mark.requirement("CHK-17")
async def test_a_page_is_not_read_row_by_row_where_many_hidden_items_lie_before_its_last_row() -> None:
    store = Counting()
    await filled(store, "ann", 0)
    shown = [f"msg_{number}" for number in range(10)]
    for item_id in shown[:9]:
        await store.add_thread_item(THREAD, said("x", item_id), "ann")
    for number in range(98):
        hidden = HiddenContextItem(id=f"h{number}", thread_id=THREAD, created_at=NOON, content="note")
        await store.add_thread_item(THREAD, hidden, "ann")
    for item_id in (*shown[9:], "msg_last"):
        await store.add_thread_item(THREAD, said("x", item_id), "ann")
    page = await store.load_visible_items(THREAD, None, 10, "asc", "ann")
    assert ([one.id for one in page.data], page.has_more, page.after) == (shown, True, "msg_9")
    assert store.reads <= 12
    last = await store.load_visible_items(THREAD, page.after, 10, "asc", "ann")
    assert ([one.id for one in last.data], last.has_more, last.after) == (["msg_last"], False, None)


@pytest.mark.requirement("CHK-11")
async def test_a_memory_store_keeps_the_last_verdict_on_each_item_for_its_owner() -> None:
    store = MemoryStore()
    await store.save_feedback("thr_1", ["msg_1", "msg_2"], "positive", "ann")
    await store.save_feedback("thr_1", ["msg_2"], "negative", "ann")
    kept = [(one["item_id"], one["kind"], one["user"]) for one in await store.load_feedback("ann", "thr_1")]
    assert kept == [("msg_1", "positive", "ann"), ("msg_2", "negative", "ann")]
    await store.save_feedback("thr_1", ["msg_1"], "negative", "ann")
    assert [one["item_id"] for one in await store.load_feedback("ann")] == ["msg_2", "msg_1"]
    assert await store.load_feedback("ben") == []
    await store.delete_thread("thr_1", "ann")
    assert await store.load_feedback("ann") == []
