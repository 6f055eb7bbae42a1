"""Where the rows of uploaded files are: beside the threads, or, for a store of the user's own, beside the bytes.

An attachment store needs one answer without a caller's context: an upload and an `<img>` bring a token only.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any, Protocol

from dragoman.chatkit.rows import row_ids
from dragoman.core.errors import NotFound, StaleWrite
from dragoman.core.ports import Blobs
from dragoman.core.records import Blob
from dragoman.core.writes import ChangeBlob, PutBlob
from dragoman.server.chatkit.rows_store import RowsStore
from dragoman.store.blob_sweeping import delete_blob, sweep_blobs

_SUFFIX = ".row"
_DUE = ".due"


class NamedBlobs(Blobs, Protocol):
    """Blobs that can be listed."""

    async def names(self, suffix: str) -> list[str]: ...


class Ledger(Protocol):
    """The rows of files. `change` raises StaleWrite unless the row's state is one of these."""

    def whose(self, context: Any) -> tuple[str, str]: ...
    async def put(self, blob: Blob) -> None: ...
    async def get(self, id: str, tenant: str) -> Blob | None: ...
    async def change(self, blob: Blob, changes: dict[str, Any], only_if: tuple[str, ...]) -> None: ...
    async def delete(self, blob: Blob, blobs: Blobs) -> None: ...
    async def sweep(self, blobs: Blobs, *, now: float, most: int) -> int: ...


async def own(ledger: Ledger, attachment_id: str, context: Any) -> Blob | None:
    """The caller's file, however its id is spelt."""
    tenant, owner = ledger.whose(context)
    for id in row_ids(attachment_id):
        blob = await ledger.get(id, tenant)
        if blob is not None and blob.owner == owner:
            return blob
    return None


class RowsLedger:
    """The table `blobs`."""

    def __init__(self, store: RowsStore[Any]) -> None:
        self._store = store

    def whose(self, context: Any) -> tuple[str, str]:
        return self._store.identify(context)

    async def put(self, blob: Blob) -> None:
        await (await self._store.rows()).commit(PutBlob(blob))

    async def get(self, id: str, tenant: str) -> Blob | None:
        return await (await self._store.rows()).blob(id, tenant=tenant)

    async def change(self, blob: Blob, changes: dict[str, Any], only_if: tuple[str, ...]) -> None:
        await (await self._store.rows()).commit(ChangeBlob(blob.id, changes, only_if=only_if))

    async def delete(self, blob: Blob, blobs: Blobs) -> None:
        try:
            await self.change(blob, {"state": "gone"}, ("pending", "ready"))
        except StaleWrite:  # somebody was quicker
            return
        await delete_blob(await self._store.rows(), blobs, blob)

    async def sweep(self, blobs: Blobs, *, now: float, most: int) -> int:
        return (await sweep_blobs(await self._store.rows(), blobs, now=now, most=most)).blobs


class BesideLedger:
    """A small JSON document beside each file's bytes, for one process; `key` finds the user in a context.

    What is never part of a message goes when it expires; until it is, a mark makes it known to the sweep, which so
    need not look at all files. What is part of one belongs to the user's store, which deletes it.
    """

    def __init__(self, blobs: NamedBlobs, key: Callable[[Any], str]) -> None:
        self._blobs = blobs
        self._key = key
        self._lock = asyncio.Lock()

    def whose(self, context: Any) -> tuple[str, str]:
        return "", self._key(context)

    async def put(self, blob: Blob) -> None:
        async with self._lock:
            await self._blobs.write(_mark(blob.id), _once(blob.id.encode()))
            await self._write(blob)

    async def _write(self, blob: Blob) -> None:
        await self._blobs.write(blob.id + _SUFFIX, _once(json.dumps(asdict(blob)).encode()))

    async def get(self, id: str, tenant: str) -> Blob | None:
        raw = await self._content(id + _SUFFIX)
        return None if raw is None else Blob(**json.loads(raw))

    async def _content(self, id: str) -> bytes | None:
        try:
            return b"".join([piece async for piece in self._blobs.read(id)])
        except NotFound:
            return None

    async def change(self, blob: Blob, changes: dict[str, Any], only_if: tuple[str, ...]) -> None:
        async with self._lock:
            found = await self.get(blob.id, "")
            if found is None or found.state not in only_if:
                raise StaleWrite(f"there is no file {blob.id!r}, or not one in this state", what="blob")
            now = replace(found, **changes)
            await self._write(now)
            if found.expires is not None and now.expires is None:
                await self._blobs.delete(_mark(blob.id))

    async def delete(self, blob: Blob, blobs: Blobs) -> None:
        async with self._lock:
            await self._delete(blob.id, blobs)

    async def _delete(self, id: str, blobs: Blobs) -> None:
        for name in (id, id + _SUFFIX, _mark(id)):
            await blobs.delete(name)

    async def sweep(self, blobs: Blobs, *, now: float, most: int) -> int:
        deleted = 0
        for name in await self._blobs.names(_DUE):
            async with self._lock:
                id = await self._content(name)
                blob = await self.get(id.decode(), "") if id is not None else None
                if blob is None or blob.expires is None:  # what a crash left of a change
                    await blobs.delete(name)
                elif blob.expires <= now and deleted < most:
                    await self._delete(blob.id, blobs)
                    deleted += 1
        return deleted


def _mark(id: str) -> str:
    """The name of the mark of a file that expires; whatever the id, it is found by its ending."""
    return f"{hashlib.sha256(id.encode()).hexdigest()[:40]}{_DUE}"


async def _once(raw: bytes) -> Any:
    yield raw
