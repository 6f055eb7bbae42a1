"""The page goes away, or the server stops in good order, while an answer streams over ChatKit's wire: real sockets.

This wire has no stop: closing the connection is the stop button. A server that stops is something else, and ends no
answer of its agents.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from prove.chatkit_wire import Away, ChatKit, Document, said, text_of
from prove.reading import V1, Client
from prove.server import Server

SECONDS = 20.0
DELTA = "assistant_message.content_part.text_delta"

pytestmark = pytest.mark.requirement("CHK-37")
Start = Callable[..., Awaitable[Server]]
Visit = Callable[[Server], "Visitor"]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """`await start(**settings)`: a server of the test's own."""
    made: list[Server] = []

    async def start(**settings: str) -> Server:
        made.append(Server(tmp_path, settings={f"DRAGOMAN_CHATKIT__{name}": value for name, value in settings.items()}))
        await made[-1].start()
        return made[-1]

    yield start
    for server in made:
        server.close()


@pytest.fixture
async def visit() -> AsyncIterator[Visit]:
    """`visit(server)`: a user of the test's own."""
    made: list[Visitor] = []

    def visit(server: Server) -> Visitor:
        made.append(Visitor(server))
        return made[-1]

    yield visit
    for visitor in made:
        await visitor.wire.aclose()
        await visitor.own.aclose()


class Visitor:
    """A user with a page, and with the own face beside it."""

    def __init__(self, server: Server) -> None:
        token = f"leaving.{uuid.uuid4().hex}"
        self.wire, self.own = ChatKit(server.url, token), Client(server.url, token)
        self.thread = ""

    async def read(self, text: str, deltas: int) -> AsyncGenerator[Document, None]:
        """An open stream of which so many pieces of text have come."""
        stream = self.wire.stream("threads.create", {"input": said(text)})
        async for event in stream:
            if event["type"] == "thread.created":
                self.thread = event["thread"]["id"]
            deltas -= event.get("update", {}).get("type") == DELTA
            if deltas == 0:
                break
        return stream

    async def run(self) -> Document:
        (id,) = self.wire.runs
        return dict((await self.own.send("GET", f"{V1}/runs/{id}")).json())

    async def until(self, status: str) -> None:
        async with asyncio.timeout(SECONDS):
            while (await self.run())["status"] != status:  # noqa: ASYNC110 - another process makes it so
                await asyncio.sleep(0.02)

    async def said(self) -> list[str]:
        found = await self.wire.items(self.thread)
        return [text_of(item) for item in found if item["type"] == "assistant_message"]


async def test_a_closed_connection_stops_the_answer_and_keeps_what_was_said(start: Start, visit: Visit) -> None:
    visitor = visit(await start())
    stream = await visitor.read("slow: 200 50", deltas=3)
    await stream.aclose()
    await visitor.until("cancelled")
    (text,) = await visitor.said()
    assert "1 2 3 " in f"{text} "
    assert len(text.split()) < 200
    again = [
        event
        async for event in visitor.wire.stream(
            "threads.add_user_message", {"thread_id": visitor.thread, "input": said("echo: next")}
        )
    ]
    assert text_of(again[-1]["item"]) == "next"


async def test_where_answers_go_on_they_can_be_read_after_a_reload_and_taken_up_by_their_run(
    start: Start, visit: Visit
) -> None:
    visitor = visit(await start(ON_DISCONNECT="continue"))
    stream = await visitor.read("slow: 12 50", deltas=2)
    await stream.aclose()
    (run,) = visitor.wire.runs
    events = [json.loads(data) for _, data in await visitor.own.journal(run)]
    assert events[-1]["type"] == "run.completed"
    assert await visitor.said() == ["1 2 3 4 5 6 7 8 9 10 11 12"]


async def test_a_server_that_stops_cancels_no_answer_and_goes_on_with_it_later(start: Start, visit: Visit) -> None:
    server = await start()
    visitor = visit(server)
    stream = await visitor.read("slow: 20 50", deltas=3)
    stopping = asyncio.create_task(asyncio.to_thread(server.stop))
    try:
        rest = [event async for event in stream]
    except Away:
        rest = []
    assert "thread.item.done" not in [event["type"] for event in rest]
    assert await stopping == 0
    await server.start()
    await visitor.until("completed")
    assert await visitor.said() == [" ".join(map(str, range(1, 21)))]


async def test_a_server_that_stops_leaves_cards_as_they_are(start: Start, visit: Visit) -> None:
    server = await start()
    visitor = visit(server)
    await visitor.read("approve: create_bucket b", deltas=-1)
    before = await visitor.wire.items(visitor.thread)
    assert await asyncio.to_thread(server.stop) == 0
    await server.start()
    assert await visitor.wire.items(visitor.thread) == before
    assert (await visitor.run())["status"] == "paused"
