"""An HTTP peer on a real socket that does what a test says: answers, hangs up, resets, falls silent.

A script is a list of steps, one for each request, the last one repeated. A step is (status, headers, body) or a
function that is given the `Visit` and writes the bytes itself.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from dragoman.stackspot.auth import AuthProvider

WAIT = 10.0


@dataclass(slots=True)
class Visit:
    """One request; `connection` counts the connections of the peer, from 0."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int
    socket: socket.socket = field(repr=False)
    closing: threading.Event = field(repr=False)

    def json(self) -> Any:
        return json.loads(self.body)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def send_head(self, status: int = 200, *lines: str) -> None:
        self.send("\r\n".join([f"HTTP/1.1 {status} x", *lines, "", ""]).encode())

    def send_chunk(self, data: bytes) -> None:
        self.send(b"%x\r\n%s\r\n" % (len(data), data))

    def reset(self) -> None:
        """Cut the connection as a crash does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def say_nothing(self) -> None:
        """Keep the connection and its client waiting, until the client or the test ends."""
        self.socket.settimeout(0.02)
        while not self.closing.is_set():
            try:
                if not self.socket.recv(1):
                    return
            except TimeoutError:
                continue
            except OSError:
                return


Step = tuple[int, dict[str, str], Any] | Callable[[Visit], None]


def answer(status: int = 200, body: Any = None, **headers: str) -> Step:
    """JSON with a status; underscores in header names stand for hyphens."""
    return status, {name.replace("_", "-"): value for name, value in headers.items()}, body


class Peer:
    """`with Peer([...]) as peer:` serves at `peer.url`; `visits` are the requests, `connections` how many were made."""

    def __init__(self, script: Sequence[Step] | Step) -> None:
        self.script = [script] if callable(script) or isinstance(script, tuple) else list(script)
        self.visits: list[Visit] = []
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Peer:
        self._start(self._accept)
        return self

    def __exit__(self, *exception: object) -> None:
        self._closing.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in self._sockets:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it is closed already
        for thread in self._threads:
            thread.join(WAIT)

    @property
    def open_connections(self) -> int:
        """How many connections the clients keep open."""
        return sum(one.fileno() >= 0 for one in self._sockets)

    def _start(self, target: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                one, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(one)
            self.connections += 1
            self._start(self._serve, one, self.connections - 1)

    def _serve(self, one: socket.socket, number: int) -> None:
        with one:
            reader = one.makefile("rb")
            try:
                while not self._closing.is_set() and self._one(one, reader, number):
                    pass
            except OSError:
                pass  # the client left, or we cut it off
            finally:
                reader.close()

    def _one(self, one: socket.socket, reader: Any, number: int) -> bool:
        line = reader.readline().decode("latin-1").split()
        if len(line) < 2:
            return False
        headers = {}
        while (field := reader.readline().decode("latin-1").strip()) != "":
            name, _, value = field.partition(":")
            headers[name.strip().lower()] = value.strip()
        body = reader.read(int(headers.get("content-length", 0)))
        visit = Visit(line[0], line[1], headers, body, number, one, self._closing)
        with self._lock:
            step = self.script[min(len(self.visits), len(self.script) - 1)]
            self.visits.append(visit)
        if callable(step):
            step(visit)
            return False
        status, fields, value = step
        content = value if isinstance(value, bytes) else b"" if value is None else json.dumps(value).encode()
        fields = {"content-type": "application/json", **fields, "content-length": str(len(content))}
        visit.send_head(status, *(f"{name}: {text}" for name, text in fields.items()))
        visit.send(content)
        return True


class Keys(AuthProvider):
    """Gives `k1` until it is refused, then `k2` and so on."""

    def __init__(self) -> None:
        self.number = 1

    def get_access_token(self) -> str:
        return f"k{self.number}"

    def forget(self, token: str) -> None:
        assert token == f"k{self.number}"
        self.number += 1
