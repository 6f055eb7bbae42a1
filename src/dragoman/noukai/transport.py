"""Who asks, where, and how patiently: what every call needs besides its arguments.

`client._transport` is one of these; scopes, jobs and adapters are handed it. The network driver
behind it is opened at the first use and again after it was closed. Knows no calls.
"""

from __future__ import annotations

import logging
import os
import platform
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from dragoman._version import __version__
from dragoman.noukai.exceptions import AuthenticationError
from dragoman.noukai.models import SessionResponse
from dragoman.noukai.spans import NO_SPANS, Spans
from dragoman.noukai.types import (
    API_VERSION,
    DEFAULT_RETRIES,
    DEFAULT_TIMEOUT,
    DEV_URL,
    ENV_VARIABLE,
    HOSTED_URL,
    KEY_PREFIX,
    KEY_VARIABLE,
    URL_VARIABLE,
    LogHandler,
)
from dragoman.transport.drivers import AsyncDriver, BlockingDriver, taped
from dragoman.transport.io import IO
from dragoman.transport.options import ClientOptions, Record, Tape

D = TypeVar("D", bound=IO)

_LOG = logging.getLogger("dragoman.noukai")
_KEPT_SESSIONS = 8


def find_key(api_key: str | None) -> str:
    """The key given, else the environment's. Raises AuthenticationError without a usable one."""
    key = api_key or os.environ.get(KEY_VARIABLE)
    if not key:
        raise AuthenticationError(f"no API key: pass api_key= or set {KEY_VARIABLE}")
    if not key.startswith(KEY_PREFIX):
        raise AuthenticationError(f"an API key starts with {KEY_PREFIX!r}; the one given does not")
    return key


def find_url(base_url: str | None, env: str | None) -> str:
    """Where the API is: `base_url`, `env`, NOUKAI_BASE_URL, NOUKAI_ENV, the hosted service, in this order."""
    if base_url:
        return base_url.rstrip("/")
    if env is None:
        named = os.environ.get(URL_VARIABLE)
        if named:
            return named.rstrip("/")
        env = os.environ.get(ENV_VARIABLE)
    return DEV_URL if env in ("dev", "development") else HOSTED_URL


def user_agent() -> str:
    """Who we are; never `noukai-python`, by which servers guess the meaning of a path."""
    return f"dragoman-noukai/{__version__} (python/{platform.python_version()}; {platform.system()})"


@dataclass(frozen=True, slots=True)
class Options:
    """How a client behaves; see `Noukai`. `repeats`: whether the server is known to honour idempotency keys."""

    timeout: float = DEFAULT_TIMEOUT
    max_retries: int = DEFAULT_RETRIES
    log_handler: LogHandler | None = None
    log_payloads: bool = False
    session_id: str | None = None
    retry_on_rate_limit: bool = False
    repeats: bool = False
    spans: Spans = NO_SPANS


class SessionCache:
    """The latest sessions by id, each with the ETag that tells whether it is still right."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[str, SessionResponse]] = OrderedDict()

    def get(self, id: str) -> tuple[str, SessionResponse] | None:
        return self._kept.get(id)

    def put(self, id: str, etag: str, session: SessionResponse) -> None:
        self._kept[id] = (etag, session)
        self._kept.move_to_end(id)
        while len(self._kept) > _KEPT_SESSIONS:
            self._kept.popitem(last=False)


class Transport(Generic[D]):
    """A key, an address, options, and a driver `D`."""

    blocking = False

    def __init__(
        self,
        api_key: str,
        base_url: str,
        options: Options,
        io: IO | None = None,
        *,
        record: Record | None = None,
        replay: Record | None = None,
    ) -> None:
        self.base_url = base_url
        self.options = options
        self.sessions = SessionCache()
        self._api_key = api_key
        self._agent = user_agent()
        self._given_io = io if io is None else taped(io, record=record, replay=replay)
        self._client_options = ClientOptions(tape=Tape.of(record, replay))
        self._driver: D | None = None

    def __repr__(self) -> str:  # the key stays out of logs
        return f"{type(self).__name__}(base_url={self.base_url!r})"

    def headers(self) -> dict[str, str]:
        """What every request carries."""
        return {
            "Authorization": f"Bearer {self._api_key}",
            "X-Noukai-API-Version": API_VERSION,
            "User-Agent": self._agent,
            "Accept": "application/json",
        }

    def emit(self, event: dict[str, Any]) -> None:
        """Tell the log hook; what it raises is logged and forgotten."""
        if self.options.log_handler is None:
            return
        try:
            self.options.log_handler(event)
        except Exception:
            _LOG.exception("the log_handler failed at phase %r", event.get("phase"))

    def io(self) -> IO:
        """The port that calls go through."""
        if self._given_io is not None:
            return self._given_io
        if self._driver is None:
            self._driver = self._new_driver()
        return self._driver

    def _new_driver(self) -> D:
        raise TypeError("a transport names its driver")

    def _take_driver(self) -> D | None:
        driver, self._driver = self._driver, None
        return driver


class AsyncTransport(Transport[AsyncDriver]):
    """The transport of `AsyncNoukai`."""

    def _new_driver(self) -> AsyncDriver:
        return AsyncDriver(options=self._client_options)

    async def aclose(self) -> None:
        """Close all connections; idempotent. A later call opens new ones."""
        driver = self._take_driver()
        if driver is not None:
            await driver.aclose()


class SyncTransport(Transport[BlockingDriver]):
    """The transport of `Noukai`."""

    blocking = True

    def _new_driver(self) -> BlockingDriver:
        return BlockingDriver(options=self._client_options)

    def close(self) -> None:
        """Close all connections; idempotent. A later call opens new ones."""
        driver = self._take_driver()
        if driver is not None:
            driver.close()


AnyTransport = AsyncTransport | SyncTransport
