"""The fake provider: a raw asyncio protocol that answers every request with prebuilt bytes.

Run as `python -m bench.provider` it is a process of its own on the other core, prints its port, and
ends when its standard input does. The path chooses the answer, `/DIALECT/PACE/…` with any end:

- `plain`: a short answer that is no stream (OpenAI's)
- `once`: the whole stream in one write, an HTTP chunk per event
- `each`: a write per event
- `paced`: an event each 20 ms
- `first`: the first event, then silence
- `pause`: the first event; 5 ms later the last ones, so that the connection stays warm
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from bench.measure import pin
from bench.streams import DIALECTS, stream

HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
    b"cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n"
)
END = b"0\r\n\r\n"
PACE = 0.02
PAUSE = 0.005
_LAST = 4  # frames: each dialect's proper end is among them

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


def chunked(frames: Sequence[bytes]) -> list[bytes]:
    return [b"%x\r\n%b\r\n" % (len(frame), frame) for frame in frames]


CHUNKS = {dialect: chunked(stream(dialect).frames) for dialect in DIALECTS}
WHOLE = {dialect: HEAD + b"".join(chunks) + END for dialect, chunks in CHUNKS.items()}


_MESSAGE = {"role": "assistant", "content": "Hello! How can I help you today?", "refusal": None}
_PLAIN = json.dumps(
    {
        "id": "chatcmpl-9fXk2LmQ7",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "gpt-4o-mini",
        "choices": [{"index": 0, "message": _MESSAGE, "logprobs": None, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 21, "completion_tokens": 9, "total_tokens": 30},
    }
).encode()
PLAIN = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(_PLAIN) + _PLAIN


class Provider(asyncio.Protocol):
    """One connection; requests are answered one after the other."""

    def __init__(self) -> None:
        self._bytes = b""
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a stream transport is needed")
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._bytes += data
        head, blank, rest = self._bytes.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not blank or len(rest) < (int(length[1]) if length else 0):
            return
        self._bytes = b""
        _, dialect, pace, *_ = head.split(b" ", 2)[1].decode("ascii").split("/")
        if pace == "plain":
            self._transport.write(PLAIN)
        elif pace == "once":
            self._transport.write(WHOLE[dialect])
        else:
            self._task = asyncio.get_running_loop().create_task(self._answer(CHUNKS[dialect], pace))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _answer(self, chunks: Sequence[bytes], pace: str) -> None:
        write = self._transport.write
        if pace in ("first", "pause"):
            write(HEAD + chunks[0])
            if pace == "first":
                return
            await asyncio.sleep(PAUSE)
            write(b"".join(chunks[-_LAST:]) + END)
            return
        write(HEAD)
        for chunk in chunks:
            write(chunk)
            await asyncio.sleep(PACE if pace == "paced" else 0)
        write(END)


async def serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Provider, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


@contextmanager
def provider() -> Iterator[int]:
    """The port of a provider in a process of its own, until the block ends."""
    with child("bench.provider") as (_, port):
        yield port


@contextmanager
def child(module: str, *arguments: str) -> Iterator[tuple[int, int]]:
    """Process id and port of `python -m MODULE …`, which prints its port and ends with its input."""
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline() if process.stdout is not None else ""
            if not line.strip().isdigit():
                raise RuntimeError(f"{' '.join(command[1:])} did not start: {line!r}")
            yield process.pid, int(line)
        finally:
            if process.stdin is not None:
                process.stdin.close()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()


if __name__ == "__main__":
    pin(1)
    asyncio.run(serve())
