"""Which model, or which place, a request goes to when there is a choice: asked anew for each request.

The manager or array chooses and counts; here its choice becomes a target. Targets are made once per
model or address and share the client's settings.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from dragoman.ai.client.hops import Leave
from dragoman.ai.client.target import Target
from dragoman.ai.errors import ValidationError
from dragoman.ai.routing.array import ModelArray
from dragoman.ai.routing.manager import ModelManager

__all__ = ["Make", "Router", "router"]

Make: TypeAlias = Callable[[str | None, str | None], Awaitable[Target]]
"""(model name, base URL) → target; None means the client's own."""


class Router:
    """Enters a target of the manager's or array's choice."""

    def __init__(self, choice: ModelManager | ModelArray, make: Make) -> None:
        self._choice = choice
        self._make = make
        self._made: dict[tuple[str | None, str | None], Target] = {}

    async def __call__(self) -> tuple[Target, Leave]:
        """Raises NoEndpointError, or ValidationError when there is no model to choose."""
        key, leave = self._begin()
        try:
            if key not in self._made:
                made = await self._make(*key)
                self._made.setdefault(key, made)
        except BaseException:
            leave()
            raise
        return self._made[key], leave

    def _begin(self) -> tuple[tuple[str | None, str | None], Leave]:
        choice = self._choice
        if isinstance(choice, ModelManager):
            model = choice.select_model()
            if model is None:
                raise ValidationError("the model manager has no model to choose", field="with_routing")
            choice.begin(model)
            return (model.full_id, None), _once(lambda: choice.end(model))
        endpoint = choice.begin()
        return (endpoint.model_name or None, endpoint.url), _once(lambda: choice.end(endpoint))

    async def close(self) -> None:
        for target in self._made.values():
            await target.close()


def _once(call: Callable[[], None]) -> Leave:
    waiting = [call]

    def leave() -> None:
        if waiting:
            waiting.pop()()

    return leave


def router(choice: object, make: Make) -> Router:
    """Raises ValidationError for what is neither a ModelManager nor a ModelArray."""
    if not isinstance(choice, ModelManager | ModelArray):
        raise ValidationError(
            f"a {type(choice).__name__} chooses no models",
            field="with_routing",
            expected="a ModelManager or a ModelArray",
        )
    return Router(choice, make)
