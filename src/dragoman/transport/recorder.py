"""Files of recorded exchanges, one for all clients of a process that record to the same path.

Who records only hands an exchange over; a thread takes the secrets out and writes. A file is whole after
each write and never grows beyond its bound, nor does what waits to be written. Knows the format from
`dragoman.transport.cassettes` and nothing of networks.
"""

from __future__ import annotations

import atexit
import logging
import os
import secrets as random_names
import stat
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from dragoman.core.errors import UsageError
from dragoman.transport.cassettes import TAIL, Numbered, encode, head
from dragoman.transport.cleaning import known_secrets
from dragoman.transport.options import Recording
from dragoman.transport.recording import Exchanged, cleaned

__all__ = ["Recorder", "flush_all", "recorder_of"]

logger = logging.getLogger("dragoman.transport")

IDLE_SECONDS = 2.0
"""After so long without an exchange the thread ends; the next exchange begins another."""

GATHER_SECONDS = 0.1
"""What has ended waits so long for others, and is not in the way of the next request; `flush` does not wait."""

_LEAST = 512
"""Bytes that an exchange without bodies counts for, while it is in memory."""


class Recorder:
    """Writes exchanges to `path`, which it begins anew; at most `most_bytes` of them.

    `begun` and `ended` are for a `TeeIO`, and `room` says whether more may be kept. Threads may share it.
    """

    def __init__(self, path: Path, most_bytes: int, *, clock: Callable[[], float] = time.time) -> None:
        """Raises UsageError where no file can be written."""
        self.path = path
        self._most = most_bytes
        self._clock = clock
        self._count = 0
        self._kept = 0
        self._secrets: set[str] = set()
        self._begun: dict[int, tuple[int, float, Exchanged]] = {}
        self._waiting: deque[Numbered] = deque()
        self._changed = threading.Condition()
        self._given = self._written = 0
        self._is_failing = False
        self._in_a_hurry = 0
        self._thread: threading.Thread | None = None
        self._is_full = False
        self._first = True
        self._place = 0
        self._begin()

    def _begin(self) -> None:
        begin = head(self.path.name.removesuffix(".json").removesuffix(".cassette"))
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o600)
            with os.fdopen(descriptor, "r+b") as file:
                if hasattr(os, "fchmod") and stat.S_ISREG(os.fstat(descriptor).st_mode):
                    os.fchmod(descriptor, 0o600)  # it may have been there
                file.write(begin + TAIL)
        except OSError as error:
            raise UsageError(f"nothing can be recorded to {str(self.path)!r}: {error.strerror or error}") from error
        self._place = len(begin)

    # ------------------------------------------------------------------ for whoever records

    def hide(self, secret: str) -> None:
        """Take this out of whatever is written from now on."""
        self._secrets.add(secret)

    def begun(self, exchange: Exchanged) -> None:
        with self._changed:
            self._count += 1
            self._begun[id(exchange)] = (self._count, self._clock(), exchange)

    def room(self, size: int, least: int) -> int:
        """How many bytes more may be kept: so many, or else the least, or none. They count from now on."""
        with self._changed:
            if self._kept + size > self._most:
                size = least
            if self._kept + size > self._most:
                self._tell_full()
                return 0
            self._kept += size
            return size

    def ended(self, exchange: Exchanged) -> None:
        """Give an exchange to be written. Returns at once."""
        with self._changed:
            begun = self._begun.pop(id(exchange), None)
            if begun is None:  # the process is ending, and it was written as it stood
                return
            n, at, _ = begun
            self._kept += _LEAST
            if self._kept > self._most + _LEAST:
                self._tell_full()
                return
            self._waiting.append(Numbered(n, at, exchange))
            self._given += 1
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, name="dragoman-recorder", daemon=True)
                self._thread.start()
            elif len(self._waiting) == 1:
                self._changed.notify_all()

    def flush(self) -> None:
        """Return once everything that was given is in the file."""
        with self._changed:
            given = self._given
            self._in_a_hurry += 1
            self._changed.notify_all()
            while self._written < given and self._thread is not None and self._thread.is_alive():
                self._changed.wait(1.0)
            self._in_a_hurry -= 1

    def end(self) -> None:
        """Write what is not over as it stands, too: the process ends."""
        with self._changed:
            begun = [exchange for _, _, exchange in self._begun.values()]
        for exchange in begun:
            self.ended(exchange)
        self.flush()

    def _tell_full(self) -> None:
        if not self._is_full:
            self._is_full = True
            logger.warning("the recording is full; nothing more is kept", extra={"path": str(self.path)})

    # ------------------------------------------------------------------ in the thread

    def _work(self) -> None:
        written = 0
        while True:
            with self._changed:
                self._written += written
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._waiting, IDLE_SECONDS)
                if not self._waiting:
                    self._thread = None
                    return
                self._changed.wait_for(lambda: self._in_a_hurry, GATHER_SECONDS)
                gathered, self._waiting = self._waiting, deque()
                written = len(gathered)
            while gathered:
                self._try_write(gathered.popleft())

    def _try_write(self, numbered: Numbered) -> None:
        try:
            self._write(numbered)
            self._is_failing = False
        except Exception:
            if not self._is_failing:
                self._is_failing = True
                logger.exception("an exchange could not be recorded", extra={"path": str(self.path)})

    def _write(self, numbered: Numbered) -> None:
        known = known_secrets(numbered.exchange.request, tuple(self._secrets))
        line = encode(Numbered(numbered.n, numbered.at, cleaned(numbered.exchange, known)), known)
        begin = b"\n  " if self._first else b",\n  "
        size = len(begin) + len(line)
        if self._place + size + len(TAIL) > self._most:
            with self._changed:
                self._tell_full()
            return
        with self.path.open("r+b") as file:
            file.seek(self._place)
            file.writelines((begin, line, TAIL))
        self._first = False
        self._place += size


_lock = threading.Lock()
_recorders: dict[Path, Recorder] = {}


def recorder_of(recording: Recording) -> Recorder:
    """The recorder of a path, begun when this process asks for it first. Raises UsageError where it cannot be written."""
    path = Path(os.path.realpath(recording.path))
    with _lock:
        found = _recorders.get(path)
        if found is None:
            file = path
            if path.is_dir():
                stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
                file = path / f"{stamp}-{os.getpid()}-{random_names.token_hex(2)}.cassette.json"
            found = _recorders[path] = Recorder(file, recording.most_bytes)
        return found


def flush_all() -> None:
    """Write what is waiting, of all recordings of this process."""
    for recorder in list(_recorders.values()):
        recorder.flush()


def _end_all() -> None:
    for recorder in list(_recorders.values()):
        recorder.end()


atexit.register(_end_all)
