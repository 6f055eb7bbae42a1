"""Approvals whose time is over: denied as soon as they are due.

Sleeps until the next one is due or a new one is asked for. How an approval is denied is the
engine's business.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from dragoman.core.errors import Conflict, NotFound
from dragoman.core.ports import Clock, Store
from dragoman.core.records import Approval

logger = logging.getLogger("dragoman.engine")

_LONGEST_SLEEP = 3600.0
_AFTER_FAULT = 5.0
_PAGE = 100


class Expiry:
    """`deny` ends one approval; it raises Conflict or NotFound where somebody else was faster."""

    def __init__(self, store: Store, clock: Clock, deny: Callable[[Approval], Awaitable[None]]) -> None:
        self._store = store
        self._clock = clock
        self._deny = deny
        self._asked = asyncio.Event()

    def notice(self) -> None:
        """An approval was asked for: look when it is due."""
        self._asked.set()

    async def deny_due(self) -> float | None:
        """Deny what is due; the time of the next look, None if nothing is pending.

        One that cannot be denied is tried again later and keeps no other waiting.
        """
        now, stuck = self._clock(), set[str]()
        while True:
            pending = await self._store.pending_approvals(before=now, limit=_PAGE + len(stuck))
            due = [approval for approval in pending if approval.id not in stuck]
            if not due:
                break
            for approval in due:
                try:
                    await self._deny(approval)
                except (Conflict, NotFound):  # decided by somebody in the same moment
                    stuck.add(approval.id)
                except Exception:
                    logger.exception("approval could not expire", extra={"run_id": approval.run})
                    stuck.add(approval.id)
        if stuck:
            return self._clock() + _AFTER_FAULT
        following = await self._store.pending_approvals(limit=1)
        return following[0].expires if following else None

    async def watch(self) -> None:
        """Deny each approval when it is due, until cancelled."""
        while True:
            self._asked.clear()  # before the look, so that what comes in the meantime is not missed
            try:
                upcoming = await self.deny_due()
                pause = _LONGEST_SLEEP if upcoming is None else min(max(0.0, upcoming - self._clock()), _LONGEST_SLEEP)
            except Exception:
                logger.exception("approvals could not be checked for expiry")
                pause = _AFTER_FAULT
            try:
                async with asyncio.timeout(pause):  # wait_for may swallow a cancel in Python 3.11
                    await self._asked.wait()
            except TimeoutError:
                continue
