"""A stream with something around it: the events of another stream on their way to the caller.

What is done around a call as a whole is in `around`; here it is done for one stream. Opening goes
through middleware, plugins, hooks and cache; then each event goes through plugins and hooks, and all
of them through the guards. Middleware sees the opening alone: `next(ctx)` gives
`{"stream": True, …}` as soon as there is output, and what it gives instead of that is told as the answer.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any, TypeAlias

import anyio

from dragoman.ai.adapters.call import ChatCall
from dragoman.ai.cache.codec import answer_from_json, answer_to_json, events_from_json, events_to_json, is_complete
from dragoman.ai.cache.key import CacheKey
from dragoman.ai.client.around import Around, unanswered
from dragoman.ai.client.event_stream import EventStream
from dragoman.ai.client.exchange import answer_of, events_of
from dragoman.ai.client.folding import Fold
from dragoman.ai.client.response import ChatResponse
from dragoman.ai.client.settings import CallOptions
from dragoman.ai.client.stats import CallStats
from dragoman.ai.client.waiting import bounded, refuse_ended
from dragoman.ai.errors import AiRuntimeError, ErrorClass
from dragoman.ai.plugins.hooks import HookType
from dragoman.ai.telemetry.watching import error_name
from dragoman.ai.types.events import StreamingEvent
from dragoman.core.redact import redact_text

__all__ = ["AroundStream"]

_log = logging.getLogger("dragoman.ai")

ENDING_SECONDS = 5.0
"""So long plugins and hooks may take to hear that a stream is over; whoever closes it waits."""

MOST_KEPT = 100_000
"""Events of a stream that are held for the cache; a longer one is not kept."""

Make: TypeAlias = Callable[[ChatCall], EventStream]
"""A stream of the call that has not begun."""


class AroundStream(EventStream):
    """`make` gives the stream inside, which may be made more than once when a middleware asks again."""

    def __init__(self, around: Around, call: ChatCall, options: CallOptions, stats: CallStats, make: Make) -> None:
        super().__init__()
        self.stats = stats
        self._around = around
        self._call = call
        self._options = options
        self._make = make
        self._ctx = around.context(stats)
        self._scope: anyio.CancelScope | None = None
        self._inner: EventStream | None = None
        self._early: list[StreamingEvent] = []
        self._kept: list[StreamingEvent] | None = None
        self._key: CacheKey | None = None
        self._whole: ChatResponse | None = None
        """The answer, where it did not come from the stream inside."""
        self._error: BaseException | None = None
        self._has_started = False
        plugins, hooks = around.plugins, around.hooks
        self._by_plugins = plugins is not None and plugins.hears("on_stream_chunk")
        self._by_hooks = hooks is not None and hooks.has(HookType.STREAM_CHUNK)
        self._is_changed = False
        self._fold = Fold()

    # ----------------------------------------------------------------------------------- the events

    async def _events(self) -> AsyncGenerator[StreamingEvent, None]:
        guards = self._around.guards
        if self._is_closed or self._is_cancelled:
            return
        try:
            passed = self._passing()
            guarded: AsyncIterator[StreamingEvent] = passed if guards is None else guards.streamed(passed)
            self._is_changed = guarded is not passed
            async with aclosing(passed), _closing(guarded):
                async for event in guarded:
                    if self._is_changed or self._by_plugins or self._by_hooks:
                        self._fold.add(event)
                    yield event
        except Exception as error:
            self._error = self._error or error
            raise
        finally:
            await self._finish()

    async def _passing(self) -> AsyncGenerator[StreamingEvent, None]:
        """The events after plugins and hooks; an error after theirs, too."""
        try:
            source = await self._opened()
            if source is None:
                return
            async with aclosing(source):
                async for event in source:
                    if self._is_cancelled:
                        return
                    for changed in await self._heard(event):
                        yield changed
            await self._keep()
            return
        except Exception as error:
            failure = self._error = error
        early, self._early = self._early, []
        for event in [one for one in early if one.is_stream_error]:  # output that was not let through stays here
            for changed in await self._heard(event):
                yield changed
        told = self._error = await self._around.failed(failure, self._ctx)
        if told is None:
            self._whole = unanswered()
            yield StreamingEvent.stream_end("error", "other")
        elif told is failure:
            raise told
        else:
            raise told from failure

    @property
    def _is_cancelled(self) -> bool:
        return self._options.token is not None and self._options.token.is_cancelled

    async def _heard(self, event: StreamingEvent) -> list[StreamingEvent]:
        """The event after plugins and hooks, who wait no longer than the stream is read."""
        if not self._by_plugins and not self._by_hooks:
            return [event]
        with anyio.CancelScope() as self._scope:
            return await bounded(self._changed(event), token=self._options.token) or []
        return []

    async def _changed(self, event: StreamingEvent) -> list[StreamingEvent]:
        """The event as plugins and hooks leave it; nothing when they left it out."""
        plugins, hooks = self._around.plugins, self._around.hooks
        chunk: Mapping[str, Any] = event.to_dict()
        if self._by_plugins and plugins is not None:
            chunk = await plugins.process_stream_chunk(self._ctx, event.to_dict(), _check)
        if chunk and self._by_hooks and hooks is not None:
            chunk = await hooks.execute(HookType.STREAM_CHUNK, copy.deepcopy(dict(chunk)))
        try:
            if chunk == event.to_dict():
                return [event]
            found = [StreamingEvent.from_dict(dict(chunk))] if chunk else []
        except (KeyError, TypeError, ValueError) as error:
            _log.warning("a hook of streams gave what is no event: %s", redact_text(str(error)))
            return [event]
        if event.is_stream_end and not (found and found[0].is_stream_end):
            return [event]  # a stream has an end, whatever they make of it
        self._is_changed = True
        return found

    # ------------------------------------------------------------------------------------- opening

    async def _opened(self) -> AsyncGenerator[StreamingEvent, None] | None:
        """What is to be handed out; None when a token ended it before."""
        with anyio.CancelScope() as self._scope:
            source = await bounded(self._begun(), token=self._options.token, timeout=self._options.timeout)
        if self._is_closed:
            raise AiRuntimeError("the stream was closed before its first output", error_class=ErrorClass.CANCELLED)
        return source

    async def _begun(self) -> AsyncGenerator[StreamingEvent, None]:
        around = self._around
        await around.begin()
        if around.middleware is None:
            await self._open(self._call)
            return self._source()

        async def inside(mine: ChatCall) -> dict[str, Any]:
            await self._open(mine)
            return {"stream": True, **around.told(self._ctx)}

        told = await around.through_middleware(self._call, self._ctx, inside)
        if told.get("stream") is not True:
            await self._drop()
            self._whole = answer_of(told)
            self._early = events_of(self._whole)
            await self._started()
        return self._source()

    async def _open(self, call: ChatCall) -> None:
        """Up to the first output, from the cache or from the model."""
        around = self._around
        await self._drop()
        mine = await around.asked(call, self._ctx)
        if not await self._found(mine):
            self._inner = await self._make(mine).__aenter__()  # held: leaving the loop below does not end it
            async for event in self._inner:
                self._early.append(event)
                if not event.is_stream_error:
                    break
        await around.hooked(HookType.POST_REQUEST, around.told(self._ctx, stream=True))
        await self._started()

    async def _drop(self) -> None:
        """Give up what was opened before."""
        inner, self._inner = self._inner, None
        self._early, self._kept, self._key, self._whole = [], None, None, None
        if inner is not None:
            await inner.aclose()

    async def _started(self) -> None:
        if not self._has_started:
            self._has_started = True
            if self._around.plugins is not None:
                await self._around.plugins.on_stream_start(self._ctx)
            await self._around.hooked(HookType.STREAM_START, self._around.told(self._ctx))

    async def _source(self) -> AsyncGenerator[StreamingEvent, None]:
        """What was read for the opening, then the rest."""
        early, self._early = self._early, []
        for event in early:
            self._hold(event)
            yield event
        if self._inner is not None:
            async for event in self._inner:
                self._hold(event)
                yield event

    # --------------------------------------------------------------------------------------- cache

    async def _found(self, call: ChatCall) -> bool:
        """Whether the cache has the events of an equal call; if not, those that come are held for it."""
        around, cache = self._around, self._around.cache
        if cache is None or not cache.config.cache_streaming:
            return False
        self._key = await around.key(call, self._options)
        if self._key is None:
            return False
        told = around.told(self._ctx, key=str(self._key))
        kept = await cache.get(self._key)
        if self._is_read(kept):
            self._key = None
            self.stats.from_cache = True
            self.stats.provider, self.stats.model = around.target.manifest.id, around.target.model_id
            await around.hooked(HookType.CACHE_HIT, {**told, "source": "cache"})
            return True
        await around.hooked(HookType.CACHE_MISS, told)
        self._kept = []
        return False

    def _is_read(self, kept: Any) -> bool:
        """Take the events of what was kept; False when there is nothing, or what cannot be read any more."""
        try:
            self._early, self._whole = events_from_json(kept["events"]), answer_from_json(kept["answer"])
        except Exception:
            return False
        return True

    def _hold(self, event: StreamingEvent) -> None:
        if self._kept is not None:
            self._kept.append(StreamingEvent(event.event_type, event.data))
            if len(self._kept) > MOST_KEPT:
                self._kept = None

    async def _keep(self) -> None:
        """The stream went to its end: keep what the model said, as it said it."""
        cache, kept, inner = self._around.cache, self._kept, self._inner
        if cache is None or kept is None or inner is None or self._key is None or self._is_cancelled:
            return
        if is_complete(kept) and self._around.is_own(self.stats):
            value = {"events": events_to_json(kept), "answer": answer_to_json(inner.response())}
            await cache.set(self._key, value)
            await self._around.hooked(HookType.CACHE_SET, self._around.told(self._ctx, key=str(self._key)))

    # -------------------------------------------------------------------------------------- ending

    async def _finish(self) -> None:
        """Let go of the stream inside and tell that this one is over. Idempotent."""
        if not self._is_closed:
            self._is_closed = True
            if self._inner is None:
                self.stats.record_end()
        if self._scope is not None:
            self._scope.cancel()
        with anyio.CancelScope(shield=True):
            if self._inner is not None:
                await self._inner.aclose()
        has_started, self._has_started = self._has_started, False
        if not has_started:
            return
        with anyio.move_on_after(ENDING_SECONDS, shield=True):
            error = error_name(self._error) if self._error is not None else None
            try:
                await self._around.hooked(HookType.STREAM_END, self._around.told(self._ctx, error=error))
                if self._around.plugins is not None:
                    await self._around.plugins.on_stream_end(self._ctx)
            except Exception as failure:  # it is over; there is nobody left to fail
                _log.warning("the end of a stream could not be told: %s", redact_text(str(failure)))

    def response(self) -> ChatResponse:
        """The answer as far as it was handed out. Raises what it failed with, or AiRuntimeError when a token ended it."""
        refuse_ended(self._error, self._options.token)
        if not self.has_begun:
            raise AiRuntimeError("the stream was not read, so there is no answer")
        if self._is_changed:
            return self._fold.response(self._inner.response() if self._inner is not None else self._whole)
        if self._whole is not None:
            return self._whole
        if self._inner is None:
            raise AiRuntimeError("the stream was not read, so there is no answer")
        return self._inner.response()


@asynccontextmanager
async def _closing(events: AsyncIterator[StreamingEvent]) -> AsyncGenerator[None, None]:
    """Close an iterator afterwards, if it can be closed."""
    try:
        yield
    finally:
        close = getattr(events, "aclose", None)
        if close is not None:
            await close()


def _check(chunk: Mapping[str, Any]) -> None:
    """Raises for a dict that is no event."""
    StreamingEvent.from_dict(dict(chunk))
