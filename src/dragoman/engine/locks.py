"""Locks by name that vanish when nobody holds or awaits them."""

from __future__ import annotations

import asyncio
from weakref import WeakValueDictionary


class Locks:
    """`async with locks.of("thread", tenant, id):` — one holder per name, the others in order of coming."""

    def __init__(self) -> None:
        # whoever holds or awaits a lock has it in its frame, so it lives as long as it matters
        self._known: WeakValueDictionary[tuple[str, ...], asyncio.Lock] = WeakValueDictionary()

    def of(self, *name: str) -> asyncio.Lock:
        """The lock of this name."""
        found = self._known.get(name)
        if found is None:
            found = self._known[name] = asyncio.Lock()
        return found
