"""Code of the application's own around every call of a client: plugins, hooks, middleware.

    client = await AiClient.builder().model("openai/gpt-4o").with_plugins(registry).build()

From the outside in a call passes middleware, plugins, hooks, cache, policies and the network, and
its answer comes back the other way. Names load when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dragoman.core.lazy import lazily

if TYPE_CHECKING:
    from dragoman.ai.plugins.base import CompositePlugin as CompositePlugin
    from dragoman.ai.plugins.base import Plugin, PluginContext, PluginPriority
    from dragoman.ai.plugins.failures import HookError as HookError
    from dragoman.ai.plugins.failures import PluginError as PluginError
    from dragoman.ai.plugins.failures import PluginRefusal as PluginRefusal
    from dragoman.ai.plugins.hooks import Hook, HookManager, HookType
    from dragoman.ai.plugins.middleware import FunctionMiddleware as FunctionMiddleware
    from dragoman.ai.plugins.middleware import Middleware, MiddlewareChain, MiddlewareContext
    from dragoman.ai.plugins.registry import PluginRegistry, get_plugin_registry
    from dragoman.ai.plugins.registry import set_plugin_registry as set_plugin_registry

_NAMES = {
    "base": "CompositePlugin Plugin PluginContext PluginPriority",
    "failures": "HookError PluginError PluginRefusal",
    "hooks": "Hook HookManager HookType",
    "middleware": "FunctionMiddleware Middleware MiddlewareChain MiddlewareContext",
    "registry": "PluginRegistry get_plugin_registry set_plugin_registry",
}

__all__ = [
    "CompositePlugin",
    "FunctionMiddleware",
    "Hook",
    "HookError",
    "HookManager",
    "HookType",
    "Middleware",
    "MiddlewareChain",
    "MiddlewareContext",
    "Plugin",
    "PluginContext",
    "PluginError",
    "PluginPriority",
    "PluginRefusal",
    "PluginRegistry",
    "get_plugin_registry",
    "set_plugin_registry",
]

__getattr__, __dir__ = lazily(__name__, _NAMES, ("base", "failures", "hooks", "middleware", "registry"))
