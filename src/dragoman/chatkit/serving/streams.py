"""An answer on its way out: a task of its own makes the events, and what is ready in one turn leaves together.

The task steps the source by hand, so that it knows when the source waits for something: then, and not before,
everything that has gathered goes out as one piece. It goes into a `sink` (`pour`), in the same task and the
same turn of the loop, or to whoever iterates. A client that does not read stops the source; and when the
client goes, the source is either cancelled or goes on without it. Knows frames (`data: …`), and of their
content only `stream_options`. For asyncio.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from time import monotonic
from typing import Any, TypeAlias

from pydantic_core import from_json

from dragoman.chatkit.logger import logger
from dragoman.chatkit.processing.turns import BURST, BURST_SECONDS, yields_for_others
from dragoman.chatkit.serving.options import OnDisconnect
from dragoman.core.errors import Conflict

HIGH_WATER = 256 * 1024
"""Bytes that may wait for the client before the source has to."""

_LOOK_AT = 8
"""How many of the first events may be the one with the stream's options."""

_Sending: TypeAlias = Coroutine[Any, Any, None]
Sink: TypeAlias = Callable[[bytes], _Sending]
_Waiting: TypeAlias = Generator[Any, Any, Any]


class OutgoingStream:
    """The events of one answer, as pieces of one or several whole frames.

    `last_words` gives the frame that ends a stream whose source failed. Iterate it once, or `pour` it;
    `aclose` says that the client has gone, waits at most `cleanup_seconds` for the cleanup of a cancelled
    answer, and is safe to call at any time.
    """

    def __init__(
        self,
        events: AsyncIterator[bytes],
        *,
        on_disconnect: OnDisconnect = "auto",
        last_words: Callable[[Exception], bytes] | None = None,
        cleanup_seconds: float = 10.0,
    ) -> None:
        self._events = events
        self._on_disconnect = on_disconnect
        self._on_end: list[Callable[[], None]] = []
        self._last_words = last_words
        self._cleanup_seconds = cleanup_seconds
        self._ready: list[bytes] = []
        self._size = 0
        self._waiter: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._sink: Sink | None = None
        self._in_sink = False
        self._failure: Exception | None = None
        self._allows_cancel = True
        self._seen = 0
        self._left = False
        self._over = False
        self.is_cancelled = False
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._make())
        self._task.add_done_callback(self._ended)  # also if it is cancelled before its first step

    def when_ended(self, told: Callable[[], None]) -> None:
        """Call it once, when the source has ended and its cleanup is done."""
        self._on_end.append(told)

    # ------------------------------------------------------------------------------- making

    async def _make(self) -> None:
        yields_for_others.set(True)
        try:
            await self._drive()
        except Exception as error:
            self._fail(error)
        finally:
            await self._close()
        await self._pass_on_at_last()

    @types.coroutine
    def _drive(self) -> _Waiting:
        """Step the source to its end; whenever it waits, let out what has gathered, and wait with it.

        What is thrown in meanwhile, the end of a time limit of the source's own included, is the source's business.
        """
        following = self._events.__anext__
        burst, since = 0, monotonic()
        while True:
            step: _Waiting = following().__await__()
            try:
                try:
                    awaited = step.send(None)
                except StopIteration as done:
                    self._take(done.value)
                    burst += 1
                    if self._size < HIGH_WATER and burst < BURST and monotonic() - since < BURST_SECONDS:
                        continue
                    yield from self._share()
                else:
                    thrown: BaseException | None = None
                    if self._ready and (unsent := self._pass_on()) is not None:
                        try:
                            yield from self._finish(*unsent)
                        except asyncio.CancelledError as error:
                            thrown = error
                    self._take((yield from _continued(step, awaited, thrown)))
            except StopAsyncIteration:
                return
            burst, since = 0, monotonic()

    def _share(self) -> _Waiting:
        """The source was ready for long: let out what there is, and others have their turn."""
        if (unsent := self._pass_on()) is not None:
            yield from self._finish(*unsent)
        yield
        while self._size >= HIGH_WATER and not self._left:
            self._room = self._loop.create_future()
            yield from self._room

    def _take(self, event: bytes) -> None:
        if self._left:
            return
        self._ready.append(event)
        self._size += len(event)
        if self._seen < _LOOK_AT:
            self._seen += 1
            self._look_at(event)

    def _look_at(self, event: bytes) -> None:
        """Take the stream's options from the event that has them."""
        if b'"stream_options"' not in event[:48]:
            return
        told: dict[str, Any] = from_json(event[6:])
        self._allows_cancel = bool(told.get("stream_options", {}).get("allow_cancel", True))
        self._seen = _LOOK_AT

    def _fail(self, error: Exception) -> None:
        if self._seen == 0:
            self._failure = error
            return
        logger.error("A ChatKit stream broke off", exc_info=error)
        if self._last_words is not None:
            self._ready.append(self._last_words(error))

    async def _close(self) -> None:
        """Let the source's own cleanup run to its end."""
        close = getattr(self._events, "aclose", None)
        try:
            if close is not None:
                await close()
        except Exception as error:
            logger.error("The cleanup of a ChatKit stream failed", exc_info=error)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("A ChatKit stream ended badly", exc_info=error)
        for told in self._on_end:
            told()
        self._over = True  # not before: who reads to the end may ask for what those give back
        self._wake()

    # ------------------------------------------------------------------------------ sending

    def _pass_on(self) -> tuple[_Sending, Any] | None:
        """Give what has gathered to the sink, or wake whoever iterates; if the sink has to wait, what it waits for."""
        if self._sink is None:
            if self._ready:
                self._wake()
            return None
        if not self._ready:
            return None
        sending = self._sink(self._taken())
        try:
            return sending, sending.send(None)
        except StopIteration:
            return None
        except OSError:  # how some servers say that the client has gone
            self.leave()
            return None

    def _finish(self, sending: _Sending, awaited: Any) -> _Waiting:
        """Wait for the client together with the sink.

        A cancellation that comes meanwhile: if the client has gone, the sink is given up; otherwise it is the
        source's, and raised when the sink has taken the piece.
        """
        deferred: asyncio.CancelledError | None = None
        self._in_sink = True
        try:
            while True:
                try:
                    yield from _guarded(awaited)
                except asyncio.CancelledError as error:
                    if self._left:
                        sending.close()
                        if self.is_cancelled:
                            raise
                        self._task.uncancel()
                        return
                    deferred = error
                    if asyncio.isfuture(awaited) and not awaited.done():
                        continue
                except Exception:
                    pass  # the sink is told by its own wait
                awaited = sending.send(None)
        except StopIteration:
            pass
        except OSError:  # as above
            self.leave()
        finally:
            self._in_sink = False
        if deferred is not None:
            raise deferred

    @types.coroutine
    def _pass_on_at_last(self) -> _Waiting:
        if (unsent := self._pass_on()) is not None:
            yield from self._finish(*unsent)

    async def begin(self) -> bytes | None:
        """Wait for the first event and give it without taking it; None if the answer ends without one.

        Raises what the source raised before its first event, Conflict if it was cancelled before it.
        """
        try:
            while not self._ready and not self._over:
                self._waiter = waiter = self._loop.create_future()
                await waiter
        except asyncio.CancelledError:
            self.leave()
            raise
        if self._ready:
            return self._ready[0]
        if self._failure is not None:
            raise self._failure
        if self.is_cancelled:
            raise Conflict("The answer was cancelled before it began.", code="cancelled")
        return None

    async def pour(self, sink: Sink) -> None:
        """Give every piece to `sink`, one after the other, until the end or until the client has gone."""
        while self._ready:
            await sink(self._taken())
        self._sink = sink
        while not self._left and not self._over:
            self._waiter = waiter = self._loop.create_future()
            await waiter
        if self._ready:  # from the very last turn
            await sink(self._taken())

    @property
    def is_ready(self) -> bool:
        """Whether the next piece is there without waiting."""
        return bool(self._ready)

    def __aiter__(self) -> OutgoingStream:
        return self

    async def __anext__(self) -> bytes:
        while not self._ready:
            if self._left or self._over:
                raise StopAsyncIteration
            self._waiter = waiter = self._loop.create_future()
            await waiter
        return self._taken()

    def _taken(self) -> bytes:
        ready, self._ready = self._ready, []
        self._size = 0
        if self._room is not None:
            self._make_room()
        return ready[0] if len(ready) == 1 else b"".join(ready)

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _make_room(self) -> None:
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)

    # ------------------------------------------------------------------------------ leaving

    @property
    def is_done(self) -> bool:
        """Whether the source has ended, cleanup included."""
        return self._over

    @property
    def cancels_on_leave(self) -> bool:
        """What the client's going means for this answer."""
        return self._on_disconnect == "cancel" or (self._on_disconnect == "auto" and self._allows_cancel)

    def leave(self) -> None:
        """The client has gone: cancel the answer or let it go on, as the policy says."""
        if self._left:
            return
        if self.cancels_on_leave:
            self.cancel()
        else:
            self.detach()

    def cancel(self) -> None:
        """End the answer; its cleanup runs before `is_done`."""
        self._let_go()
        if not self._task.done() and not self.is_cancelled:
            self.is_cancelled = True
            self._task.cancel()

    def detach(self) -> None:
        """Nobody reads any more, and the answer goes on."""
        if self._in_sink and not self._left and not self._task.done():
            self._task.cancel()  # the sink alone: it waits for a client that has gone
        self._let_go()

    def _let_go(self) -> None:
        self._left = True
        self._sink = None
        self._ready.clear()
        self._size = 0
        self._make_room()
        self._wake()

    async def aclose(self) -> None:
        """The sender is done with it."""
        self.leave()
        if self.is_cancelled:
            await self.settled(self._cleanup_seconds)

    async def settled(self, seconds: float) -> bool:
        """Whether the source has ended, waiting at most so long for it."""
        if not self._over:
            await asyncio.wait((self._task,), timeout=seconds)
        return self._over


def _continued(step: _Waiting, awaited: Any, thrown: BaseException | None) -> _Waiting:
    """Wait with a step of the source for what it waits for, until it gives its event."""
    while True:
        try:
            if thrown is None:
                try:
                    given = yield awaited
                except BaseException as error:
                    thrown = error
                    continue
                awaited = step.send(given)
            else:
                given_in, thrown = thrown, None
                awaited = step.throw(given_in)
        except StopIteration as done:
            return done.value


def _guarded(awaited: Any) -> _Waiting:
    """Wait for what a sink waits for; a cancellation ends this wait and not the thing itself."""
    if asyncio.isfuture(awaited):
        return asyncio.shield(awaited).__await__()
    return _bare(awaited)


def _bare(awaited: Any) -> _Waiting:
    """A turn of the loop, as `sleep(0)` asks for it."""
    yield awaited
