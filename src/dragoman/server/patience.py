"""uvicorn's HTTP protocol with bounds on the head of a request: how long it may take, how large it may be.

uvicorn bounds neither, so a client that sends one byte a minute would hold a connection for ever.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 64 * 1024


def patient_protocol(seconds: float) -> type[HttpToolsProtocol]:
    """A protocol class whose connections are closed unless a head arrives within `seconds`."""

    class PatientProtocol(HttpToolsProtocol):
        # Slots, since two more names in the instance's dict would stop it from sharing its keys: 1.2 KiB each.
        __slots__ = ("_head_bytes", "_head_timer")

        def connection_made(self, transport: Any) -> None:
            self._head_timer: asyncio.TimerHandle | None = None
            self._head_bytes = 0
            super().connection_made(transport)
            self._expect_head()

        def connection_lost(self, exc: Exception | None) -> None:
            self._head_arrived()
            super().connection_lost(exc)

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self._head_bytes = 0
            self._expect_head()

        def on_url(self, url: bytes) -> None:
            self._count(len(url))
            super().on_url(url)

        def on_header(self, name: bytes, value: bytes) -> None:
            self._count(len(name) + len(value) + 4)
            super().on_header(name, value)

        def on_headers_complete(self) -> None:
            self._head_arrived()
            super().on_headers_complete()

        def _count(self, size: int) -> None:
            self._head_bytes += size
            if self._head_bytes > MAX_HEAD_BYTES:
                raise ValueError("the head of the request is too large")  # uvicorn answers 400 and closes

        def _expect_head(self) -> None:
            if self._head_timer is None:
                self._head_timer = self.loop.call_later(seconds, self._too_slow)

        def _head_arrived(self) -> None:
            if self._head_timer is not None:
                self._head_timer.cancel()
                self._head_timer = None

        def _too_slow(self) -> None:
            self._head_timer = None
            self.transport.close()

    return PatientProtocol
