"""A reply as messages of plain ASGI: its head, and its body or stream. Whoever calls has read the request's body."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from functools import partial
from typing import Any, TypeAlias

from dragoman.chatkit.serving.answers import PieceStream, Reply
from dragoman.chatkit.serving.streams import OutgoingStream
from dragoman.transport.sending import Receive, Send, StreamSender, Write

Scope: TypeAlias = MutableMapping[str, Any]
Pairs: TypeAlias = Iterable[tuple[str, str]]

PING = b": ping\n\n"


def encoded(headers: Mapping[str, str], more: Pairs = ()) -> list[tuple[bytes, bytes]]:
    """Headers as ASGI has them."""
    pairs = [(name.lower(), value) for name, value in (*headers.items(), *more)]
    return [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in pairs]


async def send_reply(
    reply: Reply, receive: Receive, send: Send, *, more: Pairs = (), heartbeat: float = 15.0, stall: float = 60.0
) -> None:
    """Send the whole reply. `more` are further headers. Returns when it is sent, or the client has gone."""
    headers = encoded(reply.headers, more)
    if reply.stream is None:
        body = reply.body or b""
        if "content-length" not in reply.headers:
            headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        return
    stream = reply.stream
    try:
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    except BaseException as error:
        await stream.aclose()
        if isinstance(error, OSError):  # how some servers say that the client has gone
            return
        raise
    beat = heartbeat if reply.is_events else 0.0
    sender = StreamSender(receive, send, heartbeat=beat, stall=stall, comment=PING)
    # an OutgoingStream writes from its own task, which saves a switch of tasks for each piece
    pump = stream.pour if isinstance(stream, OutgoingStream) else partial(_each, stream)
    await sender.run(pump, stream.aclose)


async def _each(stream: PieceStream, write: Write) -> None:
    async for piece in stream:
        await write(piece)
