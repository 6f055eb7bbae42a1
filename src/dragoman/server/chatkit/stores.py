"""`SQLiteStore`: a ChatKit store for a program of one's own, in a file of the server's format.

The same tables and the same lock as the server's, so that `dragoman serve` can take the directory over.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dragoman.chatkit.store import TContext, owner_of
from dragoman.core.errors import Unavailable
from dragoman.core.ports import Clock
from dragoman.core.ports import Store as Rows
from dragoman.server.chatkit.rows_store import RowsStore
from dragoman.store import open_store


class SQLiteStore(RowsStore[TContext]):
    """Threads, items and attachments in a directory (or `*.db` file, or `:memory:`), opened at the first use.

    `key` finds the user in a context. One process at a time holds the directory; use one store for all requests, and
    `aclose` it (or use it as an async context manager) to let go of it.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        key: Callable[[TContext], str] = owner_of,
        tenant: str = "main",
        clock: Clock = time.time,
    ) -> None:
        super().__init__(None, identify=lambda context: (tenant, key(context)), clock=clock)
        self._path = path
        self._opening: asyncio.Task[Rows] | None = None
        self._closed = False

    async def rows(self) -> Rows:
        """The rows beneath, opened now if nobody has asked before. Raises UsageError if the place cannot be used."""
        if self._store is not None:
            return self._store
        if self._closed:
            raise Unavailable("the store is closed")
        if self._opening is None:
            self._opening = asyncio.get_running_loop().create_task(self._open())
        opening = self._opening
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            raise
        except Exception:
            if self._opening is opening:
                self._opening = None  # so that the next call tries again
            raise

    async def _open(self) -> Rows:
        self._store = await open_store(self._path, clock=self.clock)
        return self._store

    async def aclose(self) -> None:
        """Finish what is being written and let go of the directory; idempotent."""
        self._closed = True
        if self._opening is not None:
            await asyncio.wait((self._opening,))
        store, self._store = self._store, None
        if store is not None:
            await store.close()

    async def __aenter__(self) -> SQLiteStore[TContext]:
        await self.rows()
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self.aclose()
