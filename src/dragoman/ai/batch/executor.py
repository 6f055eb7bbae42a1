"""Many operations side by side, so many at once, each with its own result or error.

Workers take items one by one, so that an iterable of any length needs no more memory than its results.
One that fails leaves the others alone, unless the first failure is to end them all.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Iterator, Sized
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, Generic, TypeAlias, TypeVar

import anyio
from anyio import get_cancelled_exc_class

from dragoman.ai.client.cancel import CancelToken
from dragoman.ai.errors import AiRuntimeError, ErrorClass

__all__ = ["BatchExecutor", "BatchResult", "batch_execute"]

T = TypeVar("T")
R = TypeVar("R")

_log = logging.getLogger("dragoman.ai.batch")

Items: TypeAlias = Iterable[T] | AsyncIterable[T]
OnProgress: TypeAlias = Callable[[int, int], Any]
"""(items that are done, items in all; where nobody knows how many, those that were begun)."""


@dataclass
class BatchResult(Generic[R]):
    """By item, in order: its result and None, or None and its error. An item that was not begun, or was cut, has an
    error of class `cancelled`."""

    results: list[R | None] = field(default_factory=list)
    errors: list[Exception | None] = field(default_factory=list)
    total_time_ms: float = 0.0

    @property
    def successful_count(self) -> int:
        return len(self.errors) - self.failed_count

    @property
    def failed_count(self) -> int:
        return sum(error is not None for error in self.errors)

    @property
    def all_successful(self) -> bool:
        return self.failed_count == 0

    def get_successful_results(self) -> list[R]:
        """The results of the items that succeeded, in order; None is a result too."""
        found: list[Any] = [result for result, error in zip(self.results, self.errors, strict=True) if error is None]
        return found

    def get_errors(self) -> list[tuple[int, Exception]]:
        """(place of the item, its error), in order."""
        return [(place, error) for place, error in enumerate(self.errors) if error is not None]


class BatchExecutor(Generic[T, R]):
    """Runs `operation` for items, at most `max_concurrent` at once. With `fail_fast` the first error ends the rest."""

    def __init__(
        self,
        operation: Callable[[T], Awaitable[R]],
        max_concurrent: int = 10,
        fail_fast: bool = False,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if max_concurrent < 1:
            raise ValueError(f"max_concurrent must be at least 1, got {max_concurrent!r}")
        self._operation = operation
        self._max_concurrent = max_concurrent
        self._fail_fast = fail_fast
        self._clock = clock

    @property
    def max_concurrent(self) -> int:
        return self._max_concurrent

    async def execute(self, items: Items[T], *, cancel: CancelToken | None = None) -> BatchResult[R]:
        """All results and errors. `cancel` ends what is under way and keeps what is done.

        Raises only what the iterable itself raises.
        """
        return await self.execute_with_progress(items, cancel=cancel)

    async def execute_with_progress(
        self, items: Items[T], on_progress: OnProgress | None = None, *, cancel: CancelToken | None = None
    ) -> BatchResult[R]:
        """The same; `on_progress`, a function or a coroutine function, is told after each item."""
        run = _Run(self._operation, items, on_progress, fail_fast=self._fail_fast)
        began = self._clock()
        failure: Exception | None = None
        with cancel.interrupting() if cancel is not None else nullcontext():
            try:
                async with anyio.create_task_group() as tasks:
                    run.stop = tasks.cancel_scope.cancel
                    for _ in range(min(self._max_concurrent, run.total or self._max_concurrent)):
                        tasks.start_soon(run.work)
            except ExceptionGroup as group:  # only what the iterable raises comes here
                failure = group.exceptions[0]
        if failure is not None:
            raise failure
        return run.result((self._clock() - began) * 1000)


class _Run(Generic[T, R]):
    """One execution."""

    def __init__(
        self,
        operation: Callable[[T], Awaitable[R]],
        items: Items[T],
        on_progress: OnProgress | None,
        *,
        fail_fast: bool,
    ) -> None:
        self.total = len(items) if isinstance(items, Sized) else None
        self.stop: Callable[[], None] = lambda: None
        self._operation = operation
        self._items = items.__aiter__() if isinstance(items, AsyncIterable) else iter(items)
        self._next = anyio.Lock()
        self._on_progress = on_progress
        self._fail_fast = fail_fast
        self._results: list[R | None] = []
        self._errors: list[Exception | None] = []
        self._done = 0

    async def work(self) -> None:
        """Take items until there are no more."""
        while True:
            async with self._next:  # an asynchronous iterator cannot be asked twice at once
                try:
                    item = next(self._items) if isinstance(self._items, Iterator) else await anext(self._items)
                except (StopIteration, StopAsyncIteration):
                    return
                place = len(self._results)
                self._results.append(None)
                self._errors.append(_cut())
            try:
                self._results[place] = await self._operation(item)
                self._errors[place] = None
            except get_cancelled_exc_class() as error:
                task = asyncio.current_task() if isinstance(error, asyncio.CancelledError) else None
                if task is None or task.cancelling():  # this is meant, and not something that the operation waited for
                    raise
                self._failed(place, _cut())
            except Exception as error:
                self._failed(place, error)
            self._done += 1
            await self._tell()

    def _failed(self, place: int, error: Exception) -> None:
        self._errors[place] = error
        if self._fail_fast:
            self.stop()

    async def _tell(self) -> None:
        if self._on_progress is None:
            return
        try:
            told = self._on_progress(self._done, self.total if self.total is not None else len(self._results))
            if inspect.isawaitable(told):
                await told
        except Exception:  # what was asked for is the results
            _log.exception("a batch's on_progress failed")

    def result(self, milliseconds: float) -> BatchResult[R]:
        missing = max(0, (self.total or 0) - len(self._results))
        nothing: list[R | None] = [None] * missing
        return BatchResult(self._results + nothing, self._errors + [_cut() for _ in range(missing)], milliseconds)


def _cut() -> AiRuntimeError:
    return AiRuntimeError("the item was not finished: the batch ended before", error_class=ErrorClass.CANCELLED)


async def batch_execute(
    items: Items[T], operation: Callable[[T], Awaitable[R]], max_concurrent: int = 10, fail_fast: bool = False
) -> BatchResult[R]:
    """One `BatchExecutor`, used once."""
    return await BatchExecutor(operation, max_concurrent, fail_fast).execute(items)
