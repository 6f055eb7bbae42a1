"""Conversations of this wire are threads; a ULID spells the same bits as a thread's id.

An id belongs to whoever uses it: the same ULID of two callers is two conversations, and none learns of the other's.
Where the plain id is a thread of somebody else, the caller's is kept under an id that is derived from both.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from dragoman.core.ids import as_ulid, canonical, derived_id, new_id
from dragoman.core.ports import Store
from dragoman.core.principal import Principal


@dataclass(frozen=True, slots=True)
class Conversation:
    """Where a turn belongs: `thread` is the row's id, `id` what the wire calls it; both None outside of any."""

    thread: str | None = None
    id: str | None = None


def as_row_id(text: str | None) -> str | None:
    """The thread's id that a client's id spells; None if it spells none."""
    if text is None:
        return None
    row = canonical(text)
    try:
        return row if len(row) == 36 and str(uuid.UUID(row)) == row else None
    except ValueError:
        return None


async def conversation(store: Store, principal: Principal, given: str | None, now: float) -> Conversation:
    """The caller's conversation of this id, or a new one if there is no id or it is none of this wire's."""
    row = as_row_id(given)
    if row is None:
        made = new_id(now)
        return Conversation(made, as_ulid(made))
    tenant, owner = principal.tenant, principal.user
    told = as_ulid(row)
    if await store.thread(tenant, row, owner=owner) is not None:
        return Conversation(row, told)
    mine = derived_id(row, f"stackspot\0{owner}")
    if await store.thread(tenant, mine, owner=owner) is not None or await store.thread(tenant, row) is not None:
        return Conversation(mine, told)
    return Conversation(row, told)
