"""Serves a collector's metrics to Prometheus, with the standard library alone.

    async with PrometheusExporter(collector, port=9090) as exporter:
        print(exporter.endpoint)

It listens on the loopback address unless told otherwise, in a thread of its own, so it answers
under any event loop and while that is busy.
"""

from __future__ import annotations

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import ClassVar
from urllib.parse import urlsplit

import anyio.to_thread

from dragoman.ai.errors import AiRuntimeError
from dragoman.ai.telemetry.metrics import MetricsCollector, get_metrics_collector
from dragoman.wire.metrics_text import CONTENT_TYPE

__all__ = ["PrometheusExporter"]

PATIENCE = 10.0
"""Seconds that a connection may take to ask."""

POLL = 0.05
"""Seconds after which the server's thread looks whether it is to end."""


class PrometheusExporter:
    """`start` and `stop` may be called again and again. Port 0 takes a free one; `endpoint` then has it."""

    def __init__(
        self,
        collector: MetricsCollector | None = None,
        port: int = 9090,
        host: str = "127.0.0.1",
        path: str = "/metrics",
    ) -> None:
        """Without a collector it is the one of the process, which this turns on."""
        self._collector = collector if collector is not None else get_metrics_collector()
        self._port = port
        self._host = host
        self._path = path if path.startswith("/") else f"/{path}"
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    def get_metrics(self) -> str:
        """What the endpoint answers."""
        return self._collector.to_prometheus()

    @property
    def is_running(self) -> bool:
        return self._server is not None

    @property
    def endpoint(self) -> str:
        """The URL to ask."""
        port = self._server.server_address[1] if self._server is not None else self._port
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{port}{self._path}"

    async def start(self) -> None:
        """Listen. Raises AiRuntimeError when the address cannot be had."""
        if self._server is not None:
            return
        try:
            made = (_Server6 if ":" in self._host else _Server)((self._host, self._port), _handler(self))
        except (OSError, OverflowError) as error:
            raise AiRuntimeError(f"metrics cannot be served at {self.endpoint}: {error}") from error
        self._server = made
        self._thread = threading.Thread(target=made.serve_forever, args=(POLL,), name="dragoman-metrics", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """Stop listening. Idempotent."""
        server, thread = self._server, self._thread
        self._server = self._thread = None
        if server is None or thread is None:
            return

        def end() -> None:
            server.shutdown()
            thread.join()
            server.server_close()

        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(end)

    async def __aenter__(self) -> PrometheusExporter:
        await self.start()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def server_bind(self) -> None:
        TCPServer.server_bind(self)  # HTTPServer's own asks for the host's name, which may take seconds


class _Server6(_Server):
    address_family = socket.AF_INET6


def _handler(exporter: PrometheusExporter) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Answers one path."""

        timeout: ClassVar[float] = PATIENCE
        server_version = "dragoman"
        sys_version = ""

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def _answer(self, *, with_body: bool) -> None:
            if urlsplit(self.path).path != exporter._path:
                self.send_error(404)
                return
            body = exporter.get_metrics().encode()
            self.send_response(200)
            self.send_header("content-type", CONTENT_TYPE)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            if with_body:
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: scrapes are no news."""

    return Handler
