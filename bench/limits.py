"""The limits: the least code that does the same work right, to which everything is compared.

Written for speed alone, with the fastest parts there are (msgspec, httptools, orjson, raw asyncio and
sqlite3) and for one use: no malformed bytes, no options, no errors. Each is a ratio of 1.0.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httptools
import msgspec

from bench.shapes import (
    Anthropic,
    BlockDelta,
    Native,
    OpenAI,
    Own,
    Owns,
    Part,
    Parts,
    StepEvent,
    StoredItem,
    StoredThread,
    TextDelta,
)

# ------------------------------------------------------------------------- bytes to typed events


DECODE: dict[str, Callable[[bytes], Any]] = {
    "openai": msgspec.json.Decoder(OpenAI).decode,
    "anthropic": msgspec.json.Decoder(Anthropic).decode,
    "ai_sdk": msgspec.json.Decoder(Parts).decode,
    "own": msgspec.json.Decoder(Owns).decode,
    "noukai": msgspec.json.Decoder(StepEvent).decode,
    "stackspot": msgspec.json.Decoder(Native).decode,
}
DONE = b"data: [DONE]"


def frames_to_events(dialect: str) -> Callable[[bytes], list[Any]]:
    """A function of reads; it keeps the bytes of an unfinished frame for the next one."""
    decode = DECODE[dialect]
    has_fields = dialect in ("anthropic", "own", "noukai")  # an `id` or `event` line before the data
    rest = b""

    def feed(read: bytes) -> list[Any]:
        nonlocal rest
        frames = (rest + read if rest else read).split(b"\n\n")
        rest = frames.pop()
        if has_fields:
            return [decode(frame[frame.index(b"\ndata: ") + 7 :]) for frame in frames if frame[:1] != b":"]
        return [decode(frame[6:]) for frame in frames if frame[:6] == b"data: " and frame != DONE]

    return feed


async def events(dialect: str, reads: AsyncIterator[bytes]) -> AsyncGenerator[Any, None]:
    """The limit of P1."""
    feed = frames_to_events(dialect)
    async for read in reads:
        for event in feed(read):
            yield event


def text_of(event: Any) -> str:
    """The text in an event of this module."""
    match event:
        case OpenAI():
            return (event.choices[0].delta.content or "") if event.choices else ""
        case Anthropic():
            return event.delta.text if event.delta is not None else ""
        case Part():
            return event.delta if isinstance(event, TextDelta) else ""
        case Own():
            return event.payload.delta if isinstance(event, BlockDelta) else ""
        case StepEvent():
            return event.outputData
        case _:
            return str(event.message)


# ----------------------------------------------------------------------------- a client of HTTP


class RawClient(asyncio.Protocol):
    """One connection, one request at a time, no limits, no errors but a broken connection."""

    def __init__(self, dialect: str) -> None:
        self._dialect = dialect
        self._lost = False

    async def open(self, host: str, port: int) -> None:
        transport, _ = await asyncio.get_running_loop().create_connection(lambda: self, host, port)
        self._transport = transport
        self._host = f"{host}:{port}".encode()

    async def events(self, path: str, body: bytes) -> AsyncGenerator[Any, None]:
        """The limit of P3 and P4: send, and give events as they come."""
        self._feed = frames_to_events(self._dialect)
        self._parser = httptools.HttpResponseParser(self)
        self._ready: list[Any] = []
        self._ended = False
        self._waiter: asyncio.Future[None] | None = None
        self._transport.write(
            b"POST %b HTTP/1.1\r\nhost: %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
            % (path.encode(), self._host, len(body), body)
        )
        while True:
            ready, self._ready = self._ready, []
            for event in ready:
                yield event
            if self._ready:
                continue
            if self._ended:
                return
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter

    def close(self) -> None:
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        self._wake()

    def on_body(self, body: bytes) -> None:
        self._ready += self._feed(body)

    def on_message_complete(self) -> None:
        self._ended = True

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)


# --------------------------------------------------------------------------------------- a store


class RawStore:
    """One connection in WAL mode: rows of (thread, seq, JSON), read by keyset, decoded in one call.

    The limit of P11 and P12.
    """

    def __init__(self, file: Path) -> None:
        self.db = sqlite3.connect(file, isolation_level=None, cached_statements=256)
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = NORMAL")
        self.db.execute("PRAGMA cache_size = -8000")
        self.db.executescript(
            "CREATE TABLE items (thread INTEGER, seq INTEGER, body TEXT, PRIMARY KEY (thread, seq)) WITHOUT ROWID;"
            "CREATE TABLE threads (number INTEGER PRIMARY KEY, owner TEXT, body TEXT);"
            "CREATE INDEX threads_owner ON threads (owner);"
        )
        self._encode = msgspec.json.Encoder().encode
        self._items = msgspec.json.Decoder(list[StoredItem]).decode
        self._threads = msgspec.json.Decoder(list[StoredThread]).decode

    def add(self, thread: int, seq: int, item: StoredItem) -> None:
        """One transaction."""
        self.db.execute("INSERT INTO items VALUES (?, ?, ?)", (thread, seq, self._encode(item).decode()))

    def fill(self, thread: int, items: list[StoredItem], threads: list[StoredThread]) -> None:
        """Everything in one transaction."""
        self.db.execute("BEGIN")
        rows = [(thread, seq, self._encode(item).decode()) for seq, item in enumerate(items, start=1)]
        self.db.executemany("INSERT INTO items VALUES (?, ?, ?)", rows)
        lines = [(one.owner, self._encode(one).decode()) for one in threads]
        self.db.executemany("INSERT INTO threads (owner, body) VALUES (?, ?)", lines)
        self.db.execute("COMMIT")

    def newest(self, thread: int, before: int, limit: int) -> list[StoredItem]:
        found = self.db.execute(
            "SELECT body FROM items WHERE thread = ? AND seq < ? ORDER BY seq DESC LIMIT ?", (thread, before, limit)
        )
        return self._items("[" + ",".join([body for (body,) in found]) + "]")

    def after(self, thread: int, after: int, limit: int) -> list[StoredItem]:
        found = self.db.execute(
            "SELECT body FROM items WHERE thread = ? AND seq > ? ORDER BY seq LIMIT ?", (thread, after, limit)
        )
        return self._items("[" + ",".join([body for (body,) in found]) + "]")

    def threads(self, owner: str, limit: int) -> list[StoredThread]:
        found = self.db.execute("SELECT body FROM threads WHERE owner = ? ORDER BY number DESC LIMIT ?", (owner, limit))
        return self._threads("[" + ",".join([body for (body,) in found]) + "]")

    def close(self) -> None:
        self.db.close()
