"""What every store promises about threads, their items and votes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dragoman.core.errors import NotFound, StaleWrite, UsageError
from dragoman.core.ports import Store
from dragoman.core.records import Thread
from dragoman.core.writes import (
    AppendEvents,
    ChangeRun,
    ChangeThread,
    DeleteThread,
    PutItem,
    PutRepeat,
    PutRun,
    PutStep,
    PutThread,
    PutVote,
    RemoveItems,
)


async def put_threads(store: Store, make: Any, count: int, **more: Any) -> None:
    await store.commit(*(PutThread(make.thread(f"t{n}", **more)) for n in range(1, count + 1)))


def ids(page: Any) -> list[str]:
    return [row.id for row in page.rows]


async def refused(store: Store, what: str, *writes: Any) -> None:
    with pytest.raises(StaleWrite) as raised:
        await store.commit(*writes)
    assert raised.value.what == what


# --------------------------------------------------------------------------- threads


async def test_a_thread_is_read_back_as_it_was_put(store: Store, make: Any) -> None:
    full = make.thread(
        title="Żółw \ud83d",
        visibility="public",
        branch="main",
        status="locked",
        metadata={"kai": {"x": [1, None, 2.5]}},
        expires=99.5,
    )
    await store.commit(PutThread(full))
    stored = await store.thread("acme", "t")
    assert stored == replace(full, number=stored.number if stored else 0, title="Żółw \ufffd")
    assert stored == await store.thread_by_number(stored.number)


async def test_a_thread_is_not_seen_by_another_tenant_or_under_another_owner(store: Store, thread: Thread) -> None:
    assert await store.thread("acme", "t", owner="ann") == thread
    assert await store.thread("acme", "t", owner="bob") is None
    assert await store.thread("other", "t") is None
    assert await store.thread_by_number(thread.number + 1) is None


async def test_a_thread_id_is_taken_for_the_whole_tenant_unless_told_otherwise(store: Store, make: Any) -> None:
    await store.commit(PutThread(make.thread()))
    await refused(store, "thread_id", PutThread(make.thread(owner="bob")))
    await refused(store, "thread_id", PutThread(make.thread(), tenant_wide=False))
    await store.commit(PutThread(make.thread(owner="bob"), tenant_wide=False))
    await store.commit(PutThread(make.thread(tenant="other")))
    assert (await store.thread("acme", "t", owner="bob")) is not None


async def test_every_field_of_a_thread_that_may_change_can_be_changed(store: Store, thread: Thread) -> None:
    changes: dict[str, Any] = {
        "title": "New",
        "visibility": "public",
        "branch": "b",
        "status": "closed",
        "metadata": {"a": 1},
        "updated": 7.0,
        "expires": 8.0,
    }
    await store.commit(ChangeThread(thread.number, changes))
    assert await store.thread("acme", "t") == replace(thread, **changes)
    await store.commit(ChangeThread(thread.number, {}))
    assert await store.thread("acme", "t") == replace(thread, **changes)


async def test_changing_what_may_not_change_or_is_gone_is_refused(store: Store, thread: Thread) -> None:
    with pytest.raises(UsageError, match="'owner'"):
        await store.commit(ChangeThread(thread.number, {"title": "x", "owner": "bob"}))
    await refused(store, "thread_gone", ChangeThread(999, {"title": "x"}))
    await refused(store, "thread_gone", ChangeThread(999, {}))
    assert await store.thread("acme", "t") == thread


async def test_threads_are_listed_newest_first_in_pages(store: Store, make: Any) -> None:
    await put_threads(store, make, 5)
    first = await store.threads("acme", "ann", limit=2)
    assert (ids(first), first.more) == (["t5", "t4"], True)
    second = await store.threads("acme", "ann", limit=2, after="t4")
    assert (ids(second), second.more) == (["t3", "t2"], True)
    last = await store.threads("acme", "ann", limit=2, after="t2")
    assert (ids(last), last.more) == (["t1"], False)
    exact = await store.threads("acme", "ann", limit=5)
    assert (len(exact.rows), exact.more) == (5, False)


async def test_threads_before_a_cursor_are_the_ones_directly_newer(store: Store, make: Any) -> None:
    await put_threads(store, make, 5)
    near = await store.threads("acme", "ann", limit=2, before="t2")
    assert (ids(near), near.more) == (["t4", "t3"], True)
    rest = await store.threads("acme", "ann", limit=2, before="t4")
    assert (ids(rest), rest.more) == (["t5"], False)
    none = await store.threads("acme", "ann", limit=2, before="t5")
    assert (ids(none), none.more) == ([], False)


async def test_a_large_page_reads_like_a_small_one(store: Store, make: Any) -> None:
    await put_threads(store, make, 100)
    page = await store.threads("acme", "ann", limit=99)
    assert (page.rows[0].id, page.rows[-1].id, page.more) == ("t100", "t2", True)


async def test_a_listing_is_of_one_owner_or_of_the_whole_tenant(store: Store, make: Any) -> None:
    await store.commit(
        PutThread(make.thread("a1")),
        PutThread(make.thread("b1", owner="bob")),
        PutThread(make.thread("x1", tenant="other")),
        PutThread(make.thread("a2")),
    )
    assert ids(await store.threads("acme", "ann", limit=9)) == ["a2", "a1"]
    assert ids(await store.threads("acme", None, limit=9)) == ["a2", "b1", "a1"]
    assert ids(await store.threads("acme", None, limit=9, after="b1")) == ["a1"]
    assert ids(await store.threads("acme", "ann", limit=9, before="a1")) == ["a2"]


async def test_a_cursor_that_the_owner_never_had_is_not_found(store: Store, make: Any) -> None:
    await store.commit(PutThread(make.thread("a1")), PutThread(make.thread("b1", owner="bob")))
    for cursor in ("nope", "b1"):
        with pytest.raises(NotFound):
            await store.threads("acme", "ann", limit=9, after=cursor)
        with pytest.raises(NotFound):
            await store.threads("acme", "ann", limit=9, before=cursor)
    with pytest.raises(NotFound):
        await store.threads("other", None, limit=9, after="a1")
    with pytest.raises(UsageError):
        await store.threads("acme", "ann", limit=9, after="a1", before="a1")


async def test_a_deleted_thread_keeps_its_place_until_its_mark_is_forgotten(
    store: Store, make: Any, clock: Any
) -> None:
    await put_threads(store, make, 4)
    await store.commit(DeleteThread(2, forget_at=clock() + 100), DeleteThread(3, forget_at=clock() + 50))
    assert ids(await store.threads("acme", "ann", limit=9)) == ["t4", "t1"]
    assert ids(await store.threads("acme", "ann", limit=9, after="t2")) == ["t1"]
    assert ids(await store.threads("acme", "ann", limit=9, before="t3")) == ["t4"]
    assert ids(await store.threads("acme", None, limit=9, after="t3")) == ["t1"]
    with pytest.raises(NotFound):
        await store.threads("acme", "bob", limit=9, after="t2")
    clock.now += 60
    assert ids(await store.threads("acme", "ann", limit=9, after="t2")) == ["t1"]
    with pytest.raises(NotFound):
        await store.threads("acme", "ann", limit=9, after="t3")
    await store.commit(DeleteThread(4, forget_at=clock() + 1))  # sweeps what is over
    assert ids(await store.threads("acme", "ann", limit=9, after="t2")) == ["t1"]


async def test_a_deleted_id_may_be_used_again_and_then_its_new_place_counts(store: Store, make: Any) -> None:
    await put_threads(store, make, 3)
    await store.commit(DeleteThread(1, forget_at=2e9))
    await store.commit(PutThread(make.thread("t1")))
    assert ids(await store.threads("acme", "ann", limit=9)) == ["t1", "t3", "t2"]
    assert ids(await store.threads("acme", "ann", limit=9, after="t1")) == ["t3", "t2"]
    again = await store.thread("acme", "t1")
    assert again is not None
    assert again.number > 3
    await store.commit(DeleteThread(again.number, forget_at=2e9))
    assert ids(await store.threads("acme", "ann", limit=9, after="t1")) == ["t3", "t2"]


async def test_the_number_of_a_deleted_thread_is_never_given_again(store: Store, make: Any) -> None:
    await put_threads(store, make, 2)
    await store.commit(DeleteThread(2, forget_at=0.0))
    await store.commit(PutThread(make.thread("later")))
    later = await store.thread("acme", "later")
    assert later is not None
    assert later.number == 3


async def test_deleting_a_thread_deletes_all_that_hangs_on_it_and_nothing_else(
    store: Any, thread: Thread, make: Any
) -> None:
    await store.commit(PutThread(make.thread("other")), PutItem(0, make.item("m1")))
    other = await store.thread("acme", "other")
    await store.commit(
        AppendEvents(make.events(1, 2)),
        PutStep(make.step()),
        PutVote(make.vote("m2")),
        PutVote(make.vote("m1", thread=other.number)),
        PutRepeat(make.repeat(run="r")),
        PutRepeat(make.repeat("another", run=None)),
    )
    await store.commit(DeleteThread(thread.number, forget_at=2e9))
    assert await store.thread("acme", "t") is None
    assert (await store.items(thread.number)).rows == ()
    assert await store.run("r") is None
    assert not await store.events("r")
    assert not await store.steps("r")
    assert await store.approval("a") is None
    assert not await store.approvals("r")
    assert not await store.votes(thread.number)
    assert await store.repeat("acme", "ann", "once", now=11.0) is None
    assert await store.repeat("acme", "ann", "another", now=11.0) is not None
    assert len((await store.items(other.number)).rows) == 1
    assert len(await store.votes(other.number)) == 1
    await refused(store, "thread_gone", DeleteThread(thread.number, forget_at=2e9))


async def test_number_zero_is_the_thread_that_the_same_commit_put(store: Store, make: Any) -> None:
    await store.commit(
        PutThread(make.thread("one")),
        PutItem(0, make.item("m", "first")),
        PutThread(make.thread("two")),
        PutItem(0, make.item("m", "second")),
        ChangeThread(0, {"title": "Second"}),
        PutVote(make.vote(thread=0)),
    )
    two = await store.thread("acme", "two")
    assert two is not None
    assert two.title == "Second"
    assert [item.body for item in (await store.items(two.number)).rows] == [{"text": "second"}]
    assert [vote.thread for vote in await store.votes(two.number)] == [two.number]
    await refused(store, "thread_gone", PutItem(0, make.item("lost")))


# --------------------------------------------------------------------------- items


async def test_an_item_is_read_back_as_it_was_put(store: Store, thread: Thread, make: Any) -> None:
    full = make.item(
        "full",
        kind="tool_call",
        role="assistant",
        body={"call": "c", "input": {"deep": [{"n": None, "x": 1e-7, "big": 2**70, "text": "\x00 \ud83d ☃"}]}},
        status="in_progress",
        answer="ans",
        run="r",
        step=3,
        extra={"kai": True},
    )
    await store.commit(PutItem(thread.number, full))
    assert await store.item(thread.number, "full") == replace(full, pos=3)
    assert await store.item(thread.number, "none") is None
    assert await store.item(thread.number + 1, "full") is None


async def test_items_come_in_order_of_place_within_bounds(store: Store, thread: Thread, make: Any) -> None:
    await store.commit(*(PutItem(thread.number, make.item(f"m{n}")) for n in range(3, 8)))
    every = await store.items(thread.number)
    assert [(item.id, item.pos) for item in every.rows] == [(f"m{n}", n) for n in range(1, 8)]
    assert not every.more
    page = await store.items(thread.number, after=2, before=6, limit=2)
    assert (ids(page), page.more) == (["m3", "m4"], True)
    page = await store.items(thread.number, after=4, before=6, limit=2)
    assert (ids(page), page.more) == (["m5"], False)
    newest = await store.items(thread.number, limit=3, newest=True)
    assert (ids(newest), newest.more) == (["m7", "m6", "m5"], True)
    newest = await store.items(thread.number, before=3, limit=2, newest=True)
    assert (ids(newest), newest.more) == (["m2", "m1"], False)


async def test_an_item_id_is_taken_within_its_thread_only(store: Store, thread: Thread, make: Any) -> None:
    await refused(store, "item_id", PutItem(thread.number, make.item("m1", "changed")))
    await store.commit(PutThread(make.thread("other")), PutItem(0, make.item("m1")))
    assert [item.body["text"] for item in (await store.items(thread.number)).rows] == ["hi", "hi"]


async def test_a_replaced_item_keeps_its_place_and_birth(store: Store, thread: Thread, make: Any) -> None:
    changed = make.item(
        "m1", "changed", created=77.0, status="interrupted", answer="x", run="y", step=2, extra={"e": 1}
    )
    await store.commit(PutItem(thread.number, changed, replace=True))
    assert await store.item(thread.number, "m1") == replace(changed, pos=1, created=1.5)
    await store.commit(PutItem(thread.number, make.item("new"), replace=True))
    assert ids(await store.items(thread.number)) == ["m1", "m2", "new"]


async def test_an_item_needs_its_thread(store: Store, make: Any) -> None:
    await refused(store, "thread_gone", PutItem(5, make.item()))
    await refused(store, "thread_gone", PutItem(5, make.item(), replace=True))


async def test_removing_items_takes_the_votes_on_their_answers(store: Store, thread: Thread, make: Any) -> None:
    number = thread.number
    await store.commit(
        PutItem(number, make.item("q")),
        PutItem(number, make.item("part", role="assistant", answer="ans")),
        *(PutVote(make.vote(answer)) for answer in ("m1", "m2", "q", "ans")),
    )
    await store.commit(RemoveItems(number, 3))
    assert ids(await store.items(number)) == ["m1", "m2"]
    assert [vote.answer for vote in await store.votes(number)] == ["m1", "m2"]
    await store.commit(RemoveItems(number, 3), RemoveItems(number + 1, 1))
    assert ids(await store.items(number)) == ["m1", "m2"]


async def test_the_place_of_a_removed_item_is_not_given_again(store: Store, thread: Thread, make: Any) -> None:
    await store.commit(RemoveItems(thread.number, 2), PutItem(thread.number, make.item("m3")))
    assert [item.pos for item in (await store.items(thread.number)).rows] == [1, 3]


# --------------------------------------------------------------------------- votes


async def test_a_vote_replaces_the_one_that_the_user_gave_before(store: Store, thread: Thread, make: Any) -> None:
    number = thread.number
    await store.commit(PutVote(make.vote("m1")), PutVote(make.vote("m1", "bob")), PutVote(make.vote("m2")))
    again = make.vote("m1", up=False, created=5.0, id="v2")
    await store.commit(PutVote(again))
    assert [(vote.answer, vote.user) for vote in await store.votes(number)] == [
        ("m1", "bob"),
        ("m2", "ann"),
        ("m1", "ann"),
    ]
    assert await store.votes(number, "ann") == (make.vote("m2"), again)
    assert await store.votes(number, "eve") == ()
    await refused(store, "thread_gone", PutVote(make.vote(thread=99)))


# --------------------------------------------------------------------------- joining, and living on


async def test_a_thread_that_the_owner_has_is_joined_as_it_is(store: Store, make: Any, thread: Thread) -> None:
    again = PutThread(make.thread(title="other", expires=5.0), tenant_wide=False, join=True)
    run = make.run("beside", thread=None)
    await store.commit(PutRun(run))
    await store.commit(
        again, PutItem(0, make.item("m")), ChangeThread(0, {"updated": 9.0}), ChangeRun("beside", {"thread": 0})
    )
    assert await store.thread("acme", "t") == replace(thread, updated=9.0)
    assert (await store.items(thread.number)).rows[-1].id == "m"
    stored = await store.run("beside")
    assert stored is not None
    assert stored.thread == thread.number
    await store.commit(DeleteThread(thread.number, 99.0))
    assert await store.run("beside") is None


async def test_a_thread_of_another_owner_is_not_joined(store: Store, make: Any, thread: Thread) -> None:
    mine = make.thread(owner="bob")
    await refused(store, "thread_id", PutThread(mine, join=True))
    await store.commit(PutThread(mine, tenant_wide=False, join=True), PutItem(0, make.item("m")))
    made = await store.thread("acme", "t", owner="bob")
    assert made is not None
    assert made.number != thread.number
    assert [item.id for item in (await store.items(made.number)).rows] == ["m"]


@pytest.mark.parametrize(
    ("expires", "changes", "moved"),
    [
        (10.0, {"updated": 5.0}, 13.0),
        (10.0, {"updated": 1.0}, 10.0),
        (10.0, {"updated": 5.0, "expires": 99.0}, 99.0),
        (10.0, {"updated": 5.0, "expires": None}, None),
        (10.0, {"title": "x"}, 10.0),
        (None, {"updated": 5.0}, None),
    ],
)
async def test_an_expiry_moves_on_with_what_is_written(
    store: Store, make: Any, expires: float | None, changes: dict[str, Any], moved: float | None
) -> None:
    await store.commit(PutThread(make.thread(updated=2.0, expires=expires)), ChangeThread(0, changes))
    thread = await store.thread("acme", "t")
    assert thread is not None
    assert thread.expires == moved
