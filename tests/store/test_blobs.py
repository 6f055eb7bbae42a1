"""Bytes of files in a directory: whole or not at all, for their owner only, whatever the id."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dragoman.core.errors import NotFound, PayloadTooLarge, Unavailable
from dragoman.core.ports import Written
from dragoman.store.blobs import CHUNK, FileBlobs

pytestmark = pytest.mark.requirement("CHK-34")


async def pieces(*chunks: bytes | Exception) -> AsyncIterator[bytes]:
    for chunk in chunks:
        if isinstance(chunk, Exception):
            raise chunk
        yield chunk


async def read(blobs: FileBlobs, id: str, **bounds: int) -> bytes:
    return b"".join([chunk async for chunk in blobs.read(id, **bounds)])


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_what_was_written_is_read(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path / "blobs")
    written = await blobs.write("one", pieces(b"he", b"", b"llo"))
    assert written == Written(5, hashlib.sha256(b"hello").hexdigest())
    assert await blobs.size("one") == 5
    assert await read(blobs, "one") == b"hello"
    assert await read(blobs, "one", start=1, end=3) == b"el"
    assert await read(blobs, "one", start=4) == b"o"
    assert await read(blobs, "one", start=9) == await read(blobs, "one", start=3, end=2) == b""
    await blobs.write("one", pieces(b"new"))
    assert await read(blobs, "one") == b"new"
    await blobs.delete("one")
    await blobs.delete("one")
    assert await blobs.size("one") is None
    with pytest.raises(NotFound) as missing:
        await read(blobs, "one")
    assert missing.value.code == "not_found:blob"


async def test_a_large_file_comes_in_chunks(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    await blobs.write("big", pieces(*[bytes([n]) * CHUNK for n in range(5)]))
    chunks = [len(chunk) async for chunk in blobs.read("big", start=10, end=3 * CHUNK)]
    assert max(chunks) <= CHUNK
    assert sum(chunks) == 3 * CHUNK - 10


@pytest.mark.parametrize("failure", [ValueError("cut"), OSError("socket"), PayloadTooLarge("limit")])
async def test_what_breaks_off_leaves_what_was_there(tmp_path: Path, failure: Exception) -> None:
    blobs = FileBlobs(tmp_path)
    limit = 6 if isinstance(failure, PayloadTooLarge) else None
    for before in ([], [b"before"]):
        if before:
            await blobs.write("one", pieces(*before))
        with pytest.raises(type(failure)):
            await blobs.write("one", pieces(b"after", *([b"!!"] if limit else [failure])), limit=limit)
        assert [path.read_bytes() for path in files(tmp_path)] == before


async def test_a_write_that_is_cancelled_at_once_leaves_nothing(tmp_path: Path) -> None:
    writing = asyncio.create_task(FileBlobs(tmp_path).write("one", pieces(b"x")))
    await asyncio.sleep(0)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    await asyncio.get_running_loop().shutdown_default_executor()
    assert files(tmp_path) == []


async def test_no_id_is_a_path_and_none_is_anothers(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path / "blobs")
    ids = ["../x", "..", ".", "", "a/b", "A", "a", "~", "x:y", "\0", "ä", "x" * 300, ".partial-x", "con"]
    for id in ids:
        await blobs.write(id, pieces(id.encode()))
    assert [await read(blobs, id) for id in ids] == [id.encode() for id in ids]
    kept = files(tmp_path)
    assert len({path.name.lower() for path in kept}) == len(ids)
    assert {path.parent.parent for path in kept} == {tmp_path / "blobs"}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes of files")
async def test_only_the_owner_may_read(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path / "blobs")
    await blobs.write("one", pieces(b"x"))
    path = blobs.path("one")
    modes = [one.stat().st_mode & 0o777 for one in (path, path.parent, blobs.directory)]
    assert modes == [0o600, 0o700, 0o700]


async def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no directory")
    with pytest.raises(Unavailable, match="cannot be kept"):
        await FileBlobs(tmp_path / "file").write("one", pieces(b"x"))


async def test_drafts_that_a_crash_left_behind_are_tidied_after_a_day(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    await blobs.write("one", pieces(b"x"))
    draft = blobs.path("one").with_name(".partial-left")
    draft.write_bytes(b"half")
    now = os.stat(draft).st_mtime
    assert await blobs.tidy(now=now + 3600) == 0
    assert await blobs.tidy(now=now + 25 * 3600) == 1
    assert files(tmp_path) == [blobs.path("one")]
    assert await blobs.names("ne") == ["one"]
