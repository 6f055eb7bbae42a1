"""Files of a conversation: what lies in the store is fetched before a model sees it.

A message names such a file as `blob:ID`. A model gets a `data:` URL with the bytes, or a sentence that says what is
missing. Knows neither where the bytes lie nor who put them there.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

from dragoman.core.errors import NotFound
from dragoman.core.messages import FilePart, Message, Part, TextPart
from dragoman.core.ports import Blobs, Store

BLOB = "blob:"
"""How the URL of a file begins that lies in the store; its id follows."""

MOST_BYTES = 20 << 20
"""Larger files are named to a model, not shown."""

MOST_IN_ALL = 64 << 20
"""So much of files a model is shown at most, of the newest messages first."""

ResolveFile: TypeAlias = Callable[[str, str, FilePart], Awaitable[FilePart | None]]
"""(tenant, owner, the part with `blob:ID`) → the part as a model gets it; None where there is no such file for them."""


async def resolved(
    messages: Sequence[Message], tenant: str, owner: str, resolve: ResolveFile | None
) -> tuple[Message, ...]:
    """The messages with each file of the store fetched; those without one are left as they are."""
    given: list[Message] = []
    used = 0
    for message in reversed(messages):
        parts: list[Part] = []
        for part in message.parts:
            if not isinstance(part, FilePart) or not part.url.startswith(BLOB):
                parts.append(part)
                continue
            found = await resolve(tenant, owner, part) if resolve is not None and used < MOST_IN_ALL else None
            used += len(found.url) if found is not None else 0
            parts.append(found if found is not None else TextPart(_missing(part)))
        given.append(message if parts == list(message.parts) else replace(message, parts=tuple(parts)))
    return tuple(reversed(given))


def _missing(part: FilePart) -> str:
    return f"<missing_file>{part.name or part.media_type}</missing_file>"


class StoredFiles:
    """A `ResolveFile` over the rows of a store and the bytes beside it."""

    def __init__(self, store: Store, blobs: Blobs, *, most_bytes: int = MOST_BYTES) -> None:
        self._store = store
        self._blobs = blobs
        self._most = most_bytes

    async def __call__(self, tenant: str, owner: str, part: FilePart) -> FilePart | None:
        row = await self._store.blob(part.url.removeprefix(BLOB), tenant=tenant, owner=owner)
        if row is None or row.state != "ready" or (row.size or 0) > self._most:
            return None
        try:
            content = b"".join([chunk async for chunk in self._blobs.read(row.id)])
        except NotFound:  # deleted in the same moment
            return None
        encoded = base64.b64encode(content).decode("ascii")
        return FilePart(f"data:{row.type};base64,{encoded}", row.type, part.name or row.name)
