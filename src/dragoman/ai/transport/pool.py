"""The documented connection pool: clients by provider and address over shared connections.

`AiClient` needs none of this, its connections are shared anyway; the pool is for those who send
requests themselves and want numbers about them. A pool outlives event loops: used in a new one it
opens new connections.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from dragoman.ai.errors import TransportError, ValidationError
from dragoman.ai.transport.addresses import join_url, shown_url
from dragoman.ai.transport.failures import named_failure
from dragoman.ai.transport.http import encode_json
from dragoman.ai.transport.response import HttpResponse
from dragoman.ai.transport.settings import connection_options
from dragoman.ai.transport.sharing import Connections
from dragoman.core.errors import DragomanError
from dragoman.transport.io import IO
from dragoman.transport.options import ClientOptions
from dragoman.wire.http import Headers, Request, Timeouts

KEPT_TIMES = 1000


class PoolClosed(TransportError, RuntimeError):
    """A closed pool was asked for a client. Both parents, since both are caught for it."""


@dataclass(frozen=True, slots=True)
class PoolConfig:
    """How many connections, how long idle ones are kept, and the limits of each phase in seconds."""

    max_connections: int = 100
    max_keepalive_connections: int = 20
    keepalive_expiry: float = 30.0
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    write_timeout: float = 60.0
    pool_timeout: float = 30.0

    def __post_init__(self) -> None:
        if self.max_connections < 1 or self.max_keepalive_connections < 0 or self.keepalive_expiry < 0:
            raise ValidationError(
                f"expected at least one connection and no negative bound, got {self!r}", field="config"
            )

    @classmethod
    def default(cls) -> PoolConfig:
        return cls()

    @classmethod
    def high_throughput(cls) -> PoolConfig:
        """Many connections at once."""
        return cls(max_connections=200, max_keepalive_connections=50, keepalive_expiry=60.0, pool_timeout=60.0)

    @classmethod
    def low_latency(cls) -> PoolConfig:
        """Connections that are there when they are needed."""
        return cls(max_connections=50, max_keepalive_connections=30, keepalive_expiry=120.0, connect_timeout=5.0)

    def options(self) -> ClientOptions:
        """The same for the driver."""
        return replace(
            connection_options(),
            connections=self.max_connections,
            idle_connections=self.max_keepalive_connections,
            idle_seconds=self.keepalive_expiry,
        )

    def timeouts(self) -> Timeouts:
        return Timeouts(self.connect_timeout, self.read_timeout, self.write_timeout, self.pool_timeout)


@dataclass(slots=True)
class PoolStats:
    """Counts for one provider; a "connection" is a client of the pool, which may hold several sockets.

    `connection_times` are the last thousand times in seconds from a request to the end of its answer.
    """

    total_connections_created: int = 0
    total_connections_closed: int = 0
    active_connections: int = 0
    idle_connections: int = 0
    requests_total: int = 0
    requests_successful: int = 0
    requests_failed: int = 0
    connection_times: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT_TIMES))

    @property
    def avg_connection_time_ms(self) -> float:
        return sum(self.connection_times) / len(self.connection_times) * 1000 if self.connection_times else 0.0

    def to_dict(self) -> dict[str, Any]:
        """The counts and the average as plain values."""
        counts = "total_connections_created total_connections_closed active_connections idle_connections"
        names = f"{counts} requests_total requests_successful requests_failed avg_connection_time_ms".split()
        return {name: getattr(self, name) for name in names}


class PoolClient:
    """A client of one provider's address; made by `ConnectionPool.get_client`."""

    def __init__(self, pool: ConnectionPool, provider: str, base_url: str, headers: Mapping[str, str] | None) -> None:
        self.provider = provider
        self.base_url = base_url
        self._pool = pool
        self._headers = dict(headers or {})
        self.is_closed = False

    async def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        params: Mapping[str, Any] | None = None,
        content: bytes | None = None,
    ) -> HttpResponse:
        """Exchange; the whole answer, whatever its status. Raises TransportError."""
        if self.is_closed:
            raise TransportError("the pool's client is closed; nothing was sent", url=self.base_url, kind="closed")
        kind = {"content-type": "application/json"} if json is not None else {}
        body = content if json is None else encode_json(json)
        url = join_url(self.base_url, path, params)
        merged = Headers({**kind, **self._headers, **(headers or {})})
        return await self._pool.exchange(
            self.provider, Request(method.upper(), url, merged, body, self._pool.config.timeouts())
        )

    async def get(self, path: str, **settings: Any) -> HttpResponse:
        return await self.request("GET", path, **settings)

    async def post(self, path: str, **settings: Any) -> HttpResponse:
        return await self.request("POST", path, **settings)


class ConnectionPool:
    """Clients by (provider, address), one for each, over connections that all of them share.

    `io` replaces the network, `clock` (seconds) the time that the statistics measure.
    """

    def __init__(
        self,
        config: PoolConfig | None = None,
        *,
        io: IO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config or PoolConfig()
        self._connections = Connections(self._config.options())
        self._io = io
        self._clock = clock
        self._clients: dict[tuple[str, str], PoolClient] = {}
        self._stats: dict[str, PoolStats] = {}
        self._closed = False

    @property
    def config(self) -> PoolConfig:
        return self._config

    @property
    def is_closed(self) -> bool:
        return self._closed

    async def get_client(self, provider: str, base_url: str, headers: Mapping[str, str] | None = None) -> PoolClient:
        """The client for an address, made at the first call; `headers` count then only.

        Raises PoolClosed (a TransportError) when the pool is closed, ValidationError for an address without a host.
        """
        if self._closed:
            raise PoolClosed("the pool is closed", url=shown_url(base_url), kind="closed")
        if not urlsplit(base_url).netloc:
            raise ValidationError(
                f"{base_url!r} is no URL", field="base_url", expected="https://host/…", actual=base_url
            )
        key = (provider, base_url.rstrip("/"))
        if key not in self._clients:
            self._clients[key] = PoolClient(self, provider, key[1], headers)
            stats = self._stats_of(provider)
            stats.total_connections_created += 1
            stats.idle_connections += 1
        return self._clients[key]

    async def close_client(self, provider: str, base_url: str) -> None:
        """Forget the client of an address; nothing happens when there is none."""
        client = self._clients.pop((provider, base_url.rstrip("/")), None)
        if client is not None:
            client.is_closed = True
            stats = self._stats_of(provider)
            stats.total_connections_closed += 1
            stats.idle_connections -= 1

    async def close(self) -> None:
        """Close all clients and connections. Idempotent."""
        self._closed = True
        for provider, base_url in list(self._clients):
            await self.close_client(provider, base_url)
        await self._connections.aclose()

    def port(self) -> IO:
        """The connections themselves, for who sends without being counted."""
        return self._io if self._io is not None else self._connections.driver()

    async def exchange(self, provider: str, request: Request) -> HttpResponse:
        """Send a client's request and count it."""
        stats = self._stats_of(provider)
        port = self.port()
        began = self._clock()
        stats.active_connections += 1
        try:
            answer = await port.send(request)
        except DragomanError as error:
            self.record_request(provider, success=False)
            raise named_failure(error, shown_url(request.url)) from error
        finally:
            stats.active_connections -= 1
        stats.connection_times.append(self._clock() - began)
        self.record_request(provider, success=answer.status < 400)
        return HttpResponse(answer.status, answer.headers, shown_url(request.url), content=answer.body)

    def record_request(self, provider: str, success: bool = True) -> None:
        """Count a request; the pool's own clients do this themselves."""
        stats = self._stats_of(provider)
        stats.requests_total += 1
        stats.requests_successful += success
        stats.requests_failed += not success

    def get_stats(self, provider: str | None = None) -> dict[str, dict[str, Any]]:
        """`{provider: counts}`, of one provider (all zero for an unknown one) or of all."""
        asked = {provider: self._stats.get(provider, PoolStats())} if provider is not None else self._stats
        return {name: stats.to_dict() for name, stats in asked.items()}

    def get_active_providers(self) -> list[str]:
        """Providers with an open client."""
        return list(dict.fromkeys(provider for provider, _ in self._clients))

    def _stats_of(self, provider: str) -> PoolStats:
        return self._stats.setdefault(provider, PoolStats())

    async def __aenter__(self) -> ConnectionPool:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()


class PooledTransport:
    """Requests by (provider, address, path) over a pool."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    async def request(self, provider: str, base_url: str, method: str, path: str, **settings: Any) -> HttpResponse:
        """Exchange; the whole answer, whatever its status. `settings` as for `PoolClient.request`."""
        client = await self._pool.get_client(provider, base_url)
        return await client.request(method, path, **settings)

    async def get(self, provider: str, base_url: str, path: str, **settings: Any) -> HttpResponse:
        return await self.request(provider, base_url, "GET", path, **settings)

    async def post(self, provider: str, base_url: str, path: str, **settings: Any) -> HttpResponse:
        return await self.request(provider, base_url, "POST", path, **settings)


_global: list[ConnectionPool] = []


def get_connection_pool() -> ConnectionPool:
    """The process's pool, made when it is first asked for or after it was closed."""
    if not _global or _global[0].is_closed:
        _global[:] = [ConnectionPool()]
    return _global[0]


def set_connection_pool(pool: ConnectionPool) -> None:
    """Make this the process's pool; the one before is not closed."""
    _global[:] = [pool]


async def close_global_pool() -> None:
    """Close the process's pool, if there is one."""
    if _global:
        await _global.pop().close()
