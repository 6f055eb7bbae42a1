"""Threads for batches: made when there is work, gone when there is none, stopped by Ctrl-C at once.

A batch that a worker starts runs in that worker, so that full pools can not wait for each other.
Threads are daemons: a request that hangs does not keep the program from ending. A worker that was told
to stop leaves at its next wait or request (`pause`, `leave_if_stopped`). Knows nothing of requests.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self, TypeVar

from dragoman.stackspot.validation import require

if TYPE_CHECKING:  # a program without `submit` never loads it
    from concurrent.futures import Future

IDLE_SECONDS = 2.0
"""A thread without work ends after this time."""
_LOOK_UP = 0.5
"""Seconds after which a wait looks up: on some systems Ctrl-C does not end a wait."""

T = TypeVar("T")
R = TypeVar("R")


class WorkStopped(BaseException):
    """The batch that this work belongs to was stopped. No `Exception`: nobody may take it for an answer."""


class _Here(threading.local):
    stop: threading.Event | None = None


_here = _Here()


def is_inside() -> bool:
    """Whether the caller runs in a worker of a pool."""
    return _here.stop is not None


def pause(seconds: float) -> None:
    """Sleep. In a worker whose batch is stopped it ends at once, with WorkStopped."""
    stop = _here.stop
    if stop is None:
        time.sleep(max(seconds, 0.0))
    elif stop.wait(max(seconds, 0.0)):
        raise WorkStopped


def leave_if_stopped() -> None:
    """Raises WorkStopped in a worker whose batch was stopped."""
    if _here.stop is not None and _here.stop.is_set():
        raise WorkStopped


class _Crew:
    """The threads and what waits for them; does not know the pool, so that a pool nobody holds can go."""

    def __init__(self, size: int, name: str) -> None:
        self.size = size
        self.name = name
        self.ready = threading.Condition()
        self.waiting: deque[Callable[[], None]] = deque()
        self.threads: set[threading.Thread] = set()
        self.leaving: list[threading.Thread] = []  # done with work, perhaps not quite gone
        self.idle = 0
        self.closing = False
        self.made = 0

    def add(self, tasks: Sequence[Callable[[], None]]) -> None:
        with self.ready:
            self.closing = False
            self.leaving = [thread for thread in self.leaving if thread.is_alive()]
            self.waiting.extend(tasks)
            missing = min(len(self.waiting) - self.idle, self.size - len(self.threads))
            for _ in range(missing):
                self.made += 1
                thread = threading.Thread(target=self._work, name=f"{self.name}-{self.made}", daemon=True)
                self.threads.add(thread)
                thread.start()
            self.ready.notify(len(tasks))

    def leave(self, tasks: set[Callable[[], None]]) -> None:
        """Forget these tasks as far as nobody has begun them, and end when the others are done; waits for nothing."""
        with self.ready:
            self.waiting = deque(task for task in self.waiting if task not in tasks)
            self.closing = True
            self.ready.notify_all()

    def _work(self) -> None:
        while True:
            with self.ready:
                if not self._wait():
                    self.threads.discard(threading.current_thread())
                    self.leaving.append(threading.current_thread())
                    self.ready.notify_all()
                    return
                task = self.waiting.popleft()
            contextvars.Context().run(task)
            del task

    def _wait(self) -> bool:
        deadline = time.monotonic() + IDLE_SECONDS
        while not self.waiting:
            left = deadline - time.monotonic()
            if self.closing or left <= 0:
                return False
            self.idle += 1
            self.ready.wait(left)
            self.idle -= 1
        return True

    def close(self) -> None:
        with self.ready:
            self.closing = True
            self.ready.notify_all()
            threads = [*self.threads, *self.leaving]
            self.leaving = []
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join()


class _Batch:
    """One call of `map_in_order`: what came of each item, and who waits for it."""

    def __init__(self, size: int) -> None:
        self.stop = threading.Event()
        self.changed = threading.Condition()
        self.results: list[Any] = [None] * size
        self.errors: dict[int, BaseException] = {}
        self.finished: deque[int] = deque()

    def run(self, index: int, fn: Callable[[T], Any], item: T) -> None:
        if self.stop.is_set():
            return
        _here.stop = self.stop
        try:
            self.results[index] = fn(item)
        except BaseException as error:
            self.errors[index] = error
        finally:
            _here.stop = None
        with self.changed:
            self.finished.append(index)
            self.changed.notify()

    def next_finished(self) -> int:
        with self.changed:
            while not self.finished:
                self.changed.wait(_LOOK_UP)
            return self.finished.popleft()


class WorkPool:
    """At most `max_workers` threads, named after `name`. Threads may share it; `close` waits for what runs.

    It can be used again after `close`.
    """

    def __init__(self, max_workers: int, name: str) -> None:
        require(max_workers > 0, f"max_workers must be more than 0, got {max_workers!r}")
        self.max_workers = max_workers
        self.name = name
        self._crew = _Crew(max_workers, name)

    @property
    def threads(self) -> int:
        """How many threads live now."""
        return len(self._crew.threads)

    def map_in_order(
        self, fn: Callable[[T], R], items: Sequence[T], progress: Callable[[T, R], None] | None = None
    ) -> list[R]:
        """`fn` of every item, in parallel; results in the order of the items.

        Workers see none of the caller's context variables, unless `fn` brings them. `progress(item, result)` is
        called in the caller's thread, as items finish. An error of `fn` is raised when all have ended, the first
        by order. If the caller is interrupted, what has not begun never does, what runs is told to stop, and the
        interrupt goes on at once. Called from within a worker, everything runs there, one after the other.
        """
        if is_inside():
            return self._map_here(fn, items, progress)
        batch = _Batch(len(items))
        tasks = [_Task(batch, index, fn, item) for index, item in enumerate(items)]
        try:
            self._crew.add(tasks)
            for _ in items:
                index = batch.next_finished()
                if progress is not None and index not in batch.errors:
                    progress(items[index], batch.results[index])
        except BaseException:
            batch.stop.set()
            left, self._crew = self._crew, _Crew(self.max_workers, self.name)
            left.leave(set(tasks))
            raise
        if batch.errors:
            raise batch.errors[min(batch.errors)]
        return batch.results

    @staticmethod
    def _map_here(fn: Callable[[T], R], items: Sequence[T], progress: Callable[[T, R], None] | None) -> list[R]:
        results = []
        for item in items:
            leave_if_stopped()
            result = fn(item)
            if progress is not None:
                progress(item, result)
            results.append(result)
        return results

    def submit(self, fn: Callable[..., R], /, *args: Any, **kwargs: Any) -> Future[R]:
        """Run one call in the pool, as executors of the standard library do."""
        from concurrent.futures import Future

        future: Future[R] = Future()
        stop = threading.Event()

        def task() -> None:
            if not future.set_running_or_notify_cancel():
                return
            _here.stop = stop
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:
                future.set_exception(error)
            finally:
                _here.stop = None

        self._crew.add([task])
        return future

    def close(self) -> None:
        """Wait for what runs and end all threads; idempotent. What an interrupted batch left behind is not waited for."""
        self._crew.close()

    def shutdown(self, wait: bool = True) -> None:
        """`close`, as executors of the standard library call it; without `wait` the threads end when they are done."""
        if wait:
            self.close()
        else:
            self._crew.leave(set())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class _Task:
    """A call that waits for a thread; compared by identity."""

    __slots__ = ("batch", "fn", "index", "item")

    def __init__(self, batch: _Batch, index: int, fn: Callable[[Any], Any], item: Any) -> None:
        self.batch = batch
        self.index = index
        self.fn = fn
        self.item = item

    def __call__(self) -> None:
        self.batch.run(self.index, self.fn, self.item)
