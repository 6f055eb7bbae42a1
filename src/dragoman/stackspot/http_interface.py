"""What an HTTP client of this dialect is: the interface that users may implement, and its twin that awaits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, TypeAlias

Timeout: TypeAlias = float | tuple[float | None, float | None] | None
"""Seconds; or, as `requests` takes them, seconds to connect and seconds to wait for a byte."""


class HttpClient(ABC):
    """Sends authorized requests. Implement it to bring a session, a proxy or an authorization of your own.

    An answer must have `status_code`, `headers`, `text`, `json()`, `raise_for_status()` and `close()`, one of
    `post_stream` also `iter_content` or `iter_lines`; those of `requests` have. `timeout` is in seconds. Network
    faults are raised; error statuses are answers. One client may be used by several threads at once.
    """

    @abstractmethod
    def get(self, url: str, headers: dict[str, str] | None = None, timeout: Timeout = 30) -> Any:
        """GET; the whole answer. `headers` win over the client's own."""

    @abstractmethod
    def post(self, url: str, data: Any = None, headers: dict[str, str] | None = None, timeout: Timeout = 30) -> Any:
        """POST `data` as JSON; the whole answer."""

    def post_stream(
        self, url: str, data: Any = None, headers: dict[str, str] | None = None, timeout: Timeout = 30
    ) -> Any:
        """POST `data` as JSON; an answer whose body was not read yet and which the caller closes.

        Raises NotImplementedError unless a client implements it.
        """
        raise NotImplementedError(f"{type(self).__name__} has no post_stream, so that it can not stream answers")


class AsyncHttpClient(ABC):
    """The awaiting twin of `HttpClient`; a stream of its own has `aiter_bytes` or `aiter_lines`, and `aclose`."""

    @abstractmethod
    async def get(self, url: str, headers: dict[str, str] | None = None, timeout: Timeout = 30) -> Any:
        """GET; the whole answer. `headers` win over the client's own."""

    @abstractmethod
    async def post(
        self, url: str, data: Any = None, headers: dict[str, str] | None = None, timeout: Timeout = 30
    ) -> Any:
        """POST `data` as JSON; the whole answer."""

    async def post_stream(
        self, url: str, data: Any = None, headers: dict[str, str] | None = None, timeout: Timeout = 30
    ) -> Any:
        """POST `data` as JSON; an answer whose body was not read yet and which the caller closes.

        Raises NotImplementedError unless a client implements it.
        """
        raise NotImplementedError(f"{type(self).__name__} has no post_stream, so that it can not stream answers")

    async def aclose(self) -> None:
        """Let go of the connections; idempotent."""
