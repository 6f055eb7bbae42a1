"""What every face may use, put together once per application by `asgi`."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog.stdlib

from dragoman.core.ports import Blobs, Clock, Engine, Knowledge, Store
from dragoman.core.principal import Principal
from dragoman.engine.app import App
from dragoman.server.closing import Closing
from dragoman.server.http import Call
from dragoman.server.logs import logger
from dragoman.server.metrics import Metrics
from dragoman.server.providers import Providers
from dragoman.server.rates import SlidingWindows
from dragoman.server.run_changes import RunChanges
from dragoman.server.settings import Settings


@dataclass(slots=True)
class Services:
    """The application's parts, as faces get them.

    `authenticate` raises Unauthorized; `dispatch` calls it for routes that need it. `closing` is
    set when the server begins to shut down (see `dragoman.server.closing`). `blobs` has the bytes of files,
    `signing` is the secret that signs their addresses, `knowledge` takes and searches documents,
    `providers` has the models of providers. `source` names the
    app as `MODULE:APP`, where that is known; `changes` tells which runs change.
    """

    app: App
    engine: Engine
    store: Store
    settings: Settings
    authenticate: Callable[[Call], Awaitable[Principal]]
    blobs: Blobs
    signing: bytes
    knowledge: Knowledge
    providers: Providers
    clock: Clock = time.time
    closing: Closing = field(default_factory=Closing)
    log: structlog.stdlib.BoundLogger = field(default_factory=logger)
    metrics: Metrics = field(default_factory=Metrics)
    rates: SlidingWindows = field(default_factory=SlidingWindows)
    demo: bool = False
    source: str | None = None
    changes: RunChanges = field(default_factory=RunChanges)
    started: float = field(default_factory=time.monotonic)
