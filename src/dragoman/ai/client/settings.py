"""What a client was told once and all of its calls follow."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from random import random as _random
from typing import TYPE_CHECKING

import anyio

from dragoman.transport.io import IO

if TYPE_CHECKING:
    from dragoman.ai.client.cancel import CancelToken
    from dragoman.ai.resilience.executor import ResilientConfig

__all__ = ["CallOptions", "ClientSettings"]


@dataclass(frozen=True)
class ClientSettings:
    """`timeout` is seconds of silence; see `resolve_timeout` for what holds without it.

    `resilience` None means one call is one request; `policies_from_manifest` takes each provider's
    own retry policy instead. `strict` raises for what a wire cannot express and for frames that are
    no JSON; `strict_capabilities` False only warns of what a manifest says no to.
    `linger` is how many seconds of silence may follow a complete answer before its stream ends.
    `io` replaces the network; `clock` (seconds) is monotonic, `wall` the time of day.
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
    clock: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep
    random: Callable[[], float] = _random


@dataclass(frozen=True)
class CallOptions:
    """What one call was told. `timeout` bounds a plain call, or a stream up to its first output."""

    timeout: float | None = None
    token: CancelToken | None = None
