"""Deleting files that are over: first the bytes, then the row, so that a crash in between leaves the row to find them.

A file is over when its row says so (its thread or owner has gone) or when it has expired unused.
"""

from __future__ import annotations

from dragoman.core.errors import StaleWrite
from dragoman.core.ports import Blobs, Store
from dragoman.core.records import Blob, Removed
from dragoman.core.writes import ChangeBlob, DropBlob


async def sweep_blobs(store: Store, blobs: Blobs, *, now: float, most: int = 100) -> Removed:
    """Delete up to `most` of them; how many had expired.

    Those that were `gone` before were counted by whoever deleted the thread. One whose bytes cannot be deleted does
    not keep the others: what was wrong with the first is raised when all have had their turn.
    """
    removed = Removed()
    failure: Exception | None = None
    for blob in await store.dead_blobs(now=now, limit=most):
        if blob.state != "gone":
            try:  # it may have been sent in the meantime
                await store.commit(ChangeBlob(blob.id, {"state": "gone"}, expired_by=now))
            except StaleWrite:
                continue
            removed += Removed(blobs=1)
        try:
            await delete_blob(store, blobs, blob)
        except Exception as error:  # a store of objects has errors of its own
            failure = failure or error
    if failure is not None:
        raise failure
    return removed


async def delete_blob(store: Store, blobs: Blobs, blob: Blob) -> None:
    """Delete the bytes and the row of one that is `gone`."""
    await blobs.delete(blob.id)
    await store.commit(DropBlob(blob.id))
