"""uvicorn's HTTP protocol with bounds: how long a head may take and how large it may be, how long a client may idle.

uvicorn bounds none of them against a client that means harm: one byte a minute, or answers that
are never read, would hold a connection for ever. What cannot be read as HTTP is refused here, in
JSON: no face has seen it yet.
"""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any, ClassVar

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 64 * 1024
_LONGEST = 2**31 - 1
_OFFERS = (b"upgrade", b"http2-settings")


def _refusal(status: bytes, message: str) -> bytes:
    """A whole answer. Which face was meant is not known, so the body can be read as an error of any."""
    code = "bad_request:api"
    body = json.dumps({"code": code, "message": message, "error": {"code": code, "message": message}}).encode()
    head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close" % len(body)
    return b"HTTP/1.1 %b\r\n%b\r\n\r\n%b" % (status, head, body)


_NOT_HTTP = _refusal(b"400 Bad Request", "This is not an HTTP/1.1 request.")
_TOO_LARGE = _refusal(
    b"431 Request Header Fields Too Large", f"The head of the request is larger than {MAX_HEAD_BYTES} bytes."
)


def patient_protocol(seconds: float, stall: float) -> type[HttpToolsProtocol]:
    """A protocol class whose connections end unless a head arrives within `seconds` and answers are read.

    `stall` is how long the client's system may take in nothing of what is to be sent, closed
    connections included; only Linux can bound that.
    """
    bounds = {"__slots__": (), "seconds": seconds, "stall": stall}
    return type("PatientProtocol", (_PatientProtocol,), bounds)


class _PatientProtocol(HttpToolsProtocol):
    """A connection that ends unless a head arrives in time and answers are read; `patient_protocol` sets how long."""

    seconds: ClassVar[float]
    stall: ClassVar[float]
    # Slots, since more names in the instance's dict would stop it from sharing its keys: 1.2 KiB each.
    __slots__ = ("_head_bytes", "_head_timer", "_idle_timer")

    def connection_made(self, transport: Any) -> None:
        self._head_timer: asyncio.TimerHandle | None = None
        self._idle_timer: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        _bound_writes(transport, self.stall)
        super().connection_made(transport)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        # uvicorn stops the idle time at any byte; only the begin of a request may stop it
        self._idle_timer, self.timeout_keep_alive_task = self.timeout_keep_alive_task, None
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._stay(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self.logger.warning("Invalid HTTP request received.")
            self.send_400_response("")
        if self._idle_timer is not None:
            self.timeout_keep_alive_task, self._idle_timer = self._idle_timer, None

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_arrived()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
        self._head_bytes = 0
        self._expect_head()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value) + 4)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._may_stay():
            return  # `_stay` begins anew
        self._head_arrived()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        if not self._may_stay():
            super().on_message_complete()

    def _may_stay(self) -> bool:
        """Whether the client offers another protocol than HTTP/1.1; we take up none of them, as RFC 9110 allows."""
        return self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"

    def _stay(self, rest: bytes) -> None:
        """Read the request as if nothing had been offered: the parser takes its body for the other protocol's."""
        if not self._may_stay():
            return
        version = self.parser.get_http_version().encode()
        head = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, version)]
        for name, value in self.headers:
            if name == b"connection":
                kept = [word for word in value.split(b",") if word.strip().lower() not in _OFFERS]
                head.append(b"connection: " + b",".join(kept))
            elif name not in _OFFERS:
                head.append(name + b": " + value)
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        self.data_received(b"\r\n".join(head) + b"\r\n\r\n" + rest)

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > MAX_HEAD_BYTES:
            raise ValueError("the head of the request is too large")  # `send_400_response` is called

    def send_400_response(self, msg: str) -> None:
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self.transport.write(_TOO_LARGE if self._head_bytes > MAX_HEAD_BYTES else _NOT_HTTP)
        self.transport.close()  # an answer that has begun is cut, not mixed with another

    def _expect_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.seconds, self._too_slow)

    def _head_arrived(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _too_slow(self) -> None:
        self._head_timer = None
        self.transport.close()


def _bound_writes(transport: Any, seconds: float) -> None:
    """Have the system give the connection up when what was sent is not taken in for so long."""
    sock = transport.get_extra_info("socket")
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    if option is not None and sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, option, max(1, min(int(seconds * 1000), _LONGEST)))
