"""Idempotency: what became of the same call before."""

from __future__ import annotations

from dragoman.core.errors import Conflict
from dragoman.core.ports import Clock, Store
from dragoman.core.records import Repeat
from dragoman.core.turns import Started
from dragoman.engine.journal import Journal


class Repeats:
    """Finds the run that a call with the same key has made."""

    def __init__(self, store: Store, journal: Journal, *, clock: Clock) -> None:
        self._store = store
        self._journal = journal
        self._clock = clock

    async def known(self, repeat: Repeat | None) -> Started | None:
        """The run that this key has made before. Raises Conflict where it was made with something else."""
        if repeat is None:
            return None
        kept = await self._store.repeat(repeat.tenant, repeat.owner, repeat.key, now=self._clock())
        if kept is None:
            return None
        if kept.digest != repeat.digest:
            raise Conflict("this idempotency key was used for another request", code="conflict:repeat")
        live = self._journal.live(kept.run) if kept.run is not None else None  # before it can end
        run = await self._store.run(kept.run, tenant=repeat.tenant) if kept.run is not None else None
        if run is None:
            raise Conflict("this idempotency key was used for a run that is gone", code="conflict:repeat")
        return Started(run, "attached", live=live) if run.is_active else Started(run, "answered")
