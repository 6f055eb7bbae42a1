"""The SQLite store: one writer thread with group commit, a few readers, one directory.

Plugs the pieces together and holds no SQL: `writes` and `reads` do, `rows` knows the columns,
`writer` and `readers` the threads, `directory` and `lock` the place. Called by the engine and
by faces through `core.ports.Store`.
"""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
import time
import weakref
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from pathlib import Path

from dragoman.core.errors import Unavailable, UsageError
from dragoman.core.events import Event
from dragoman.core.ports import Clock, Near, Passage
from dragoman.core.records import (
    Approval,
    Blob,
    Counter,
    Item,
    ItemKind,
    Keep,
    Key,
    ModelFigure,
    Page,
    Removed,
    Repeat,
    Run,
    RunFigure,
    RunKind,
    RunStatus,
    Session,
    Setting,
    Step,
    Thread,
    Vote,
)
from dragoman.core.writes import Write
from dragoman.store import blob_rows, figures, passages, reads, removal, vectors
from dragoman.store.columns import dump_optional
from dragoman.store.directory import Place, Sizes, Synchronous, connect, is_damage, locate, prepare, sizes
from dragoman.store.lock import hold
from dragoman.store.readers import FEW, Readers
from dragoman.store.schema import load_migrations, migrate, refuse_newer, version_of
from dragoman.store.writer import Writer
from dragoman.store.writes import KeepSecret, LookBeside, Probe, Remove, apply

_CHECK_SECONDS = 5.0


async def open_store(path: str | Path, *, synchronous: Synchronous = "NORMAL", clock: Clock = time.time) -> SQLiteStore:
    """The store of a directory (or `*.db` file, or `:memory:`), made or migrated as needed.

    `NORMAL` loses nothing when the process dies, `FULL` nothing when the power fails.
    Raises UsageError if another engine holds the directory, if the data is newer than this
    program, or if the place cannot be used.
    """
    return await asyncio.to_thread(_open, path, synchronous, clock)


async def open_beside(path: str | Path, *, writable: bool = False, clock: Clock = time.time) -> SQLiteStore:
    """A store for command-line tools, beside the engine that may hold the directory.

    Reads only, unless `writable`: then its commits take turns with the engine's, so keep them
    short. Raises UsageError if there is no store, or its schema is not this program's.
    """
    return await asyncio.to_thread(_open_beside, path, writable, clock)


def _open(path: str | Path, synchronous: Synchronous, clock: Clock) -> SQLiteStore:
    place = locate(path)
    prepare(place)
    release = hold(place.directory, clock=clock)
    try:
        db = connect(place.file, synchronous=synchronous)
        try:
            migrate(db, place.file, clock=clock, migrations=load_migrations())
            readers = Readers(partial(connect, place.file, reading=True))
        except sqlite3.Error as error:
            db.close()
            helps = "; put a backup in its place with `dragoman restore`" if is_damage(error) else ""
            raise UsageError(f"cannot prepare {str(place.file)!r} for data: {error}{helps}") from error
        except BaseException:
            db.close()
            raise
    except BaseException:
        release()
        place.remove_if_temporary()
        raise
    return SQLiteStore(place, readers, _writer(db, clock), clock=clock, release=release)


def _open_beside(path: str | Path, writable: bool, clock: Clock) -> SQLiteStore:
    place = locate(path)
    if place.temporary or not place.file.is_file():
        place.remove_if_temporary()
        raise UsageError(f"there is no store at {str(path)!r}; `dragoman serve` makes one")
    db = connect(place.file, reading=True)
    try:
        version, migrations = version_of(db), load_migrations()
    finally:
        db.close()
    refuse_newer(version, migrations)
    if version < migrations[-1].number:
        raise UsageError(f"the store at {str(path)!r} has an older schema ({version}); start the server once")
    readers = Readers(partial(connect, place.file, reading=True))
    return SQLiteStore(place, readers, _writer(connect(place.file), clock) if writable else None, clock=clock)


def _writer(db: sqlite3.Connection, clock: Clock) -> Writer:
    writer = Writer(db, lambda db, writes: apply(db, clock, writes))
    writer.start()
    return writer


class SQLiteStore:
    """Implements `core.ports.Store`; make one with `open_store` or `open_beside`.

    `directory` is where the rows lie; blobs may lie there too.
    """

    def __init__(
        self,
        place: Place,
        readers: Readers,
        writer: Writer | None,
        *,
        clock: Clock,
        release: Callable[[], None] | None = None,
    ) -> None:
        self.directory = place.directory
        self._place = place
        self._readers = readers
        self._writer = writer
        self._clock = clock
        self._release = release
        self._closing: asyncio.Future[None] | None = None
        self._forgotten = weakref.finalize(self, place.remove_if_temporary)

    async def commit(self, *writes: Write) -> None:
        await self._commit(*writes)

    async def _commit(self, *writes: Write | KeepSecret | Probe | Remove | LookBeside) -> None:
        if self._writer is None:
            raise UsageError("this store was opened for reading only")
        if writes:
            await self._writer.commit(writes)

    # ----------------------------------------------------------------------- threads

    async def thread(self, tenant: str, id: str, *, owner: str | None = None) -> Thread | None:
        return self._readers.near(reads.thread, tenant, id, owner)

    async def thread_by_number(self, number: int) -> Thread | None:
        return self._readers.near(reads.thread_by_number, number)

    async def threads(
        self,
        tenant: str,
        owner: str | None,
        *,
        limit: int,
        after: str | None = None,
        before: str | None = None,
        oldest: bool = False,
    ) -> Page[Thread]:
        read = partial(reads.threads, after=after, before=before, now=self._clock(), oldest=oldest)
        if limit <= FEW:
            return self._readers.near(read, tenant, owner, limit)
        return await self._readers.far(read, tenant, owner, limit)

    async def items(
        self,
        thread: int,
        *,
        after: int = 0,
        before: int | None = None,
        limit: int = 1000,
        newest: bool = False,
        without: Sequence[ItemKind] = (),
    ) -> Page[Item]:
        if limit <= FEW:
            return self._readers.near(reads.items, thread, after, before, limit, newest, without)
        return await self._readers.far(reads.items, thread, after, before, limit, newest, without)

    async def item(self, thread: int, id: str) -> Item | None:
        return self._readers.near(reads.item, thread, id)

    async def votes(self, thread: int, user: str | None = None) -> Sequence[Vote]:
        return await self._readers.far(reads.votes, thread, user)

    async def tenant_votes(
        self, tenant: str, *, owner: str | None = None, limit: int = 1000
    ) -> Sequence[tuple[Thread, Vote]]:
        return await self._readers.far(reads.tenant_votes, tenant, owner, limit)

    async def blob(self, id: str, *, tenant: str, owner: str | None = None) -> Blob | None:
        return self._readers.near(blob_rows.one, id, tenant, owner)

    async def thread_blobs(self, thread: int) -> Sequence[Blob]:
        return await self._readers.far(blob_rows.of_thread, thread)

    async def dead_blobs(self, *, now: float, limit: int = 100) -> Sequence[Blob]:
        return await self._readers.far(blob_rows.dead, now, limit)

    async def passages(
        self, tenant: str, sources: Sequence[str], query: str, *, limit: int, near: Near | None = None
    ) -> Sequence[Passage]:
        return await self._readers.far(passages.search, tenant, sources, query, limit, near)

    async def passages_without(self, space: str, dimensions: int | None) -> int:
        return await self._readers.far(vectors.without, space, dimensions)

    # ----------------------------------------------------------------------- runs

    async def run(self, id: str, *, tenant: str | None = None) -> Run | None:
        return self._readers.near(reads.run, id, tenant)

    async def runs(
        self,
        tenant: str,
        *,
        owner: str | None = None,
        thread: int | None = None,
        status: Sequence[RunStatus] | None = None,
        name: str | None = None,
        kind: RunKind | None = None,
        session: str | None = None,
        face: str | None = None,
        since: float | None = None,
        until: float | None = None,
        text: str | None = None,
        limit: int = 50,
        after: str | None = None,
    ) -> Page[Run]:
        chosen = reads.RunFilter(owner, thread, status, name, kind, session, face, since, until, text)
        if limit <= FEW and not chosen.sifts:
            return self._readers.near(reads.runs, tenant, chosen, limit, after)
        return await self._readers.far(reads.runs, tenant, chosen, limit, after)

    async def run_figures(
        self,
        tenant: str,
        *,
        since: float,
        until: float,
        owner: str | None = None,
        projects: Sequence[str] | None = None,
        limit: int,
    ) -> Sequence[RunFigure]:
        bound = dump_optional(projects)
        return await self._readers.far(figures.of_runs, tenant, owner, bound, since, until, limit)

    async def model_figures(
        self,
        tenant: str,
        *,
        since: float,
        until: float,
        owner: str | None = None,
        projects: Sequence[str] | None = None,
    ) -> Sequence[ModelFigure]:
        return await self._readers.far(figures.of_models, tenant, owner, dump_optional(projects), since, until)

    async def unfinished(self) -> Sequence[Run]:
        return await self._readers.far(reads.unfinished)

    async def queued(self, *, limit: int) -> Sequence[Run]:
        if limit <= FEW:
            return self._readers.near(reads.queued, limit)
        return await self._readers.far(reads.queued, limit)

    async def queue_length(self) -> int:
        return await self._readers.far(reads.queue_length)

    async def events(self, run: str, *, after: int = 0, limit: int = 1000) -> Sequence[Event]:
        found = self._readers.near(reads.few_events, run, after, limit, FEW)
        return found if found is not None else await self._readers.far(reads.events, run, after, limit)

    async def steps(self, run: str) -> Sequence[Step]:
        return await self._readers.far(reads.steps, run)

    async def approval(self, id: str, *, tenant: str | None = None) -> Approval | None:
        return self._readers.near(reads.approval, id, tenant)

    async def approvals(self, run: str) -> Sequence[Approval]:
        return self._readers.near(reads.approvals, run)

    async def pending_approvals(self, *, before: float | None = None, limit: int = 100) -> Sequence[Approval]:
        return await self._readers.far(reads.pending_approvals, before, limit)

    # ----------------------------------------------------------------------- sessions

    async def session(self, tenant: str, id: str) -> Session | None:
        return self._readers.near(reads.session, tenant, id)

    async def has_session_elsewhere(self, tenant: str, id: str) -> bool:
        return self._readers.near(reads.has_session_elsewhere, tenant, id)

    async def sessions(self, tenant: str, *, limit: int = 50, after: str | None = None) -> Page[Session]:
        if limit <= FEW:
            return self._readers.near(reads.sessions, tenant, limit, after, self._clock())
        return await self._readers.far(reads.sessions, tenant, limit, after, self._clock())

    async def session_runs(self, tenant: str, id: str, *, after: int = 0, limit: int = 1000) -> Page[Run]:
        if limit <= FEW:
            return self._readers.near(reads.session_runs, tenant, id, after, limit)
        return await self._readers.far(reads.session_runs, tenant, id, after, limit)

    # ----------------------------------------------------------------------- the small tables

    async def setting(self, tenant: str, owner: str, name: str) -> Setting | None:
        return self._readers.near(reads.setting, tenant, owner, name)

    async def counter(self, tenant: str, owner: str, name: str, *, now: float) -> Counter | None:
        return self._readers.near(reads.counter, tenant, owner, name, now)

    async def key(self, id: str) -> Key | None:
        return self._readers.near(reads.key, id)

    async def keys(self, tenant: str | None = None) -> Sequence[Key]:
        return await self._readers.far(reads.keys, tenant)

    async def repeat(self, tenant: str, owner: str, key: str, *, now: float) -> Repeat | None:
        return self._readers.near(reads.repeat, tenant, owner, key, now)

    async def secret(self, name: str) -> bytes:
        found = self._readers.near(reads.secret, name)
        if found is None:
            await self._commit(KeepSecret(name, secrets.token_bytes(32)))
            found = self._readers.near(reads.secret, name)
        if found is None:
            raise Unavailable(f"the secret {name!r} was kept, but cannot be read")
        return found

    # ----------------------------------------------------------------------- what goes

    def sweep(self, keep: Keep) -> AsyncIterator[Removed]:
        return removal.sweep(self._readers.far, self._remove, keep)

    def erase(self, tenant: str, owner: str) -> AsyncIterator[Removed]:
        return removal.erase(self._readers.far, self._remove, tenant, owner, self._clock())

    async def _remove(self, work: Callable[[sqlite3.Connection], Removed]) -> Removed:
        job = Remove(work)
        await self._commit(job)
        return job.removed

    async def tenants_of(self, owner: str) -> Sequence[str]:
        """The tenants in which this user has anything."""
        return await self._readers.far(removal.tenants_of, owner)

    async def changes_beside(self) -> int:
        look = LookBeside()
        await self._commit(look)
        return look.version

    # ----------------------------------------------------------------------- how full it is

    @property
    def waiting(self) -> int:
        """Commits that wait for the writer."""
        return self._writer.waiting if self._writer is not None else 0

    def sizes(self) -> Sizes:
        """Bytes of the files, and free on their disk."""
        return sizes(self._place)

    # ----------------------------------------------------------------------- life

    async def check(self) -> None:
        self._readers.near(reads.check)
        if self._writer is not None:
            try:
                async with asyncio.timeout(_CHECK_SECONDS):  # wait_for may swallow a cancel in Python 3.11
                    await self._commit(Probe())
            except TimeoutError as error:
                raise Unavailable("the store's writer does not answer") from error

    async def close(self) -> None:
        if self._closing is None:
            self._closing = asyncio.get_running_loop().run_in_executor(None, self._close)
        # whoever is cancelled while waiting must not leave the directory locked
        await asyncio.shield(self._closing)

    def _close(self) -> None:
        try:
            if self._writer is not None:
                self._writer.stop()
            self._readers.close()
        finally:
            if self._release is not None:
                self._release()
            self._forgotten()
