"""What stands around a call when a client was given it: middleware, plugins, hooks, cache, guardrails.

    output guards ( middleware ( plugins ( hooks ( input guards ( cache ( policies, network ))))))

A request passes from the outside in, its answer back the other way. Streams take the same way
(`around_stream`): their events pass plugins, hooks and guards one by one. Hooks are given one value:

    client_init, client_close          {"provider", "model"}
    pre_request                        the request
    post_request                       {"provider", "model", "request_id", "stream"}, when an answer has come or begun
    pre_response, post_response        the answer of a plain call, from the model and after all other hooks
    stream_start, stream_end           {"provider", "model", "request_id"}, and `error` at the end, None or its class
    stream_chunk                       one event, {"event_type", "data"}
    on_error                           the error; another one replaces it
    on_retry                           {"attempt", "error", "delay", "provider", "model", "request_id"}
    cache_hit, cache_miss, cache_set   {"key", "provider", "model", "request_id"}; a hit has `source`, cache or flight

Of retries the targets tell the hooks. Nothing of this is made for a client that was given none of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

import anyio

from dragoman.ai.adapters.call import ChatCall
from dragoman.ai.cache.codec import answer_from_json, answer_to_json
from dragoman.ai.cache.key import CacheKey
from dragoman.ai.client.exchange import answer_of, call_of, request_of, response_of
from dragoman.ai.client.response import ChatResponse
from dragoman.ai.client.settings import CallOptions, ClientSettings
from dragoman.ai.client.stats import CallStats
from dragoman.ai.client.target import Target
from dragoman.ai.errors import AiRuntimeError
from dragoman.ai.pipeline.answer import Candidate
from dragoman.ai.plugins.base import PluginContext
from dragoman.ai.plugins.hooks import HookType
from dragoman.ai.plugins.middleware import Handler, MiddlewareContext

__all__ = ["Around", "Send", "unanswered"]

LATE_SECONDS = 5.0
"""So long plugins and hooks may take to hear that a call took too long."""

_KEY_NAMES = {"model", "messages", "scope", "settings"}

Send: TypeAlias = Callable[[ChatCall], Awaitable[ChatResponse]]


class Around:
    """One client's. `target` is the client's own model, whom plugins, hooks and cache keys name."""

    def __init__(self, settings: ClientSettings, target: Target) -> None:
        self.settings = settings
        self.target = target
        self.middleware = settings.middleware
        self.plugins = settings.plugins
        self.hooks = settings.hooks
        self.cache = settings.cache
        self.guards = settings.guards
        self._begun = False
        self._lock = anyio.Lock()

    # -------------------------------------------------------------------------------- begin and end

    async def begin(self) -> None:
        """Begin the plugins and tell the hooks, once. Raises PluginError for a critical plugin that cannot begin."""
        if self._begun:
            return
        async with self._lock:
            if self._begun:
                return
            if self.plugins is not None:
                await self.plugins.enter(self.context())
            self._begun = True
            await self.hooked(HookType.CLIENT_INIT, self._who())

    async def end(self) -> None:
        """Undo `begin`. Idempotent."""
        if not self._begun:
            return
        self._begun = False
        await self.hooked(HookType.CLIENT_CLOSE, self._who())
        if self.plugins is not None:
            await self.plugins.leave(self.context())

    def context(self, stats: CallStats | None = None) -> PluginContext:
        """What plugins are told of a call."""
        return PluginContext(request_id=stats.client_request_id if stats is not None else "", **self._who())

    def _who(self) -> dict[str, Any]:
        return {"provider": self.target.manifest.id, "model": self.target.model_id}

    def told(self, ctx: PluginContext, **more: Any) -> dict[str, Any]:
        """What hooks are told of a call."""
        return {**self._who(), "request_id": ctx.request_id, **more}

    async def hooked(self, kind: HookType, value: Any) -> Any:
        """The value after the hooks of a moment."""
        hooks = self.hooks
        return value if hooks is None or not hooks.has(kind) else await hooks.execute(kind, value)

    # --------------------------------------------------------------------------------- plain calls

    async def execute(self, call: ChatCall, options: CallOptions, stats: CallStats, send: Send) -> ChatResponse:
        """The answer to a call that `send` sends. Raises what that raises, unless somebody here changes it."""
        await self.begin()
        ctx = self.context(stats)
        held: list[ChatResponse] = []

        async def inside(mine: ChatCall) -> dict[str, Any]:
            held[:] = [await self._plugged(mine, options, stats, send, ctx)]
            return response_of(held[0])

        if self.middleware is None:
            answered = await self._plugged(call, options, stats, send, ctx)
        else:
            told = await self.through_middleware(call, ctx, inside)
            answered = answer_of(told, held[0] if held else None)
        return self.guards.answered(answered) if self.guards is not None else answered

    async def through_middleware(
        self, call: ChatCall, ctx: PluginContext, inside: Callable[[ChatCall], Awaitable[dict[str, Any]]]
    ) -> dict[str, Any]:
        """What the outermost middleware gives. Raises AiRuntimeError when that is nothing."""
        assert self.middleware is not None  # asked by the callers

        async def handler(inner: MiddlewareContext) -> dict[str, Any]:
            return await inside(call_of(inner.request, call))

        passed: Handler = handler
        context = MiddlewareContext(request_of(call), metadata=ctx.metadata, **self._who())
        told = await self.middleware.execute(context, passed)
        if told is None:
            names = ", ".join(self.middleware.middleware_names)
            raise AiRuntimeError(f"the call was ended without an answer by one of the middleware: {names}")
        return told

    async def _plugged(
        self, call: ChatCall, options: CallOptions, stats: CallStats, send: Send, ctx: PluginContext
    ) -> ChatResponse:
        try:
            mine = await self.asked(call, ctx)
            answered = await self._kept_or_sent(mine, options, stats, send, ctx)
            return await self._answered(answered, ctx)
        except Exception as error:
            return await self._unless_failed(error, ctx)

    async def late(self, stats: CallStats, error: Exception) -> ChatResponse:
        """What becomes of a call that took too long: it was interrupted, so nobody here has heard of it."""
        with anyio.move_on_after(LATE_SECONDS):
            return await self._unless_failed(error, self.context(stats))
        raise error

    async def _unless_failed(self, error: Exception, ctx: PluginContext) -> ChatResponse:
        """Raise the error as the caller is to get it, or give what there is in its place."""
        told = await self.failed(error, ctx)
        if told is None:
            return unanswered()
        if told is error:
            raise error
        raise told from error

    async def asked(self, call: ChatCall, ctx: PluginContext) -> ChatCall:
        """The call after plugins, hooks and the guards of what is asked."""
        plugins, hooks = self.plugins, self.hooks
        if plugins is not None and plugins.hears("on_request"):

            def check(request: Mapping[str, Any]) -> None:
                call_of(request, call)

            call = call_of(await plugins.process_request(ctx, request_of(call), check), call)
        if hooks is not None and hooks.has(HookType.PRE_REQUEST):
            call = call_of(await hooks.execute(HookType.PRE_REQUEST, request_of(call)), call)
        if self.guards is not None:
            messages = self.guards.asked(call.messages)
            call = call if messages is call.messages else replace(call, messages=messages)
        return call

    async def _answered(self, answered: ChatResponse, ctx: PluginContext) -> ChatResponse:
        plugins, hooks = self.plugins, self.hooks
        if hooks is not None and (hooks.has(HookType.PRE_RESPONSE) or hooks.has(HookType.POST_RESPONSE)):
            told = await hooks.execute(HookType.PRE_RESPONSE, response_of(answered))
            answered = answer_of(await hooks.execute(HookType.POST_RESPONSE, told), answered)
        if plugins is not None and plugins.hears("on_response"):
            before = answered

            def check(response: Mapping[str, Any]) -> None:
                answer_of(response, before)

            answered = answer_of(await plugins.process_response(ctx, response_of(before), check), before)
        return answered

    async def failed(self, error: Exception, ctx: PluginContext) -> Exception | None:
        """The error as the caller is to get it; None when a plugin swallowed it."""
        told = await self.hooked(HookType.ON_ERROR, error)
        error = told if isinstance(told, Exception) else error
        return error if self.plugins is None else await self.plugins.process_error(ctx, error)

    # --------------------------------------------------------------------------------------- cache

    async def _kept_or_sent(
        self, call: ChatCall, options: CallOptions, stats: CallStats, send: Send, ctx: PluginContext
    ) -> ChatResponse:
        key = await self.key(call, options)
        if key is None or self.cache is None:
            answered = await send(call)
        else:
            told = self.told(ctx, key=str(key))

            async def ask() -> ChatResponse:
                await self.hooked(HookType.CACHE_MISS, told)
                return await send(call)

            found = await self.cache.shared(
                key,
                ask,
                keep=lambda said: self._is_to_keep(said, stats),
                encode=answer_to_json,
                decode=answer_from_json,
            )
            answered = found.value
            if found.hit:
                stats.from_cache = True
                stats.provider, stats.model = self.target.manifest.id, self.target.model_id
                await self.hooked(HookType.CACHE_HIT, {**told, "source": found.source})
            elif self._is_to_keep(answered, stats):
                await self.hooked(HookType.CACHE_SET, told)
        await self.hooked(HookType.POST_REQUEST, self.told(ctx, stream=False))
        return answered

    async def key(self, call: ChatCall, options: CallOptions) -> CacheKey | None:
        """The key of a call; None for one that is not to be kept, or cannot be."""
        cache = self.cache
        if cache is None or not cache.enabled or not options.cache or call.resolve is not None:
            return None
        given = {**call.parameters, **call.extra}  # by their own names, some of which keys leave out
        settings = {
            "kind": "events" if call.stream else "answer",
            "tools": list(call.tools),
            "tool_choice": call.tool_choice,
            "n": call.n,
            "response_format": call.response_format,
            "reasoning_effort": call.reasoning_effort,
            "strict": call.strict,
            "more": {name: given.pop(name) for name in _KEY_NAMES & given.keys()},
        }
        scope = await self.target.cache_scope(call.headers, options.tenant)
        return cache.key(self.target.name, list(call.messages), scope=scope, settings=settings, **given)

    def _is_to_keep(self, answered: ChatResponse, stats: CallStats) -> bool:
        reasons = [answered.finish_reason, *(one.finish_reason for one in answered.candidates)]
        return "error" not in reasons and self.is_own(stats)

    def is_own(self, stats: CallStats) -> bool:
        """Whether the client's own model answered: what a fallback says is not kept as its word."""
        return (stats.provider, stats.model) == (self.target.manifest.id, self.target.model_id)


def unanswered() -> ChatResponse:
    """What a caller gets for an error that a plugin swallowed."""
    return ChatResponse(finish_reason="error", stop_reason="other", candidates=[Candidate(finish_reason="error")])
