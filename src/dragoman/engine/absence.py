"""Runs that another process has deleted: an erasure beside the server, most likely.

The store says cheaply whether anybody else has committed; only then is each run that somebody
drives or reads looked up. One that is gone is let go: its work stops, its readers come to an end.
"""

from __future__ import annotations

import asyncio
import logging

from dragoman.core.ports import Store
from dragoman.engine.drivers import Drivers
from dragoman.engine.journal import Journal

logger = logging.getLogger("dragoman.engine")

LOOK_SECONDS = 1.0
_AT_ONCE = 64


class Absence:
    """Looks for runs that are gone; `watch` does so until it is cancelled."""

    def __init__(self, store: Store, journal: Journal, drivers: Drivers) -> None:
        self._store = store
        self._journal = journal
        self._drivers = drivers
        self._seen: int | None = None

    async def look(self) -> None:
        """Let go of what is gone, if anybody else has committed since the last look."""
        version = await self._store.changes_beside()
        if version == self._seen:
            return
        known = self._drivers.known() | self._journal.known() if self._seen is not None else set()
        for n, run_id in enumerate(sorted(known), 1):
            if await self._store.run(run_id) is None:
                logger.info("run was deleted beside the server", extra={"run_id": run_id})
                self._drivers.abandon(run_id)
            if n % _AT_ONCE == 0:
                await asyncio.sleep(0)
        self._seen = version

    async def watch(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            try:
                await self.look()
            except Exception:  # a store that fails is told by all others who need it
                logger.debug("changes of other processes could not be looked for", exc_info=True)
            await asyncio.sleep(LOOK_SECONDS)
