"""Layers around a whole call: each may change the request, go on or not, and change the answer.

    class Timing(Middleware):
        async def process(self, ctx, next):
            began = time.monotonic()
            response = await next(ctx)
            print(ctx.model, time.monotonic() - began)
            return response

What a middleware raises is the call's error: it stands around the call, not beside it.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from dragoman.ai.errors import ValidationError

__all__ = ["FunctionMiddleware", "Handler", "Middleware", "MiddlewareChain", "MiddlewareContext"]


@dataclass
class MiddlewareContext:
    """The call on its way through the chain. `metadata` is the call's own, for middleware to leave things in."""

    request: dict[str, Any] = field(default_factory=dict)
    response: dict[str, Any] | None = None
    model: str = ""
    provider: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    aborted: bool = False

    def abort(self, response: dict[str, Any] | None = None) -> None:
        """Go no further; with a response, that is the answer."""
        self.aborted = True
        if response is not None:
            self.response = response


Handler: TypeAlias = Callable[[MiddlewareContext], Awaitable[dict[str, Any] | None]]
"""What comes next: gives the answer, which is in the context as well."""


class Middleware(ABC):
    """One layer."""

    @property
    def name(self) -> str:
        """By what the chain knows it."""
        return type(self).__name__

    @abstractmethod
    async def process(self, ctx: MiddlewareContext, next: Handler) -> dict[str, Any] | None:
        """The answer: what `next(ctx)` gives, changed or not, or one of its own."""


class FunctionMiddleware(Middleware):
    """A function `(ctx, next)` as a middleware; a plain one gives an answer of its own, or what `next(ctx)` gives."""

    def __init__(
        self,
        name: str,
        func: Callable[[MiddlewareContext, Handler], Awaitable[dict[str, Any] | None] | dict[str, Any] | None],
    ) -> None:
        self._name = name
        self._func = func

    @property
    def name(self) -> str:
        return self._name

    async def process(self, ctx: MiddlewareContext, next: Handler) -> dict[str, Any] | None:
        return await _given(self._func(ctx, next))


Which: TypeAlias = type[Middleware] | str | Middleware
"""One of a chain: its class, its name, or itself."""


class MiddlewareChain:
    """Layers, the outermost first. A call under way keeps the layers that it began with."""

    def __init__(self) -> None:
        self._layers: list[Middleware] = []

    def use(self, middleware: Middleware) -> MiddlewareChain:
        """Add the innermost layer."""
        self._layers.append(_checked(middleware))
        return self

    add = use

    def use_before(self, middleware: Middleware, before: Which) -> MiddlewareChain:
        """Add a layer just outside another one. Raises KeyError when that is not there."""
        self._layers.insert(self._place(before), _checked(middleware))
        return self

    def use_after(self, middleware: Middleware, after: Which) -> MiddlewareChain:
        """Add a layer just inside another one. Raises KeyError when that is not there."""
        self._layers.insert(self._place(after) + 1, _checked(middleware))
        return self

    def remove(self, middleware: Which) -> bool:
        """Take the first such layer out; whether there was one."""
        try:
            del self._layers[self._place(middleware)]
        except KeyError:
            return False
        return True

    def _place(self, which: Which) -> int:
        for index, layer in enumerate(self._layers):
            if layer is which or layer.name == which or (isinstance(which, type) and type(layer) is which):
                return index
        shown = which if isinstance(which, str) else getattr(which, "__name__", type(which).__name__)
        raise KeyError(f"the chain has no middleware {shown!r}; it has: {', '.join(self.middleware_names) or 'none'}")

    @property
    def middleware_names(self) -> list[str]:
        return [layer.name for layer in self._layers]

    def __len__(self) -> int:
        return len(self._layers)

    async def execute(self, ctx: MiddlewareContext, handler: Handler) -> dict[str, Any] | None:
        """The answer of the outermost layer, `handler` being what is inside all of them.

        A layer that gives None leaves the answer in the context as it is. After `ctx.abort` nothing
        further inside is called.
        """
        layers = tuple(self._layers)

        def inside(index: int) -> Handler:
            async def step(inner: MiddlewareContext) -> dict[str, Any] | None:
                if inner.aborted:
                    return inner.response
                if index == len(layers):
                    told = await handler(inner)
                else:
                    told = await self._one(layers[index], inner, inside(index + 1))
                if told is not None:
                    inner.response = told
                return inner.response

            return step

        return await inside(0)(ctx)

    process = execute

    async def _one(self, layer: Middleware, ctx: MiddlewareContext, next: Handler) -> dict[str, Any] | None:
        passed: list[Exception] = []

        async def going_on(inner: MiddlewareContext) -> dict[str, Any] | None:
            try:
                return await next(inner)
            except Exception as error:
                passed.append(error)
                raise

        try:
            return await _given(layer.process(ctx, going_on))
        except Exception as error:
            if not any(error is one for one in passed):
                error.add_note(f"raised by middleware {layer.name!r}")
            raise

    def copy(self) -> MiddlewareChain:
        """A chain of the same layers."""
        made = copy.copy(self)
        made._layers = list(self._layers)
        return made


async def _given(told: Awaitable[dict[str, Any] | None] | dict[str, Any] | None) -> dict[str, Any] | None:
    """What a layer gave, awaited where it is to be."""
    return await told if isinstance(told, Awaitable) else told


def _checked(middleware: Middleware) -> Middleware:
    if not isinstance(middleware, Middleware):
        raise ValidationError(
            f"a {type(middleware).__name__} is no middleware; a function becomes one by FunctionMiddleware(name, function)",
            field="middleware",
            expected="Middleware",
        )
    return middleware
