"""The HTTP clients that authorize by a provider.

They send JSON and look at no status, except that a token which the service refuses is renewed once. Blocking
clients share one pool of connections.
"""

from __future__ import annotations

import json
import threading
import weakref
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Self

from dragoman.core.errors import TransportError
from dragoman.stackspot.auth import AuthProvider, cached_headers, forget
from dragoman.stackspot.connections import connections
from dragoman.stackspot.failures import as_requests_error
from dragoman.stackspot.http_interface import AsyncHttpClient, HttpClient, Timeout
from dragoman.stackspot.responses import AsyncClientResponse, ClientResponse
from dragoman.stackspot.validation import require
from dragoman.transport.drivers import AsyncDriver, BlockingDriver, taped
from dragoman.transport.io import IO, ByteStream, run_blocking
from dragoman.transport.options import Record, Tape
from dragoman.wire.http import Headers, Request, Response, Timeouts

# ------------------------------------------------------------------------------------ requests


def _timeouts(timeout: Timeout) -> Timeouts:
    if isinstance(timeout, tuple):
        connect, read = timeout
        return Timeouts(connect, read, read, read)
    require(timeout is None or timeout > 0, f"timeout must be more than 0 seconds, got {timeout!r}")
    return Timeouts.all(timeout)


def _body(data: Any) -> bytes | None:
    """JSON; plain ASCII for texts that no UTF-8 can say. Raises InvalidArgument for what is no JSON."""
    if data is None:
        return None
    try:
        text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode()
    except UnicodeEncodeError:
        return json.dumps(data, allow_nan=False).encode("ascii")
    except (TypeError, ValueError) as error:
        require(False, f"data can not be sent as JSON: {error}")
        raise


def _request(
    method: str, url: str, data: Any, headers: Mapping[str, str] | None, auth: Mapping[str, str], timeout: Timeout
) -> Request:
    require(url, "url must not be empty")
    body = _body(data)
    own = {"Accept": "*/*", **({"Content-Type": "application/json"} if body is not None else {}), **auth}
    given = dict(headers or {})
    names = {name.lower() for name in given}
    fields = {name: value for name, value in own.items() if name.lower() not in names} | given
    return Request(method, url, Headers(fields), body, _timeouts(timeout))


def _brings_own(headers: Mapping[str, str] | None) -> bool:
    return any(name.lower() == "authorization" for name in headers or {})


# ------------------------------------------------------------------------------------ with a provider


class StandaloneHttpClient(HttpClient):
    """Authorizes by a provider. On 401 the token is renewed once and the request repeated once.

    `close` lets go of the connections, as does dropping the client; it can be used again afterwards.
    """

    def __init__(
        self,
        auth_provider: AuthProvider,
        *,
        io: IO | None = None,
        record: Record | None = None,
        replay: Record | None = None,
    ) -> None:
        """`record` is a file that everything is recorded to, `replay` one that everything is answered from."""
        require(auth_provider is not None, "auth_provider must be given")
        self._auth = auth_provider
        self._given = io if io is None else taped(io, record=record, replay=replay)
        self._own: BlockingDriver | None = None
        if io is None and (tape := Tape.of(record, replay)) is not None:
            self._given = self._own = BlockingDriver(options=replace(connections.options, tape=tape))
        self._lock = threading.Lock()
        self._hold: Callable[[], object] | None = None

    def get(self, url: str, headers: dict[str, str] | None = None, timeout: Timeout = 30) -> ClientResponse:
        return self._exchange("GET", url, None, headers, timeout, streaming=False)

    def post(
        self, url: str, data: Any = None, headers: dict[str, str] | None = None, timeout: Timeout = 30
    ) -> ClientResponse:
        return self._exchange("POST", url, data, headers, timeout, streaming=False)

    def post_stream(
        self, url: str, data: Any = None, headers: dict[str, str] | None = None, timeout: Timeout = 30
    ) -> ClientResponse:
        return self._exchange("POST", url, data, headers, timeout, streaming=True)

    def _exchange(
        self, method: str, url: str, data: Any, headers: dict[str, str] | None, timeout: Timeout, *, streaming: bool
    ) -> ClientResponse:
        io = self._io()  # before a token is fetched: it may be on the same host
        if _brings_own(headers):
            return self._send(io, _request(method, url, data, headers, {}, timeout), streaming)
        auth = self._auth.get_auth_headers()
        response = self._send(io, _request(method, url, data, headers, auth, timeout), streaming)
        if response.status_code != 401 or not forget(self._auth, auth):
            return response
        response.close()
        renewed = self._auth.get_auth_headers()
        return self._send(io, _request(method, url, data, headers, renewed, timeout), streaming)

    def _send(self, io: IO, request: Request, streaming: bool) -> ClientResponse:
        try:
            head: Response | ByteStream
            head = run_blocking(io.stream(request)) if streaming else run_blocking(io.send(request))
        except TransportError as error:
            raise as_requests_error(error) from error.__cause__
        response = ClientResponse(request.url, head)
        if streaming and self._given is None:  # it may outlive this client
            connections.hold()
            response.on_close(connections.let_go)
            if not isinstance(head, Response):
                weakref.finalize(response, connections.abandon, head)
        return response

    def _io(self) -> IO:
        if self._given is not None:
            return self._given
        with self._lock:
            if self._hold is None:
                connections.hold()
                self._hold = weakref.finalize(self, connections.let_go)
            return connections.driver

    def close(self) -> None:
        """Let go of the connections; idempotent."""
        with self._lock:
            hold, self._hold = self._hold, None
        if hold is not None:
            hold()
        if self._own is not None:
            self._own.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class AsyncStandaloneHttpClient(AsyncHttpClient):
    """The awaiting twin of `StandaloneHttpClient`, with connections of its own. A token is fetched in a thread."""

    def __init__(
        self,
        auth_provider: AuthProvider,
        *,
        io: IO | None = None,
        record: Record | None = None,
        replay: Record | None = None,
    ) -> None:
        """`record` is a file that everything is recorded to, `replay` one that everything is answered from."""
        require(auth_provider is not None, "auth_provider must be given")
        self._auth = auth_provider
        self._driver = AsyncDriver(options=replace(connections.options, tape=Tape.of(record, replay)))
        self._io: IO = self._driver if io is None else taped(io, record=record, replay=replay)

    async def get(self, url: str, headers: dict[str, str] | None = None, timeout: Timeout = 30) -> AsyncClientResponse:
        return await self._exchange("GET", url, None, headers, timeout, streaming=False)

    async def post(
        self, url: str, data: Any = None, headers: dict[str, str] | None = None, timeout: Timeout = 30
    ) -> AsyncClientResponse:
        return await self._exchange("POST", url, data, headers, timeout, streaming=False)

    async def post_stream(
        self, url: str, data: Any = None, headers: dict[str, str] | None = None, timeout: Timeout = 30
    ) -> AsyncClientResponse:
        return await self._exchange("POST", url, data, headers, timeout, streaming=True)

    async def _exchange(
        self, method: str, url: str, data: Any, headers: dict[str, str] | None, timeout: Timeout, *, streaming: bool
    ) -> AsyncClientResponse:
        if _brings_own(headers):
            return await self._send(_request(method, url, data, headers, {}, timeout), streaming)
        auth = await self._auth_headers()
        response = await self._send(_request(method, url, data, headers, auth, timeout), streaming)
        if response.status_code != 401 or not forget(self._auth, auth):
            return response
        await response.aclose()
        renewed = await self._auth_headers()
        return await self._send(_request(method, url, data, headers, renewed, timeout), streaming)

    async def _auth_headers(self) -> dict[str, str]:
        known = cached_headers(self._auth)
        if known is not None:
            return known
        from anyio import to_thread  # only a program that awaits needs it

        return await to_thread.run_sync(self._auth.get_auth_headers, abandon_on_cancel=True)

    async def _send(self, request: Request, streaming: bool) -> AsyncClientResponse:
        try:
            head: Response | ByteStream
            head = await self._io.stream(request) if streaming else await self._io.send(request)
        except TransportError as error:
            raise as_requests_error(error) from error.__cause__
        return AsyncClientResponse(request.url, head)

    async def aclose(self) -> None:
        """Let go of the connections; idempotent, and the client can be used again."""
        await self._driver.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()
