"""Ending a call from outside: a token that the call watches, a handle that ends it.

Both have the same interface and share one signal, because documentation unpacks the pair in either
order. A signal may be given from any thread; whoever waits in an event loop is woken there.
Works on asyncio and trio.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
from anyio.lowlevel import current_token

if TYPE_CHECKING:
    from dragoman.ai.client.cancellable import CancellableStream, with_cancellation

__all__ = [
    "CancelHandle",
    "CancelReason",
    "CancelState",
    "CancelToken",
    "CancellableStream",
    "create_cancel_pair",
    "with_cancellation",
]


def __getattr__(name: str) -> Any:
    # What stands above this module, for code that looks for it here.
    if name in __all__:
        from dragoman.ai.client import cancellable

        return getattr(cancellable, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


_log = logging.getLogger("dragoman.ai")


class CancelReason(StrEnum):
    """Why a call was ended."""

    USER_REQUEST = "user_request"
    USER_REQUESTED = "user_request"
    TIMEOUT = "timeout"
    ERROR = "error"
    RESOURCE_LIMIT = "resource_limit"
    SHUTDOWN = "shutdown"


@dataclass(frozen=True, slots=True)
class CancelState:
    """What is known of a cancellation; `timestamp` is seconds since the epoch."""

    cancelled: bool = False
    reason: CancelReason | None = None
    timestamp: float | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


def _told(reason: CancelReason | str, metadata: dict[str, Any]) -> tuple[CancelReason, dict[str, Any]]:
    """Words of the caller's own are a user's request and are kept as `text`: cancelling must not fail for them."""
    try:
        return CancelReason(str(reason).lower()), metadata
    except ValueError:
        return CancelReason.USER_REQUEST, {"text": str(reason), **metadata}


class _Listener:
    """Something to call when the signal comes, in the thread and loop that it was made in."""

    __slots__ = ("_call", "_thread", "_token")

    def __init__(self, call: Callable[[], object]) -> None:
        self._call = call
        self._thread = threading.get_ident()
        token = current_token()
        self._token = getattr(token, "native_token", token)

    def fire(self) -> None:
        if threading.get_ident() == self._thread:
            self._call()
            return
        token: Any = self._token
        run = getattr(token, "call_soon_threadsafe", None) or token.run_sync_soon  # asyncio, trio
        try:
            run(self._call)
        except Exception:  # that loop is over, and with it whoever waited there
            _log.debug("a cancellation came after its loop had ended")


class _Signal:
    """The state that a token and its handles share."""

    def __init__(self, timeout: float | None) -> None:
        self.state = CancelState()
        self.timeout = timeout
        self.deadline: float | None = None
        self.callbacks: list[Callable[[CancelReason], Any]] = []
        self.listeners: dict[int, _Listener] = {}
        self.lock = threading.Lock()
        self.running: set[asyncio.Task[Any]] = set()

    def begin(self) -> None:
        """Start the timeout, once, as soon as there is a loop whose time counts."""
        if self.timeout is None or self.deadline is not None:
            return
        deadline = time.monotonic() + self.timeout
        if _later(self.timeout, partial(self.expire, deadline)):
            self.deadline = deadline

    def expire(self, deadline: float) -> None:
        """This deadline has passed; nothing happens when it does not count any more."""
        if self.deadline == deadline:
            self.cancel(CancelReason.TIMEOUT, {})

    def remaining(self) -> float:
        return float("inf") if self.deadline is None else self.deadline - time.monotonic()

    def look(self) -> CancelState:
        if self.deadline is not None and not self.state.cancelled and self.remaining() <= 0:
            self.expire(self.deadline)
        return self.state

    def cancel(self, reason: CancelReason | str, metadata: dict[str, Any]) -> bool:
        known, metadata = _told(reason, metadata)
        with self.lock:
            if self.state.cancelled:
                return False
            self.state = CancelState(True, known, time.time(), metadata)
            listeners = list(self.listeners.values())
            callbacks = list(self.callbacks)
        for listener in listeners:
            listener.fire()
        for callback in callbacks:
            self.call(callback)
        return True

    def call(self, callback: Callable[[CancelReason], Any]) -> None:
        """One callback; what it raises stops neither the others nor the cancellation."""
        assert self.state.reason is not None
        try:
            result = callback(self.state.reason)
            if inspect.isawaitable(result):
                self._run(result)
        except Exception:
            _log.exception("a callback of a cancellation failed")

    def _run(self, waiting: Awaitable[Any]) -> None:
        async def whole() -> None:
            try:
                await waiting
            except Exception:
                _log.exception("a callback of a cancellation failed")

        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            _run_elsewhere(whole)
            return
        task = loop.create_task(whole())
        self.running.add(task)
        task.add_done_callback(self.running.discard)


def _later(seconds: float, call: Callable[[], None]) -> bool:
    """Call this after so many seconds; False where no loop runs that could."""
    try:
        asyncio.get_running_loop().call_later(seconds, call)
        return True
    except RuntimeError:
        if not _is_in_loop():
            return False

    async def wait() -> None:
        await anyio.sleep(seconds)
        call()

    sys.modules["trio"].lowlevel.spawn_system_task(wait)  # it is loaded, for it runs
    return True


def _is_in_loop() -> bool:
    try:
        current_token()
    except RuntimeError:
        return False
    return True


def _run_elsewhere(whole: Callable[[], Awaitable[None]]) -> None:
    """Where no asyncio runs: beside the tasks of trio, else to its end right here."""
    if _is_in_loop():
        sys.modules["trio"].lowlevel.spawn_system_task(whole)
    else:
        anyio.run(whole)


class CancelToken:
    """Watched by a call; `cancel` ends it.

    `timeout` cancels by itself after so many seconds; of a token made outside a loop they count
    from its first use.
    """

    def __init__(self, timeout: float | None = None) -> None:
        self._signal = _Signal(timeout)
        self._signal.begin()

    def cancel(self, reason: CancelReason | str = CancelReason.USER_REQUEST, **metadata: Any) -> bool:
        """End the call; False when that was done before. May be called from any thread.

        A reason in words of one's own is a user's request; its words become the metadata's `text`.
        """
        return self._signal.cancel(reason, metadata)

    @property
    def is_cancelled(self) -> bool:
        return self._signal.look().cancelled

    @property
    def reason(self) -> CancelReason | None:
        return self._signal.look().reason

    cancel_reason = reason
    """The same as `reason`."""

    @property
    def state(self) -> CancelState:
        return self._signal.look()

    async def wait(self) -> CancelReason:
        """Wait until it is cancelled; why."""
        woken = anyio.Event()
        with self.listening(woken.set):
            if not self.is_cancelled:
                with anyio.move_on_after(self._signal.remaining() + 0.001):
                    await woken.wait()
                self._signal.look()
        reason = self.reason
        assert reason is not None  # woken by a cancellation, or by the deadline
        return reason

    async def wait_with_timeout(self, timeout: float) -> bool:
        """Wait at most so many seconds; whether it is cancelled."""
        with anyio.move_on_after(timeout):
            await self.wait()
        return self.is_cancelled

    def on_cancel(self, callback: Callable[[CancelReason], Any]) -> CancelToken:
        """Call this, a function or a coroutine function, with the reason; at once if that time has come."""
        with self._signal.lock:
            self._signal.callbacks.append(callback)
            is_late = self._signal.state.cancelled
        if is_late:
            self._signal.call(callback)
        return self

    def raise_if_cancelled(self) -> None:
        """Raises asyncio.CancelledError when it is cancelled."""
        if self.is_cancelled:
            raise asyncio.CancelledError(str(self.reason))

    def reset(self) -> None:
        """Make it as new; callbacks stay, a timeout counts from the next use."""
        with self._signal.lock:
            self._signal.state = CancelState()
            self._signal.deadline = None

    @property
    def deadline(self) -> float:
        """When the timeout passes, on the clock of the running loop; infinite without one."""
        remaining = self._signal.remaining()
        return anyio.current_time() + remaining if remaining != float("inf") else remaining

    @contextmanager
    def interrupting(self) -> Iterator[anyio.CancelScope]:
        """A scope that is cancelled with the token, for as long as the block lasts."""
        with anyio.CancelScope() as scope, self.listening(scope.cancel):
            if self.is_cancelled:
                scope.cancel()
            else:
                scope.deadline = self.deadline
            yield scope
        if scope.cancelled_caught:
            self._signal.cancel(CancelReason.TIMEOUT, {})  # nothing to do when that was not it

    @contextmanager
    def listening(self, call: Callable[[], object]) -> Iterator[None]:
        """While the block lasts, a cancellation calls this, in the thread and loop of the block."""
        self._signal.begin()
        listener = _Listener(call)
        with self._signal.lock:
            self._signal.listeners[id(listener)] = listener
        try:
            yield
        finally:
            with self._signal.lock:
                self._signal.listeners.pop(id(listener), None)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.reason or 'not cancelled'})"


class CancelHandle(CancelToken):
    """The side that ends what watches `token`; offers all that the token does."""

    def __init__(self, token: CancelToken) -> None:
        self._signal = token._signal


def create_cancel_pair(timeout: float | None = None) -> tuple[CancelHandle, CancelToken]:
    """(handle, token) of one signal."""
    token = CancelToken(timeout)
    return CancelHandle(token), token
