"""Where a SQLite store lies: one engine per directory, private files, a view beside it."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dragoman.core.errors import StaleWrite, UsageError
from dragoman.core.writes import PutThread
from dragoman.store import open_beside, open_store
from dragoman.store.lock import MarkerLocking, WindowsLocking, hold

HOLDER = """
import asyncio, sys
from dragoman.store import open_store

async def main():
    store = await open_store(sys.argv[1])
    print("open", flush=True)
    sys.stdin.readline()
    await store.close()

asyncio.run(main())
"""


def clock() -> float:
    return 1e9


async def test_a_second_engine_is_refused_and_told_who_holds_the_directory(tmp_path: Path) -> None:
    store = await open_store(tmp_path, clock=clock)
    for path in (tmp_path, tmp_path / "dragoman.db", tmp_path / "another.db"):
        with pytest.raises(UsageError, match=rf"in use by process {os.getpid()} \(since 2001-09-09.*--data"):
            await open_store(path)
    await store.close()
    await (await open_store(tmp_path)).close()


def start_holder(directory: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


async def test_another_process_is_named_and_its_death_frees_the_directory(tmp_path: Path) -> None:
    with start_holder(tmp_path) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(UsageError, match=f"process {holder.pid} "):
            await open_store(tmp_path)
        holder.kill()
    await (await open_store(tmp_path)).close()


def test_a_marker_stands_in_where_the_platform_has_no_file_locks(tmp_path: Path) -> None:
    release = hold(tmp_path, clock=clock, locking=MarkerLocking())
    with pytest.raises(UsageError, match=f"process {os.getpid()} "):
        hold(tmp_path, clock=clock, locking=MarkerLocking())
    release()
    hold(tmp_path, clock=clock, locking=MarkerLocking())()


def test_a_marker_of_a_process_that_is_gone_does_not_count(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait(30)
    marker = tmp_path / "dragoman.lock.held"
    marker.write_text(str(gone.pid))
    hold(tmp_path, clock=clock, locking=MarkerLocking())()
    marker.write_text("no number")
    with pytest.raises(UsageError, match="another process"):
        hold(tmp_path, clock=clock, locking=MarkerLocking())


class ScriptedMsvcrt:
    """What `WindowsLocking` asks of the module of that name: byte locks, refused while held."""

    LK_NBLCK, LK_UNLCK = 2, 0

    def __init__(self) -> None:
        self.held: set[int] = set()

    def locking(self, fd: int, mode: int, size: int) -> None:
        place = os.lseek(fd, 0, os.SEEK_CUR)
        if mode == self.LK_UNLCK:
            self.held.remove(place)
        elif place in self.held:
            raise PermissionError("held")
        else:
            self.held.add(place)


def test_windows_locks_a_byte_that_nobody_reads(tmp_path: Path) -> None:
    msvcrt = ScriptedMsvcrt()
    release = hold(tmp_path, clock=clock, locking=WindowsLocking(msvcrt))
    assert min(msvcrt.held) > 1_000_000
    with pytest.raises(UsageError, match=f"process {os.getpid()} "):
        hold(tmp_path, clock=clock, locking=WindowsLocking(msvcrt))
    release()
    assert not msvcrt.held


async def test_what_is_made_is_for_its_owner_only(tmp_path: Path, make: Any) -> None:
    directory = tmp_path / "deep" / "data"
    store = await open_store(directory)
    await store.commit(PutThread(make.thread()))
    files = {path.name: path.stat().st_mode & 0o777 for path in directory.iterdir()}
    assert {"dragoman.db", "dragoman.db-wal", "dragoman.lock"} <= set(files)
    if os.name == "posix":
        assert directory.stat().st_mode & 0o777 == 0o700
        assert set(files.values()) == {0o600}
    await store.close()


async def test_a_memory_store_vanishes_when_it_is_closed() -> None:
    one, two = await open_store(":memory:"), await open_store(":memory:")
    assert one.directory.is_dir()
    assert one.directory != two.directory
    await one.close()
    assert not one.directory.exists()
    await two.close()


async def test_a_place_that_cannot_hold_data_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="cannot use"):
        await open_store(tmp_path / "file" / "data")
    (tmp_path / "dragoman.db").write_text("this is text and no database, " * 50)
    with pytest.raises(UsageError, match="is not a database"):
        await open_store(tmp_path)
    (tmp_path / "dragoman.db").unlink()
    await (await open_store(tmp_path)).close()


async def test_a_lock_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    (tmp_path / "dragoman.lock").mkdir()
    with pytest.raises(UsageError, match=r"cannot lock .*dragoman\.lock"):
        await open_store(tmp_path)


FULL_DISK = """
import asyncio, resource, sys
from dragoman.core.errors import UsageError
from dragoman.store import open_store

async def main():
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
    try:
        store = await open_store(sys.argv[1])
    except UsageError as error:
        print("refused:", error)
    else:
        print("opened:", len(await store.unfinished()))
        await store.close()

asyncio.run(main())
"""


def _on_a_full_disk(path: Path, room: int) -> str:
    command = [sys.executable, "-c", FULL_DISK, str(path), str(room)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limit on the size of files")
@pytest.mark.parametrize("room", [0, 10_000])
def test_a_disk_without_room_for_a_database_is_one_clear_line(tmp_path: Path, room: int) -> None:
    assert _on_a_full_disk(tmp_path / "new", room).startswith("refused: cannot")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limit on the size of files")
async def test_what_is_stored_can_be_read_on_a_disk_that_is_full(tmp_path: Path) -> None:
    await (await open_store(tmp_path)).close()
    assert _on_a_full_disk(tmp_path, 40_000) == "opened: 0\n"  # room for SQLite's -shm and for nothing else


async def test_somebody_elses_database_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "dragoman.db") as db:
        db.execute("CREATE TABLE theirs (x)")
    db.close()
    with pytest.raises(UsageError, match="expected a Dragoman database"):
        await open_store(tmp_path)


async def test_a_view_beside_the_engine_reads_what_is_committed_and_writes_nothing(tmp_path: Path, make: Any) -> None:
    store = await open_store(tmp_path)
    secret = await store.secret("signing")
    view = await open_beside(tmp_path)
    await store.commit(PutThread(make.thread()))
    assert (await view.thread("acme", "t")) == (await store.thread("acme", "t"))
    assert (await view.threads("acme", "ann", limit=500)).rows == (await store.threads("acme", "ann", limit=5)).rows
    assert await view.secret("signing") == secret
    await view.check()
    with pytest.raises(UsageError, match="reading only"):
        await view.commit(PutThread(make.thread("t2")))
    with pytest.raises(UsageError, match="reading only"):
        await view.secret("another")
    await view.close()
    await store.commit(PutThread(make.thread("t2")))
    await store.close()
    alone = await open_beside(tmp_path)
    assert len((await alone.threads("acme", None, limit=5)).rows) == 2
    await alone.close()


async def test_a_writable_view_takes_turns_with_the_engine(tmp_path: Path, make: Any) -> None:
    store = await open_store(tmp_path)
    view = await open_beside(tmp_path, writable=True)
    await asyncio.gather(
        *(who.commit(PutThread(make.thread(f"{n}-{who is view}"))) for n in range(20) for who in (store, view))
    )
    assert len((await store.threads("acme", "ann", limit=64)).rows) == 40
    with pytest.raises(StaleWrite):
        await view.commit(PutThread(make.thread("1-False")))
    assert await view.secret("signing") == await store.secret("signing")
    await view.close()
    await store.check()
    await store.close()


async def test_a_view_of_nothing_is_refused_and_makes_nothing(tmp_path: Path) -> None:
    for path in (tmp_path / "none", ":memory:"):
        with pytest.raises(UsageError, match="there is no store"):
            await open_beside(path)
    assert os.listdir(tmp_path) == []
