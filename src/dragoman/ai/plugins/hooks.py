"""Functions to be called at the fourteen moments of a client's life; each may replace the value it is given.

    hooks = HookManager()

    @hooks.hook(HookType.PRE_REQUEST)
    def colder(request):
        return {**request, "temperature": 0}

Which value comes with which moment is in the documentation of the client. A hook that fails is
named in the log and passed by, or with `strict` raised.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

import anyio

from dragoman.ai.plugins.failures import FailureLog, HookError, PluginRefusal

__all__ = ["Hook", "HookManager", "HookType"]

F = TypeVar("F", bound=Callable[..., Any])


class HookType(StrEnum):
    """When a hook is called; the last two are other names."""

    PRE_REQUEST = "pre_request"
    POST_REQUEST = "post_request"
    PRE_RESPONSE = "pre_response"
    POST_RESPONSE = "post_response"
    STREAM_START = "stream_start"
    STREAM_CHUNK = "stream_chunk"
    STREAM_END = "stream_end"
    ON_ERROR = "on_error"
    ON_RETRY = "on_retry"
    CLIENT_INIT = "client_init"
    CLIENT_CLOSE = "client_close"
    CACHE_HIT = "cache_hit"
    CACHE_MISS = "cache_miss"
    CACHE_SET = "cache_set"

    BEFORE_REQUEST = "pre_request"
    AFTER_RESPONSE = "post_response"


@dataclass(frozen=True, eq=False)
class Hook:
    """A function and its moment. Lower priorities come first, equal ones in the order of registration."""

    hook_type: HookType
    callback: Callable[..., Any]
    priority: int = 50
    name: str = ""


class HookManager:
    """Keeps hooks and calls them. With `strict` a hook that fails ends the call with HookError."""

    def __init__(self, *, strict: bool = False) -> None:
        self._hooks: dict[HookType, list[Hook]] = {}
        self._strict = strict
        self._failures = FailureLog("hook")

    # ---------------------------------------------------------------------------------- who is called

    def register(
        self,
        hook_type: HookType | str,
        callback: Callable[..., Any] | str | None,
        *more: Any,
        priority: int = 50,
        name: str = "",
    ) -> Hook:
        """Call this, a function or a coroutine function, from now on; the hook is needed to take it back.

        Priority and name may come by position, too; or the name first and then the function.
        """
        kind = HookType(hook_type)
        given = list(more)
        if isinstance(callback, str):
            name, callback = callback, given.pop(0) if given else None
        if not callable(callback):
            raise TypeError(f"a hook is a function, got {callback!r}")
        if given:
            priority, name = given[0], given[1] if given[1:] else name
        hook = Hook(kind, callback, priority, name or getattr(callback, "__name__", type(callback).__name__))
        self._hooks[kind] = sorted([*self._hooks.get(kind, ()), hook], key=lambda one: one.priority)
        return hook

    def unregister(self, hook: Hook) -> bool:
        """Do not call it any more; whether it was there."""
        hooks = self._hooks.get(hook.hook_type, [])
        kept = [one for one in hooks if one is not hook]
        self._hooks[hook.hook_type] = kept
        return len(kept) < len(hooks)

    def hook(self, hook_type: HookType | str, priority: int = 50, name: str = "") -> Callable[[F], F]:
        """`register` as a decorator."""

        def decorate(callback: F) -> F:
            self.register(hook_type, callback, priority, name)
            return callback

        return decorate

    def get_hooks(self, hook_type: HookType | str) -> list[Hook]:
        """The hooks of a moment in the order in which they are called."""
        return list(self._hooks.get(HookType(hook_type), ()))

    def has(self, hook_type: HookType) -> bool:
        """Whether anybody is called then."""
        return bool(self._hooks.get(hook_type))

    def clear(self, hook_type: HookType | str | None = None) -> None:
        """Forget the hooks of a moment, or all."""
        if hook_type is None:
            self._hooks.clear()
        else:
            self._hooks.pop(HookType(hook_type), None)

    @property
    def hook_counts(self) -> dict[str, int]:
        """Moment → how many hooks it has; those without any are left out."""
        return {kind.value: len(hooks) for kind, hooks in self._hooks.items() if hooks}

    @property
    def failures(self) -> dict[str, int]:
        """Name of a hook → how often it has failed."""
        return dict(self._failures.counts)

    # ---------------------------------------------------------------------------------------- calling

    async def execute(self, hook_type: HookType | str, *args: Any, **kwargs: Any) -> Any:
        """Call the hooks one after the other; the first argument passes through them, and None keeps it."""
        value = args[0] if args else None
        for hook in self.get_hooks(hook_type):
            told = await self._call(hook, *((value, *args[1:]) if args else ()), **kwargs)
            value = told if told is not None else value
        return value

    trigger = execute

    async def execute_all(self, hook_type: HookType | str, *args: Any, **kwargs: Any) -> list[Any]:
        """Call the hooks one after the other with the same arguments; what each gave, None if it failed."""
        return [await self._call(hook, *args, **kwargs) for hook in self.get_hooks(hook_type)]

    async def execute_parallel(self, hook_type: HookType | str, *args: Any, **kwargs: Any) -> list[Any]:
        """The same at the same time. Of several that fail in a strict manager the first is raised."""
        hooks = self.get_hooks(hook_type)
        results: list[Any] = [None] * len(hooks)
        failures: list[Exception] = []

        async def one(index: int, hook: Hook) -> None:
            try:
                results[index] = await self._call(hook, *args, **kwargs)
            except Exception as error:
                failures.append(error)
                tasks.cancel_scope.cancel()

        async with anyio.create_task_group() as tasks:
            for index, hook in enumerate(hooks):
                tasks.start_soon(one, index, hook)
        if failures:
            raise failures[0]
        return results

    async def _call(self, hook: Hook, *args: Any, **kwargs: Any) -> Any:
        try:
            told = hook.callback(*args, **kwargs)
            return await told if inspect.isawaitable(told) else told
        except PluginRefusal:
            raise
        except Exception as error:
            if self._strict:
                raise HookError(hook.name, hook.hook_type.value, error) from error
            self._failures.add(hook.name, hook.hook_type.value, error)
            return None
