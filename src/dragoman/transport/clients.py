"""What the drivers do with httpx2: make its clients, build its requests, name its errors.

Loaded by `dragoman.transport.drivers` at the first request, so that importing a client room
costs neither httpx2 nor TLS. Knows nothing of bodies; `dragoman.transport.responses` reads them.
"""

from __future__ import annotations

import logging
import re
import ssl
import threading
from collections.abc import AsyncIterable, AsyncIterator, Generator, Iterable
from functools import lru_cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TypedDict

import anyio.to_thread
import httpx2

from dragoman._version import __version__
from dragoman.core.errors import (
    ConnectionFailed,
    ConnectionLost,
    DragomanError,
    MissingExtra,
    ProtocolError,
    TimedOut,
    TransportError,
    UsageError,
)
from dragoman.core.redact import redact_text
from dragoman.transport.options import ClientOptions
from dragoman.wire.http import Headers, Request, StreamedBody


class _ClientArguments(TypedDict):
    verify: bool | ssl.SSLContext
    http2: bool
    trust_env: bool
    limits: httpx2.Limits
    headers: dict[str, str]
    cookies: CookieJar
    follow_redirects: bool
    proxy: str | None
    mounts: dict[str, None]


_TELLTALES = ("hpack.hpack", "hpack.table")
"""Loggers that tell every header of a request, credentials too, at the level DEBUG."""

_lock = threading.Lock()
_shared: dict[bool, ssl.SSLContext] = {}


def shared_ssl_context(trust_env: bool = True) -> ssl.SSLContext:
    """The process's TLS context, made once: it takes longer to make than a request does."""
    with _lock:
        context = _shared.get(trust_env)
        if context is None:
            context = _shared[trust_env] = httpx2.create_ssl_context(trust_env=trust_env)
        return context


def async_client(options: ClientOptions) -> httpx2.AsyncClient:
    try:
        return httpx2.AsyncClient(**_arguments(options))
    except ImportError as error:
        raise MissingExtra("HTTP/2", "http2") from error


def blocking_client(options: ClientOptions) -> httpx2.Client:
    try:
        return httpx2.Client(**_arguments(options))
    except ImportError as error:
        raise MissingExtra("HTTP/2", "http2") from error


def _is_no_detail(record: logging.LogRecord) -> bool:
    return record.levelno > logging.DEBUG


def _arguments(options: ClientOptions) -> _ClientArguments:
    for name in _TELLTALES if options.http2 else ():
        logging.getLogger(name).addFilter(_is_no_detail)
    trusted = options.trust_env or options.trust_certificates
    verify = shared_ssl_context(trusted) if options.verify is True else options.verify
    return {
        "verify": verify,
        "http2": options.http2,
        "trust_env": options.trust_env,
        "limits": httpx2.Limits(
            max_connections=options.connections,
            max_keepalive_connections=options.idle_connections,
            keepalive_expiry=options.idle_seconds,
        ),
        "headers": {"user-agent": f"dragoman/{__version__}"},
        # a cookie that one caller was given must not go out with the request of another
        "cookies": CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        "follow_redirects": False,
        "proxy": options.proxy,
        "mounts": dict.fromkeys(map(_unproxied, options.no_proxy)),
    }


def _unproxied(host: str) -> str:
    """httpx2's pattern for an element of NO_PROXY: `.x.org` means below x.org, `x.org` it as well."""
    if host == "*":
        return "all://"
    if "://" in host:
        return host
    if host.startswith("["):
        return f"all://{host}"
    if ":" in host and host.count(":") > 1:
        return f"all://[{host}]"
    if host.startswith(".") or host.startswith("*."):
        return f"all://*.{host.lstrip('*.')}"
    if host.lower() == "localhost" or host.replace(".", "").isdigit():
        return f"all://{host}"
    return f"all://*{host}"


class _QuietURL(httpx2.URL):
    """A URL that does not show its user name and query, which may be secrets, in what httpx2 logs and raises."""

    def __str__(self) -> str:
        plain = str(self.copy_with(username=None, password=None) if self.userinfo else super().__str__())
        return plain.partition("?")[0] + ("?[redacted]" if self.query else "")

    def __repr__(self) -> str:
        return f"URL({str(self)!r})"


# ------------------------------------------------------------------------------------ requests

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?")


_url = lru_cache(maxsize=64)(httpx2.URL)
"""Addresses are asked again and again, and each takes longer to read than a small request to write."""


def build(
    client: httpx2.AsyncClient | httpx2.Client, request: Request, *, options: ClientOptions | None, streaming: bool
) -> httpx2.Request:
    """The request in httpx2's words, with the client's own defaults merged in; without `options` the client is the user's.

    Raises UsageError for what can not be sent; header values, which may be secrets, are not shown.
    """
    headers = []
    for name, value in request.headers.pairs():
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise UsageError(f"header {name!r} of {request} is nothing HTTP allows; look for line ends or blanks")
        headers.append((name.encode("ascii"), value.encode("latin-1")))
    if options is not None and streaming and "accept-encoding" not in request.headers:
        headers.append((b"accept-encoding", b"identity"))  # compressors hold events back
    body: bytes | Iterable[bytes] | AsyncIterable[bytes] | None = request.body
    if request.body is not None and not isinstance(request.body, bytes):
        pieces = _measured(request.body, request)
        body = _in_threads(pieces) if isinstance(client, httpx2.AsyncClient) else pieces
        if "content-length" not in request.headers:
            headers.append((b"content-length", str(request.length).encode("ascii")))
    limits = request.timeouts
    timeout = httpx2.Timeout(connect=limits.connect, read=limits.read, write=limits.write, pool=limits.pool)
    if client.is_closed:
        raise UsageError(f"the HTTP client that was given to the driver is closed; {request} was not sent")
    try:
        sent = client.build_request(request.method, _url(request.url), headers=headers, content=body, timeout=timeout)
    except (httpx2.InvalidURL, ValueError) as error:
        raise UsageError(f"{request} has no URL that can be asked for") from error
    if options is not None and options.quiet_urls and ("?" in request.url or "@" in request.url):
        sent.url = _QuietURL(sent.url)
    return sent


def _measured(body: StreamedBody, request: Request) -> Generator[bytes, None, None]:
    """The body's pieces. Raises UsageError if they are not as long as was said, which no peer could make sense of."""
    left = body.length
    for piece in body:
        left -= len(piece)
        if left < 0:
            break
        yield piece
    if left:
        raise UsageError(
            f"the body of {request} is {'longer' if left < 0 else 'shorter'} than the length it was sent with"
        )


async def _in_threads(pieces: Generator[bytes, None, None]) -> AsyncIterator[bytes]:
    """The pieces, each made in a worker thread: making one may read from a disk."""
    try:
        while (piece := await anyio.to_thread.run_sync(next, pieces, None)) is not None:
            yield piece
    finally:
        pieces.close()


def headers_of(response: httpx2.Response) -> Headers:
    return Headers([(name.decode("latin-1"), value.decode("latin-1")) for name, value in response.headers.raw])


# -------------------------------------------------------------------------------------- errors

# from the special to the general
_ERRORS: tuple[tuple[type[Exception], type[DragomanError], str], ...] = (
    (httpx2.PoolTimeout, TimedOut, "all connections stayed in use"),
    (httpx2.ConnectTimeout, TimedOut, "no connection came about in time"),
    (httpx2.WriteTimeout, TimedOut, "the request was not taken in time"),
    (httpx2.TimeoutException, TimedOut, "no answer came in time"),
    (httpx2.ConnectError, ConnectionFailed, "no connection"),
    (httpx2.ProxyError, ConnectionFailed, "no connection through the proxy"),
    (httpx2.RemoteProtocolError, ConnectionLost, "the peer broke off or broke HTTP"),
    (httpx2.NetworkError, ConnectionLost, "the connection broke"),
    (httpx2.UnsupportedProtocol, UsageError, "the URL does not begin with http:// or https://"),
    (httpx2.LocalProtocolError, UsageError, "the request is not valid HTTP"),
    (httpx2.InvalidURL, UsageError, "the URL is not valid"),
    (httpx2.DecodingError, ProtocolError, "the body does not decode as its content-encoding says"),
    (httpx2.HTTPError, TransportError, "the exchange failed"),
)


def named(error: Exception, request: Request) -> DragomanError | None:
    """Our error for one of httpx2's; None for any other. The caller sets `__cause__`."""
    for theirs, ours, text in _ERRORS:
        if isinstance(error, theirs):
            detail = "" if issubclass(ours, UsageError) else redact_text(str(error))
            return ours(f"{text}: {request}" + (f" ({detail})" if detail else ""))
    return None


def too_large(request: Request, limit: int) -> ProtocolError:
    """The error for a body that is longer than anybody asked for."""
    return ProtocolError(f"the answer has more than {limit} bytes: {request}", code="answer_too_large")
