"""Custom instructions and tool permissions, as this face reads and changes them (kai.md 3.12)."""

from __future__ import annotations

from typing import Any

from dragoman.core.errors import BadRequest
from dragoman.core.records import Setting
from dragoman.core.writes import PutSetting
from dragoman.kai.preferences import MOST_PERMISSIONS
from dragoman.server.kai.context import Context
from dragoman.server.preferences import INSTRUCTIONS, PERMISSIONS, value


class Preferences:
    """Reads and changes the settings of projects (owner `""`) and users."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._store = context.services.store

    async def read(self, tenant: str, owner: str) -> tuple[Any, Any, float, float]:
        """`(instructions, permissions, created, updated)`; times of the server's start if nothing is stored."""
        instructions = await self._store.setting(tenant, owner, INSTRUCTIONS)
        permissions = await self._store.setting(tenant, owner, PERMISSIONS)
        rows = [row for row in (instructions, permissions) if row is not None]
        began = self._context.began
        return (
            instructions.value if instructions is not None else None,
            permissions.value if permissions is not None else None,
            min((row.created for row in rows), default=began),
            max((row.updated for row in rows), default=began),
        )

    async def change(self, tenant: str, owner: str, changes: dict[str, Any]) -> None:
        """Store the fields given; permissions merge key by key, None clears."""
        now = self._context.services.clock()
        async with self._context.changing_settings:
            writes = []
            if "customInstructions" in changes:
                writes.append(self._put(tenant, owner, INSTRUCTIONS, changes["customInstructions"], now))
            if "toolPermissions" in changes:
                merged = changes["toolPermissions"]
                if merged is not None:
                    merged = {**(await value(self._store, tenant, owner, PERMISSIONS) or {}), **merged}
                    if len(merged) > MOST_PERMISSIONS:
                        raise BadRequest(f"toolPermissions may name {MOST_PERMISSIONS} tools, got {len(merged)}.")
                writes.append(self._put(tenant, owner, PERMISSIONS, merged, now))
            if writes:
                await self._store.commit(*writes)

    def _put(self, tenant: str, owner: str, name: str, said: Any, now: float) -> PutSetting:
        return PutSetting(Setting(tenant, owner, name, said, now, now))
