"""What a demo's store holds from the first start on, since no caller could make it: a session that has expired."""

from __future__ import annotations

from dragoman.core.ports import Store
from dragoman.core.records import Session
from dragoman.core.writes import PutSession
from dragoman.server.auth import DEMO_TENANT

EXPIRED_SESSION = "00000000-0000-4000-8000-000000000410"
_DAY = 24 * 3600.0


async def add_rows(store: Store, now: float) -> None:
    """Make them, unless they are there."""
    found = await store.session(DEMO_TENANT, EXPIRED_SESSION)
    if found is not None and found.tombstone is not None and found.tombstone > now + _DAY:
        return
    ended = now - 60 * _DAY
    await store.commit(
        PutSession(
            Session(DEMO_TENANT, EXPIRED_SESSION, ended, ended, expires=now - 30 * _DAY, tombstone=now + 90 * _DAY)
        )
    )
