"""The default HTTP clients: they find out at their first request who authorizes, and limit as configured."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, Self

from dragoman.stackspot.auth import create_standalone_auth
from dragoman.stackspot.cli_client import StkCLI, StkCLIHttpClient
from dragoman.stackspot.config import STKAI
from dragoman.stackspot.http_interface import AsyncHttpClient, HttpClient, Timeout
from dragoman.stackspot.rate_limiting import AsyncLimitedHttpClient, LimitedHttpClient, shared_limiter
from dragoman.stackspot.standalone_client import AsyncStandaloneHttpClient, StandaloneHttpClient
from dragoman.stackspot.validation import InvalidArgument

__all__ = [
    "AsyncEnvironmentAwareHttpClient",
    "AsyncHttpClient",
    "AsyncStandaloneHttpClient",
    "EnvironmentAwareHttpClient",
    "HttpClient",
    "StandaloneHttpClient",
    "StkCLIHttpClient",
    "Timeout",
]

logger = logging.getLogger(__name__)

NOBODY = (
    "No authentication method available: set STKAI_AUTH_CLIENT_ID and STKAI_AUTH_CLIENT_SECRET,"
    " call STKAI.configure(auth={...}), or install StackSpot's command line tool and log in with it"
    " (the package `oscli` of the public index is another program)"
)


class EnvironmentAwareHttpClient(HttpClient):
    """Sends through StackSpot's command line tool if it is there, else with the configured credentials.

    That is decided at the first request and holds. If the configuration limits requests, all clients of it share
    one limiter; they also share one token. Raises ValueError at the first request without either.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._delegate: HttpClient | None = None

    def get(self, url: str, headers: dict[str, str] | None = None, timeout: Timeout = 30) -> Any:
        return self._chosen().get(url, headers=headers, timeout=timeout)

    def post(self, url: str, data: Any = None, headers: dict[str, str] | None = None, timeout: Timeout = 30) -> Any:
        return self._chosen().post(url, data=data, headers=headers, timeout=timeout)

    def post_stream(
        self, url: str, data: Any = None, headers: dict[str, str] | None = None, timeout: Timeout = 30
    ) -> Any:
        return self._chosen().post_stream(url, data=data, headers=headers, timeout=timeout)

    def _chosen(self) -> HttpClient:
        delegate = self._delegate
        if delegate is not None:
            return delegate
        with self._lock:
            if self._delegate is None:
                self._delegate = _limited(_authorized())
            return self._delegate

    def close(self) -> None:
        """Let go of the connections; idempotent, and the client can be used again."""
        close = getattr(self._delegate, "close", None)
        if callable(close):
            close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _authorized() -> HttpClient:
    if StkCLI.is_available():
        if STKAI.config.auth.has_credentials():
            logger.warning("StackSpot's command line tool authorizes; the configured client credentials are not used")
        return StkCLIHttpClient()
    auth = STKAI.config.auth
    if not auth.has_credentials():
        half = "client_secret" if auth.client_id else "client_id" if auth.client_secret else None
        raise InvalidArgument(NOBODY if half is None else f"{NOBODY}; here only the {half} is missing")
    return StandaloneHttpClient(create_standalone_auth())


def _limited(client: HttpClient) -> HttpClient:
    limiter = shared_limiter()
    return client if limiter is None else LimitedHttpClient(client, limiter)


class AsyncEnvironmentAwareHttpClient(AsyncHttpClient):
    """The awaiting twin of `EnvironmentAwareHttpClient`, with connections of its own.

    StackSpot's command line tool blocks; its calls run in threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._delegate: AsyncHttpClient | None = None

    async def get(self, url: str, headers: dict[str, str] | None = None, timeout: Timeout = 30) -> Any:
        return await self._chosen().get(url, headers=headers, timeout=timeout)

    async def post(
        self, url: str, data: Any = None, headers: dict[str, str] | None = None, timeout: Timeout = 30
    ) -> Any:
        return await self._chosen().post(url, data=data, headers=headers, timeout=timeout)

    async def post_stream(
        self, url: str, data: Any = None, headers: dict[str, str] | None = None, timeout: Timeout = 30
    ) -> Any:
        return await self._chosen().post_stream(url, data=data, headers=headers, timeout=timeout)

    def _chosen(self) -> AsyncHttpClient:
        with self._lock:
            if self._delegate is None:
                self._delegate = self._choose()
            return self._delegate

    @staticmethod
    def _choose() -> AsyncHttpClient:
        blocking = _authorized()
        client: AsyncHttpClient
        if isinstance(blocking, StandaloneHttpClient):
            client = AsyncStandaloneHttpClient(create_standalone_auth())
        else:
            client = ThreadedHttpClient(blocking)
        limiter = shared_limiter()
        return client if limiter is None else AsyncLimitedHttpClient(client, limiter)

    async def aclose(self) -> None:
        """Let go of the connections; idempotent, and the client can be used again."""
        if self._delegate is not None:
            await self._delegate.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()


class ThreadedHttpClient(AsyncHttpClient):
    """A blocking client for code that awaits: its calls, and the reads of its streams, run in threads."""

    def __init__(self, client: HttpClient) -> None:
        self._client = client

    async def get(self, url: str, headers: dict[str, str] | None = None, timeout: Timeout = 30) -> Any:
        return await _in_thread(lambda: self._client.get(url, headers=headers, timeout=timeout))

    async def post(
        self, url: str, data: Any = None, headers: dict[str, str] | None = None, timeout: Timeout = 30
    ) -> Any:
        return await _in_thread(lambda: self._client.post(url, data=data, headers=headers, timeout=timeout))

    async def post_stream(
        self, url: str, data: Any = None, headers: dict[str, str] | None = None, timeout: Timeout = 30
    ) -> Any:
        answer = await _in_thread(lambda: self._client.post_stream(url, data=data, headers=headers, timeout=timeout))
        return ThreadedStream(answer)

    async def aclose(self) -> None:
        close = getattr(self._client, "close", None)
        if callable(close):
            await _in_thread(close)


class ThreadedStream:
    """A blocking answer whose body is read in threads; the head is the answer's own."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer
        self.status_code: int = answer.status_code
        self.headers = answer.headers

    async def aiter_bytes(self) -> Any:
        from dragoman.stackspot.replies import blocking_pieces

        pieces = blocking_pieces(self._answer)
        while (piece := await _in_thread(lambda: next(pieces, None))) is not None:
            yield piece

    def raise_for_status(self) -> None:
        self._answer.raise_for_status()

    async def aclose(self) -> None:
        await _in_thread(self._answer.close)


async def _in_thread(call: Callable[[], Any]) -> Any:
    from anyio import to_thread  # only a program that awaits needs it

    return await to_thread.run_sync(call)
