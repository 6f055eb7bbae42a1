"""Asking one target after another until one answers.

A target is any async operation: a whole call, or one that opens a stream and returns at its first
event. Order and walk are decided in `dragoman.resilience.fallback`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import anyio

from dragoman.ai.resilience.judging import may_fall_back
from dragoman.ai.resilience.waiting import Sleep, told
from dragoman.resilience.fallback import Walk, in_order


@dataclass(frozen=True)
class FallbackConfig:
    """`retry_all`: every error goes on to the next target; else only those that another may not have."""

    retry_all: bool = True
    max_attempts_per_target: int = 1
    delay_between_targets_ms: float = 0


@dataclass
class FallbackTarget:
    """One to ask; the heaviest comes first."""

    name: str
    operation: Callable[..., Awaitable[Any]]
    weight: float = 1.0
    enabled: bool = True


@dataclass
class FallbackResult:
    """Who answered what, and the last error of each that did not."""

    success: bool
    value: Any = None
    target_used: str | None = None
    targets_tried: list[str] = field(default_factory=list)
    errors: dict[str, Exception] = field(default_factory=dict)


class FallbackChain:
    """Targets in order of weight, equal ones in order of their adding. Every `add_…` gives the chain."""

    def __init__(self, config: FallbackConfig | None = None, *, sleep: Sleep = anyio.sleep) -> None:
        self._config = config or FallbackConfig()
        self._sleep = sleep
        self._targets: dict[str, FallbackTarget] = {}

    def add_target(
        self, name: str, operation: Callable[..., Awaitable[Any]], weight: float = 1.0, enabled: bool = True
    ) -> FallbackChain:
        """Add a target; one of the same name is replaced."""
        self._targets[name] = FallbackTarget(name, operation, weight, enabled)
        return self

    def remove_target(self, name: str) -> bool:
        """Whether it was there."""
        return self._targets.pop(name, None) is not None

    def set_enabled(self, name: str, enabled: bool) -> bool:
        """Whether it is there."""
        target = self._targets.get(name)
        if target is not None:
            target.enabled = enabled
        return target is not None

    def get_targets(self) -> list[str]:
        """The names that would be asked, in order."""
        return [target.name for target in in_order(self._targets.values())]

    async def execute(
        self,
        *args: Any,
        on_fallback: Callable[[str, str, Exception], Any] | None = None,
        **kwargs: Any,
    ) -> FallbackResult:
        """Call the targets with these arguments until one answers. Errors are in the result; cancelling is raised.

        `on_fallback(from, to, error)`, plain or async, is told of every change of target.
        """
        targets = {target.name: target for target in in_order(self._targets.values())}
        walk = Walk(list(targets), self._config.max_attempts_per_target)
        result = FallbackResult(success=False, targets_tried=walk.tried)
        if not targets:
            result.errors["_chain"] = ValueError("the chain has no enabled target")
        while (name := walk.current) is not None:
            walk.begin()
            try:
                result.value = await targets[name].operation(*args, **kwargs)
            except Exception as error:
                result.errors[name] = error
                following = walk.failed(go_on=self._config.retry_all or may_fall_back(error))
            else:
                result.success, result.target_used = True, name
                return result
            if following is not None and following != name:
                await told(on_fallback, name, following, result.errors[name])
                if self._config.delay_between_targets_ms > 0:
                    await self._sleep(self._config.delay_between_targets_ms / 1000)
        return result


class MultiFallback:
    """Chains by name: one for chat, one for embeddings."""

    def __init__(self) -> None:
        self._chains: dict[str, FallbackChain] = {}

    def register_chain(self, name: str, chain: FallbackChain) -> MultiFallback:
        """Add a chain; one of the same name is replaced."""
        self._chains[name] = chain
        return self

    def get_chain(self, name: str) -> FallbackChain | None:
        return self._chains.get(name)

    def list_chains(self) -> list[str]:
        return list(self._chains)

    async def execute(self, chain_name: str, /, *args: Any, **kwargs: Any) -> FallbackResult:
        """`FallbackChain.execute` of the chain. Raises ValueError for a name that is not there."""
        chain = self._chains.get(chain_name)
        if chain is None:
            raise ValueError(f"unknown fallback chain {chain_name!r}; there are {self.list_chains()!r}")
        return await chain.execute(*args, **kwargs)
