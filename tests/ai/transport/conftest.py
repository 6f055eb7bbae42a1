"""A manifest and a loopback server for the tests of transport."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dragoman.ai.protocol.manifest import ProtocolManifest

PATIENCE = 20.0


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the machine's environment reaches a test."""
    for name in ["AI_HTTP_TIMEOUT_SECS", "AI_TIMEOUT_SECS", "AI_PROXY_URL", "AI_HTTP_TRUST_ENV", "AI_PROXY_NO_PROXY"]:
        monkeypatch.delenv(name, raising=False)
    for name in [
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "no_proxy",
    ]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ACME_TOKEN", "acme-secret-0123456789")


def acme(base_url: str = "https://acme.test/v1", **changes: Any) -> ProtocolManifest:
    document = {
        "id": "acme",
        "protocol_version": "1.5",
        "endpoint": {"base_url": base_url},
        "auth": {"type": "bearer", "token_env": "ACME_TOKEN"},
    }
    return ProtocolManifest(**{**document, **changes})


@pytest.fixture
def make_manifest() -> Callable[..., ProtocolManifest]:
    return acme


class Server:
    """Serves `handler(connection, head)` on a free port, a thread per connection, until the test ends.

    A handler that returns True goes on with the next request of the connection.
    """

    def __init__(self) -> None:
        self.handler: Callable[[socket.socket, bytes], bool] = lambda connection, head: answer(connection, b"{}")
        self.heads: list[bytes] = []
        self.connections = 0
        self.greeting = b""
        self.closed_by_peer = threading.Event()
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                connection.settimeout(PATIENCE)
                self.connections += 1
                self._open.append(connection)
                thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.sendall(self.greeting)
            goes_on = True
            while goes_on and (head := read_request(connection)):
                self.heads.append(head)
                goes_on = self.handler(connection, head)

    def wait_for_hangup(self, connection: socket.socket) -> None:
        with contextlib.suppress(ConnectionError):
            while connection.recv(65536):
                pass
        self.closed_by_peer.set()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)


def read_request(connection: socket.socket) -> bytes:
    """Head and body of one request; empty when the peer hung up."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        (int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")), 0
    )
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def answer(connection: socket.socket, body: bytes = b"{}", *headers: str, status: str = "200 OK") -> bool:
    lines = [f"HTTP/1.1 {status}", "content-type: application/json", f"content-length: {len(body)}", *headers, "", ""]
    connection.sendall("\r\n".join(lines).encode() + body)
    return True


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@pytest.fixture
def reply() -> Callable[..., bool]:
    return answer
