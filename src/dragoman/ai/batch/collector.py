"""Single requests collected into batches, each answered as if it had been alone.

A batch goes off when it is full or its first item has waited long enough. It runs in a task of its own,
so that no caller's cancellation reaches another's; whatever it ends in, every caller gets an answer.
For asyncio, and one event loop at a time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from dragoman.ai.errors import AiRuntimeError, ErrorClass, ValidationError

__all__ = ["BatchCollector", "BatchConfig"]

T = TypeVar("T")
R = TypeVar("R")

_log = logging.getLogger("dragoman.ai.batch")

_ALL = "_default_"


@dataclass(frozen=True)
class BatchConfig:
    """A batch has at most `max_batch_size` items, and its first waits at most `max_wait_ms`.

    `group_by` gives the group of an item; only items of one group share a batch. At most
    `max_concurrent` batches run at once, where it is given; further ones wait.
    """

    max_batch_size: int = 10
    max_wait_ms: float = 100.0
    group_by: Callable[[Any], str] | None = None
    max_concurrent: int | None = None

    def __post_init__(self) -> None:
        if self.max_batch_size < 1 or self.max_wait_ms < 0 or (self.max_concurrent or 1) < 1:
            raise ValueError(f"sizes must be at least 1 and waits not below 0, got {self!r}")

    @classmethod
    def default(cls) -> BatchConfig:
        return cls()

    @classmethod
    def for_embeddings(cls) -> BatchConfig:
        """100 items, 50 ms."""
        return cls(max_batch_size=100, max_wait_ms=50)

    @classmethod
    def for_chat(cls) -> BatchConfig:
        """5 items, 10 ms."""
        return cls(max_batch_size=5, max_wait_ms=10)


@dataclass(slots=True, eq=False)
class _Pending(Generic[T, R]):
    data: T
    answer: asyncio.Future[R]


@dataclass(slots=True, eq=False)
class _Group(Generic[T, R]):
    waiting: list[_Pending[T, R]] = field(default_factory=list)
    timer: asyncio.TimerHandle | None = None


class BatchCollector(Generic[T, R]):
    """`await add(item)` gives the item's result; `executor` is given the items of a batch and gives as many results.

    A result that is an exception is raised to its own caller. Fewer results than items are an error for
    those without one. `stop` ends it, and answers everybody who still waits.
    """

    def __init__(
        self,
        config: BatchConfig | None = None,
        executor: Callable[[list[T]], Awaitable[Sequence[R | BaseException]]] | None = None,
    ) -> None:
        self._config = config or BatchConfig()
        self._executor = executor
        self._groups: dict[str, _Group[T, R]] = {}
        self._batches: dict[asyncio.Task[None], list[_Pending[T, R]]] = {}
        self._places: asyncio.Semaphore | None = None
        self._running = True

    @property
    def config(self) -> BatchConfig:
        return self._config

    @property
    def is_running(self) -> bool:
        """Whether items are taken; until `stop`."""
        return self._running

    def set_executor(self, executor: Callable[[list[T]], Awaitable[Sequence[R | BaseException]]]) -> None:
        """Use this for batches that go off from now on."""
        self._executor = executor

    def get_pending_count(self, group_key: str | None = None) -> int:
        """Items that wait for their batch to go off, of one group or of all."""
        groups = self._groups.values() if group_key is None else [self._groups.get(group_key, _Group[T, R]())]
        return sum(len(group.waiting) for group in groups)

    async def add(self, data: T) -> R:
        """The result of this item, as soon as its batch has run.

        Raises what the executor raises; ValidationError without an executor; AiRuntimeError after `stop`.
        Whoever is cancelled while waiting is not part of the batch.
        """
        if not self._running:
            raise AiRuntimeError("the collector was stopped; make a new one")
        if self._executor is None:
            raise ValidationError("a collector needs an executor: call set_executor first", field="executor")
        name = self._config.group_by(data) if self._config.group_by is not None else _ALL
        loop = asyncio.get_running_loop()
        pending: _Pending[T, R] = _Pending(data, loop.create_future())
        group = self._groups.setdefault(name, _Group())
        group.waiting.append(pending)
        if len(group.waiting) >= self._config.max_batch_size:
            self._go(name)
        elif group.timer is None:
            group.timer = loop.call_later(self._config.max_wait_ms / 1000, self._go, name)
        try:
            return await pending.answer
        finally:
            if pending in group.waiting:  # it was cancelled before the batch went off
                group.waiting.remove(pending)
                self._tidy(name)

    async def flush(self) -> None:
        """Let everything go off now that waits, and wait for its end. Raises nothing of what goes wrong there."""
        for name in list(self._groups):
            self._go(name)
        batches = list(self._batches)
        if batches:
            await asyncio.wait(batches)

    async def stop(self, *, cancel: bool = False) -> None:
        """Take nothing more; run what waits, or with `cancel` end it all with an error. Idempotent."""
        self._running = False
        if cancel:
            for name, group in list(self._groups.items()):
                self._refuse(group.waiting)
                group.waiting = []
                self._tidy(name)
            for task in self._batches:
                task.cancel()
        await self.flush()

    # ------------------------------------------------------------------------------------ inside

    def _tidy(self, name: str) -> None:
        group = self._groups.get(name)
        if group is not None and not group.waiting:
            if group.timer is not None:
                group.timer.cancel()
            del self._groups[name]

    def _go(self, name: str) -> None:
        """A batch of what waits in a group."""
        group = self._groups.get(name)
        if group is None:
            return
        batch, group.waiting = [one for one in group.waiting if not one.answer.done()], []
        self._tidy(name)
        if batch:
            task = asyncio.get_running_loop().create_task(self._run(batch))
            self._batches[task] = batch
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Answers whoever has none, for a task may be cancelled before it begins."""
        self._refuse(self._batches.pop(task))
        if not task.cancelled():
            task.exception()  # it was told already

    async def _run(self, batch: list[_Pending[T, R]]) -> None:
        assert self._executor is not None  # nothing is taken without one
        if self._config.max_concurrent is None:
            results = await self._executed(batch)
        else:
            self._places = self._places or asyncio.Semaphore(self._config.max_concurrent)
            async with self._places:
                results = await self._executed(batch)
        if len(results) > len(batch):
            _log.warning("an executor gave %d results for %d items", len(results), len(batch))
        for place, pending in enumerate(batch):
            if pending.answer.done():
                continue
            if place >= len(results):
                text = f"the executor gave {len(results)} results for {len(batch)} items, none for this one"
                pending.answer.set_exception(AiRuntimeError(text))
                continue
            result = results[place]
            if isinstance(result, BaseException):
                pending.answer.set_exception(_raisable(result))
            else:
                pending.answer.set_result(result)

    async def _executed(self, batch: list[_Pending[T, R]]) -> Sequence[R | BaseException]:
        assert self._executor is not None
        try:
            return list(await self._executor([one.data for one in batch]))
        except Exception as error:
            return [error] * len(batch)

    @staticmethod
    def _refuse(batch: Sequence[_Pending[T, R]]) -> None:
        for pending in batch:
            if not pending.answer.done():
                pending.answer.set_exception(
                    AiRuntimeError("the batch was cancelled", error_class=ErrorClass.CANCELLED)
                )


def _raisable(error: BaseException) -> BaseException:
    """An error for a future, which takes neither the end of an iteration nor somebody's cancellation."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    made = AiRuntimeError(f"the item ended with {type(error).__name__}", error_class=ErrorClass.CANCELLED)
    made.__cause__ = error
    return made
