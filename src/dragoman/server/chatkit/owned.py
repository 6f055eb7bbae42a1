"""The engine of a program that has one agent and no server around it; opened at its first use."""

from __future__ import annotations

import asyncio
from typing import Any

from dragoman.core.errors import Unavailable
from dragoman.core.ports import Blobs
from dragoman.engine.agents import Agent
from dragoman.engine.app import App
from dragoman.engine.embedded import EmbeddedEngine
from dragoman.engine.files import StoredFiles
from dragoman.server.chatkit.rows_store import RowsStore
from dragoman.server.providers import Providers
from dragoman.server.settings import ModelSettings


class OwnEngine:
    """Runs `agent` over the rows of `store`; runs that a stopped process has left go on when it is opened."""

    def __init__(self, agent: Agent, store: RowsStore[Any], blobs: Blobs | None) -> None:
        self._app = App(agent.name, agents=[agent])
        self._store = store
        self._blobs = blobs
        self._opening: asyncio.Task[EmbeddedEngine] | None = None
        self._closed = False

    async def engine(self) -> EmbeddedEngine:
        """The engine, opened now if nobody has asked before. Raises UsageError for a model that nobody knows."""
        if self._closed:
            raise Unavailable("the server is closed", code="closing")
        if self._opening is None:
            self._opening = asyncio.get_running_loop().create_task(self._open())
        opening = self._opening
        try:
            return await asyncio.shield(opening)
        except Exception:
            if self._opening is opening:
                self._opening = None  # so that the next call tries again; a late waiter must not undo that
            raise

    async def _open(self) -> EmbeddedEngine:
        rows = await self._store.rows()
        providers = Providers(self._app, ModelSettings())
        await providers.prepare()
        files = StoredFiles(rows, self._blobs) if self._blobs is not None else None
        engine = EmbeddedEngine(
            self._app, rows, clock=self._store.clock, resolve=providers.resolve, files=files, executor="chatkit"
        )
        await engine.open()
        return engine

    async def aclose(self) -> None:
        """Stop; what is under way goes on when the same rows are opened again. Idempotent."""
        self._closed = True
        opening, self._opening = self._opening, None
        if opening is None:
            return
        await asyncio.wait((opening,))
        if not opening.cancelled() and opening.exception() is None:
            await opening.result().close()
