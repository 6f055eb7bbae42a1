"""Run an app under uvicorn: sockets first, one clear line for what goes wrong, a clean end.

Called by `dragoman serve` and by the test kit. The sockets are bound before anything starts, so
a busy port is found before the store is opened.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import math
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import uvicorn

from dragoman.core.errors import UsageError
from dragoman.engine.app import App
from dragoman.server import logs
from dragoman.server.addresses import is_loopback
from dragoman.server.asgi import Application, asgi
from dragoman.server.patience import patient_protocol
from dragoman.server.settings import Settings

BACKLOG = 2048
_NO_SUCH_ADDRESS = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, getattr(errno, "EPROTONOSUPPORT", errno.EAFNOSUPPORT))
_TRIES_FOR_A_FREE_PORT = 20


def run(
    app: App,
    host: str | Sequence[str] | None = None,
    port: int | None = None,
    *,
    data: str | Path | None = None,
    demo: bool = False,
    config: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    announce: Callable[[str], None] | None = None,
    on_start: Callable[[str], None] | None = None,
    source: str | None = None,
) -> None:
    """Serve until Ctrl-C or SIGTERM.

    `host` and `port` override the settings of these names; `on_start` gets the URL as soon as
    requests are answered, by default it is printed. `source` is as for `asgi`. Raises UsageError for everything that the
    caller can mend: settings, a port in use, a data directory in use, an unknown model.
    """
    hosts = [host] if isinstance(host, str) else list(host) if host is not None else None
    overrides = {**(settings or {}), "host": hosts, "port": port}
    application = asgi(app, settings=overrides, data=data, demo=demo, config=config, announce=announce, source=source)
    given = application.settings
    check_reach(given, demo=demo)
    sockets = bind(given.host, given.port)
    try:
        logs.configure(given.log)
        server = Server(application, on_start=on_start or _print_url, url=url_of(sockets))
        with _quiet_signals():
            try:
                server.run(sockets=sockets)
            except KeyboardInterrupt:  # uvicorn raises it again after a shutdown that was clean
                pass
            except SystemExit:
                if application.failure is None:
                    raise
        if application.failure is not None:
            raise application.failure
    finally:
        for one in sockets:
            one.close()


class Server(uvicorn.Server):
    """uvicorn with our bounds, which tells the application of the end before it waits for streams."""

    def __init__(
        self, application: Application, *, url: str = "", on_start: Callable[[str], None] | None = None
    ) -> None:
        limits = application.settings.limits
        super().__init__(
            uvicorn.Config(
                application,
                http=patient_protocol(limits.header_seconds, limits.stall_seconds),
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                backlog=BACKLOG,
                timeout_keep_alive=max(1, math.ceil(limits.keep_alive_seconds)),
                timeout_graceful_shutdown=max(1, math.ceil(limits.shutdown_seconds)),
                reset_contextvars=True,
            )
        )
        self.application = application
        self._url = url
        self._on_start = on_start

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        uvicorns = logging.getLogger("uvicorn.error")
        uvicorns.addFilter(_is_not_told)
        uvicorns.addFilter(self._is_news)
        try:
            await super().startup(sockets)
        finally:
            uvicorns.removeFilter(self._is_news)
        if self.started and self._on_start is not None:
            self._on_start(self._url)

    def _is_news(self, record: logging.LogRecord) -> bool:
        # why the application did not start is in `failure`; whoever started it tells that, once
        return self.application.failure is None

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.application.begin_closing()
        await super().shutdown(sockets)


def _is_not_told(record: logging.LogRecord) -> bool:
    # a body without its end is how a stream says that it failed; `dispatch` has logged why, if it is a fault of ours
    return record.msg != "ASGI callable returned without completing response."


def bind(hosts: Sequence[str], port: int) -> list[socket.socket]:
    """Listening sockets for all hosts on one port; 0 finds a port that is free on all of them.

    An address that this machine does not have (no IPv6, say) is left out as long as another
    one is left. Raises UsageError for a port in use or not permitted, or if no address is left.
    """
    if not hosts:
        raise UsageError("host: expected at least one address to listen on")
    for attempt in range(_TRIES_FOR_A_FREE_PORT):
        try:
            return _bind_all(hosts, port)
        except _Busy as busy:
            if port == 0 and attempt < _TRIES_FOR_A_FREE_PORT - 1:
                continue
            raise UsageError(
                f"port {busy.port} on {busy.host} is in use; stop what listens there, or choose another with --port",
                code="port_in_use",
            ) from busy
    raise UsageError("no port is free on all addresses")


class _Busy(Exception):
    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)
        self.host = host
        self.port = port


def _bind_all(hosts: Sequence[str], port: int) -> list[socket.socket]:
    made: list[socket.socket] = []
    missing: OSError | None = None
    with contextlib.ExitStack() as undo:
        for host in hosts:
            for family, address in _addresses(host, port):
                wanted = (address[0], port, *address[2:])  # the first socket may have settled the port
                try:
                    one = undo.enter_context(contextlib.closing(_bind_one(family, wanted)))
                except OSError as error:
                    if error.errno in _NO_SUCH_ADDRESS:
                        missing = error
                        continue
                    raise _refusal(error, host, port) from error
                port = one.getsockname()[1]
                made.append(one)
        if not made:
            raise UsageError(f"this machine has none of the addresses {', '.join(hosts)}: {missing}")
        undo.pop_all()
    return made


def _refusal(error: OSError, host: str, port: int) -> Exception:
    if error.errno in (errno.EADDRINUSE, getattr(errno, "WSAEACCES", errno.EADDRINUSE)):
        return _Busy(host, port)
    if isinstance(error, PermissionError):
        return UsageError(f"port {port} on {host} is not permitted for this user; choose one above 1023 with --port")
    return UsageError(f"cannot listen on {host} port {port}: {error.strerror or error}")


def _addresses(host: str, port: int) -> list[tuple[socket.AddressFamily, tuple[Any, ...]]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise UsageError(f"host: {host!r} is no address of this machine: {error.strerror or error}") from error
    return list(dict.fromkeys((family, address) for family, _, _, _, address in found))


def _bind_one(family: socket.AddressFamily, address: tuple[Any, ...]) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # elsewhere this option would let two servers share a port
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        elif hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
            made.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)
        made.listen(BACKLOG)
        made.setblocking(False)
    except BaseException:
        made.close()
        raise
    return made


def url_of(sockets: Sequence[socket.socket]) -> str:
    """The URL of the first socket."""
    host, port = sockets[0].getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def check_reach(settings: Settings, *, demo: bool) -> None:
    """Raises UsageError if the demo, whose credentials are public, would be reachable from elsewhere."""
    outside = [host for host in settings.host if not is_loopback(host)]
    if demo and outside and not settings.demo.remote:
        raise UsageError(
            f"the demo lets anybody in, so it is served on this machine only, not on {outside[0]}; "
            "DRAGOMAN_DEMO__REMOTE=true serves it anyway"
        )


@contextlib.contextmanager
def _quiet_signals() -> Iterator[None]:
    """After a clean shutdown uvicorn raises SIGTERM again; it must not kill the process then."""
    try:
        before = signal.signal(signal.SIGTERM, lambda *_: None)
    except ValueError:  # not the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _print_url(url: str) -> None:
    print(f"Dragoman listens on {url}", file=sys.stderr, flush=True)
