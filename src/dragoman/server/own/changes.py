"""The list of runs as it changes: a page of rows first, then each row that is another one since.

Reads rows by the rules of `access`; what a reader may not know of is not told, not even as a gap.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from dragoman.core.records import Run
from dragoman.server.closing import ServerClosing
from dragoman.server.http import Answer, Call, EventStream, Reply, encode_json
from dragoman.server.keys import is_open
from dragoman.server.own.access import Access
from dragoman.server.own.events import FAREWELL, OPENING
from dragoman.server.own.query import prefers

GATHER_SECONDS = 0.1
"""So long changes are gathered: a run that begins and ends in that time is told once."""

LONGEST_SECONDS = 900.0
"""So long one stream is open; whoever wants more signs in anew, as their cookie may be over by then."""

_SHOWN = 5000
"""Runs that are remembered as shown, so that their end with their thread can be told."""


class OwnChanges(Access):
    """The handler of the live list."""

    async def stream(self, call: Call) -> Reply:
        if prefers(call) == "json":
            return Answer.json(await self._snapshot(call))
        return EventStream(self._told(call))

    async def _snapshot(self, call: Call) -> dict[str, Any]:
        who = call.principal
        return await self._run_page(call, after=None, owner=None if who.is_admin else who.user)

    def _is_listed(self, call: Call, run: Run | None) -> bool:
        who = call.principal
        return run is not None and (who.is_admin or run.owner == who.user) and self._may_read(who, run)

    async def _told(self, call: Call) -> AsyncIterator[bytes]:
        shown: dict[str, int | None] = {}
        loop = asyncio.get_running_loop()
        end = loop.time() + LONGEST_SECONDS
        with self.services.changes.watching() as watcher:
            yield OPENING
            try:
                yield await self._whole(call, shown)
                while True:
                    async with asyncio.timeout_at(end), self.services.closing.interrupts():
                        await watcher.wait()
                        await asyncio.sleep(GATHER_SECONDS)
                    if not await self._is_open(call):
                        yield FAREWELL
                        return
                    taken = watcher.take()
                    if taken is None:
                        yield await self._whole(call, shown)
                        continue
                    if told := await self._changed(call, *taken, shown):
                        yield b"".join(told)
            except (ServerClosing, TimeoutError):
                yield FAREWELL

    async def _is_open(self, call: Call) -> bool:
        """Whether the key that has opened the stream would still open it."""
        id = call.principal.key_id
        key = await self._store.key(id) if id is not None else None
        return key is None or is_open(key, self.services.clock())

    async def _whole(self, call: Call, shown: dict[str, int | None]) -> bytes:
        page = await self._snapshot(call)
        for row in page["runs"]:
            run = await self._store.run(row["id"], tenant=call.principal.tenant)
            shown[row["id"]] = run.thread if run is not None else None
        return _frame({"type": "snapshot", **page})

    async def _changed(
        self, call: Call, runs: list[str], threads: set[int], shown: dict[str, int | None]
    ) -> list[bytes]:
        """A frame for each run that is to be shown anew, and for each that is gone with its thread."""
        told = []
        for id in runs:
            run = await self._store.run(id, tenant=call.principal.tenant)
            if run is not None and self._is_listed(call, run):
                shown[id] = run.thread
                told.append(_frame({"type": "run", "run": self._encode(run, call)}))
        for id in [id for id, thread in shown.items() if thread in threads] if threads else ():
            del shown[id]
            told.append(_frame({"type": "removed", "run": id}))
        while len(shown) > _SHOWN:
            del shown[next(iter(shown))]
        return told


def _frame(value: dict[str, Any]) -> bytes:
    return b"data: %b\n\n" % encode_json(value)
