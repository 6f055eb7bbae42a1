"""Cached values as files: one for each, within a bound of bytes, shared by the processes of one user.

A file is named after the digest of its key, so that no key can lead elsewhere. It is written beside
its place and moved there, so that a reader meets a whole one or none. The first line tells the key
and when it ends, the rest is the value as JSON; what cannot be read is nobody's and is removed.
Folders and files are the user's alone. All file work happens in threads.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import anyio.to_thread

from dragoman.ai.cache.backends import CacheBackend

__all__ = ["DiskCache"]

_NAME = re.compile(r"[0-9a-f]{64}\.json$")
_UNFINISHED = re.compile(r"[0-9a-f]{64}\.json\.[0-9a-f]{16}\.part$")
_HEAD_BYTES = 16 * 1024
_STALE_SECONDS = 3600.0
"""A file that was begun and not finished for so long is left over from a process that is gone."""

_ROOM = 0.9
"""Of the bound, so much is filled after a clean-up, so that not each write makes one."""


class _File(NamedTuple):
    used: float
    size: int
    path: Path


class DiskCache(CacheBackend):
    """At most `max_size_bytes` in the folder `path`; what is over goes first, then what was not used for longest.

    Each further process that writes there may exceed the bound by a sixteenth until it looks.

    Values are JSON. `clock` gives seconds since the epoch, since files outlive processes. Raises
    ValueError for a value that is no JSON. A file that cannot be written is not kept, silently: a
    full disk must not fail an answer.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        default_ttl: float | None = None,
        max_size_bytes: int = 100 * 1024 * 1024,
        *,
        directory: str | os.PathLike[str] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`directory` is another name of `path`."""
        place = path if path is not None else directory
        if place is None:
            raise ValueError("a disk cache needs a folder: DiskCache(path)")
        if max_size_bytes < 1:
            raise ValueError(f"max_size_bytes must be at least 1, got {max_size_bytes!r}")
        self.path = Path(place)
        self.default_ttl = default_ttl
        self.max_size_bytes = max_size_bytes
        self.evictions = 0
        self._clock = clock
        self._lock = threading.Lock()
        self._filled: int | None = None
        self._written = 0

    # ----------------------------------------------------------------------------- as a backend

    async def get(self, key: str) -> Any | None:
        return (await self.find(key))[1]

    async def find(self, key: str) -> tuple[bool, Any]:
        return await anyio.to_thread.run_sync(self._read, key, True)

    async def set(self, key: str, value: Any, ttl: float | None = None) -> None:
        ttl = self.default_ttl if ttl is None else ttl
        if ttl is not None and ttl <= 0:
            await self.delete(key)
            return
        body = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode()
        ends = None if ttl is None else self._clock() + ttl
        await anyio.to_thread.run_sync(self._write, key, body, ends)

    async def delete(self, key: str) -> bool:
        return await anyio.to_thread.run_sync(self._delete, key)

    async def clear(self) -> None:
        await anyio.to_thread.run_sync(self._clear)

    async def exists(self, key: str) -> bool:
        return (await anyio.to_thread.run_sync(self._read, key, False))[0]

    async def cleanup_expired(self) -> int:
        """Remove what is over; how many that were."""
        return await anyio.to_thread.run_sync(self._cleanup)

    @property
    def cache_size_bytes(self) -> int:
        """Bytes of all values; looks at the folder."""
        return sum(file.size for file in self._files())

    # ------------------------------------------------------------------------------ in a thread

    def _place(self, key: str) -> Path:
        name = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
        return self.path / name[:2] / f"{name}.json"

    def _read(self, key: str, use: bool) -> tuple[bool, Any]:
        path = self._place(key)
        try:
            data = path.read_bytes()
        except OSError:
            return False, None
        try:
            head, _, body = data.partition(b"\n")
            told = json.loads(head)
            if told["key"] != _shown(key):
                return False, None
            over = told["ends"] is not None and self._clock() >= told["ends"]
            value = None if over else json.loads(body)
        except (ValueError, KeyError, TypeError, RecursionError):
            over, value = True, None
        if over:
            self._remove(path)
            return False, None
        if use:
            now = self._clock()
            with suppress(OSError):
                os.utime(path, (now, now))
        return True, value

    def _write(self, key: str, body: bytes, ends: float | None) -> None:
        head = json.dumps({"key": _shown(key), "ends": ends}).encode()
        if len(head) >= _HEAD_BYTES or len(head) + 1 + len(body) > self.max_size_bytes:
            self._delete(key)
            return
        path = self._place(key)
        part = path.with_name(f"{path.name}.{secrets.token_hex(8)}.part")
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.parent.mkdir(mode=0o700, exist_ok=True)
            with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(head + b"\n" + body)
            now = self._clock()
            os.utime(part, (now, now))
            part.replace(path)
        except OSError:
            with suppress(OSError):
                part.unlink()
            return
        self._fill(len(head) + 1 + len(body))

    def _delete(self, key: str) -> bool:
        there, _ = self._read(key, False)
        return self._remove(self._place(key)) and there

    def _clear(self) -> None:
        with self._lock:
            for file in list(self._files(unfinished=True)):
                self._remove(file.path)
            self._filled = 0

    def _cleanup(self) -> int:
        now = self._clock()
        return sum(self._remove(file.path) for file in list(self._files()) if self._is_over(file, now))

    # -------------------------------------------------------------------------------------- room

    def _fill(self, size: int) -> None:
        """Count what was written, and make room when it is too much. Other processes are met at each full count."""
        with self._lock:
            self._written += size
            if self._filled is None or self._written > self.max_size_bytes // 16:
                self._filled, self._written = self.cache_size_bytes, 0
            else:
                self._filled += size
            if self._filled > self.max_size_bytes:
                self._filled = self._make_room()

    def _make_room(self) -> int:
        """Remove what is over and then what was not used for longest; the bytes that are left."""
        now = self._clock()
        files = sorted(self._files(unfinished=True))
        left = 0
        kept: list[_File] = []
        for file in files:
            unfinished = file.path.suffix == ".part"
            if (unfinished and now - file.used > _STALE_SECONDS) or (not unfinished and self._is_over(file, now)):
                self._remove(file.path)
            else:
                left += file.size
                if not unfinished:
                    kept.append(file)
        if left > self.max_size_bytes:
            for file in kept:
                if left <= self.max_size_bytes * _ROOM:
                    break
                if self._remove(file.path):
                    self.evictions += 1
                left -= file.size
        return left

    def _is_over(self, file: _File, now: float) -> bool:
        try:
            with file.path.open("rb") as opened:
                ends = json.loads(opened.readline(_HEAD_BYTES))["ends"]
            return ends is not None and bool(now >= ends)
        except OSError:
            return False
        except (ValueError, KeyError, TypeError, RecursionError):
            return True

    def _files(self, *, unfinished: bool = False) -> Iterator[_File]:
        """Ours alone, whatever else lies there; no link is followed."""
        for folder in _scanned(self.path):
            if not folder.is_dir(follow_symlinks=False) or len(folder.name) != 2:
                continue
            for entry in _scanned(folder.path):
                if _NAME.match(entry.name) or (unfinished and _UNFINISHED.match(entry.name)):
                    with suppress(OSError):
                        if entry.is_file(follow_symlinks=False):
                            told = entry.stat(follow_symlinks=False)
                            yield _File(told.st_mtime, told.st_size, Path(entry.path))

    @staticmethod
    def _remove(path: Path) -> bool:
        try:
            path.unlink()
        except OSError:
            return False
        return True

    def __repr__(self) -> str:
        return f"DiskCache({str(self.path)!r})"


def _scanned(path: str | Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            return list(entries)
    except OSError:
        return []


def _shown(key: str) -> str:
    """A key as a file tells it, so that a file of another key in this place is known as such."""
    return hashlib.sha512(key.encode("utf-8", "surrogatepass")).hexdigest()
