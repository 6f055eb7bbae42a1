"""What a caller may hand in instead of our connections, as the I/O port that requests go through."""

from __future__ import annotations

from typing import Any, cast

from dragoman.ai.errors import ValidationError
from dragoman.ai.transport.pool import ConnectionPool
from dragoman.transport.drivers import AsyncDriver
from dragoman.transport.io import IO, ByteStream
from dragoman.wire.http import Request, Response


class _PoolPort:
    """The connections of a pool, which are others in another event loop."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    async def send(self, request: Request) -> Response:
        return await self._pool.port().send(request)

    async def stream(self, request: Request) -> ByteStream:
        return await self._pool.port().stream(request)

    async def sleep(self, seconds: float) -> None:
        await self._pool.port().sleep(seconds)

    def now(self) -> float:
        return self._pool.port().now()


def as_port(given: Any) -> IO:
    """A `ConnectionPool`, an httpx2 AsyncClient, or an I/O port. Raises ValidationError for anything else."""
    if isinstance(given, ConnectionPool):
        return _PoolPort(given)
    if hasattr(given, "build_request") and hasattr(given, "aclose"):
        return AsyncDriver(client=given)
    if hasattr(given, "send") and hasattr(given, "stream"):
        return cast(IO, given)
    raise ValidationError(
        f"a {type(given).__name__} sends no requests",
        field="http_client",
        expected="a ConnectionPool, an httpx2.AsyncClient or an I/O port",
    )
