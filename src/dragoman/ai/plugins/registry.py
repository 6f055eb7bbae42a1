"""Keeps plugins and calls them, in the order of their priorities.

Answers, ends of streams and shutdown go in reverse, so that the plugin that saw a request first
sees its answer last. How a plugin that fails is treated is said in `base.Plugin`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator, Mapping
from typing import Any, TypeAlias

import anyio

from dragoman.ai.errors import ValidationError
from dragoman.ai.plugins.base import Plugin, PluginContext, called, overrides
from dragoman.ai.plugins.failures import FailureLog

Check: TypeAlias = Callable[[Mapping[str, Any]], object]

__all__ = ["PluginExists", "PluginRegistry", "get_plugin_registry", "set_plugin_registry"]


class PluginExists(ValidationError, ValueError):
    """There is a plugin of this name already."""


class Done(int):
    """True or False, which may be awaited."""

    def __await__(self) -> Generator[Any, None, bool]:
        return bool(self)
        yield  # makes this a generator: awaiting gives the bool

    def __repr__(self) -> str:
        return repr(bool(self))


class PluginRegistry:
    """Plugins by name. May be shared by clients: a plugin is begun with the first and shut down with the last."""

    def __init__(self) -> None:
        self._plugins: list[Plugin] = []
        self._disabled: set[str] = set()
        self._begun: dict[str, Plugin] = {}
        self._users = 0
        self._lock = anyio.Lock()
        self._failures = FailureLog("plugin")

    # ------------------------------------------------------------------------------------ who is there

    def register(self, plugin: Plugin) -> PluginRegistry:
        """Add a plugin. Raises PluginExists, which is a ValueError, when there is one of its name.

        May be awaited, as examples print it; that gives the registry too.
        """
        if callable(plugin.name):  # a method, as examples print it
            vars(plugin)["name"] = plugin.name()
        if self.has(plugin.name):
            raise PluginExists(f"there is a plugin {plugin.name!r} already", field="plugin", actual=plugin.name)
        self._plugins = sorted([*self._plugins, plugin], key=lambda one: one.priority)
        return self

    def __await__(self) -> Generator[Any, None, PluginRegistry]:
        return self
        yield  # makes this a generator: awaiting gives the registry itself

    def unregister(self, name: str) -> Done:
        """Take a plugin out, without shutting it down; whether it was there. May be awaited."""
        kept = [plugin for plugin in self._plugins if plugin.name != name]
        found = len(kept) < len(self._plugins)
        self._plugins = kept
        self._disabled.discard(name)
        self._begun.pop(name, None)
        return Done(found)

    def get(self, name: str) -> Plugin | None:
        return next((plugin for plugin in self._plugins if plugin.name == name), None)

    def has(self, name: str) -> bool:
        return self.get(name) is not None

    def enable(self, name: str) -> bool:
        """Call it again; whether it is there."""
        self._disabled.discard(name)
        return self.has(name)

    def disable(self, name: str) -> bool:
        """Keep it and call it no more; whether it is there."""
        if not self.has(name):
            return False
        self._disabled.add(name)
        return True

    @property
    def plugins(self) -> list[Plugin]:
        """All plugins in the order in which they are called, disabled ones too."""
        return list(self._plugins)

    @property
    def plugin_names(self) -> list[str]:
        return [plugin.name for plugin in self._plugins]

    def list_plugins(self) -> list[str]:
        """The same as `plugin_names`."""
        return self.plugin_names

    @property
    def failures(self) -> dict[str, int]:
        """Name of a plugin → how often it has failed."""
        return dict(self._failures.counts)

    def _active(self, stage: str) -> list[Plugin]:
        return [
            plugin
            for plugin in self._plugins
            if plugin.name not in self._disabled and plugin.enabled and overrides(plugin, stage)
        ]

    def hears(self, stage: str) -> bool:
        """Whether any plugin does something there: `"on_stream_chunk"`, for instance."""
        return bool(self._active(stage))

    # ------------------------------------------------------------------------------------ begin and end

    async def init_all(self, ctx: PluginContext | None = None) -> None:
        """Begin the plugins that have not begun. One that fails at it is disabled; raises PluginError if it is critical."""
        async with self._lock:
            for plugin in self._plugins:
                if plugin.name in self._begun or plugin.name in self._disabled or not plugin.enabled:
                    continue
                try:
                    await called(plugin, "on_init", ctx or PluginContext())
                except Exception as error:
                    self._failures.judge(plugin, "on_init", error)
                    self._disabled.add(plugin.name)
                    continue
                self._begun[plugin.name] = plugin

    async def shutdown_all(self, ctx: PluginContext | None = None) -> None:
        """End the plugins that have begun, in reverse; all of them, whatever one fails with."""
        async with self._lock:
            begun, self._begun = self._begun, {}
            for plugin in reversed([one for one in self._plugins if begun.get(one.name) is one]):
                try:
                    await called(plugin, "on_shutdown", ctx or PluginContext())
                except Exception as error:
                    self._failures.add(plugin.name, "on_shutdown", error)

    async def enter(self, ctx: PluginContext) -> None:
        """A client begins to use the plugins; each `enter` that returned is followed by one `leave`."""
        try:
            await self.init_all(ctx)
        except BaseException:
            if not self._users:
                await self.shutdown_all(ctx)
            raise
        self._users += 1

    async def leave(self, ctx: PluginContext) -> None:
        """A client uses them no more; with the last one they are shut down."""
        self._users -= 1
        if self._users <= 0:
            self._users = 0
            await self.shutdown_all(ctx)

    # ------------------------------------------------------------------------------------ during a call

    async def process_request(
        self, ctx: PluginContext, request: dict[str, Any], check: Check | None = None
    ) -> dict[str, Any]:
        """The request after all plugins; each gets a copy, so that one that fails leaves nothing half done.

        `check` raises for a dict that is no request: then the plugin that gave it has failed.
        """
        return await self._pass("on_request", ctx, request, self._active("on_request"), check)

    async def trigger_before_request(self, ctx: PluginContext) -> dict[str, Any]:
        """`process_request` for a context that has the request; it is put there as the plugins left it."""
        ctx.request = await self.process_request(ctx, ctx.request or {})
        return ctx.request

    async def process_response(
        self, ctx: PluginContext, response: dict[str, Any], check: Check | None = None
    ) -> dict[str, Any]:
        """The answer after all plugins."""
        return await self._pass("on_response", ctx, response, self._active("on_response")[::-1], check)

    async def process_stream_chunk(
        self, ctx: PluginContext, chunk: dict[str, Any], check: Check | None = None
    ) -> dict[str, Any]:
        """One event after all plugins; empty when one of them leaves it out."""
        for plugin in self._active("on_stream_chunk"):
            chunk = await self._pass("on_stream_chunk", ctx, chunk, [plugin], check, may_be_empty=True)
            if not chunk:
                break
        return chunk

    async def process_error(self, ctx: PluginContext, error: Exception) -> Exception | None:
        """The error after all plugins; None when one of them swallows it."""
        for plugin in self._active("on_error"):
            try:
                told = await called(plugin, "on_error", ctx, error)
            except Exception as failure:
                self._failures.judge(plugin, "on_error", failure)
                continue
            if told is None:
                return None
            error = told
        return error

    async def on_stream_start(self, ctx: PluginContext) -> None:
        await self._tell("on_stream_start", ctx, self._active("on_stream_start"))

    async def on_stream_end(self, ctx: PluginContext) -> None:
        await self._tell("on_stream_end", ctx, self._active("on_stream_end")[::-1])

    async def _tell(self, stage: str, ctx: PluginContext, plugins: list[Plugin]) -> None:
        for plugin in plugins:
            try:
                await called(plugin, stage, ctx)
            except Exception as error:
                self._failures.judge(plugin, stage, error)

    async def _pass(
        self,
        stage: str,
        ctx: PluginContext,
        value: dict[str, Any],
        plugins: list[Plugin],
        check: Check | None,
        *,
        may_be_empty: bool = False,
    ) -> dict[str, Any]:
        for plugin in plugins:
            try:
                told = await called(plugin, stage, ctx, copy.deepcopy(value))
                if told is None:
                    continue
                if not isinstance(told, Mapping):
                    raise TypeError(f"expected a dict, got {type(told).__name__}")
                if check is not None and (told or not may_be_empty):
                    check(told)
            except Exception as error:
                self._failures.judge(plugin, stage, error)
                continue
            value = dict(told)
        return value


_registry: PluginRegistry | None = None


def get_plugin_registry() -> PluginRegistry:
    """The registry of this process; clients use it only when it is handed to them."""
    global _registry
    if _registry is None:
        _registry = PluginRegistry()
    return _registry


def set_plugin_registry(registry: PluginRegistry | None) -> None:
    """Let this be the registry of the process; None for a fresh one."""
    global _registry
    _registry = registry
