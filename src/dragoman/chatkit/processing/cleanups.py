"""Work that must reach its end although the request that it belongs to was cancelled.

A web framework that cancels a request cancels every await of it. What is stored for a cancelled answer, and any
write that was under way, therefore runs in a task of its own, which nobody cancels. One event loop uses one
`Cleanups`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from dragoman.chatkit.logger import logger
from dragoman.core.ids import canonical


class Cleanups:
    """What is being put away, by thread."""

    def __init__(self) -> None:
        self._running: dict[str, set[asyncio.Task[None]]] = {}

    def start(self, thread_id: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Begin it; what it raises is logged, since nobody is left to be told."""
        task = asyncio.create_task(self._run(work))
        key = canonical(thread_id)
        running = self._running.setdefault(key, set())
        running.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            running.discard(task)
            if not running and self._running.get(key) is running:
                del self._running[key]

        task.add_done_callback(ended)
        return task

    async def run(self, thread_id: str, work: Coroutine[Any, Any, None]) -> None:
        """Begin it and wait for its end; cancelling this ends the wait alone."""
        await asyncio.shield(self.start(thread_id, work))

    async def _run(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception:
            logger.exception("What a cancelled stream leaves behind could not be stored")

    async def settled(self, thread_id: str | None = None, *, seconds: float = 10.0) -> bool:
        """Wait until nothing runs for the thread (None: for any); False if the time was not enough."""
        chosen = self._running.values() if thread_id is None else [self._running.get(canonical(thread_id), set())]
        tasks = [task for running in chosen for task in running if task.get_loop() is asyncio.get_running_loop()]
        if not tasks:
            return True
        _, left = await asyncio.wait(tasks, timeout=seconds)
        return not left
