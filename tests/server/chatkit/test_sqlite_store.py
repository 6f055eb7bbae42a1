"""`SQLiteStore` and `RowsStore`: the contract of every store, and what they alone do."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dragoman.chatkit.store import NotFoundError
from dragoman.chatkit.types import (
    AssistantMessageItem,
    ClientToolCallItem,
    FileAttachment,
    HiddenContextItem,
    ThreadMetadata,
    UserMessageItem,
    WidgetItem,
)
from dragoman.core.errors import Conflict, Unavailable, UsageError
from dragoman.core.records import Item, Thread, Vote
from dragoman.core.writes import ChangeThread, DeleteThread, PutItem, PutThread, PutVote
from dragoman.server.chatkit.rows_store import RowsStore
from dragoman.server.chatkit.stores import SQLiteStore
from dragoman.store import open_beside
from dragoman.testing.chatkit import store_contract

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ANN, BOB = {"user_id": "ann"}, {"user_id": "bob"}

TestSQLiteStore = pytest.mark.requirement("CHK-33")(store_contract(lambda: SQLiteStore(":memory:")))


@pytest.fixture
async def store() -> AsyncIterator[SQLiteStore[Any]]:
    async with SQLiteStore[Any](":memory:") as store:
        yield store


def thread(id: str, **more: Any) -> ThreadMetadata:
    return ThreadMetadata(id=id, created_at=NOW, **more)


def said(id: str, text: str = "hi", thread_id: str = "t") -> AssistantMessageItem:
    content: Any = [{"text": text}]
    return AssistantMessageItem(id=id, thread_id=thread_id, created_at=NOW, content=content)


def asked(id: str, text: str = "hi", thread_id: str = "t") -> UserMessageItem:
    content: Any = [{"type": "input_text", "text": text}]
    return UserMessageItem(id=id, thread_id=thread_id, created_at=NOW, content=content)


def hidden(id: str) -> HiddenContextItem:
    return HiddenContextItem(id=id, thread_id="t", created_at=NOW, content={"seen": False})


async def begun(store: RowsStore[Any], who: Any = ANN, id: str = "t") -> Thread:
    await store.save_thread(thread(id), who)
    row = await store.find_thread(id, who)
    assert row is not None
    return row


# --------------------------------------------------------------------------- ids


@pytest.mark.requirement("CHK-33")
async def test_ids_are_ordered_by_time_and_every_spelling_finds_the_row(store: SQLiteStore[Any]) -> None:
    id = store.generate_thread_id(ANN)
    assert id.startswith("thr_")
    await store.save_thread(thread(id), ANN)
    row = await store.find_thread(id, ANN)
    assert row is not None
    assert row.id.replace("-", "") == id.removeprefix("thr_")
    for spelling in (row.id, f"chat_{row.id.replace('-', '')}"):
        assert (await store.load_thread(spelling, ANN)).id == id
    item = store.generate_item_id("sdk_hidden_context", await store.load_thread(id, ANN), ANN)
    assert item.startswith("shcx_")
    assert len(item) == len("shcx_") + 32


@pytest.mark.parametrize("id", ["mine", "a_b", f"chat_{'ab' * 16}", "A1B2C3D4E5F60718293A4B5C6D7E8F90", "x y/ü"])
@pytest.mark.requirement("CHK-33")
async def test_an_id_of_ones_own_comes_back_as_it_was(store: SQLiteStore[Any], id: str) -> None:
    await store.save_thread(thread(id), ANN)
    await store.add_thread_item(id, said(id, thread_id=id), ANN)
    assert (await store.load_thread(id, ANN)).id == id
    assert (await store.load_item(id, id, ANN)).id == id
    assert (await store.load_item(id, id, ANN)).thread_id == id


async def test_an_id_that_another_face_kept_is_found_though_it_looks_like_one_of_ours(store: SQLiteStore[Any]) -> None:
    row = await begun(store)
    call = f"call_{'ab' * 16}"
    body = {"call": call, "name": "pick", "input": {"n": 1}, "state": "input-available", "client": True}
    await (await store.rows()).commit(PutItem(row.number, Item(call, "tool_call", "assistant", 1.0, body)))
    item = await store.load_item("t", call, ANN)
    assert isinstance(item, ClientToolCallItem)
    assert (item.id, item.call_id, item.status) == (call, call, "pending")
    await store.save_item("t", item.model_copy(update={"status": "completed", "output": [1]}), ANN)
    kept = await (await store.rows()).item(row.number, call)
    assert kept is not None
    assert kept.body == body | {"state": "output-available", "output": [1]}
    assert len((await store.load_thread_items("t", None, 9, "asc", ANN)).data) == 1


# --------------------------------------------------------------------------- pages


@pytest.mark.requirement("CHK-10", "CHK-17")
@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_pages_without_hidden_items_are_full_and_say_exactly_whether_more_follows(
    store: SQLiteStore[Any], order: str
) -> None:
    row = await begun(store)
    for n in range(7):
        await store.add_thread_item("t", said(f"m{n}"), ANN)
        await store.add_thread_item("t", hidden(f"h{n}"), ANN)
        data = Item(f"d{n}", "data", "assistant", 1.0, {"name": "x", "data": 1})
        file = Item(f"f{n}", "file", "assistant", 1.0, {"url": "blob:1", "media_type": "text/plain"})
        await (await store.rows()).commit(PutItem(row.number, data), PutItem(row.number, file))
    seen: list[str] = []
    after = None
    sizes = []
    while True:
        page = await store.load_visible_items("t", after, 3, order, ANN)
        seen += [item.id for item in page.data]
        sizes.append(len(page.data))
        if not page.has_more:
            assert page.after is None
            break
        after = page.after
    expected = [f"m{n}" for n in range(7)]
    assert seen == (expected if order == "asc" else expected[::-1])
    assert sizes == [3, 3, 1]
    page = await store.load_visible_items("t", "h3", 2, "asc", ANN)  # a hidden item is a place as well
    assert [item.id for item in page.data] == ["m4", "m5"]
    assert len((await store.load_thread_items("t", None, 100, "asc", ANN)).data) == 28


@pytest.mark.requirement("CHK-10")
async def test_threads_come_in_both_orders_page_by_page(store: SQLiteStore[Any]) -> None:
    for n in range(5):
        await store.save_thread(thread(f"t{n}"), ANN)
        await store.save_thread(thread(f"t{n}"), BOB)
    for order, expected in (("desc", ["t4", "t3", "t2", "t1", "t0"]), ("asc", ["t0", "t1", "t2", "t3", "t4"])):
        first = await store.load_threads(2, None, order, ANN)
        second = await store.load_threads(2, first.after, order, ANN)
        third = await store.load_threads(2, second.after, order, ANN)
        assert [one.id for page in (first, second, third) for one in page.data] == expected
        assert (first.has_more, second.has_more, third.has_more, third.after) == (True, True, False, None)
    with pytest.raises(NotFoundError):
        await store.load_threads(2, "nowhere", "asc", ANN)


@pytest.mark.requirement("CHK-10", "CHK-30")
async def test_a_cursor_of_another_user_is_no_cursor(store: SQLiteStore[Any]) -> None:
    await begun(store, BOB, "theirs")
    await begun(store)
    for order in ("asc", "desc"):
        with pytest.raises(NotFoundError):
            await store.load_threads(2, "theirs", order, ANN)
    with pytest.raises(NotFoundError):
        await store.load_thread_items("theirs", "m", 2, "asc", ANN)


# --------------------------------------------------------------------------- what is kept


@pytest.mark.requirement("CHK-21", "CHK-33")
async def test_what_a_newer_version_wrote_survives_that_an_older_one_saves_it(store: SQLiteStore[Any]) -> None:
    row = await begun(store)
    await store.add_thread_item("t", said("m"), ANN)
    rows = await store.rows()
    item = await rows.item(row.number, "m")
    assert item is not None
    item.extra["chatkit"]["feeling"] = "fine"
    kept = {**row.metadata["chatkit"], "colour": "red"}
    await rows.commit(
        PutItem(row.number, item, replace=True), ChangeThread(row.number, {"metadata": {"chatkit": kept}})
    )
    loaded = await store.load_item("t", "m", ANN)
    await store.save_item("t", loaded.model_copy(update={"content": []}), ANN)
    await store.save_thread((await store.load_thread("t", ANN)).model_copy(update={"title": "New"}), ANN)
    item, found = await rows.item(row.number, "m"), await store.find_thread("t", ANN)
    assert item is not None
    assert found is not None
    assert item.extra["chatkit"]["feeling"] == "fine"
    assert item.extra["chatkit"]["content"] == []
    assert (found.metadata["chatkit"]["colour"], found.title) == ("red", "New")


@pytest.mark.requirement("CHK-33")
async def test_unknown_fields_of_widgets_come_back(store: SQLiteStore[Any]) -> None:
    await begun(store)
    widget: Any = {"type": "Card", "border": 2, "children": [{"type": "Sparkle", "glow": {"on": None}}]}
    await store.add_thread_item("t", WidgetItem(id="w", thread_id="t", created_at=NOW, widget=widget), ANN)
    item = await store.load_item("t", "w", ANN)
    assert isinstance(item, WidgetItem)
    told = item.widget.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert told["border"] == 2
    assert told["children"][0]["type"] == "Sparkle"


async def test_rows_that_are_all_hidden_are_read_in_few_goes(store: SQLiteStore[Any]) -> None:
    row, rows, asked_for = await begun(store), await store.rows(), []
    hidden_file = {"media_type": "text/plain"}
    await rows.commit(*[PutItem(row.number, Item(f"i{n}", "file", "assistant", 1.0, hidden_file)) for n in range(3000)])

    class Watched:
        def __getattr__(self, name: str) -> Any:
            return getattr(rows, name)

        async def items(self, *place: Any, **how: Any) -> Any:
            asked_for.append(how["limit"])
            return await rows.items(*place, **how)

    watched: Any = Watched()
    watching = RowsStore[Any](watched, identify=store.identify)
    assert (await watching.load_visible_items("t", None, 20, "desc", ANN)).data == []
    assert len(asked_for) < 10
    assert max(asked_for) < 1000


async def test_a_row_that_reads_as_nothing_of_this_wire_is_hidden_and_breaks_no_page(store: SQLiteStore[Any]) -> None:
    row = await begun(store)
    strange = Item("w", "workflow", "assistant", 1.0, {"type": "spiral"})
    later = Item("n", "message", "assistant", 1.0, {}, extra={"chatkit": {"type": "task", "task": {"type": "later"}}})
    await (await store.rows()).commit(PutItem(row.number, strange), PutItem(row.number, later))
    await store.add_thread_item("t", said("m"), ANN)
    assert [one.id for one in (await store.load_visible_items("t", None, 9, "asc", ANN)).data] == ["m"]
    assert [one.type for one in (await store.load_thread_items("t", None, 9, "asc", ANN)).data] == [
        "hidden_context_item",
        "hidden_context_item",
        "assistant_message",
    ]


async def test_items_of_one_turn_share_an_answer_which_the_other_faces_read_as_one_message(
    store: SQLiteStore[Any],
) -> None:
    row = await begun(store)
    for item in (asked("q1"), said("a1"), hidden("h"), said("a2"), asked("q2"), said("a3")):
        await store.add_thread_item("t", item, ANN)
    rows = (await (await store.rows()).items(row.number)).rows
    answers = {item.id: item.answer for item in rows}
    assert answers["q1"] is answers["q2"] is answers["h"] is None
    assert answers["a1"] == answers["a2"] != answers["a3"]
    assert {item.kind for item in rows} == {"message", "hidden"}


async def test_an_id_twice_is_a_conflict_and_an_item_needs_a_thread(store: SQLiteStore[Any]) -> None:
    await begun(store)
    await store.add_thread_item("t", said("m"), ANN)
    with pytest.raises(Conflict, match="already"):
        await store.add_thread_item("t", said("m"), ANN)
    for put in (store.add_thread_item, store.save_item):
        with pytest.raises(NotFoundError):
            await put("nowhere", said("m"), ANN)
        with pytest.raises(NotFoundError):
            await put("t", said("m"), BOB)


# --------------------------------------------------------------------------- feedback


@pytest.mark.requirement("CHK-11")
async def test_feedback_is_kept_for_each_item_and_the_last_word_counts(store: SQLiteStore[Any]) -> None:
    row = await begun(store)
    for item in (asked("q"), said("a1"), said("a2")):
        await store.add_thread_item("t", item, ANN)
    await store.save_feedback("t", ["a1", "a2"], "positive", ANN)
    await store.save_feedback("t", ["a2"], "negative", ANN)
    told = await store.load_feedback(ANN)
    assert {one["item_id"]: one["kind"] for one in told} == {"a1": "positive", "a2": "negative"}
    assert told == await store.load_feedback(ANN, "t")
    assert {one["user"] for one in told} == {"ann"}
    assert await store.load_feedback(BOB) == await store.load_feedback(BOB, "t") == []
    votes = await (await store.rows()).votes(row.number)
    answers = {vote.answer: vote.up for vote in votes}
    item = await (await store.rows()).item(row.number, "a2")
    assert item is not None
    assert answers[str(item.answer)] is False  # the other faces know the answer's last one
    with pytest.raises(NotFoundError):
        await store.save_feedback("t", ["nowhere"], "positive", ANN)


@pytest.mark.requirement("CHK-11")
async def test_a_vote_of_another_face_is_feedback_on_the_answer(store: SQLiteStore[Any]) -> None:
    row = await begun(store)
    await (await store.rows()).commit(PutVote(Vote(row.number, "answer-1", "ann", True, 5.0, "v")))
    (told,) = await store.load_feedback(ANN)
    assert (told["item_id"], told["kind"], told["created_at"].timestamp()) == ("answer-1", "positive", 5.0)


@pytest.mark.requirement("CHK-11", "CHK-30")
async def test_an_admin_reads_the_feedback_of_the_tenant(store: SQLiteStore[Any]) -> None:
    for who, id in ((ANN, "a"), (BOB, "b")):
        await begun(store, who, id)
        await store.add_thread_item(id, said("m", thread_id=id), who)
        await store.save_feedback(id, ["m"], "positive", who)
    rows = await store.rows()
    await rows.commit(
        PutThread(Thread("x", "elsewhere", "eve", 1.0, 1.0)), PutVote(Vote(0, "m", "eve", True, 1.0, "v"))
    )
    reading = RowsStore[Any](rows, identify=store.identify, admin=lambda context: context["user_id"] == "bob")
    assert sorted(one["user"] for one in await reading.load_feedback(BOB)) == ["ann", "bob"]
    assert [one["user"] for one in await reading.load_feedback(ANN)] == ["ann"]


# --------------------------------------------------------------------------- deleting


@pytest.mark.requirement("CHK-09")
async def test_a_thread_in_which_an_engine_may_run_is_deleted_by_the_engine(store: SQLiteStore[Any]) -> None:
    await begun(store)
    told: list[tuple[str, str, str]] = []

    async def delete(tenant: str, owner: str, id: str) -> None:
        told.append((tenant, owner, id))

    hosted = RowsStore[Any](await store.rows(), identify=store.identify, delete=delete)
    await hosted.delete_thread("t", BOB)
    await hosted.delete_thread("t", ANN)
    assert told == [("main", "ann", "t")]


@pytest.mark.requirement("CHK-10")
class Deleting(SQLiteStore[Any]):
    """A store whose threads are deleted by somebody else as soon as they are found."""

    async def find_thread(self, thread_id: str, context: Any, *, everybodys: bool = False) -> Thread | None:
        row = await super().find_thread(thread_id, context, everybodys=everybodys)
        if row is not None:
            await (await self.rows()).commit(DeleteThread(row.number, 0.0))
        return row


async def test_what_comes_as_its_thread_is_deleted_is_refused_and_not_kept() -> None:
    async with Deleting(":memory:") as store:
        for come in (
            lambda: store.save_thread(thread("t", title="late"), ANN),
            lambda: store.save_attachment(FileAttachment(id="a", name="a", mime_type="a/b", thread_id="t"), ANN),
            lambda: store.add_thread_item("t", said("m"), ANN),
            lambda: store.save_item("t", said("m"), ANN),
        ):
            await store.save_thread(thread("t"), ANN)
            with pytest.raises(NotFoundError):
                await come()
            assert (await store.load_threads(10, None, "desc", ANN)).data == []
        with pytest.raises(NotFoundError):
            await store.load_attachment("a", ANN)


async def test_a_deleted_thread_is_still_a_place_for_a_while(store: SQLiteStore[Any]) -> None:
    for n in range(3):
        await begun(store, id=f"t{n}")
    await store.delete_thread("t1", ANN)
    assert [one.id for one in (await store.load_threads(9, "t1", "desc", ANN)).data] == ["t0"]


# --------------------------------------------------------------------------- life


@pytest.mark.requirement("CHK-33")
async def test_it_opens_at_the_first_use_and_keeps_what_it_was_given(tmp_path: Path) -> None:
    store = SQLiteStore[Any](tmp_path / "chat.db")
    assert not os.listdir(tmp_path)
    await asyncio.gather(*(store.save_thread(thread(f"t{n}"), ANN) for n in range(8)))
    await store.aclose()
    await store.aclose()
    with pytest.raises(Unavailable, match="closed"):
        await store.load_thread("t1", ANN)
    async with SQLiteStore[Any](tmp_path / "chat.db") as again:
        assert len((await again.load_threads(20, None, "asc", ANN)).data) == 8
        beside = await open_beside(tmp_path / "chat.db")
        assert (await beside.thread("main", "t1")) is not None
        await beside.close()


async def test_a_place_that_somebody_holds_is_refused_until_it_is_free(tmp_path: Path) -> None:
    first, second = SQLiteStore[Any](tmp_path), SQLiteStore[Any](tmp_path)
    await first.save_thread(thread("t"), ANN)
    for _ in range(2):
        with pytest.raises(UsageError, match="in use by"):
            await second.load_thread("t", ANN)
    await first.aclose()
    assert (await second.load_thread("t", ANN)).id == "t"
    await second.aclose()


async def test_a_store_that_failed_to_open_is_opened_once_more_and_not_twice() -> None:
    began: list[None] = []

    class Failing(SQLiteStore[Any]):
        async def _open(self) -> Any:
            began.append(None)
            if len(began) == 1:
                raise UsageError("not yet")
            await asyncio.sleep(0)  # so that others come in between
            return await super()._open()

    async with contextlib.AsyncExitStack() as ending:
        store = Failing(":memory:")
        ending.push_async_callback(store.aclose)

        async def again() -> Any:
            with pytest.raises(UsageError):
                await store.rows()
            return await store.rows()

        assert len({id(rows) for rows in await asyncio.gather(*(again() for _ in range(3)))}) == 1
    assert len(began) == 2


async def test_a_caller_that_goes_while_the_store_opens_hurts_nobody(tmp_path: Path) -> None:
    store = SQLiteStore[Any](tmp_path)
    first = asyncio.create_task(store.load_thread("t", ANN))
    await asyncio.sleep(0)
    first.cancel()
    await store.save_thread(thread("t"), ANN)
    assert (await store.load_thread("t", ANN)).id == "t"
    await store.aclose()


async def test_the_user_is_found_by_a_key(tmp_path: Path) -> None:
    async with SQLiteStore[Any](":memory:", key=lambda context: context.split("/")[0], tenant="acme") as store:
        await store.save_thread(thread("t"), "ann/1")
        assert (await store.load_thread("t", "ann/2")).id == "t"
        assert (await (await store.rows()).thread("acme", "t", owner="ann")) is not None
