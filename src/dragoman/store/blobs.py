"""Where the bytes of files lie: a directory, or a bucket of a service that speaks S3.

Both implement `core.ports.Blobs`. They know ids and bytes; whose file it is, how large it may be and how long it
lives, the rows say. A name that somebody gave a file is no path here, and never part of one.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import tempfile
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dragoman.core.errors import MissingExtra, NotFound, PayloadTooLarge, Unavailable
from dragoman.core.ports import Written

if TYPE_CHECKING:
    from obstore.store import ObjectStore

CHUNK = 256 * 1024
_PLAIN = re.compile(r"[a-z0-9][a-z0-9._-]{0,126}")
_PARTIAL = ".partial-"
_LEFT_BEHIND = 24 * 3600.0


def file_name(id: str) -> str:
    """The name under which the bytes of an id lie: itself where any file system tells it apart, else its hash."""
    return id if _PLAIN.fullmatch(id) else f"~{hashlib.sha256(id.encode()).hexdigest()}"


def _missing(id: str) -> NotFound:
    return NotFound(f"there are no bytes of file {id!r}", code="not_found:blob")


class _Counted:
    """Chunks on their way: counts and digests them, and refuses what is too much."""

    def __init__(self, chunks: AsyncIterator[bytes], limit: int | None) -> None:
        self._chunks = chunks
        self._limit = limit
        self._digest = hashlib.sha256()
        self.size = 0
        self.failure: BaseException | None = None

    def __aiter__(self) -> _Counted:
        return self

    async def __anext__(self) -> bytes:
        try:
            chunk = await anext(self._chunks)
        except StopAsyncIteration:
            raise
        except BaseException as error:
            self.failure = error
            raise
        self.size += len(chunk)
        if self._limit is not None and self.size > self._limit:
            self.failure = PayloadTooLarge(f"the file has more than {self._limit} bytes")
            raise self.failure
        self._digest.update(chunk)
        return chunk

    @property
    def written(self) -> Written:
        return Written(self.size, self._digest.hexdigest())


# --------------------------------------------------------------------------- a directory


class FileBlobs:
    """A file for each id, spread over 256 folders, readable by its owner only."""

    def __init__(self, directory: str | Path) -> None:
        self.directory = Path(directory).expanduser()

    def path(self, id: str) -> Path:
        """Where the bytes of this id lie, or would."""
        name = file_name(id)
        return self.directory / hashlib.sha256(name.encode()).hexdigest()[:2] / name

    async def write(self, id: str, chunks: AsyncIterator[bytes], *, limit: int | None = None) -> Written:
        counted = _Counted(chunks, limit)
        target = self.path(id)
        handle, draft = self._draft(target)  # not in a thread: whoever is cancelled there leaves the draft open
        try:
            with os.fdopen(handle, "wb") as file:
                async for chunk in counted:
                    if chunk:
                        await asyncio.to_thread(file.write, chunk)
                await asyncio.to_thread(_settle, file)
            draft.replace(target)
            await asyncio.to_thread(_settle_folder, target.parent)
        except OSError as error:
            if counted.failure is error:
                raise
            raise Unavailable(f"the file cannot be kept: {error.strerror or error}") from error
        finally:
            draft.unlink(missing_ok=True)
        return counted.written

    def _draft(self, target: Path) -> tuple[int, Path]:
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            target.parent.mkdir(mode=0o700, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=_PARTIAL, dir=target.parent)
        except OSError as error:
            raise Unavailable(f"the file cannot be kept: {error.strerror or error}") from error
        return handle, Path(name)

    async def read(self, id: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        try:
            file = await asyncio.to_thread(self.path(id).open, "rb")
        except FileNotFoundError:
            raise _missing(id) from None
        with file:
            await asyncio.to_thread(file.seek, start)
            left = None if end is None else max(0, end - start)
            while left is None or left > 0:
                chunk = await asyncio.to_thread(file.read, CHUNK if left is None else min(CHUNK, left))
                if not chunk:
                    return
                left = None if left is None else left - len(chunk)
                yield chunk

    async def size(self, id: str) -> int | None:
        try:
            return (await asyncio.to_thread(self.path(id).stat)).st_size
        except FileNotFoundError:
            return None

    async def delete(self, id: str) -> None:
        path = self.path(id)
        await asyncio.to_thread(path.unlink, missing_ok=True)

    async def names(self, suffix: str) -> list[str]:
        """The names of all files that end so."""
        return await asyncio.to_thread(lambda: [path.name for path in self.directory.glob(f"??/*{suffix}")])

    async def tidy(self, *, now: float | None = None) -> int:
        """Delete what writes that a crash cut short left behind a day ago; how many that were."""
        return await asyncio.to_thread(self._tidy, time.time() if now is None else now)

    def _tidy(self, now: float) -> int:
        deleted = 0
        for draft in self.directory.glob(f"*/{_PARTIAL}*"):
            try:
                if draft.stat().st_mtime < now - _LEFT_BEHIND:
                    draft.unlink()
                    deleted += 1
            except FileNotFoundError:
                continue
        return deleted


def _settle(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())


def _settle_folder(folder: Path) -> None:
    """So that a name in it outlives a power cut; not every system can."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        return
    finally:
        os.close(handle)


# --------------------------------------------------------------------------- a bucket


def open_bucket(url: str, **config: Any) -> ObjectStore:
    """The store of `s3://bucket/prefix` (or another URL that obstore knows); credentials as its environment says.

    `config` is obstore's, `endpoint` for other services than Amazon's. Raises MissingExtra without obstore.
    """
    try:
        from obstore.store import from_url
    except ImportError as error:
        raise MissingExtra("keeping files in a bucket", "s3") from error
    return from_url(url, **config)


class ObjectBlobs:
    """An object for each id, below `prefix`. `store` is one of obstore's, such as `open_bucket` gives."""

    def __init__(self, store: ObjectStore, *, prefix: str = "") -> None:
        try:
            import obstore
        except ImportError as error:
            raise MissingExtra("keeping files in a bucket", "s3") from error
        self._obstore = obstore
        self.store = store
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    def path(self, id: str) -> str:
        """The object's key."""
        return f"{self._prefix}{file_name(id)}"

    async def write(self, id: str, chunks: AsyncIterator[bytes], *, limit: int | None = None) -> Written:
        counted = _Counted(chunks, limit)
        try:
            await self._obstore.put_async(self.store, self.path(id), counted)
        except Exception as error:
            if counted.failure is not None:  # obstore may wrap what the chunks raised
                raise counted.failure from None
            raise Unavailable(f"the file cannot be kept: {type(error).__name__}") from error
        return counted.written

    async def read(self, id: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        size = await self.size(id)
        if size is None:
            raise _missing(id)
        end = size if end is None else min(end, size)
        if start >= end:
            return
        options: Any = {"range": (start, end)}
        try:
            found = await self._obstore.get_async(self.store, self.path(id), options=options)
        except FileNotFoundError:  # deleted in the same moment
            raise _missing(id) from None
        async for chunk in found.stream(min_chunk_size=CHUNK):
            yield bytes(chunk)

    async def size(self, id: str) -> int | None:
        try:
            return int((await self._obstore.head_async(self.store, self.path(id)))["size"])
        except FileNotFoundError:
            return None

    async def delete(self, id: str) -> None:
        try:
            await self._obstore.delete_async(self.store, self.path(id))
        except FileNotFoundError:
            return

    async def names(self, suffix: str) -> list[str]:
        """The names of all objects that end so."""
        found: list[str] = []
        async for page in self._obstore.list(self.store, self._prefix or None):
            found += [str(one["path"]).removeprefix(self._prefix) for one in page if one["path"].endswith(suffix)]
        return found


class InboxBlobs(ObjectBlobs):
    """Objects that clients send to the bucket themselves.

    They come to a place of their own that nobody reads, below `incoming/`, until `accept` takes them: an address that
    is still good afterwards changes no file. A rule of the bucket's may delete what is left there.
    """

    def _inbox(self, id: str) -> str:
        return f"{self._prefix}incoming/{file_name(id)}"

    def upload_url(self, id: str, seconds: float) -> str:
        """A URL to which anybody may PUT the bytes for so long."""
        return self._signed("PUT", self._inbox(id), seconds)

    def download_url(self, id: str, seconds: float) -> str:
        """A URL from which anybody may GET the bytes for so long."""
        return self._signed("GET", self.path(id), seconds)

    async def accept(self, id: str) -> int | None:
        """Take what has come; its size, None if nothing has."""
        try:
            await self._obstore.rename_async(self.store, self._inbox(id), self.path(id))
        except FileNotFoundError:  # or it was taken before
            pass
        return await self.size(id)

    async def delete(self, id: str) -> None:
        await super().delete(id)
        try:
            await self._obstore.delete_async(self.store, self._inbox(id))
        except FileNotFoundError:
            return

    def _signed(self, method: Literal["GET", "PUT"], path: str, seconds: float) -> str:
        store: Any = self.store
        return str(self._obstore.sign(store, method, path, timedelta(seconds=seconds)))
