"""Drivers that put requests on the network: one awaits, one blocks.

Both fulfil `dragoman.transport.io.IO` on httpx2, which is loaded at the first request. They
never follow redirects, never keep cookies, and turn every network fault into a class of
`dragoman.core.errors` with httpx2's exception as `__cause__`. They do not retry and do not
look at statuses; operations and `dragoman.resilience` do.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
from anyio.lowlevel import current_token

from dragoman.transport.io import IO, ByteStream
from dragoman.transport.options import ClientOptions, Record, Tape
from dragoman.wire.http import Request, Response

if TYPE_CHECKING:  # for annotations only: loading these takes longer than importing a client may
    import httpx2

    from dragoman.transport.responses import AsyncResponseStream, BlockingResponseStream
    from dragoman.transport.taping import Taped

DEFAULTS = ClientOptions()


def warm_up() -> None:
    """Load now what the first request would load, which takes it a quarter of a second; for whoever starts early."""
    from dragoman.transport import clients, responses

    for trust_env in (True, False):
        clients.shared_ssl_context(trust_env)
    assert responses  # loaded for the first answer


class _MayTape:
    """What both drivers tell of their recording."""

    _taped: Taped | None

    @property
    def is_replaying(self) -> bool:
        """Whether answers come from a recording."""
        return self._taped is not None and self._taped.is_replaying

    def hide(self, secret: str) -> None:
        """This secret goes with requests: it is not to be recorded, wherever it may stand."""
        if self._taped is not None:
            self._taped.hide(secret)


class AsyncDriver(_MayTape):
    """The awaiting driver, for asyncio and trio.

    Without `client` it makes one of its own, as `options` say, at the first request, and a new
    one when it is used again after `aclose` or in another event loop.
    A `client` of the user's keeps its own settings and is never closed here.
    """

    def __init__(self, *, client: httpx2.AsyncClient | None = None, options: ClientOptions = DEFAULTS) -> None:
        self._theirs = client
        self._options = options
        self._own: httpx2.AsyncClient | None = None
        self._taped: Taped | None = None
        if (tape := options.tape or Tape.of_environment()) is not None:
            self._taped = _taped(self, tape)
        self._loop: object = None

    async def send(self, request: Request) -> Response:
        """Exchange; the whole answer. Raises TransportError, ProtocolError or UsageError."""
        if self._taped is not None:
            return await self._taped.send(request)
        return await self._send(request)

    async def _send(self, request: Request) -> Response:
        stream = await self._open(request, streaming=False)
        return Response(stream.status, stream.headers, await stream.read(self._options.answer_bytes))

    async def stream(self, request: Request) -> ByteStream:
        """Exchange up to the answer's head. Raises as `send` does."""
        if self._taped is not None:
            return await self._taped.stream(request)
        return await self._open(request, streaming=True)

    async def _open(self, request: Request, *, streaming: bool) -> AsyncResponseStream:
        from dragoman.transport.responses import open_async

        ours = self._options if self._theirs is None else None
        return await open_async(self._client(), request, options=ours, streaming=streaming)

    def _client(self) -> httpx2.AsyncClient:
        if self._theirs is not None:
            return self._theirs
        loop = current_token()
        if self._own is None or self._loop != loop:
            from dragoman.transport import clients

            self._own, self._loop = clients.async_client(self._options), loop
        return self._own

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(max(seconds, 0.0))

    def now(self) -> float:
        return time.monotonic()

    async def aclose(self) -> None:
        """Close own connections; idempotent. A later request opens new ones."""
        if self._taped is not None:
            await anyio.to_thread.run_sync(self._taped.flush)
        own, self._own = self._own, None
        if own is not None and self._loop == current_token():  # those of another loop went with it
            await own.aclose()


class BlockingDriver(_MayTape):
    """The blocking driver; its coroutines never suspend. Threads may share it.

    As `AsyncDriver`, with an `httpx2.Client`.
    """

    def __init__(self, *, client: httpx2.Client | None = None, options: ClientOptions = DEFAULTS) -> None:
        self._theirs = client
        self._options = options
        self._own: httpx2.Client | None = None
        self._taped: Taped | None = None
        if (tape := options.tape or Tape.of_environment()) is not None:
            self._taped = _taped(self, tape)
        self._lock = threading.Lock()

    async def send(self, request: Request) -> Response:
        """Exchange; the whole answer. Raises TransportError, ProtocolError or UsageError."""
        if self._taped is not None:
            return await self._taped.send(request)
        return await self._send(request)

    async def _send(self, request: Request) -> Response:
        stream = await self._open(request, streaming=False)
        return Response(stream.status, stream.headers, await stream.read(self._options.answer_bytes))

    async def stream(self, request: Request) -> ByteStream:
        """Exchange up to the answer's head. Raises as `send` does."""
        if self._taped is not None:
            return await self._taped.stream(request)
        return await self._open(request, streaming=True)

    async def _open(self, request: Request, *, streaming: bool) -> BlockingResponseStream:
        from dragoman.transport.responses import open_blocking

        ours = self._options if self._theirs is None else None
        return await open_blocking(self._client(), request, options=ours, streaming=streaming)

    def _client(self) -> httpx2.Client:
        if self._theirs is not None:
            return self._theirs
        with self._lock:
            if self._own is None:
                from dragoman.transport import clients

                self._own = clients.blocking_client(self._options)
            return self._own

    async def sleep(self, seconds: float) -> None:
        time.sleep(max(seconds, 0.0))  # noqa: ASYNC251 - this port blocks, that is its purpose

    def now(self) -> float:
        return time.monotonic()

    def close(self) -> None:
        """Close own connections; idempotent. A later request opens new ones."""
        if self._taped is not None:
            self._taped.flush()
        with self._lock:
            own, self._own = self._own, None
        if own is not None:
            own.close()

    async def aclose(self) -> None:
        """`close`, for code that does not know which driver it has."""
        self.close()


class _Network:
    """A driver as it is without a tape."""

    def __init__(self, driver: AsyncDriver | BlockingDriver) -> None:
        self.send = driver._send
        self.sleep = driver.sleep
        self.now = time.monotonic  # as the driver's own
        self._driver = driver

    async def stream(self, request: Request) -> ByteStream:
        return await self._driver._open(request, streaming=True)


def taped(io: IO, *, record: Record | None = None, replay: Record | None = None) -> IO:
    """Any port with these options of a client; without either the port itself."""
    tape = Tape.of(record, replay)
    if tape is None:
        return io
    from dragoman.transport.taping import Taped

    return Taped(io, tape)


def _taped(driver: AsyncDriver | BlockingDriver, tape: Tape) -> Taped:
    from dragoman.transport.taping import Taped

    return Taped(_Network(driver), tape)
