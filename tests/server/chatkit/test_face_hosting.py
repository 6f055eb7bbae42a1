"""What stands behind `/chatkit`: the user's own server in all its forms, and whose rows it gets."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.server.chatkit.own_servers import Echo, Holding, asked, events, message, texts

from dragoman.chatkit.endpoint import Endpoint
from dragoman.chatkit.memory import MemoryStore
from dragoman.chatkit.types import AudioInput, TranscriptionResult
from dragoman.core.errors import UsageError
from dragoman.core.principal import Principal
from dragoman.demo.app import demo_app
from dragoman.engine.app import App
from dragoman.server.asgi import asgi
from dragoman.server.auth import demo_user
from dragoman.server.chatkit.context import RequestContext, identify, user_of
from dragoman.server.chatkit.responder import ModelChatKitServer
from dragoman.server.chatkit.rows_store import RowsStore
from dragoman.server.chatkit.stores import SQLiteStore
from dragoman.testing.model import ScriptedModel

Start = Callable[..., Awaitable[Any]]
ANN, BOB = "demo-ann", "demo-bob"


def own(chatkit: Any, **more: Any) -> App:
    return App("own", chatkit=chatkit, **more)


async def items_of(inside: Any, thread: str, token: str = ANN) -> list[dict[str, Any]]:
    page = await inside.ask("POST", "/chatkit", asked("items.list", thread_id=thread, order="asc"), token=token)
    return list(page.json()["data"])


@pytest.mark.requirement("CHK-33")
async def test_an_instance_keeps_its_own_store(start_inside: Start) -> None:
    inside = await start_inside(own(Echo(MemoryStore())))
    answer = await inside.ask("POST", "/chatkit", asked("threads.create", input=message("hi")), token=ANN)
    thread = events(answer.text)[0]["thread"]["id"]
    assert texts(await items_of(inside, thread)) == ["hi", f"demo:{demo_user(ANN)} said hi"]
    assert (await inside.ask("GET", "/dragoman/v1/threads", token=ANN)).json()["threads"] == []
    foreign = await inside.ask("POST", "/chatkit", asked("threads.get_by_id", thread_id=thread), token=BOB)
    assert foreign.status == 404


async def test_a_class_gets_the_servers_rows_and_files(start_inside: Start) -> None:
    inside = await start_inside(own(Echo))
    answer = await inside.ask("POST", "/chatkit", asked("threads.create", input=message("hi")), token=ANN)
    thread = events(answer.text)[0]["thread"]["id"]
    kept = await items_of(inside, thread)
    assert [item["type"] for item in kept] == ["user_message", "assistant_message"]
    (row,) = (await inside.ask("GET", "/dragoman/v1/threads", token=ANN)).json()["threads"]
    assert row["id"].replace("-", "") == thread.removeprefix("thr_")
    made = await inside.ask(
        "POST", "/chatkit", asked("attachments.create", name="a.txt", size=1, mime_type="text/plain"), token=ANN
    )
    assert made.json()["upload_descriptor"]["url"].startswith("http://test.example/chatkit/files/atc_")


async def test_a_callable_gets_store_and_files(start_inside: Start) -> None:
    given: list[Any] = []

    def make(*parts: Any) -> Echo:
        given.extend(parts)
        return Echo(*parts)

    inside = await start_inside(own(make))
    answer = await inside.ask("POST", "/chatkit", asked("threads.create", input=message("hi")), token=ANN)
    assert answer.status == 200
    assert isinstance(given[0], RowsStore)
    assert hasattr(given[1], "create_attachment")


class Hearing(ModelChatKitServer[RequestContext]):
    """The app's agents, and a hook of one's own."""

    async def transcribe(self, audio_input: AudioInput, context: RequestContext) -> TranscriptionResult:
        return TranscriptionResult(text=f"heard {len(audio_input.data)} bytes")


@pytest.mark.requirement("CHK-16")
async def test_a_subclass_of_the_responder_gets_the_apps_agents(start_inside: Start) -> None:
    app = demo_app()
    app.chatkit = Hearing
    inside = await start_inside(app)
    spoken = asked("input.transcribe", audio_base64="AAAA", mime_type="audio/webm")
    assert (await inside.ask("POST", "/chatkit", spoken, token=ANN)).json() == {"text": "heard 3 bytes"}
    answer = await inside.ask("POST", "/chatkit", asked("threads.create", input=message("echo: hi")), token=ANN)
    assert texts([events(answer.text)[-1]["item"]]) == ["hi"]


@pytest.mark.requirement("CHK-27")
async def test_a_responder_with_a_store_of_its_own_may_stand_behind_the_face(
    start_inside: Start, tmp_path: Any
) -> None:
    store: SQLiteStore[Any] = SQLiteStore(tmp_path / "own")
    inside = await start_inside(own(ModelChatKitServer(store, model=ScriptedModel())))
    answer = await inside.ask("POST", "/chatkit", asked("threads.create", input=message("echo: hi")), token=ANN)
    assert texts([events(answer.text)[-1]["item"]]) == ["hi"]
    assert (await inside.ask("POST", "/chatkit", asked("threads.list"), token=BOB)).json()["data"] == []


async def test_a_chat_of_ones_own_server_is_a_chat_of_kai(start_inside: Start) -> None:
    app = demo_app()
    app.chatkit = Echo
    inside = await start_inside(app)
    answer = await inside.ask("POST", "/chatkit", asked("threads.create", input=message("hi")), token=ANN)
    thread = events(answer.text)[0]["thread"]["id"]
    (chat,) = (await inside.ask("GET", "/api/history", token=ANN)).json()["chats"]
    assert chat["id"].replace("-", "") == thread.removeprefix("thr_")
    said = {"id": "m-1", "role": "user", "parts": [{"type": "text", "text": "recall"}]}
    body = {"id": chat["id"], "message": said, "selectedChatModel": "chat-model"}
    assert (await inside.ask("POST", "/api/chat", body, token=ANN)).status == 200
    assert texts(await items_of(inside, thread))[2:] == ["recall", "hi"]


async def test_a_store_of_ones_own_is_let_go_at_the_end(tmp_path: Any) -> None:
    store: SQLiteStore[Any] = SQLiteStore(tmp_path / "own")
    application = asgi(own(Echo(store)), demo=True, data=":memory:")
    await application.start()
    await store.rows()
    await application.stop()
    again: SQLiteStore[Any] = SQLiteStore(tmp_path / "own")
    async with again:  # the lock is free
        assert (await again.load_threads(1, None, "asc", RequestContext("t", "u", Principal("t", "u")))).data == []


async def test_what_is_no_server_is_refused() -> None:
    with pytest.raises(UsageError, match="ChatKitServer"):
        App("own", chatkit="MyServer")
    with pytest.raises(UsageError, match="nobody would answer"):
        asgi(App("own"))
    application = asgi(own(lambda store, files: object()), demo=True, data=":memory:")
    with pytest.raises(UsageError, match="must give a ChatKitServer, not object"):
        await application.start()
    await application.stop()


def test_the_context_names_a_user_whom_no_other_tenant_has() -> None:
    ann, other = Principal("acme", "ann"), Principal("other", "ann")
    assert user_of(ann) != user_of(other)
    context = RequestContext("acme", user_of(ann), ann, {"authorization": "Bearer x-secret"})
    assert identify(context) == ("acme", "ann")
    assert "x-secret" not in repr(context)


# --------------------------------------------------------------------------- the server's end


async def until(inside: Any, *, runs: int) -> None:
    """Wait for so many unfinished runs; the caller sets the limit."""
    for _ in itertools.repeat(None):
        if len(await inside.services.store.unfinished()) == runs:
            return
        await asyncio.sleep(0.01)


@pytest.mark.requirement("CHK-19")
async def test_at_the_servers_end_an_answer_of_ones_own_server_is_put_away(start_inside: Start) -> None:
    server = Holding(MemoryStore())
    inside = await start_inside(own(server))
    asking = asyncio.create_task(
        inside.ask("POST", "/chatkit", asked("threads.create", input=message("hi")), token=ANN)
    )
    async with asyncio.timeout(10):
        await server.said.wait()
        inside.application.begin_closing()
        told = events((await asking).text)
    assert (told[-1]["type"], told[-1]["allow_retry"]) == ("error", True)
    context = RequestContext("demo", f"demo:{demo_user(ANN)}", Principal("demo", demo_user(ANN)))
    page = await server.store.load_thread_items(told[0]["thread"]["id"], None, 10, "asc", context)
    kinds = [item.type for item in page.data]
    assert kinds == ["user_message", "assistant_message", "sdk_hidden_context"]


@pytest.mark.requirement("CHK-19", "CHK-37")
async def test_an_answer_that_went_on_without_its_reader_is_put_away_at_the_servers_end(start_inside: Start) -> None:
    server = Holding(MemoryStore(), allow_cancel=False)
    inside = await start_inside(own(server))
    endpoint = Endpoint(server)
    context = RequestContext("demo", f"demo:{demo_user(ANN)}", Principal("demo", demo_user(ANN)))
    reply = await endpoint.post(json.dumps(asked("threads.create", input=message("hi"))).encode(), context)
    assert reply.stream is not None
    async with asyncio.timeout(10):
        await server.said.wait()
        await reply.stream.aclose()
        assert not endpoint.is_idle
        await endpoint.aclose()
    assert endpoint.is_idle
    (thread,) = (await inside.ask("POST", "/chatkit", asked("threads.list"), token=ANN)).json()["data"]
    assert texts(await items_of(inside, thread["id"])) == ["hi", "one"]


@pytest.mark.requirement("CHK-37")
async def test_at_the_servers_end_a_run_of_an_agent_is_not_cancelled(start_inside: Start, tmp_path: Any) -> None:
    first = await start_inside(data=tmp_path)
    body = asked("threads.create", input=message("slow: 40 25"))
    asking = asyncio.create_task(first.ask("POST", "/chatkit", body, token=ANN))
    async with asyncio.timeout(10):
        await until(first, runs=1)
        first.application.begin_closing()
        told = events((await asking).text)
    assert (told[-1]["type"], told[-1]["code"], told[-1]["allow_retry"]) == ("error", "custom", False)
    await first.application.stop()
    second = await start_inside(data=tmp_path)
    async with asyncio.timeout(10):
        await until(second, runs=0)
    kept = await items_of(second, told[0]["thread"]["id"])
    assert texts(kept)[1] == " ".join(map(str, range(1, 41)))
