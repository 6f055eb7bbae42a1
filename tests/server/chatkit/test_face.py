"""The ChatKit face within one process: errors in the wire's form, limits, credentials, models, files, disconnects."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest
from tests.server.chatkit.own_servers import Holding, asked, events, message, texts

from dragoman.chatkit.memory import MemoryStore
from dragoman.core.principal import Principal
from dragoman.engine.app import App
from dragoman.server.auth import demo_user
from dragoman.server.chatkit.context import RequestContext
from dragoman.server.keys import create_key
from dragoman.testing.clock import FakeClock

Start = Callable[..., Awaitable[Any]]
ANN = "demo-ann"


def begin(text: str, **more: Any) -> dict[str, Any]:
    return asked("threads.create", input=message(text, **more))


async def items_of(inside: Any, thread: str, token: str = ANN) -> list[dict[str, Any]]:
    page = await inside.ask("POST", "/chatkit", asked("items.list", thread_id=thread, order="asc"), token=token)
    return list(page.json()["data"])


# --------------------------------------------------------------------------- errors and limits


@pytest.mark.requirement("CHK-29", "CHK-30")
async def test_errors_of_the_house_have_the_wires_form(start_inside: Start) -> None:
    inside = await start_inside(settings={"chatkit.limits.body": 200})
    for method, path, status in [
        ("GET", "/chatkit", 405),
        ("POST", "/chatkit/nothing", 404),
        ("DELETE", "/chatkit/files/atc_1", 405),
        ("GET", "/chatkit/files/atc_1", 404),
        ("POST", "/chatkit/upload", 404),
        ("GET", "/chatkit/feedback", 403),
    ]:
        answer = await inside.ask(method, path, token=ANN)
        assert (answer.status, set(answer.json()["error"])) == (status, {"code", "message"}), path
    large = await inside.ask("POST", "/chatkit", begin("x" * 300), token=ANN)
    assert (large.status, large.json()["error"]["code"]) == (413, "too_large")
    nobody = await inside.ask("POST", "/chatkit", begin("x"), token=None)
    assert nobody.status == 401
    assert nobody.headers["www-authenticate"].startswith("Bearer")
    assert "x-request-id" in nobody.headers


@pytest.mark.requirement("CHK-29")
async def test_a_limit_of_messages_is_that_of_all_faces(start_inside: Start) -> None:
    inside = await start_inside(clock=FakeClock(1_000_000.0))
    answers = [await inside.ask("POST", "/chatkit", begin("echo: x"), token="demo-limit2-chat") for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert 0 < int(answers[2].headers["retry-after"]) <= 86400
    assert set(answers[2].json()["error"]) == {"code", "message"}
    listed = await inside.ask("POST", "/chatkit", asked("threads.list"), token="demo-limit2-chat")
    assert len(listed.json()["data"]) == 2
    body = {"message": {"text": "echo: x"}}
    assert (await inside.ask("POST", "/dragoman/v1/runs", body, token="demo-limit2-chat")).status == 429


@pytest.mark.requirement("CHK-29")
async def test_a_keys_rate_and_the_open_streams_of_a_user_are_limited(start_inside: Start) -> None:
    server = Holding(MemoryStore())
    inside = await start_inside(
        App("own", chatkit=server, settings={"limits": {"streams_per_user": 1}}), clock=FakeClock(1000.0)
    )
    key, secret = create_key(tenant="demo", user="bot", now=1000.0, rate_limit=(3, 60.0))
    await inside.services.store.commit(_put(key))
    first = asyncio.create_task(inside.ask("POST", "/chatkit", begin("hi"), token=secret))
    async with asyncio.timeout(10):
        await server.said.wait()
        second = await inside.ask("POST", "/chatkit", begin("hi"), token=secret)
        server.go.set()
        assert events((await first).text)[-1]["type"] == "thread.item.done"
    third = await inside.ask("POST", "/chatkit", asked("threads.list"), token=secret)
    fourth = await inside.ask("POST", "/chatkit", asked("threads.list"), token=secret)
    assert [second.status, third.status, fourth.status] == [429, 200, 429]
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in (second, fourth))


def _put(key: Any) -> Any:
    from dragoman.core.writes import PutKey

    return PutKey(key)


@pytest.mark.requirement("CHK-07")
async def test_models_are_agents_and_the_aliases_of_the_settings(start_inside: Start) -> None:
    inside = await start_inside(settings={"chatkit.models.aliases": {"gpt-big": {"agent": "demo", "reasoning": True}}})
    for model in (None, "chat-model", "chat-model-reasoning", "demo", "gpt-big"):
        options = {"model": model} if model else {}
        answer = await inside.ask("POST", "/chatkit", begin("echo: x", inference_options=options), token=ANN)
        assert answer.status == 200, model
    refused = await inside.ask("POST", "/chatkit", begin("echo: x", inference_options={"model": "gpt-9"}), token=ANN)
    assert (refused.status, refused.json()["error"]["code"]) == (400, "unknown_model")
    listed = await inside.ask("POST", "/chatkit", asked("threads.list"), token=ANN)
    assert len(listed.json()["data"]) == 5


@pytest.mark.requirement("CHK-31")
async def test_cross_origin_pages_are_off_unless_listed_and_errors_carry_the_headers(start_inside: Start) -> None:
    page = {"origin": "https://page.example"}
    closed = await start_inside(App("own", chatkit=Holding(MemoryStore())), demo=False)
    assert "access-control-allow-origin" not in (await closed.ask("POST", "/chatkit", {}, headers=page)).headers
    listed = {"cors.origins": ["https://page.example"]}
    opened = await start_inside(App("own", chatkit=Holding(MemoryStore())), demo=False, settings=listed)
    refused = await opened.ask("POST", "/chatkit", {}, headers=page)
    assert (refused.status, refused.headers["access-control-allow-origin"]) == (401, "https://page.example")


@pytest.mark.requirement("CHK-31")
async def test_silence_is_filled_with_pings_unless_that_is_off(start_inside: Start) -> None:
    for seconds, pings in ((0.01, True), (0, False)):
        server = Holding(MemoryStore())
        settings = {"chatkit.heartbeat_seconds": seconds, "limits.heartbeat_seconds": 0.01}
        inside = await start_inside(App("own", chatkit=server), settings=settings)
        asking = asyncio.create_task(inside.ask("POST", "/chatkit", begin("hi"), token=ANN))
        async with asyncio.timeout(10):
            await server.said.wait()
            asyncio.get_running_loop().call_later(0.1, server.go.set)
            answer = await asking
        assert (b": ping\n\n" in answer.pieces) is pings
        assert ": heartbeat" not in answer.text
        assert answer.headers["cache-control"] == "no-cache, no-transform"


# --------------------------------------------------------------------------- who has gone


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < deadline


@pytest.mark.requirement("CHK-37")
@pytest.mark.parametrize(
    ("policy", "allow_cancel", "goes_on"),
    [
        ("auto", True, False),
        ("auto", False, True),
        ("cancel", False, False),
        ("continue", True, True),
    ],
)
def test_what_becomes_of_an_answer_whose_client_has_gone(
    serve_live: Callable[..., Any], policy: str, allow_cancel: bool, goes_on: bool
) -> None:
    server = Holding(MemoryStore(), allow_cancel=allow_cancel)
    live = serve_live(App("own", chatkit=server), settings={"chatkit.on_disconnect": policy})
    headers = {"authorization": f"Bearer {ANN}"}
    with live.client.stream("POST", "/chatkit", json=begin("hi"), headers=headers) as answer:
        lines = (line for line in answer.iter_lines() if line.startswith("data: "))
        told = [json.loads(next(lines)[6:]) for _ in range(5)]
    thread = told[0]["thread"]["id"]
    assert told[4]["update"]["delta"] == "one"
    wait_until(lambda: "\ndragoman_streams_open 0" in live.client.get("/metrics").text)
    assert server.loop is not None
    if goes_on:
        server.loop.call_soon_threadsafe(server.go.set)
    context = RequestContext("demo", f"demo:{demo_user(ANN)}", Principal("demo", demo_user(ANN)))

    async def stored() -> list[Any]:
        async with asyncio.timeout(10):
            while True:
                page = await server.store.load_thread_items(thread, None, 10, "asc", context)
                if len(page.data) > 1:
                    return page.data
                await asyncio.sleep(0.005)

    kept = asyncio.run(stored())
    assert kept[1].content[0].text == ("one two" if goes_on else "one")


@pytest.mark.requirement("CHK-15")
def test_an_upload_that_breaks_off_leaves_nothing(
    serve_live: Callable[..., Any], tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    live = serve_live()
    headers = {"authorization": f"Bearer {ANN}"}
    declared = asked("attachments.create", name="a.bin", size=4_000_000, mime_type="application/octet-stream")
    made = live.client.post("/chatkit", json=declared, headers=headers).json()
    path = made["upload_descriptor"]["url"].removeprefix(live.url)
    with live.connect() as half:
        half.sendall(
            f"PUT {path} HTTP/1.1\r\nhost: test\r\ncontent-length: 4000000\r\n\r\n".encode() + bytes(1_000_000)
        )
    refused = live.client.post("/chatkit", json=begin("files", attachments=[made["id"]]), headers=headers)
    assert refused.status_code == 400
    whole = httpx2.put(live.url + path, content=bytes(4_000_000), trust_env=False)
    assert whole.status_code == 200, whole.text
    used = live.client.post("/chatkit", json=begin("files", attachments=[made["id"]]), headers=headers)
    assert "a.bin" in used.text
    assert "ClientGone" not in caplog.text


async def test_votes_of_parts_are_no_votes_of_kai(start_inside: Start) -> None:
    inside = await start_inside()
    told = events((await inside.ask("POST", "/chatkit", begin("echo: rate me"), token=ANN)).text)
    thread = told[0]["thread"]["id"]
    item = told[-1]["item"]["id"]
    voted = asked("items.feedback", thread_id=thread, item_ids=[item], kind="positive")
    assert (await inside.ask("POST", "/chatkit", voted, token=ANN)).status == 200
    (chat,) = (await inside.ask("GET", "/api/history", token=ANN)).json()["chats"]
    (vote,) = (await inside.ask("GET", f"/api/vote?chatId={chat['id']}", token=ANN)).json()
    messages = (await inside.ask("GET", f"/api/chat/{chat['id']}", token=ANN)).json()["messages"]
    assert (vote["messageId"], vote["type"]) == (messages[1]["id"], "up")
    assert texts(await items_of(inside, thread)) == ["echo: rate me", "rate me"]
