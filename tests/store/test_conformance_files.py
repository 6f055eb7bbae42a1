"""Rows of files, single items, and the readings that ChatKit brought; over every backend of the port."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from dragoman.core.errors import NotFound, StaleWrite, UsageError
from dragoman.core.ports import Store
from dragoman.core.records import Blob, Keep, Removed, Thread
from dragoman.core.writes import (
    ChangeBlob,
    DeleteThread,
    DropBlob,
    PutBlob,
    PutItem,
    PutThread,
    PutVote,
    RemoveItem,
)
from dragoman.store.blob_sweeping import sweep_blobs
from dragoman.store.blobs import FileBlobs

pytestmark = pytest.mark.requirement("CHK-33", "CHK-15")


def blob(id: str = "b", **more: Any) -> Blob:
    known = {"id": id, "tenant": "acme", "owner": "ann", "purpose": "attachment", "name": "a.txt", "type": "text/plain"}
    return Blob(**known | {"created": 1.0} | more)


async def put(store: Store, make: Any, id: str = "t", *, blobs: int = 2, **more: Any) -> Thread:
    await store.commit(PutThread(make.thread(id, **more)))
    thread = await store.thread("acme", id)
    assert thread is not None
    files = [blob(f"{id}-b{n}", thread=thread.number, state="ready", owner=thread.owner) for n in range(blobs)]
    await store.commit(*(PutBlob(file) for file in files))
    return thread


async def total(passes: AsyncIterator[Removed]) -> Removed:
    gone = Removed()
    async for removed in passes:
        gone += removed
    return gone


# --------------------------------------------------------------------------- rows of files


async def test_a_file_is_kept_as_it_is_given(store: Store) -> None:
    whole = blob(size=5, digest="00ff", state="ready", expires=9.0, metadata={"chatkit": {"a": [None]}})
    await store.commit(PutBlob(whole))
    assert await store.blob("b", tenant="acme") == whole
    assert await store.blob("b", tenant="acme", owner="ann") == whole
    for tenant, owner in (("acme", "bob"), ("other", None), ("other", "ann")):
        assert await store.blob("b", tenant=tenant, owner=owner) is None
    with pytest.raises(StaleWrite) as stale:
        await store.commit(PutBlob(blob(tenant="other")))
    assert stale.value.what == "blob_id"


async def test_chosen_fields_of_a_file_change_under_a_condition(store: Store) -> None:
    await store.commit(PutBlob(blob(expires=10.0)))
    changes = {"state": "ready", "size": 3, "digest": "aa", "name": "b", "expires": None, "metadata": {"x": 1}}
    await store.commit(ChangeBlob("b", changes, only_if=("pending",)))
    changed = await store.blob("b", tenant="acme")
    assert changed == blob(state="ready", size=3, digest="aa", name="b", metadata={"x": 1})
    for write in (
        ChangeBlob("b", {"size": 4}, only_if=("pending",)),
        ChangeBlob("b", {"size": 4}, expired_by=99.0),
        ChangeBlob("nowhere", {"size": 4}),
    ):
        with pytest.raises(StaleWrite) as stale:
            await store.commit(write)
        assert stale.value.what == "blob"
    with pytest.raises(UsageError, match="tenant"):
        await store.commit(ChangeBlob("b", {"tenant": "other"}))
    assert await store.blob("b", tenant="acme") == changed


async def test_what_has_gone_or_expired_is_found_for_deletion_and_by_nobody_else(store: Store, make: Any) -> None:
    thread = await put(store, make, blobs=1)
    await store.commit(
        PutBlob(blob("gone", state="ready", thread=thread.number)),
        ChangeBlob("gone", {"state": "gone"}),
        PutBlob(blob("old", expires=10.0)),
        PutBlob(blob("new", expires=11.0)),
        PutBlob(blob("kept", state="ready")),
    )
    assert [one.id for one in await store.dead_blobs(now=10.0)] == ["gone", "old"]
    assert [one.id for one in await store.dead_blobs(now=10.0, limit=1)] == ["gone"]
    assert await store.blob("gone", tenant="acme") is None
    assert [one.id for one in await store.thread_blobs(thread.number)] == ["t-b0"]
    await store.commit(DropBlob("gone"), DropBlob("nowhere"))
    assert [one.id for one in await store.dead_blobs(now=9.0)] == []


# --------------------------------------------------------------------------- going with their thread or owner


@pytest.mark.parametrize("how", ["deleted", "swept", "erased"])
async def test_files_go_with_their_thread_and_tell_nothing_until_their_bytes_are_deleted(
    store: Store, make: Any, tmp_path: Path, how: str, clock: Any
) -> None:
    thread = await put(store, make, updated=1.0)
    await store.commit(PutBlob(blob("other", owner="bob", state="ready")))
    bytes_of = FileBlobs(tmp_path / "blobs")
    for id in ("t-b0", "t-b1", "other"):
        await bytes_of.write(id, _once(b"x"))
    if how == "deleted":
        await store.commit(DeleteThread(thread.number, forget_at=9e9))
    elif how == "swept":
        assert (await total(store.sweep(Keep(clock(), threads_since=2.0)))).blobs == 2
    else:
        assert (await total(store.erase("acme", "ann"))).blobs == 2
    assert await store.blob("t-b0", tenant="acme") is None
    dead = await store.dead_blobs(now=0.0)
    assert [(one.id, one.state, one.owner, one.name, one.metadata) for one in dead] == [
        ("t-b0", "gone", "", "", {}),
        ("t-b1", "gone", "", "", {}),
    ]
    assert await sweep_blobs(store, bytes_of, now=0.0) == Removed()
    assert await store.dead_blobs(now=0.0) == ()
    assert [await bytes_of.size(id) for id in ("t-b0", "t-b1", "other")] == [None, None, 1]


async def test_a_file_of_a_user_without_a_thread_is_erased_too(store: Store) -> None:
    await store.commit(PutBlob(blob("mine")), PutBlob(blob("theirs", owner="bob")))
    assert (await total(store.erase("acme", "ann"))).blobs == 1
    assert [one.id for one in await store.dead_blobs(now=0.0)] == ["mine"]
    assert await store.blob("theirs", tenant="acme") is not None
    assert not await total(store.erase("acme", "ann"))


async def test_a_file_that_is_sent_as_it_expires_is_not_swept(store: Store, tmp_path: Path) -> None:
    await store.commit(PutBlob(blob("late", expires=10.0)))
    dead = await store.dead_blobs(now=10.0)

    class Sending:
        """A store in which a message takes the file between the look and the deed."""

        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        async def dead_blobs(self, **_: Any) -> Any:
            await store.commit(ChangeBlob("late", {"expires": None}))
            return dead

    sending: Any = Sending()
    assert await sweep_blobs(sending, FileBlobs(tmp_path), now=10.0) == Removed()
    assert await store.blob("late", tenant="acme") is not None


async def _once(raw: bytes) -> AsyncIterator[bytes]:
    yield raw


# --------------------------------------------------------------------------- items


@pytest.mark.requirement("CHK-17")
async def test_kinds_can_be_left_out_and_pages_are_full_all_the_same(store: Store, make: Any) -> None:
    thread = await put(store, make)
    kinds = ("message", "hidden", "hidden", "data", "message", "hidden", "message", "data")
    for n, kind in enumerate(kinds):
        await store.commit(PutItem(thread.number, make.item(f"m{n}", kind=kind)))
    without = ("hidden", "data")
    page = await store.items(thread.number, limit=2, without=without)
    assert ([item.id for item in page.rows], page.more) == (["m0", "m4"], True)
    page = await store.items(thread.number, after=page.rows[-1].pos, limit=2, without=without)
    assert ([item.id for item in page.rows], page.more) == (["m6"], False)
    page = await store.items(thread.number, limit=2, newest=True, without=without)
    assert ([item.id for item in page.rows], page.more) == (["m6", "m4"], True)
    assert len((await store.items(thread.number, limit=200, without=("data",))).rows) == 6
    assert len((await store.items(thread.number)).rows) == 8


async def test_one_item_is_removed_with_the_votes_on_it_and_its_place_stays_empty(store: Store, make: Any) -> None:
    thread = await put(store, make)
    await store.commit(*(PutItem(thread.number, make.item(f"m{n}", answer="a")) for n in range(3)))
    await store.commit(*(PutVote(make.vote(answer, thread=thread.number)) for answer in ("m1", "m2", "a")))
    await store.commit(RemoveItem(thread.number, "m1"), RemoveItem(thread.number, "nowhere"))
    assert [(item.id, item.pos) for item in (await store.items(thread.number)).rows] == [("m0", 1), ("m2", 3)]
    assert [vote.answer for vote in await store.votes(thread.number)] == ["m2", "a"]
    await store.commit(PutItem(thread.number, make.item("m1")))
    assert (await store.items(thread.number, newest=True, limit=1)).rows[0].pos == 4


async def test_an_item_goes_in_the_commit_that_put_its_thread(store: Store, make: Any) -> None:
    await store.commit(PutThread(make.thread("t")), PutItem(0, make.item("m")), RemoveItem(0, "m"))
    thread = await store.thread("acme", "t")
    assert thread is not None
    assert (await store.items(thread.number)).rows == ()


# --------------------------------------------------------------------------- threads and votes


@pytest.mark.requirement("CHK-10")
async def test_threads_are_listed_from_the_other_end_too(store: Store, make: Any) -> None:
    for n in range(5):
        await store.commit(PutThread(make.thread(f"t{n}")))
        await store.commit(PutThread(make.thread(f"x{n}", owner="bob")))
    page = await store.threads("acme", "ann", limit=2, oldest=True)
    assert ([one.id for one in page.rows], page.more) == (["t0", "t1"], True)
    page = await store.threads("acme", "ann", limit=3, after="t1", oldest=True)
    assert ([one.id for one in page.rows], page.more) == (["t2", "t3", "t4"], False)
    assert [one.id for one in (await store.threads("acme", None, limit=3, oldest=True)).rows] == ["t0", "x0", "t1"]
    with pytest.raises(NotFound):
        await store.threads("acme", "ann", limit=2, after="x1", oldest=True)
    with pytest.raises(UsageError):
        await store.threads("acme", "ann", limit=2, before="t1", oldest=True)


@pytest.mark.requirement("CHK-11")
async def test_votes_of_a_tenant_come_with_their_threads(store: Store, make: Any) -> None:
    for id, owner, tenant in (("t1", "ann", "acme"), ("t2", "bob", "acme"), ("t3", "ann", "other")):
        await store.commit(
            PutThread(make.thread(id, owner=owner, tenant=tenant)),
            PutVote(make.vote("m", user=owner, thread=0, id=id)),
            PutVote(make.vote("n", user=owner, thread=0, id=id)),
        )

    async def told(**more: Any) -> list[tuple[str, str]]:
        return [(thread.id, vote.answer) for thread, vote in await store.tenant_votes("acme", **more)]

    assert await told() == [("t2", "m"), ("t2", "n"), ("t1", "m"), ("t1", "n")]
    assert await told(owner="ann") == [("t1", "m"), ("t1", "n")]
    assert await told(limit=1) == [("t2", "m")]
