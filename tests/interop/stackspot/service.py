"""A server in the process of a test that answers, byte for byte, as the test tells it: what no real one does on purpose.

An answer is a function of the request and the connection. Those given are used up one after the
other, the last one again and again; token requests have a list of their own.
"""

from __future__ import annotations

import http.client
import json
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, BinaryIO
from urllib.parse import urlsplit

SECONDS = 20.0
TOKEN = "/oidc/oauth/token"
SSE = "text/event-stream; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request; `open` is how many connections there were when it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    open: int

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Talk:
    """The connection on which a request came."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.is_over = False

    def send(self, data: bytes) -> None:
        self._connection.sendall(data)

    def head(self, status: int, **headers: str) -> None:
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.send("\r\n".join([f"HTTP/1.1 {status} Told", *lines, "", ""]).encode("latin-1"))

    def chunk(self, data: bytes) -> None:
        """One chunk; an empty one is the end of the body."""
        self.send(b"%x\r\n%b\r\n" % (len(data), data))

    def hold(self) -> None:
        """Until the client goes."""
        with suppress(OSError):
            while self._connection.recv(65536):
                pass
        self.is_over = True

    def cut(self) -> None:
        self.is_over = True


Reply = Callable[[Asked, Talk], None]


def answer(status: int, body: Any = None, content_type: str = "application/json", **headers: str) -> Reply:
    """A whole answer; `bytes` go as they are, anything else as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    def reply(asked: Asked, talk: Talk) -> None:
        talk.head(status, content_type=content_type, content_length=str(len(content)), **headers)
        talk.send(content)

    return reply


def stream(*chunks: bytes, content_type: str | None = SSE, then: str = "end") -> Reply:
    """An answer in chunks; `then` it has an `end`, or is `cut`, or the connection is kept open (`hold`)."""

    def reply(asked: Asked, talk: Talk) -> None:
        talk.head(200, transfer_encoding="chunked", **({"content_type": content_type} if content_type else {}))
        for chunk in chunks:
            talk.chunk(chunk)
        if then == "end":
            talk.chunk(b"")
        else:
            {"cut": talk.cut, "hold": talk.hold}[then]()

    return reply


def frames(*objects: Any) -> bytes:
    """Frames with these as data; a string is data itself."""
    texts = [each if isinstance(each, str) else json.dumps(each) for each in objects]
    return "".join(f"data: {text}\n\n" for text in texts).encode()


def drop(asked: Asked, talk: Talk) -> None:
    """Close without an answer."""
    talk.cut()


def forward(url: str, change: Callable[[bytes], bytes] = lambda body: body) -> Reply:
    """What the server at `url` says to this request, headers and all; its body may be changed."""
    place = urlsplit(url)

    def reply(asked: Asked, talk: Talk) -> None:
        upstream = http.client.HTTPConnection(place.hostname or "", place.port, timeout=SECONDS)
        try:
            kept = {name: value for name, value in asked.headers.items() if name != "transfer-encoding"}
            upstream.request(asked.method, asked.path, asked.body or None, kept)
            told = upstream.getresponse()
            body = change(told.read())
        finally:
            upstream.close()
        headers = {name: value for name, value in told.getheaders() if name.lower() == "content-type"}
        talk.head(told.status, content_length=str(len(body)), **headers)
        talk.send(body)

    return reply


def token(access_token: str = "t1", expires_in: Any = 1200) -> Reply:
    return answer(200, {"access_token": access_token, "token_type": "Bearer", "expires_in": expires_in})


@dataclass(slots=True)
class Service:
    """Where it is, and what it was asked; `tokens` are the token requests."""

    replies: list[Reply]
    token_replies: list[Reply]
    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    tokens: list[Asked] = field(default_factory=list)
    connections: set[int] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def reply_to(self, asked: Asked) -> Reply:
        with self.lock:
            is_token = asked.path.endswith(TOKEN)
            (self.tokens if is_token else self.asked).append(asked)
            replies = self.token_replies if is_token else self.replies
            return replies.pop(0) if len(replies) > 1 else replies[0]

    def settled(self) -> int:
        """How many connections there are, once those that are being closed are."""
        deadline = time.monotonic() + 0.5
        while len(self.connections) > 1 and time.monotonic() < deadline:
            time.sleep(0.01)
        return len(self.connections)

    def serve(self, connection: socket.socket) -> None:
        """All requests of a connection."""
        connection.settimeout(SECONDS)
        self.connections.add(id(connection))
        talk = Talk(connection)
        try:
            with connection.makefile("rb") as reader:
                while not talk.is_over and (asked := self._read(reader, talk)) is not None:
                    self.reply_to(asked)(asked, talk)
        except OSError:
            pass
        finally:
            self.connections.discard(id(connection))

    def _read(self, reader: BinaryIO, talk: Talk) -> Asked | None:
        first = reader.readline()
        if not first:
            return None
        headers: dict[str, str] = {}
        while line := reader.readline().decode("latin-1").strip():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        if headers.get("expect", "").lower() == "100-continue":
            talk.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        method, path, _ = first.decode("latin-1").split(" ", 2)
        body = (
            _chunked(reader) if "transfer-encoding" in headers else reader.read(int(headers.get("content-length", 0)))
        )
        return Asked(method, path, headers, body, self.settled())


def _chunked(reader: BinaryIO) -> bytes:
    body = b""
    while size := int(reader.readline().split(b";")[0], 16):
        body += reader.read(size)
        reader.readline()
    reader.readline()
    return body


@contextmanager
def service(*replies: Reply, tokens: tuple[Reply, ...] = ()) -> Iterator[Service]:
    """A server for as long as the block."""
    made = Service(list(replies), list(tokens) or [token()])

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            made.serve(self.request)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        made.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()
            server.block_on_close = False
