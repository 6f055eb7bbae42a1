"""Servers that `bench.chatkit` measures: the limit, ours, the published package; each in a process of its own.

All of them answer `POST /chatkit`. The text of a message says how many deltas come and how many
milliseconds lie between them: `200 0`. Ours and the published one run the same responder over a store on
SQLite: ours has its `SQLiteStore`, the published one brings none, so it gets the sample that its users
write, at its cheapest: one connection in WAL mode, no thread, JSON documents. The limit is Starlette's
StreamingResponse over frames that were built before.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sqlite3
import sys
import tempfile
import threading
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.measure import pin

WORD = " wörd"
FRAMES_BESIDE_DELTAS = 6
"""thread.created, the user's item, stream_options, added, the part, done."""


def delta(item: str, text: str) -> bytes:
    update = {"type": "assistant_message.content_part.text_delta", "content_index": 0, "delta": text}
    told = {"type": "thread.item.updated", "item_id": item, "update": update}
    return b"data: " + json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


def asked(body: bytes) -> tuple[int, float]:
    """Deltas, and seconds between them, of a request."""
    number, pause = json.loads(body)["params"]["input"]["content"][0]["text"].split()
    return int(number), int(pause) / 1000


# --------------------------------------------------------------------------------------- limit


def limit() -> Any:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import StreamingResponse
    from starlette.routing import Route

    frame = delta("msg_" + "0" * 32, WORD)
    beside = [b'data: {"type":"stream_options","stream_options":{"allow_cancel":true}}\n\n'] * FRAMES_BESIDE_DELTAS

    async def frames(number: int, pause: float) -> AsyncIterator[bytes]:
        for one in beside[1:]:
            yield one
        for _ in range(number):
            if pause:
                await asyncio.sleep(pause)
            yield frame
        yield beside[0]

    async def post(request: Request) -> StreamingResponse:
        return StreamingResponse(frames(*asked(await request.body())), media_type="text/event-stream")

    return Starlette(routes=[Route("/chatkit", post, methods=["POST"])])


# --------------------------------------------------------------------- the responder, for both


def responder(types: Any, base: Any) -> Any:
    """A server class over one package's types and its `ChatKitServer`."""

    class Server(base):
        async def respond(self, thread: Any, input_user_message: Any, context: Any) -> AsyncIterator[Any]:
            number, pause = input_user_message.content[0].text.split()
            pause = int(pause) / 1000
            item = types.AssistantMessageItem(
                id=self.store.generate_item_id("message", thread, context),
                thread_id=thread.id,
                created_at=datetime.now(),
                content=[],
            )
            yield types.ThreadItemAddedEvent(item=item)
            part = types.AssistantMessageContent(text="", annotations=[])
            update = types.AssistantMessageContentPartAdded(content_index=0, content=part)
            yield types.ThreadItemUpdatedEvent(item_id=item.id, update=update)
            for _ in range(int(number)):
                if pause:
                    await asyncio.sleep(pause)
                update = types.AssistantMessageContentPartTextDelta(content_index=0, delta=WORD)
                yield types.ThreadItemUpdatedEvent(item_id=item.id, update=update)
            whole = types.AssistantMessageContent(text=WORD * int(number), annotations=[])
            yield types.ThreadItemDoneEvent(item=item.model_copy(update={"content": [whole]}))

    return Server


def dragoman() -> Any:
    from dragoman.chatkit import server, types
    from dragoman.chatkit.asgi import chatkit_app
    from dragoman.server.chatkit.stores import SQLiteStore

    store = SQLiteStore(Path(tempfile.mkdtemp()) / "chat.db")
    return chatkit_app(responder(types, server.ChatKitServer)(store), lambda request: "somebody")


def published() -> Any:
    """As its manual serves it, without the FastAPI layer."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response, StreamingResponse
    from starlette.routing import Route

    from chatkit import server, types

    served = responder(types, server.ChatKitServer)(sample_store(Path(tempfile.mkdtemp()) / "chat.db"))

    async def post(request: Request) -> Response:
        result = await served.process(await request.body(), "somebody")
        if isinstance(result, server.StreamingResult):
            return StreamingResponse(result, media_type="text/event-stream")
        return Response(result.json, media_type="application/json")

    return Starlette(routes=[Route("/chatkit", post, methods=["POST"])])


_TABLES = """
CREATE TABLE threads (id TEXT PRIMARY KEY, owner TEXT, created_at TEXT, data TEXT);
CREATE INDEX threads_by_owner ON threads (owner, created_at);
CREATE TABLE items (id TEXT PRIMARY KEY, thread_id TEXT, created_at TEXT, data TEXT);
CREATE INDEX items_by_thread ON items (thread_id, created_at);
"""


def sample_store(file: Path) -> Any:
    """A store for the published package, with what these measurements use."""
    from chatkit.store import Store
    from chatkit.types import Page, ThreadItem, ThreadMetadata
    from pydantic import TypeAdapter

    items: Any = TypeAdapter(ThreadItem)
    threads: Any = TypeAdapter(ThreadMetadata)
    db = sqlite3.connect(file, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    db.executescript(_TABLES)

    class Sample(Store[Any]):
        async def save_thread(self, thread: Any, context: Any) -> None:
            row = (thread.id, context, thread.created_at.isoformat(), threads.dump_json(thread))
            db.execute("INSERT OR REPLACE INTO threads VALUES (?, ?, ?, ?)", row)

        async def load_thread(self, thread_id: str, context: Any) -> Any:
            found = db.execute("SELECT data FROM threads WHERE id = ? AND owner = ?", (thread_id, context))
            return threads.validate_json(found.fetchone()[0])

        async def load_threads(self, limit: int, after: str | None, order: str, context: Any) -> Any:
            query = f"SELECT data FROM threads WHERE owner = ? ORDER BY created_at {order} LIMIT ?"
            rows = [threads.validate_json(row[0]) for row in db.execute(query, (context, limit + 1))]
            more = len(rows) > limit
            return Page(data=rows[:limit], has_more=more, after=rows[limit - 1].id if more else None)

        async def add_thread_item(self, thread_id: str, item: Any, context: Any) -> None:
            row = (item.id, thread_id, item.created_at.isoformat(), items.dump_json(item))
            db.execute("INSERT INTO items VALUES (?, ?, ?, ?)", row)

        async def _absent(self, *arguments: Any, **named: Any) -> Any:
            raise LookupError("no measurement asks for this")

        save_item = load_item = load_thread_items = delete_thread_item = _absent
        delete_thread = save_attachment = load_attachment = delete_attachment = _absent

    return Sample()


# -------------------------------------------------------------------------------------- serving

SERVERS = {"limit": limit, "dragoman": dragoman, "published": published}


def serve(name: str) -> None:
    """Serve one of `SERVERS` until standard input ends; prints the port."""
    import uvicorn

    config = uvicorn.Config(SERVERS[name](), log_level="warning", ws="none", lifespan="off", access_log=False)
    server = uvicorn.Server(config)
    listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
    print(listening.getsockname()[1], flush=True)

    def stop() -> None:
        sys.stdin.read()
        server.should_exit = True

    threading.Thread(target=stop, daemon=True).start()
    server.run(sockets=[listening])


if __name__ == "__main__":
    pin(0)
    serve(sys.argv[1])
