"""What a client was told once and all of its calls follow."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from random import random as _random
from typing import TYPE_CHECKING

import anyio

from dragoman.transport.io import IO
from dragoman.transport.options import Record

if TYPE_CHECKING:
    from dragoman.ai.cache import CacheManager
    from dragoman.ai.client.cancel import CancelToken
    from dragoman.ai.client.guarding import Guards
    from dragoman.ai.plugins import HookManager, MiddlewareChain, PluginRegistry
    from dragoman.ai.resilience.executor import ResilientConfig
    from dragoman.ai.telemetry.tracer import Tracer
    from dragoman.ai.telemetry.watching import MetricsSink

__all__ = ["CallOptions", "ClientSettings"]


@dataclass(frozen=True)
class ClientSettings:
    """`timeout` is seconds of silence; see `resolve_timeout` for what holds without it.

    `resilience` None means one call is one request; `policies_from_manifest` takes each provider's
    own retry policy instead. `strict` raises for what a wire cannot express and for frames that are
    no JSON; `strict_capabilities` False only warns of what a manifest says no to.
    `linger` is how many seconds of silence may follow a complete answer before its stream ends.
    `io` replaces the network; `record` and `replay` are files of recorded exchanges; `clock` (seconds) is monotonic, `wall` the time of day.

    The rest stands around every call: see `dragoman.ai.client.around`. Without `metrics` and `tracer`
    those of the process count, if it has any.
    """

    timeout: float | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    proxy: str | None = field(default=None, repr=False)
    http2: bool = False
    connection_vars: Mapping[str, str] | None = field(default=None, repr=False)
    allow_keyring: bool = True
    strict: bool = False
    strict_capabilities: bool = True
    resilience: ResilientConfig | None = None
    policies_from_manifest: bool = False
    linger: float = 2.0
    io: IO | None = None
    record: Record | None = None
    replay: Record | None = None
    clock: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep
    random: Callable[[], float] = _random
    middleware: MiddlewareChain | None = None
    plugins: PluginRegistry | None = None
    hooks: HookManager | None = None
    cache: CacheManager | None = None
    guards: Guards | None = None
    metrics: MetricsSink | None = None
    tracer: Tracer | None = None

    @property
    def has_surroundings(self) -> bool:
        """Whether anything but telemetry stands around calls."""
        return any(one is not None for one in (self.middleware, self.plugins, self.hooks, self.cache, self.guards))


@dataclass(frozen=True)
class CallOptions:
    """What one call was told. `timeout` bounds a plain call, or a stream up to its first output.

    `cache` False passes the cache by; `tenant` keeps its answers from other tenants.
    """

    timeout: float | None = None
    token: CancelToken | None = None
    cache: bool = True
    tenant: str | None = None
