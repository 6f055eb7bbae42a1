"""Backups are one sound moment of the original; they go back only where nothing is."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from dragoman.core.errors import UsageError
from dragoman.core.writes import AppendEvents, PutItem, PutRun, PutThread
from dragoman.store import SQLiteStore, open_store
from dragoman.store.backup import back_up, restore

pytestmark = pytest.mark.requirement("CORE-14")


def clock() -> float:
    return 1_000_000.0


async def write(store: SQLiteStore, make: Any, n: int) -> None:
    """A thread whose one run has 20 events, in one commit."""
    run = make.run(f"r{n}", thread=0, thread_id=f"t{n}")
    await store.commit(
        PutThread(make.thread(f"t{n}")),
        PutItem(0, make.item(f"m{n}", text="x" * 500)),
        PutRun(run),
        AppendEvents(make.events(*range(1, 21), run=run.id)),
    )


async def test_a_backup_under_load_holds_what_was_acknowledged_before_and_no_half_of_anything(
    tmp_path: Path, make: Any
) -> None:
    store = await open_store(tmp_path / "data")
    acknowledged: list[int] = []
    going, enough = True, asyncio.Event()

    async def load(part: int) -> None:
        n = part
        while going:
            await write(store, make, n)
            acknowledged.append(n)
            if len(acknowledged) == 200:
                enough.set()
            n += 4

    writers = [asyncio.create_task(load(part)) for part in range(4)]
    await asyncio.wait_for(enough.wait(), 30)
    before = list(acknowledged)
    copied = await asyncio.to_thread(back_up, tmp_path / "data", tmp_path / "backup")
    going = False
    await asyncio.gather(*writers)
    await store.close()
    assert copied.threads == copied.runs >= len(before)
    assert sorted(path.name for path in (tmp_path / "backup").iterdir()) == ["dragoman.db"]
    put_back = await asyncio.to_thread(restore, tmp_path / "backup", tmp_path / "new", clock=clock)
    assert (put_back.threads, put_back.runs) == (copied.threads, copied.runs)
    again = await open_store(tmp_path / "new")
    for n in before:
        assert [event.seq for event in await again.events(f"r{n}")] == list(range(1, 21))
    runs = (await again.runs("acme", limit=100_000)).rows
    assert {run.last_seq for run in runs} == {20}
    await again.close()


async def test_blobs_come_along(tmp_path: Path) -> None:
    await (await open_store(tmp_path / "data")).close()
    (tmp_path / "data" / "blobs" / "ab").mkdir(parents=True)
    (tmp_path / "data" / "blobs" / "ab" / "one").write_bytes(b"bytes")
    assert back_up(tmp_path / "data", tmp_path / "backup").blobs == 1
    assert restore(tmp_path / "backup", tmp_path / "new", clock=clock).blobs == 1
    assert (tmp_path / "new" / "blobs" / "ab" / "one").read_bytes() == b"bytes"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
async def test_a_backup_is_for_its_owner_only(tmp_path: Path) -> None:
    await (await open_store(tmp_path / "data")).close()
    back_up(tmp_path / "data", tmp_path / "backup")
    assert (tmp_path / "backup").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "backup" / "dragoman.db").stat().st_mode & 0o777 == 0o600


async def test_neither_goes_where_anything_is(tmp_path: Path) -> None:
    await (await open_store(tmp_path / "data")).close()
    back_up(tmp_path / "data", tmp_path / "backup")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"empty directory, but .*full' holds 'notes.txt'"):
        back_up(tmp_path / "data", tmp_path / "full")
    with pytest.raises(UsageError, match=r"holds 'notes.txt'"):
        restore(tmp_path / "backup", tmp_path / "full", clock=clock)
    with pytest.raises(UsageError, match=r"holds 'dragoman.db'"):
        restore(tmp_path / "backup", tmp_path / "data", clock=clock)
    with pytest.raises(UsageError, match="cannot lie inside it"):
        back_up(tmp_path / "data", tmp_path / "data" / "backup")
    with pytest.raises(UsageError, match="there is no store"):
        back_up(tmp_path / "none", tmp_path / "other")
    assert not (tmp_path / "other").exists()


async def test_a_directory_in_use_is_refused_by_the_name_of_its_holder(tmp_path: Path) -> None:
    store = await open_store(tmp_path / "data")
    back_up(tmp_path / "data", tmp_path / "backup")
    with pytest.raises(UsageError, match=f"in use by process {os.getpid()} "):
        restore(tmp_path / "backup", tmp_path / "data", clock=clock)
    await store.close()


async def test_a_damaged_backup_is_refused_and_leaves_nothing(tmp_path: Path, make: Any) -> None:
    store = await open_store(tmp_path / "data")
    for n in range(20):
        await write(store, make, n)
    await store.close()
    back_up(tmp_path / "data", tmp_path / "backup")
    file = tmp_path / "backup" / "dragoman.db"
    whole = file.read_bytes()
    file.write_bytes(whole[:-4096] + bytes(range(256)) * 16)
    with pytest.raises(UsageError, match="is damaged"):
        restore(tmp_path / "backup", tmp_path / "new", clock=clock)
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UsageError, match=r"is damaged|cannot be read"):
        restore(tmp_path / "backup", tmp_path / "new2", clock=clock)
    for name in ("new", "new2"):
        assert "dragoman.db" not in os.listdir(tmp_path / name)


async def test_a_backup_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    await (await open_store(tmp_path / "data")).close()
    back_up(tmp_path / "data", tmp_path / "backup")
    with sqlite3.connect(tmp_path / "backup" / "dragoman.db") as db:
        db.execute("INSERT INTO migrations VALUES (999, 'of_tomorrow', 0)")
    db.close()
    with pytest.raises(UsageError, match="newer version of dragoman"):
        restore(tmp_path / "backup", tmp_path / "new", clock=clock)


async def test_what_was_restored_is_json_for_json_what_was_backed_up(tmp_path: Path, make: Any) -> None:
    store = await open_store(tmp_path / "data")
    await write(store, make, 1)
    back_up(tmp_path / "data", tmp_path / "backup")
    restore(tmp_path / "backup", tmp_path / "new", clock=clock)
    again = await open_store(tmp_path / "new")
    for one in (store, again):
        assert json.dumps((await one.items(1)).rows[0].body) == json.dumps({"text": "x" * 500})
    assert await again.events("r1") == await store.events("r1")
    await again.close()
    await store.close()


async def test_a_backup_that_an_older_version_made_is_put_back_and_brought_up_to_date(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    db = sqlite3.connect(tmp_path / "old" / "dragoman.db")
    db.executescript((Path(__file__).parent / "data" / "schema-0001.sql").read_text("utf-8"))
    db.close()
    assert back_up(tmp_path / "old", tmp_path / "backup").schema == 1
    assert restore(tmp_path / "backup", tmp_path / "new", clock=clock).schema == 1
    store = await open_store(tmp_path / "new")
    assert await store.session("acme", "session-1") is not None
    assert [run.id for run in await store.queued(limit=9)] == ["run-2"]
    await store.close()
    assert (tmp_path / "new" / "dragoman.db.before-0002").exists()
