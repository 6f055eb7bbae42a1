"""What users have said about instructions and tools, and what it does to a turn; the same on every face that heeds it.

The Kai face reads and changes these settings (`server.kai.preferences`); here they are only applied.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dragoman.core.ports import Store
from dragoman.core.turns import Turn

INSTRUCTIONS = "custom_instructions"
PERMISSIONS = "tool_permissions"
PROJECT = ""
"""The owner of what belongs to the whole tenant."""


async def preferred(store: Store, turn: Turn) -> Turn:
    """The turn with the instructions of project and user, in this order before its own, and the user's permissions."""
    texts = [await value(store, turn.tenant, PROJECT, INSTRUCTIONS)]
    if turn.owner != PROJECT:
        texts.append(await value(store, turn.tenant, turn.owner, INSTRUCTIONS))
    permissions = await value(store, turn.tenant, turn.owner, PERMISSIONS)
    told = tuple(text for text in texts if text)
    return replace(turn, instructions=told + turn.instructions, permissions=permissions or {})


async def value(store: Store, tenant: str, owner: str, name: str) -> Any:
    """What is stored under a name; None if nothing is."""
    stored = await store.setting(tenant, owner, name)
    return stored.value if stored is not None else None
