"""Reading connections: one for quick reads in the caller's thread, a few in a small pool.

A hop to a thread and back costs more than a look-up by key, which is a few microseconds in
SQLite's page cache and never waits for the writer (WAL). So reads of a few rows run where
they are asked for, and pages of many rows in one hop to the pool.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Concatenate, ParamSpec, TypeVar

from dragoman.core.errors import Unavailable

T = TypeVar("T")
P = ParamSpec("P")

FEW = 64
"""Rows that are read without a hop."""


class Readers:
    """`connect` gives a fresh connection that only reads."""

    def __init__(self, connect: Callable[[], sqlite3.Connection], *, threads: int = 3) -> None:
        self._connect = connect
        self._near = connect()
        self._near_lock = threading.Lock()
        self._local = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="dragoman-reader")
        self._closed = False

    def near(self, read: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Read here and now. Raises Unavailable if the database fails."""
        with self._near_lock:
            self._refuse_closed()
            try:
                return read(self._near, *args, **kwargs)
            except sqlite3.Error as error:
                raise _unavailable(error) from error

    async def far(self, read: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Read in a thread of the pool. Raises Unavailable if the database fails."""
        self._refuse_closed()
        return await asyncio.get_running_loop().run_in_executor(self._pool, lambda: self._read(read, *args, **kwargs))

    def close(self) -> None:
        """Finish the reads under way and close all connections. Blocks; idempotent."""
        self._closed = True
        self._pool.shutdown()
        with self._near_lock:
            for db in (self._near, *self._opened):
                db.close()

    def _read(self, read: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        try:
            db: sqlite3.Connection | None = getattr(self._local, "db", None)
            if db is None:
                db = self._local.db = self._connect()
                self._opened.append(db)
            return read(db, *args, **kwargs)
        except sqlite3.Error as error:
            raise _unavailable(error) from error

    def _refuse_closed(self) -> None:
        if self._closed:
            raise Unavailable("the store is closed")


def _unavailable(error: sqlite3.Error) -> Unavailable:
    return Unavailable(f"the database cannot be read: {error}")
