"""What a plugin may do: look at requests, answers, streams and errors, and change them.

Requests, answers and pieces of streams come as plain dicts; `dragoman.ai.client` says which fields
they have. Nothing here calls a plugin: a registry does.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any

from dragoman.ai.plugins.failures import FailureLog

__all__ = ["CompositePlugin", "Plugin", "PluginContext", "PluginPriority", "called", "overrides"]


class PluginPriority(IntEnum):
    """Who comes first: lower numbers do. Any number between will do as well."""

    HIGHEST = 0
    HIGH = 25
    NORMAL = 50
    LOW = 75
    LOWEST = 100


@dataclass
class PluginContext:
    """The call that a plugin is asked about. `metadata` is the call's own, for plugins to leave things in.

    `request` and `response` are what plugins see that have `on_before_request` and `on_after_response`.
    """

    model: str = ""
    provider: str = ""
    request_id: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    request: dict[str, Any] | None = None
    response: dict[str, Any] | None = None

    def with_metadata(self, **kwargs: Any) -> PluginContext:
        """The same call with more in `metadata`."""
        return replace(self, metadata={**self.metadata, **kwargs})


class Plugin(ABC):
    """Override what is needed, with coroutine functions or plain ones; the rest changes nothing.

    One that fails is named in the log and passed by. If `critical` is true its failure ends the call
    with PluginError; a PluginRefusal ends it in any case.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """By what a registry knows it."""

    @property
    def priority(self) -> int:
        return PluginPriority.NORMAL

    @property
    def enabled(self) -> bool:
        return True

    @property
    def critical(self) -> bool:
        """Whether a call must not go on without it."""
        return False

    async def on_init(self, ctx: PluginContext) -> None:
        """A client that uses it begins; once, before all else."""

    async def on_shutdown(self, ctx: PluginContext) -> None:
        """No client uses it any more."""

    async def on_request(self, ctx: PluginContext, request: dict[str, Any]) -> dict[str, Any]:
        """The request as it is to be sent; the dict may be changed or replaced."""
        return await self._told("on_before_request", replace(ctx, request=request), request)

    async def on_response(self, ctx: PluginContext, response: dict[str, Any]) -> dict[str, Any]:
        """The answer as the caller is to get it."""
        return await self._told("on_after_response", replace(ctx, response=response), response)

    async def on_error(self, ctx: PluginContext, error: Exception) -> Exception | None:
        """The error as the caller is to get it; None swallows it, and the caller gets an empty answer."""
        return error

    async def on_stream_start(self, ctx: PluginContext) -> None:
        """A stream has begun to answer."""

    async def on_stream_chunk(self, ctx: PluginContext, chunk: dict[str, Any]) -> dict[str, Any]:
        """One event as the caller is to get it, `{"event_type", "data"}`; an empty dict leaves it out."""
        return chunk

    async def on_stream_end(self, ctx: PluginContext) -> None:
        """A stream is over, whatever its end."""

    async def _told(self, method: str, ctx: PluginContext, value: dict[str, Any]) -> dict[str, Any]:
        """The methods that printed examples have, which are given the context alone and look at `value` there."""
        documented = getattr(self, method, None)
        if documented is not None:
            await called(self, method, ctx)
        return value


_DOCUMENTED = {"on_request": "on_before_request", "on_response": "on_after_response"}


def overrides(plugin: Plugin, method: str) -> bool:
    """Whether a plugin does anything there."""
    if hasattr(plugin, _DOCUMENTED.get(method, "")):
        return True
    if isinstance(plugin, CompositePlugin):
        return any(overrides(one, method) for one in plugin.plugins)
    return getattr(type(plugin), method) is not getattr(Plugin, method) or method in vars(plugin)


async def called(plugin: Plugin, stage: str, *arguments: Any) -> Any:
    """What a plugin's method gives, which may be a plain function too."""
    told = getattr(plugin, stage)(*arguments)
    return await told if inspect.isawaitable(told) else told


class CompositePlugin(Plugin):
    """Several plugins as one, in their order; answers, stream ends and shutdown in reverse.

    One that fails is passed by, unless it is critical itself.
    """

    def __init__(self, name: str, plugins: Iterable[Plugin], priority: int = PluginPriority.NORMAL) -> None:
        self._name = name
        self._priority = priority
        self._plugins = list(plugins)
        self.failures = FailureLog("plugin")

    @property
    def name(self) -> str:
        return self._name

    @property
    def priority(self) -> int:
        return self._priority

    @property
    def critical(self) -> bool:
        return any(plugin.critical for plugin in self._plugins)

    @property
    def plugins(self) -> list[Plugin]:
        return list(self._plugins)

    async def on_init(self, ctx: PluginContext) -> None:
        await self._tell("on_init", ctx, self._active())

    async def on_shutdown(self, ctx: PluginContext) -> None:
        await self._tell("on_shutdown", ctx, self._active()[::-1])

    async def on_request(self, ctx: PluginContext, request: dict[str, Any]) -> dict[str, Any]:
        return await self._pass("on_request", ctx, request, self._active())

    async def on_response(self, ctx: PluginContext, response: dict[str, Any]) -> dict[str, Any]:
        return await self._pass("on_response", ctx, response, self._active()[::-1])

    async def on_stream_chunk(self, ctx: PluginContext, chunk: dict[str, Any]) -> dict[str, Any]:
        return await self._pass("on_stream_chunk", ctx, chunk, self._active())

    async def on_stream_start(self, ctx: PluginContext) -> None:
        await self._tell("on_stream_start", ctx, self._active())

    async def on_stream_end(self, ctx: PluginContext) -> None:
        await self._tell("on_stream_end", ctx, self._active()[::-1])

    async def on_error(self, ctx: PluginContext, error: Exception) -> Exception | None:
        for plugin in self._active():
            try:
                told = await called(plugin, "on_error", ctx, error)
            except Exception as failure:
                self.failures.judge(plugin, "on_error", failure)
                continue
            if told is None:
                return None
            error = told
        return error

    def _active(self) -> list[Plugin]:
        return [plugin for plugin in self._plugins if plugin.enabled]

    async def _tell(self, stage: str, ctx: PluginContext, plugins: list[Plugin]) -> None:
        for plugin in plugins:
            try:
                await called(plugin, stage, ctx)
            except Exception as error:
                self.failures.judge(plugin, stage, error)

    async def _pass(
        self, stage: str, ctx: PluginContext, value: dict[str, Any], plugins: list[Plugin]
    ) -> dict[str, Any]:
        for plugin in plugins:
            try:
                told = await called(plugin, stage, ctx, value)
            except Exception as error:
                self.failures.judge(plugin, stage, error)
                continue
            value = told if told is not None else value
        return value
