"""`ChatKitClient` against our own endpoint over real sockets, and against scripted servers that misbehave."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.chatkit.asking import Stepwise, turn
from tests.chatkit.scripted import NOON, Scripted, message, said
from tests.chatkit.sockets import served

from dragoman.chatkit import types
from dragoman.chatkit.asgi import ChatKitRequest, chatkit_app
from dragoman.chatkit.client import ChatKitClient
from dragoman.chatkit.memory import MemoryStore
from dragoman.chatkit.server import ChatKitServer
from dragoman.core.errors import (
    BadRequest,
    Conflict,
    ConnectionFailed,
    NotFound,
    PayloadTooLarge,
    ProtocolError,
    RateLimited,
    ServerError,
    Unauthorized,
    Unprocessable,
    UsageError,
)
from dragoman.demo.app import demo_app
from dragoman.server.chatkit.attachments import DiskAttachmentStore
from dragoman.testing.serving import serve
from dragoman.transport.scripted import Reply, ScriptedIO
from dragoman.wire.http import Headers, Response

pytestmark = pytest.mark.requirement("CHK-41")


class Everything(Scripted):
    """Offers every operation; the text of a message says what comes of it."""

    async def transcribe(self, audio_input: types.AudioInput, context: Any) -> types.TranscriptionResult:
        return types.TranscriptionResult(text=f"{len(audio_input.data)} bytes of {audio_input.media_type}")

    async def sync_action(
        self, thread: types.ThreadMetadata, action: types.Action[str, Any], sender: Any, context: Any
    ) -> types.SyncCustomActionResponse:
        return types.SyncCustomActionResponse(updated_item=sender)


async def _answer(thread: types.ThreadMetadata, asked: Any, context: Any) -> AsyncIterator[types.ThreadStreamEvent]:
    def about() -> dict[str, Any]:
        id = store.generate_item_id("message", thread, context)
        return {"id": id, "thread_id": thread.id, "created_at": NOON}

    store: MemoryStore[Any] = MemoryStore()
    text = asked.content[0].text if asked is not None else "continued"
    if text == "call":
        call = types.ClientToolCallItem(**about(), call_id="c1", name="look", arguments={})
        yield types.ThreadItemDoneEvent(item=call)
    elif text == "widget":
        widget = {"type": "Card", "children": [{"type": "Text", "value": "hi"}]}
        yield types.ThreadItemDoneEvent(item=types.WidgetItem.model_validate({**about(), "widget": widget}))
    elif text == "ask":
        options = [{"value": "A"}, {"value": "B"}]
        wanted = {"type": "multiple_choice", "id": "q1", "question": "Which?", "options": options}
        item = {**about(), "type": "structured_input", "status": "pending", "inputs": [wanted]}
        yield types.ThreadItemDoneEvent(item=types.StructuredInputItem.model_validate(item))
    else:
        files = ",".join(one.name for one in asked.attachments) if asked is not None else ""
        quoted = asked.quoted_text if asked is not None and asked.quoted_text else ""
        yield types.ThreadItemDoneEvent(item=message(thread, f"{text}|{files}|{quoted}", about()["id"]))


async def _act(
    thread: types.ThreadMetadata, action: Any, sender: Any, context: Any
) -> AsyncIterator[types.ThreadStreamEvent]:
    yield types.NoticeEvent(level="info", message=f"{action.type} {action.payload} on {sender.type}")


def _whose(request: ChatKitRequest) -> Any:
    return {"user_id": request.bearer} if request.bearer else None


@asynccontextmanager
async def talking(
    server: ChatKitServer[Any], *, token: str | None = "ann", **options: Any
) -> AsyncIterator[ChatKitClient]:
    async with (
        served(chatkit_app(server, _whose, **options)) as url,
        ChatKitClient(url + "/chatkit", token, timeout=10, stream_timeout=10) as client,
    ):
        yield client


async def last(stream: Any) -> types.ThreadStreamEvent:
    *_, event = [event async for event in stream]
    found: types.ThreadStreamEvent = event
    return found


def text_of(event: types.ThreadStreamEvent) -> str:
    assert isinstance(event, types.ThreadItemDoneEvent), event
    assert isinstance(event.item, types.AssistantMessageItem)
    return event.item.content[0].text


# --------------------------------------------------------------------------------- conversations


async def test_a_conversation_is_begun_continued_listed_and_deleted() -> None:
    async with talking(Everything(_answer)) as client:
        stream = client.create("hello")
        found = [event async for event in stream]
        assert [type(event).__name__ for event in found] == [
            "ThreadCreatedEvent", "ThreadItemDoneEvent", "StreamOptionsEvent", "ThreadItemDoneEvent",
        ]  # fmt: skip
        assert stream.thread_id is not None
        thread = stream.thread_id
        assert text_of(await last(client.send(thread, "more", quoted_text="that"))) == "more||that"
        renamed = await client.rename(thread, "Greetings")
        assert (renamed.id, renamed.title) == (thread, "Greetings")
        read = await client.get(thread)
        assert [item.type for item in read.items.data] == ["user_message", "assistant_message"] * 2
        assert [item.id async for item in client.items(thread, page=1)] == [item.id for item in read.items.data]
        newest = [item.id async for item in client.items(thread, order="desc", page=3)]
        assert newest == [item.id for item in reversed(read.items.data)]
        await client.feedback(thread, read.items.data[1].id, "positive")
        user = read.items.data[2]
        assert text_of(await last(client.retry(thread, user.id))) == "more||that"
        await client.delete(thread)
        with pytest.raises(NotFound):
            await client.get(thread)


async def test_all_threads_are_read_page_by_page() -> None:
    async with talking(Everything(_answer)) as client:
        made = []
        for number in range(5):
            stream = client.create(str(number))
            await last(stream)
            made.append(stream.thread_id)
        assert [thread.id async for thread in client.threads(order="asc", page=2)] == made
        assert [thread.id async for thread in client.threads()] == made[::-1]
        page = await client.threads_page(limit=2, order="asc", after=made[1])
        assert ([thread.id for thread in page.data], page.has_more) == (made[2:4], True)


async def test_a_message_may_be_a_whole_input() -> None:
    async with talking(Everything(_answer)) as client:
        whole = types.UserMessageInput.model_validate({**said("typed"), "quoted_text": "this"})
        assert text_of(await last(client.create(whole, inference_options={"model": "m"}))) == "typed||this"
        with pytest.raises(UsageError):
            client.create("x", colour="red")


async def test_tools_forms_and_actions_are_answered() -> None:
    async with talking(Everything(_answer, action=_act)) as client:
        stream = client.create("call")
        assert isinstance(await last(stream), types.ThreadItemDoneEvent)
        thread = stream.thread_id or ""
        assert text_of(await last(client.add_client_tool_output(thread, None))) == "continued||"
        asked = await last(client.send(thread, "ask"))
        assert isinstance(asked, types.ThreadItemDoneEvent)
        answered = client.add_structured_input(thread, asked.item.id, {"q1": ["A"]})
        assert text_of(await last(answered)) == "continued||"
        shown = await last(client.send(thread, "widget"))
        assert isinstance(shown, types.ThreadItemDoneEvent)
        action = types.Action(type="buy", payload={"id": 7})
        told = await last(client.action(thread, action, shown.item.id))
        assert isinstance(told, types.NoticeEvent)
        assert told.message == "buy {'id': 7} on widget"
        again = await client.sync_action(thread, {"type": "buy"}, shown.item.id)
        assert again.updated_item is not None
        assert again.updated_item.id == shown.item.id


async def test_a_skipped_question_is_told_so() -> None:
    async with talking(Everything(_answer)) as client:
        stream = client.create("ask")
        asked = await last(stream)
        assert isinstance(asked, types.ThreadItemDoneEvent)
        await last(client.add_structured_input(stream.thread_id or "", asked.item.id))
        item = [item async for item in client.items(stream.thread_id or "")][1]
        assert isinstance(item, types.StructuredInputItem)
        assert item.status == "skipped"


async def test_speech_becomes_text() -> None:
    async with talking(Everything(_answer)) as client:
        assert await client.transcribe(b"abc", "audio/webm;codecs=opus") == "3 bytes of audio/webm"


# ---------------------------------------------------------------------------------------- files


@asynccontextmanager
async def with_files(directory: Path, **options: Any) -> AsyncIterator[ChatKitClient]:
    store: MemoryStore[Any] = MemoryStore()
    place = ""
    files: DiskAttachmentStore[Any] = DiskAttachmentStore(directory, "s" * 32, lambda context: place, store=store)
    app = chatkit_app(Everything(_answer, store=store, files=files), _whose, **options)
    async with served(app) as url, ChatKitClient(url + "/chatkit", "ann", timeout=10, stream_timeout=10) as client:
        place = url + "/chatkit"
        yield client


@pytest.mark.requirement("CHK-15")
async def test_a_file_is_brought_sent_and_deleted(tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(b"\x89PNG" * 10)
    async with with_files(tmp_path / "blobs") as client:
        cat = await client.upload(tmp_path / "cat.png")
        note = await client.upload(b"a note", name="note.txt")
        assert (cat.mime_type, note.mime_type) == ("image/png", "text/plain")
        assert text_of(await last(client.create("see", [cat, note.id]))) == "see|cat.png,note.txt|"
        spare = await client.upload(b"spare", name="spare.bin")
        assert spare.mime_type == "application/octet-stream"
        await client.delete_attachment(spare.id)
        with pytest.raises(NotFound):
            await last(client.create("see", [spare.id]))
        with pytest.raises(UsageError):
            await client.upload(b"nameless")


@pytest.mark.requirement("CHK-15")
async def test_a_file_is_brought_in_one_request(tmp_path: Path) -> None:
    async with with_files(tmp_path, direct_upload=True, max_upload=1000) as client:
        made = await client.upload_direct(b"a note", name='Zoë\'s "note".txt', mime_type="text/plain")
        assert (made.name, made.mime_type) == ('Zoë\'s "note".txt', "text/plain")
        assert text_of(await last(client.create("see", [made]))).startswith("see|Zoë's")
        with pytest.raises(PayloadTooLarge):
            await client.upload_direct(b"x" * 2000, name="large.txt")


# --------------------------------------------------------------------------------------- errors


async def test_errors_have_the_class_of_their_status() -> None:
    async with talking(Everything(_answer)) as client:
        stream = client.create("hello")
        await last(stream)
        thread = stream.thread_id or ""
        answer = [item.id async for item in client.items(thread)][1]
        with pytest.raises(BadRequest) as refused:
            await last(client.retry(thread, answer))
        assert (refused.value.code, refused.value.status) == ("bad_target", 400)
        with pytest.raises(Conflict):
            await last(client.add_client_tool_output(thread, {}))
        with pytest.raises(Unprocessable):
            await last(client.create("x", ["a"] * 11))
        with pytest.raises(NotFound):
            _ = [item async for item in client.items("thr_nowhere")]
        with pytest.raises(ServerError) as missing:
            await client.upload(b"x", name="x")
        assert missing.value.status == 501
    async with talking(Everything(_answer), token=None) as client:
        with pytest.raises(Unauthorized):
            await client.threads_page()
        with pytest.raises(Unauthorized):
            await last(client.create("x"))
    with pytest.raises(ConnectionFailed):
        await client.threads_page()
    await client.aclose()


async def test_leaving_the_block_is_a_press_of_the_stop_button() -> None:
    server = Stepwise()
    async with talking(server) as client:
        async with client.create("hello") as events:
            async for event in events:
                if isinstance(event, types.ThreadItemUpdatedEvent):
                    break
        thread = events.thread_id or ""
        with pytest.raises(StopAsyncIteration):
            await anext(events)
        async with asyncio.timeout(5):
            while len(await server.store_items(thread)) < 3:
                await turn()
        items = [item async for item in client.items(thread)]
        assert [item.type for item in items] == ["user_message", "assistant_message"]
        assert items[1].content[0].text == "one"  # type: ignore[union-attr]  # by its type, see above


def _json(body: Any, status: int = 200, **headers: str) -> Response:
    return Response(status, Headers(headers), json.dumps(body).encode())


def _scripted(*answers: Any) -> tuple[ChatKitClient, ScriptedIO]:
    port = ScriptedIO(list(answers))
    return ChatKitClient("http://chat.example/chatkit/", "t", io=port, headers={"x-page": "7"}), port


async def test_events_of_the_future_are_left_out() -> None:
    told = b'data: {"type":"thread.sparkles","x":1}\n\n: ping\n\ndata: {"type":"progress_update","text":"hm"}\n\n'
    client, port = _scripted(Reply([told[:20], told[20:]]))
    found = [event async for event in client.send("thr_1", "x", metadata={"page": 1})]
    assert found == [types.ProgressUpdateEvent(text="hm")]
    request = port.requests[0]
    assert request.headers["authorization"] == "Bearer t"
    assert (request.headers["x-page"], request.headers["accept"]) == ("7", "text/event-stream")
    assert request.url == "http://chat.example/chatkit"
    assert json.loads(request.body or b"")["metadata"] == {"page": 1}


@pytest.mark.parametrize("told", [b"data: not json\n\n", b'data: {"type":"thread.item.done"}\n\n'])
async def test_an_event_that_is_none_is_a_protocol_error(told: bytes) -> None:
    client, _ = _scripted(Reply([told]))
    with pytest.raises(ProtocolError):
        await last(client.send("thr_1", "x"))


async def test_answers_of_another_shape_are_protocol_errors() -> None:
    client, _ = _scripted(
        _json({"page": 1}),
        Reply([b"<html>"], headers=Headers({"content-type": "text/html"})),
        _json({"data": [], "has_more": True}),
    )
    with pytest.raises(ProtocolError):
        await client.get("thr_1")
    with pytest.raises(ProtocolError):
        await last(client.send("thr_1", "x"))
    with pytest.raises(ProtocolError):
        _ = [thread async for thread in client.threads()]


async def test_an_error_of_a_proxy_is_understood_by_its_status() -> None:
    client, _ = _scripted(
        Response(429, Headers({"retry-after": "7"}), b"<html>slow down</html>"),
        Reply([b'{"error": {"code": "thread_busy", "message": "Wait."}}'], status=409),
    )
    with pytest.raises(RateLimited) as limited:
        await client.threads_page()
    assert limited.value.retry_after == 7
    with pytest.raises(Conflict) as busy:
        await last(client.send("thr_1", "x"))
    assert (busy.value.code, busy.value.message) == ("thread_busy", "Wait.")


def test_a_client_shows_no_token() -> None:
    assert "secret" not in repr(ChatKitClient("http://chat.example", "secret"))


# ------------------------------------------------------------------------------- the whole server


async def test_the_face_of_the_whole_server_is_understood() -> None:
    """`serve` starts in a thread of its own, and stops there."""
    running = serve(demo_app(), demo=True)
    house = await asyncio.to_thread(running.__enter__)
    try:
        async with ChatKitClient(f"{house.url}/chatkit", "demo-ann", timeout=10, stream_timeout=10) as client:
            stream = client.create("echo: hello")
            found = [event async for event in stream]
            assert text_of(found[-1]) == "hello"
            assert stream.run_id is not None
            thread = stream.thread_id or ""
            assert text_of(await last(client.send(thread, "recall"))).find("echo: hello") >= 0
            note = await client.upload(b"a note", name="note.txt")
            assert text_of(await last(client.send(thread, "echo: seen", [note]))) == "seen"
            kinds = [item.type async for item in client.items(thread, page=2)]
            assert kinds == ["user_message", "assistant_message"] * 3
            assert [one.id async for one in client.threads()] == [thread]
            failed = await last(client.send(thread, "fail: oops"))
            assert isinstance(failed, types.ErrorEvent)
            assert failed.message == "oops"
            await client.delete(thread)
            assert [one.id async for one in client.threads()] == []
    finally:
        await asyncio.to_thread(running.__exit__, None, None, None)
