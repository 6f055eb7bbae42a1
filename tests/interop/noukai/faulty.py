"""A proxy between a client and the server that misbehaves as it is told: what no server does on purpose.

It takes requests as a proxy does (a whole URL in the first line) and as a server does, so that
clients which know only one address and clients which know any can both be sent through it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Fault:
    """What becomes of one request.

    `status` answers with it instead of asking the server; `drop` closes without an answer; `cut` asks,
    and breaks the answer off after so many bytes of its body; `lose` asks, and gives nothing of it.
    """

    status: int = 0
    drop: bool = False
    lose: bool = False
    cut: int | None = None


@dataclass(slots=True)
class Faulty:
    """Faults by the number of a request (from 0) that `about` chooses; others pass."""

    faults: dict[int, Fault]
    about: Callable[[str], bool] = lambda line: True
    url: str = ""
    seen: list[str] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(SECONDS):
                await self._serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, TimeoutError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, _, rest = head.partition("\r\n")
        method, target, _ = first.split(" ")
        length = next((int(line[15:]) for line in rest.split("\r\n") if line.lower().startswith("content-length:")), 0)
        body = await reader.readexactly(length)
        path = target[target.index("/", 8) :] if target.startswith("http://") else target
        line = f"{method} {path}"
        fault = self._fault(line)
        self.heads.append(head)
        if fault.drop:
            return
        if fault.status:
            writer.write(
                f"HTTP/1.1 {fault.status} Fault\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}".encode()
            )
            await writer.drain()
            return
        kept = [each for each in rest.split("\r\n") if each and not each.lower().startswith(("connection:", "proxy-"))]
        await self._forward(
            "\r\n".join([f"{method} {path} HTTP/1.1", *kept, "connection: close", "", ""]), body, fault, writer
        )

    def _fault(self, line: str) -> Fault:
        if not self.about(line):
            return Fault()
        self.seen.append(line)
        return self.faults.get(len(self.seen) - 1, Fault())

    async def _forward(self, head: str, body: bytes, fault: Fault, writer: asyncio.StreamWriter) -> None:
        reader, upstream = await asyncio.open_connection("127.0.0.1", PORT)
        try:
            upstream.write(head.encode("latin-1") + body)
            await upstream.drain()
            answer = await reader.readuntil(b"\r\n\r\n")
            if fault.lose:
                await reader.read()
                return
            writer.write(answer)
            left = fault.cut
            while piece := await reader.read(65536):
                if left is not None:
                    piece, left = piece[:left], left - len(piece)
                writer.write(piece)
                await writer.drain()
                if left is not None and left <= 0:
                    return
        finally:
            upstream.close()


PORT = 8080


@asynccontextmanager
async def faulty(faults: dict[int, Fault], about: str = "") -> AsyncIterator[Faulty]:
    """A proxy for as long as the block; `about` is part of the requests that are counted.

    In a thread of its own, because a blocking client may stop the one that asks.
    """
    proxy, ready, loop = Faulty(faults, lambda line: about in line), threading.Event(), asyncio.new_event_loop()

    async def serve() -> None:
        async with await asyncio.start_server(proxy.serve, "127.0.0.1", 0) as server:
            proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            ready.set()
            await ended.wait()
            left = asyncio.all_tasks() - {asyncio.current_task()}
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    ended = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    assert ready.wait(SECONDS)
    try:
        yield proxy
    finally:
        loop.call_soon_threadsafe(ended.set)
        await asyncio.to_thread(thread.join, SECONDS)
        loop.close()
