"""One engine per directory, held by an operating system lock on the file `dragoman.lock`.

The system lets go of the lock when its process dies, however that happens, so a crash never
leaves a directory closed. The file tells who holds it, for the message to whoever comes second.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from dragoman.core.errors import UsageError
from dragoman.core.ports import Clock

LOCK_NAME = "dragoman.lock"
_FAR = 1 << 30  # Windows locks bytes against reading too: lock one that nobody reads


class Locking(Protocol):
    """How a platform locks a file: `take` says whether it could; `free` never fails."""

    def take(self, fd: int, path: Path) -> bool: ...

    def free(self, fd: int, path: Path) -> None: ...


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


class PosixLocking:
    """flock: bound to the open file, so that a second store in the same process is refused too."""

    def __init__(self, fcntl: Any) -> None:
        self._fcntl = fcntl

    def take(self, fd: int, path: Path) -> bool:
        try:
            self._fcntl.flock(fd, self._fcntl.LOCK_EX | self._fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def free(self, fd: int, path: Path) -> None:
        self._fcntl.flock(fd, self._fcntl.LOCK_UN)


class WindowsLocking:
    """A locked byte far behind the file's end."""

    def __init__(self, msvcrt: Any) -> None:
        self._msvcrt = msvcrt

    def take(self, fd: int, path: Path) -> bool:
        os.lseek(fd, _FAR, os.SEEK_SET)
        try:
            self._msvcrt.locking(fd, self._msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def free(self, fd: int, path: Path) -> None:
        os.lseek(fd, _FAR, os.SEEK_SET)
        self._msvcrt.locking(fd, self._msvcrt.LK_UNLCK, 1)


class MarkerLocking:
    """For platforms without file locks: a second file that exists while the directory is held.

    A marker whose process is gone does not count. Not for Windows, where signal 0 would kill.
    """

    def take(self, fd: int, path: Path) -> bool:
        for _ in range(2):
            try:
                marker = os.open(self._marker(path), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            except FileExistsError:
                if not self._is_stale(path):
                    return False
                self._marker(path).unlink(missing_ok=True)
            else:
                os.write(marker, str(os.getpid()).encode())
                os.close(marker)
                return True
        return False

    def free(self, fd: int, path: Path) -> None:
        self._marker(path).unlink(missing_ok=True)

    def _marker(self, path: Path) -> Path:
        return path.with_name(f"{path.name}.held")

    def _is_stale(self, path: Path) -> bool:
        try:
            os.kill(int(self._marker(path).read_text()), 0)
        except (ProcessLookupError, FileNotFoundError):
            return True
        except (OSError, ValueError):
            return False
        return False


def platform_locking() -> Locking:
    """The best that this platform has."""
    if (fcntl := _module("fcntl")) is not None:
        return PosixLocking(fcntl)
    if (msvcrt := _module("msvcrt")) is not None:
        return WindowsLocking(msvcrt)
    return MarkerLocking()


def hold(directory: Path, *, clock: Clock, locking: Locking | None = None) -> Callable[[], None]:
    """Take the directory's lock; gives the function that lets go of it (once).

    Raises UsageError naming the holder if another engine has it.
    """
    locking = locking or platform_locking()
    path = directory / LOCK_NAME
    try:
        fd = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise UsageError(f"cannot lock {str(path)!r}: {error.strerror or error}") from error
    try:
        taken = locking.take(fd, path)
    except OSError as error:
        os.close(fd)
        raise UsageError(
            f"cannot lock {str(path)!r}: {error.strerror or error}; put the data on a local disk"
        ) from error
    if not taken:
        os.close(fd)
        raise UsageError(
            f"the data directory {str(directory)!r} is in use by {_holder(path)}:"
            " stop that first, or give another directory with --data",
            code="data_in_use",
        )
    with contextlib.suppress(OSError):  # a full disk: the lock holds all the same, the note is for people
        os.lseek(fd, 0, os.SEEK_SET)
        os.ftruncate(fd, 0)
        os.write(fd, json.dumps({"pid": os.getpid(), "started": clock()}).encode())

    def release() -> None:
        os.ftruncate(fd, 0)
        locking.free(fd, path)
        os.close(fd)

    return release


def _holder(path: Path) -> str:
    try:
        told = json.loads(path.read_text())
        since = datetime.fromtimestamp(told["started"], UTC).isoformat(" ", "seconds")
        return f"process {int(told['pid'])} (since {since})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
