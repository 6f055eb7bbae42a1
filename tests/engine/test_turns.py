"""What a turn may ask for: to go on without a message, to drop what a failed call had said; files; the mark of a cut."""

import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.engine.world import World, texts

from dragoman.core import events as ev
from dragoman.core.errors import NotFound
from dragoman.core.messages import FilePart, ModelRequest, ToolCallPart
from dragoman.core.ports import Written
from dragoman.core.records import Blob, Item
from dragoman.core.turns import Turn
from dragoman.core.writes import ChangeBlob, PutBlob, PutItem
from dragoman.engine.agents import Agent
from dragoman.engine.app import App
from dragoman.engine.conversation import CUT
from dragoman.engine.embedded import EmbeddedEngine
from dragoman.engine.files import StoredFiles

# --------------------------------------------------------------------------- going on


async def test_going_on_answers_what_the_thread_holds(world: World) -> None:
    await world.until(await world.ask("one"))
    started = await world.ask("", mode="continue", parts=())
    await world.until(started)
    assert texts(await world.items()) == ["one", "heard one", "heard heard one"]
    assert "message" not in started.run.input
    assert [m.role for m in world.requests[-1].messages] == ["user", "assistant"]


async def test_going_on_in_a_thread_that_is_not_there_is_refused(world: World) -> None:
    with pytest.raises(NotFound):
        await world.ask("", mode="continue", parts=())


async def test_what_is_gone_on_with_is_stored_in_the_same_commit(world: World) -> None:
    await world.until(await world.ask("one"))
    thread = await world.store.thread("t", "k")
    assert thread is not None
    asked = Item("q", "structured_input", "assistant", 1.0, {"status": "pending", "inputs": []})
    await world.store.commit(PutItem(thread.number, asked))
    one = {"question": "Which?", "answer": {"values": ["a", "</x>"]}}
    inputs = [one, {"question": "Why?", "answer": {"skipped": True}}, {"question": "How?"}]
    answered = Item("q", "structured_input", "assistant", 1.0, {"status": "answered", "inputs": inputs})
    await world.until(await world.ask("", mode="continue", parts=(), item=answered))
    items = await world.items()
    assert [(i.id, i.body["status"]) for i in items if i.kind == "structured_input"] == [("q", "answered")]
    told = world.requests[-1].messages[-1]
    assert told.role == "user"
    assert told.text == (
        '<structured_input status="answered">\nWhich?: a, <\\/x>\nWhy?: skipped\nHow?: unanswered\n</structured_input>'
    )


async def test_a_message_is_looked_for_among_messages_alone(world: World) -> None:
    await world.until(await world.ask("one"))
    thread = await world.store.thread("t", "k")
    assert thread is not None
    body = {"parts": [{"type": "text", "text": "secret"}]}
    await world.store.commit(PutItem(thread.number, Item("h", "hidden", "user", 1.0, body)))
    await world.until(await world.ask("", mode="regenerate", parts=()))
    assert texts(await world.items()) == ["one", "heard one"]


# --------------------------------------------------------------------------- failures and cuts


@pytest.mark.parametrize("keep", [True, False])
async def test_what_a_failed_model_call_had_said_stays_only_if_the_turn_says_so(world: World, keep: bool) -> None:
    await world.until(await world.ask("fail now", keep_failed=keep))
    items = await world.items()
    assert [(i.kind, i.status) for i in items[1:]] == ([("message", "interrupted")] if keep else []) + [
        ("end_of_turn", "interrupted")
    ]


async def test_what_a_cancelled_answer_had_said_stays_in_any_case(world: World) -> None:
    started = await world.ask("hang", keep_failed=False)
    await world.until(started, ev.BlockDelta)
    await world.engine.cancel(started.run.id)
    assert texts(await world.items()) == ["hang", "some"]


async def test_the_model_is_told_once_that_the_last_answer_was_cut(world: World) -> None:
    started = await world.ask("hang")
    await world.until(started, ev.BlockDelta)
    await world.engine.cancel(started.run.id)
    await world.until(await world.ask("two"))
    seen = world.requests[-1].messages
    assert [(m.role, m.text) for m in seen] == [
        ("user", "hang"),
        ("assistant", "some"),
        ("system", CUT),
        ("user", "two"),
    ]
    await world.until(await world.ask("three"))
    assert all(m.text != CUT for m in world.requests[-1].messages)


async def test_the_model_is_told_of_no_cut_where_nothing_is_left_of_the_answer(world: World) -> None:
    await world.until(await world.ask("one"))
    thread = await world.store.thread("t", "k")
    assert thread is not None
    gone = Item("e", "end_of_turn", "assistant", 1.0, {}, status="interrupted", answer="x")
    await world.store.commit(
        PutItem(thread.number, Item("q", "message", "user", 1.0, {"parts": [{"type": "text", "text": "lost"}]})),
        PutItem(thread.number, gone),
    )
    await world.until(await world.ask("two"))
    assert all(m.text != CUT for m in world.requests[-1].messages)


# --------------------------------------------------------------------------- what is no plain speech


async def test_a_call_that_was_never_answered_does_not_reach_the_model(world: World) -> None:
    await world.until(await world.ask("one"))
    thread = await world.store.thread("t", "k")
    assert thread is not None
    body = {"call": "c", "name": "here", "input": {}, "client": True, "state": "input-available"}
    await world.store.commit(
        PutItem(thread.number, Item("c", "tool_call", "assistant", 1.0, body, answer="a")),
        PutItem(thread.number, Item("d", "tool_call", "assistant", 1.0, {**body, "state": "output-available"})),
    )
    await world.until(await world.ask("two"))
    calls = [p.call_id for m in world.requests[-1].messages for p in m.parts if isinstance(p, ToolCallPart)]
    assert calls == ["d"]


async def test_hidden_context_and_shown_widgets_reach_the_model(world: World) -> None:
    await world.until(await world.ask("one"))
    thread = await world.store.thread("t", "k")
    assert thread is not None
    body = {"parts": [{"type": "text", "text": "as it is"}]}
    widget = {"type": "Card", "children": [{"type": "Text", "value": "</displayed_widget>"}]}
    await world.store.commit(
        PutItem(thread.number, Item("h", "hidden", "system", 1.0, body)),
        PutItem(thread.number, Item("w", "widget", "assistant", 1.0, widget, answer="a")),
    )
    await world.until(await world.ask("two"))
    told = [m.text for m in world.requests[-1].messages if m.role == "system"]
    assert told == [
        "as it is",
        '<displayed_widget id="w">'
        '{"type": "Card", "children": [{"type": "Text", "value": "<\\/displayed_widget>"}]}</displayed_widget>',
    ]


# --------------------------------------------------------------------------- files


class Bytes:
    """`core.ports.Blobs` in memory."""

    def __init__(self, **content: bytes) -> None:
        self.content = content

    async def write(self, id: str, chunks: AsyncIterator[bytes], *, limit: int | None = None) -> Written:
        self.content[id] = b"".join([chunk async for chunk in chunks])
        return Written(len(self.content[id]), "")

    async def read(self, id: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        if id not in self.content:
            raise NotFound("no such file", code="not_found:blob")
        yield self.content[id][start:end]

    async def size(self, id: str) -> int | None:
        return len(self.content[id]) if id in self.content else None

    async def delete(self, id: str) -> None:
        self.content.pop(id, None)


class Files:
    """An engine whose model sees files."""

    def __init__(self, world: World, *, most: int = 100) -> None:
        self.world = world
        self.requests: list[ModelRequest] = []
        app = App("t", agents=[Agent("helper", model=self.model)])
        files = StoredFiles(world.store, Bytes(b1=b"hello", b2=b"x" * 200), most_bytes=most)
        self.engine = EmbeddedEngine(app, world.store, clock=lambda: world.time, executor="me", files=files)

    async def model(self, request: ModelRequest) -> AsyncIterator[Any]:
        self.requests.append(request)
        yield "seen"

    async def put(self, id: str, owner: str = "ann", **fields: Any) -> None:
        given = {"size": 5, "state": "ready", "expires": 9e9} | fields
        await self.world.store.commit(PutBlob(Blob(id, "t", owner, "attachment", "a.txt", "text/plain", 1.0, **given)))

    async def ask(self, id: str, thread: str = "k", name: str = "a.txt") -> Any:
        parts = ({"type": "file", "url": f"blob:{id}", "media_type": "text/plain", "name": name},)
        started = await self.engine.start(Turn("t", "ann", "helper", thread_id=thread, parts=parts))
        assert [event async for event in self.engine.events(started.run.id)]
        return next(m for m in reversed(self.requests[-1].messages) if m.role == "user").parts[0]


@pytest.fixture
async def files(world: World) -> AsyncIterator[Files]:
    made = Files(world)
    yield made
    await made.engine.close()


async def test_a_stored_file_reaches_the_model_as_its_bytes(files: Files) -> None:
    await files.put("b1")
    expected = "data:text/plain;base64," + base64.b64encode(b"hello").decode()
    assert await files.ask("b1") == FilePart(expected, "text/plain", "a.txt", "hello")
    assert (await files.world.items())[0].body["parts"][0]["url"] == "blob:b1"


async def test_a_file_of_a_message_lives_as_long_as_the_thread(files: Files) -> None:
    await files.put("b1")
    await files.ask("b1")
    thread = await files.world.store.thread("t", "k")
    row = await files.world.store.blob("b1", tenant="t")
    assert thread is not None
    assert row is not None
    assert (row.thread, row.expires) == (thread.number, None)
    await files.ask("b1", thread="other")
    again = await files.world.store.blob("b1", tenant="t")
    assert again is not None
    assert again.thread == thread.number


@pytest.mark.parametrize(("owner", "fields"), [("eve", {}), ("ann", {"state": "pending"}), ("ann", {"size": 200})])
async def test_a_file_that_cannot_be_shown_is_named_as_missing(
    files: Files, owner: str, fields: dict[str, Any]
) -> None:
    await files.put("b2", owner, **fields)
    part = await files.ask("b2")
    assert part.text == "<missing_file>a.txt</missing_file>"


async def test_only_so_many_bytes_reach_the_model_the_newest_first(files: Files, monkeypatch: Any) -> None:
    monkeypatch.setattr("dragoman.engine.files.MOST_IN_ALL", 1)
    await files.put("b1")
    newest = await files.ask("b1")
    assert isinstance(newest, FilePart)
    await files.ask("b1")
    seen = [m.parts[0] for m in files.requests[-1].messages if m.role == "user"]
    assert [isinstance(part, FilePart) for part in seen] == [False, True]


async def test_neither_an_unknown_file_nor_a_strange_name_fails_the_turn(files: Files) -> None:
    assert (await files.ask("nobody")).text == "<missing_file>a.txt</missing_file>"
    odd = await files.ask("nobody", name="</missing_file> a")
    assert odd.text == "<missing_file>&lt;/missing_file> a</missing_file>"
    assert (await files.ask("http://localhost/of-a-browser")).text == "<missing_file>a.txt</missing_file>"
    await files.put("b1")
    await files.world.store.commit(ChangeBlob("b1", {"state": "gone"}))
    assert (await files.ask("b1")).text == "<missing_file>a.txt</missing_file>"
