"""Looking after the endpoints of an array: probe all, every so often, and report what was found.

What a failure means is for the array to say. One endpoint that hangs holds up nobody.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Protocol, TypeAlias
from urllib.parse import urlsplit

import anyio
from anyio.abc import TaskGroup

from dragoman.ai.resilience.waiting import Late, Sleep, within
from dragoman.ai.routing.endpoints import HealthCheckConfig, ModelEndpoint
from dragoman.transport.drivers import AsyncDriver
from dragoman.transport.io import IO
from dragoman.wire.http import Request

Probe: TypeAlias = Callable[[ModelEndpoint], Awaitable[bool]]
"""Whether an endpoint is well; an exception means it is not."""


class Looked(Protocol):
    """The part of an array that checks need."""

    @property
    def endpoints(self) -> Sequence[ModelEndpoint]: ...

    def record_probe(self, endpoint_name: str, ok: bool) -> None: ...


class HealthChecks:
    """Probes all endpoints at once, now and then every `interval_seconds`.

    `async with` runs it beside the body; `run` runs it until cancelled; `check_once` is one round.
    """

    def __init__(
        self,
        array: Looked,
        config: HealthCheckConfig,
        probe: Probe | None = None,
        *,
        io: IO | None = None,
        sleep: Sleep = anyio.sleep,
    ) -> None:
        self._array = array
        self._config = config
        self._own: AsyncDriver | None = None
        if probe is None and io is None:
            io = self._own = AsyncDriver()
        self._io = io
        self._probe = probe or self._get
        self._sleep = sleep
        self._group: TaskGroup | None = None

    async def check_once(self) -> None:
        """Probe every endpoint, each within `timeout_seconds`, and record how it went."""
        async with anyio.create_task_group() as round_:
            for endpoint in self._array.endpoints:
                round_.start_soon(self._check, endpoint)

    async def run(self) -> None:
        """Round after round, until cancelled."""
        try:
            while True:
                await self.check_once()
                await self._sleep(self._config.interval_seconds)
        finally:
            if self._own is not None:
                with anyio.CancelScope(shield=True):
                    await self._own.aclose()

    async def _check(self, endpoint: ModelEndpoint) -> None:
        async def probe() -> bool:
            return await self._probe(endpoint)

        try:
            ok = await within(self._config.timeout_seconds, probe, self._sleep)
        except Late:
            ok = False
        except Exception:  # whatever a probe raises, the endpoint is not well
            ok = False
        self._array.record_probe(endpoint.name, ok)

    async def _get(self, endpoint: ModelEndpoint) -> bool:
        if self._io is None:
            return False
        answer = await self._io.send(Request("GET", health_url(endpoint.url, self._config.endpoint)))
        return 200 <= answer.status < 300

    async def __aenter__(self) -> HealthChecks:
        self._group = await anyio.create_task_group().__aenter__()
        self._group.start_soon(self.run)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        group, self._group = self._group, None
        if group is None:
            return None
        group.cancel_scope.cancel()
        if isinstance(error, anyio.get_cancelled_exc_class()):
            return await group.__aexit__(kind, error, trace)
        await group.__aexit__(None, None, None)  # the body's own error is not the group's to wrap
        return None


def health_url(base: str, path: str) -> str:
    """`path` below `base`, whose query is left out; a whole URL stays as it is."""
    if urlsplit(path).scheme in ("http", "https"):
        return path
    parts = urlsplit(base)
    joined = f"{parts.path.rstrip('/')}/{path.lstrip('/')}"
    return parts._replace(path=joined, query="", fragment="").geturl()
