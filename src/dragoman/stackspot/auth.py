"""Access tokens: who gives them, how long they are good for, and one fetch at a time.

`AuthProvider` is what users implement; `ClientCredentialsAuthProvider` asks the identity service by the
client credentials grant. Tokens and secrets never stand in messages, logs or `repr`.
"""

from __future__ import annotations

import logging
import math
import random
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from dragoman.core.errors import DragomanError, TransportError
from dragoman.core.redact import REDACTED, redact_text
from dragoman.stackspot.config import STKAI, STKAIConfig
from dragoman.stackspot.config_sections import DEFAULT_TOKEN_URL, AuthConfig
from dragoman.stackspot.connections import connections
from dragoman.stackspot.failures import MaxRetriesExceededError, as_requests_error, status_error, status_of
from dragoman.stackspot.logs import shown
from dragoman.stackspot.pools import leave_if_stopped, pause
from dragoman.stackspot.retrying import RetryPolicy, with_retries
from dragoman.stackspot.validation import InvalidArgument, require
from dragoman.transport.io import IO, run_blocking
from dragoman.wire.http import Headers, Request, Response, Timeouts

logger = logging.getLogger(__name__)

DEFAULT_LIFETIME = 1199.0
"""Seconds that a token is good for whose lifetime nobody said."""
LARGEST_MARGIN = 0.2
"""The share of its lifetime that a token is renewed before its end, at most."""
TOKEN_TIMEOUT = 30.0


class AuthenticationError(DragomanError):
    """No token could be had; `cause` is why."""

    default_code = "authentication"

    def __init__(self, message: str, cause: Exception | None = None) -> None:
        super().__init__(message)
        self.cause = cause
        if cause is not None:
            self.__cause__ = cause


class AuthProvider(ABC):
    """Gives access tokens; threads share it."""

    @abstractmethod
    def get_access_token(self) -> str:
        """A token that is valid now. Raises AuthenticationError."""

    def get_auth_headers(self) -> dict[str, str]:
        """The header fields that authorize a request."""
        return {"Authorization": f"Bearer {self.get_access_token()}"}


@dataclass(frozen=True, slots=True)
class _Token:
    text: str = field(repr=False)
    renew_at: float
    """From when on it is not used any more, on the provider's clock."""


class _Port:
    """What retries of the token request may ask of the outside."""

    def __init__(self, sleep: Callable[[float], None]) -> None:
        self._sleep = sleep

    async def sleep(self, seconds: float) -> None:
        self._sleep(seconds)

    def random(self) -> float:
        return random.random()

    def epoch(self) -> float:
        return time.time()


class ClientCredentialsAuthProvider(AuthProvider):
    """Fetches a token with a client's id and secret, keeps it, and renews it before it expires.

    `refresh_margin`: seconds before its end from which on a token is renewed, at most a fifth of its lifetime.
    One thread fetches, the others wait for what comes of it. Raises InvalidArgument for an empty id or secret.
    """

    def __init__(
        self,
        client_id: str,
        client_secret: str,
        token_url: str = DEFAULT_TOKEN_URL,
        refresh_margin: float = 60,
        *,
        io: IO | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = pause,
    ) -> None:
        require(client_id, "client_id must not be empty")
        require(client_secret, "client_secret must not be empty")
        require(token_url, "token_url must not be empty")
        require(refresh_margin >= 0, f"refresh_margin must be 0 seconds or more, got {refresh_margin!r}")
        self.client_id = client_id
        self.token_url = token_url
        self.refresh_margin = refresh_margin
        self._secret = client_secret
        self._io = io
        self._clock = clock
        self._port = _Port(sleep)
        self._fetching = threading.Lock()
        self._lock = threading.Lock()  # of the token alone, so that who forgets one never waits for the network
        self._token: _Token | None = None
        self._failed: tuple[int, AuthenticationError | None] = (0, None)

    def __repr__(self) -> str:
        return f"ClientCredentialsAuthProvider(client_id={self.client_id!r}, token_url={redact_text(self.token_url)!r})"

    def get_access_token(self) -> str:
        """The token in use, or a new one. Raises AuthenticationError."""
        known = self.cached_token()
        if known is not None:
            return known
        failures = self._failed[0]
        with self._fetching:
            known = self.cached_token()
            if known is not None:
                return known
            times, error = self._failed
            if times != failures and error is not None:  # while we waited somebody asked and was refused
                raise AuthenticationError(error.message, error.cause)
            try:
                token = self._fetch()
            except AuthenticationError as refused:
                self._failed = (times + 1, refused)
                raise
            with self._lock:
                self._token = token
            return token.text

    def cached_token(self) -> str | None:
        """The token if one is at hand that is still good; asks nobody."""
        token = self._token
        return token.text if token is not None and self._clock() < token.renew_at else None

    def forget(self, token: str) -> None:
        """The service refused this token: do not use it again."""
        with self._lock:
            if self._token is not None and self._token.text == token:
                self._token = None

    # -------------------------------------------------------------------------------- the request

    def _fetch(self) -> _Token:
        logger.debug("fetching a token for client %s", shown(self.client_id))
        began = self._clock()
        try:
            if self._io is not None:
                answer = run_blocking(self._ask(self._io))
            else:
                with connections.borrowed() as driver:
                    answer = run_blocking(self._ask(driver))
            return self._read(answer, began)
        except AuthenticationError:
            raise
        except DragomanError as error:
            raise AuthenticationError(_why(error, self.token_url), error) from error

    async def _ask(self, io: IO) -> Response:
        form = {"grant_type": "client_credentials", "client_id": self.client_id, "client_secret": self._secret}
        headers = Headers({"content-type": "application/x-www-form-urlencoded", "accept": "application/json"})
        request = Request("POST", self.token_url, headers, urlencode(form).encode(), Timeouts.all(TOKEN_TIMEOUT))

        async def attempt(number: int) -> Response:
            leave_if_stopped()
            try:
                answer = await io.send(request)
            except TransportError as error:
                raise as_requests_error(error) from error.__cause__
            if answer.status != 200:
                raise status_error(answer.status, answer.headers, self._without_secret(answer.text)[:2000])
            return answer

        return await with_retries(self._port, RetryPolicy(), attempt, prefix="token")

    def _without_secret(self, text: str) -> str:
        """What the identity service said, which may be what it was told."""
        return redact_text(text.replace(self._secret, REDACTED))

    def _read(self, answer: Response, began: float) -> _Token:
        body: Any = answer.json()  # a ProtocolError says what came instead
        token = body.get("access_token") if isinstance(body, dict) else None
        if not isinstance(token, str) or not token:
            raise AuthenticationError("the answer of the token endpoint has no access_token")
        lifetime = _seconds(body.get("expires_in"))
        margin = min(self.refresh_margin, LARGEST_MARGIN * lifetime)
        return _Token(token, began + lifetime - margin)


def _seconds(value: Any) -> float:
    """A token's lifetime: a number, or one as a text; else the usual one."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return DEFAULT_LIFETIME
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return DEFAULT_LIFETIME
    return seconds if math.isfinite(seconds) and seconds > 0 else DEFAULT_LIFETIME


def _why(error: DragomanError, url: str) -> str:
    last = error.last_exception if isinstance(error, MaxRetriesExceededError) else error
    status = status_of(last) if last is not None else None
    if status is None:
        return f"no token could be fetched: {redact_text(str(error))}"
    return redact_text(f"the token request to {url} was refused with HTTP {status}: {error}")


# ------------------------------------------------------------------------------------ for clients


def cached_headers(provider: AuthProvider) -> dict[str, str] | None:
    """A provider's header fields if it has them at hand; None if it must be asked, which may take a while."""
    if not isinstance(provider, ClientCredentialsAuthProvider) or provider.cached_token() is None:
        return None
    return provider.get_auth_headers()


def forget(provider: AuthProvider, headers: Mapping[str, str]) -> bool:
    """The service refused these header fields; whether the provider can make others."""
    drop = getattr(provider, "forget", None)
    if not callable(drop):
        return False
    drop(headers.get("Authorization", "").removeprefix("Bearer "))
    return True


def create_standalone_auth(config: AuthConfig | None = None) -> ClientCredentialsAuthProvider:
    """A provider for these credentials; without any, the one provider of the global configuration.

    Raises ValueError without credentials.
    """
    if config is None:
        return STKAI.shared("token_provider", _of_configuration)
    return _provider(config)


def _of_configuration(config: STKAIConfig) -> ClientCredentialsAuthProvider:
    return _provider(config.auth)


def _provider(auth: AuthConfig) -> ClientCredentialsAuthProvider:
    if not auth.client_id or not auth.client_secret:
        raise InvalidArgument(
            "client_id and client_secret are missing: set STKAI_AUTH_CLIENT_ID and STKAI_AUTH_CLIENT_SECRET,"
            " or call STKAI.configure(auth={...})"
        )
    return ClientCredentialsAuthProvider(auth.client_id, auth.client_secret, auth.token_url)
