"""The service that StackSpot clients are measured against: a raw asyncio protocol with answers made before.

A process of its own on the other core. It answers chats with one text, announces uploads, and swallows
files without keeping them, so that what is measured is the client.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys

from bench.measure import pin

ANSWER = "The answer. " * 80
UPLOAD = "01JZ8R0C4T6Y2H8D3F5G7J9KAD"

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_CHAT: dict[str, object] = {
    "message": ANSWER,
    "stop_reason": "stop",
    "tokens": {"user": 4, "enrichment": 0, "input": 4, "output": 160},
    "conversation_id": None,
    "knowledge_source_id": [],
}


def answer(value: object) -> bytes:
    body = json.dumps(value).encode()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
    return head + body


CHAT = answer(_CHAT)
TAKEN = b"HTTP/1.1 204 No Content\r\n\r\n"


class Service(asyncio.Protocol):
    """One connection; requests are answered one after the other, when all of their body has come."""

    def __init__(self) -> None:
        self._head = b""
        self._left = 0
        self._answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a stream transport is needed")
        self._transport = transport
        port = transport.get_extra_info("sockname")[1]
        form = {"key": UPLOAD, "policy": "e30=", "x-amz-signature": "0" * 64}
        self._form = answer({"id": UPLOAD, "url": f"http://127.0.0.1:{port}/bucket", "form": form})

    def data_received(self, data: bytes) -> None:
        if not self._answer:
            self._head += data
            head, blank, data = self._head.partition(b"\r\n\r\n")
            if not blank:
                return
            self._head = b""
            path = head.split(b" ", 2)[1]
            self._answer = TAKEN if path == b"/bucket" else CHAT if path.endswith(b"/chat") else self._form
            length = _LENGTH.search(head)
            self._left = int(length[1]) if length else 0
        self._left -= len(data)
        if self._left <= 0:
            self._transport.write(self._answer)
            self._answer = b""


async def serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Service, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    pin(1)
    asyncio.run(serve())
