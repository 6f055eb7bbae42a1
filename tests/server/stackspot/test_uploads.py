"""Uploads over the wire: form, file, chat; sizes, ends, and whose they are."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from obstore.store import MemoryStore
from tests.server.conftest import Inside, Live
from tests.server.stackspot.filing import (
    FORM_TYPE,
    chat,
    encoded,
    files,
    form,
    post,
    post_body,
    token,
    told,
    uploaded,
    xml_code,
)

from dragoman.core.ids import as_ulid, canonical, is_ulid, new_id
from dragoman.core.messages import FilePart
from dragoman.core.principal import Principal
from dragoman.core.writes import DropBlob
from dragoman.engine.agents import Agent
from dragoman.engine.app import App
from dragoman.server.auth import demo_user
from dragoman.server.stackspot.uploads import resolve
from dragoman.store.blob_sweeping import sweep_blobs
from dragoman.store.blobs import ObjectBlobs
from dragoman.testing.clock import FakeClock

Start = Callable[..., Awaitable[Inside]]
MIB = 1024 * 1024
DEMO = Principal("demo", demo_user("demo"))


# --------------------------------------------------------------------------- that it works


@pytest.mark.requirement("STK-60")
async def test_a_file_goes_up_in_two_steps_and_a_chat_can_name_it(start_inside: Start) -> None:
    inside = await start_inside()
    bearer = await token(inside)
    made = await form(inside, bearer, "notes.txt")
    assert is_ulid(made["id"])
    assert made["id"] == made["id"].upper()
    assert all(isinstance(value, str) for value in made["form"].values())
    sent = await post(inside, made, b"some notes")
    assert (sent.status, sent.body) == (204, b"")
    assert sent.headers["etag"].startswith('"')
    assert sent.headers["location"] == made["url"]
    answer = await chat(inside, bearer, "files", upload_ids=[made["id"]])
    assert (answer.status, answer.json()["message"]) == (200, "notes.txt")


@pytest.mark.requirement("STK-61")
async def test_several_files_keep_their_order(start_inside: Start) -> None:
    inside = await start_inside()
    bearer = await token(inside)
    ids = [await uploaded(inside, bearer, f"{name}.txt", b"x") for name in "cab"]
    answer = await chat(inside, bearer, "files", upload_ids=[*ids, ids[0].lower()])
    assert answer.json()["message"] == "c.txt, a.txt, b.txt, c.txt"


@pytest.mark.requirement("STK-60", "STK-P07")
async def test_what_a_file_says_reaches_the_model(start_inside: Start) -> None:
    async def model(request: Any) -> AsyncIterator[str]:
        for part in request.messages[-1].parts:
            if isinstance(part, FilePart):
                yield f"{part.name} {part.media_type} {part.text!r} "

    inside = await start_inside(App("acme", agents=[Agent("reader", model=model)]))
    bearer = await token(inside)
    ids = [
        await uploaded(inside, bearer, "a.md", "grün".encode()),
        await uploaded(inside, bearer, "b.png", b"\x89PNG\r\n\x1a\n"),
    ]
    answer = await chat(inside, bearer, "read", agent="reader", upload_ids=ids)
    assert answer.json()["message"] == "a.md text/markdown 'grün' b.png image/png None "


@pytest.mark.requirement("STK-60", "STK-67")
async def test_a_file_of_a_conversation_lives_as_long_as_that(start_inside: Start) -> None:
    clock = FakeClock()
    inside = await start_inside(clock=clock)
    bearer = await token(inside)
    id = await uploaded(inside, bearer, "a.txt", b"x", expiration=1)
    used = await chat(inside, bearer, "files", upload_ids=[id], use_conversation=True)
    assert used.status == 200
    clock.advance(61)
    assert told(await chat(inside, bearer, "files", upload_ids=[id])) == (410, "UPLOAD_EXPIRED")
    await swept(inside)
    assert len(files(inside)) == 1
    thread = canonical(used.json()["conversation_id"])
    await inside.services.engine.delete_thread("demo", DEMO.user, thread)
    await swept(inside)
    assert files(inside) == []


@pytest.mark.requirement("STK-62")
@pytest.mark.parametrize(
    "name", ["größe übersicht.txt", 'a "quoted" name.md', "../../etc/passwd", "日本語.csv", ".hidden"]
)
async def test_names_stay_as_they_were_given_and_are_no_paths(start_inside: Start, name: str) -> None:
    inside = await start_inside()
    bearer = await token(inside)
    id = await uploaded(inside, bearer, name, b"x")
    assert (await resolve(inside.services, DEMO, [id]))[0]["name"] == name
    assert [path.name for path in files(inside)] == [canonical(id)]


@pytest.mark.requirement("STK-60")
async def test_the_target_is_an_absolute_address_from_the_host_or_the_settings(start_inside: Start) -> None:
    inside = await start_inside()
    assert (await form(inside, await token(inside)))["url"].startswith("http://test.example/stackspot/upload/")
    behind = await start_inside(settings={"public_url": "https://example.org/ai/"})
    assert (await form(behind, await token(behind)))["url"].startswith("https://example.org/ai/stackspot/upload/")


@pytest.mark.requirement("STK-95")
async def test_the_same_file_may_be_sent_again_and_another_may_not(start_inside: Start) -> None:
    inside = await start_inside()
    made = await form(inside, await token(inside))
    first, second = await post(inside, made, b"one"), await post(inside, made, b"one")
    assert (first.status, second.status) == (204, 204)
    assert first.headers["etag"] == second.headers["etag"]
    assert xml_code(await post(inside, made, b"two")) == (403, "AccessDenied")
    assert files(inside)[0].read_bytes() == b"one"


@pytest.mark.requirement("STK-95")
async def test_two_posts_of_one_form_at_once_keep_one_file(start_inside: Start) -> None:
    inside = await start_inside()
    made = await form(inside, await token(inside))
    replies = await asyncio.gather(*[post(inside, made, text) for text in (b"one", b"one", b"two")])
    assert sorted(reply.status for reply in replies) == [204, 204, 403]
    assert [path.read_bytes() for path in files(inside)] == [b"one"]


@pytest.mark.requirement("STK-67")
async def test_part_of_a_minute_is_a_time_as_well(start_inside: Start) -> None:
    clock = FakeClock()
    inside = await start_inside(clock=clock)
    bearer = await token(inside)
    id = await uploaded(inside, bearer, "a.txt", b"x", expiration=0.05)
    clock.advance(2.9)
    assert await resolve(inside.services, DEMO, [id])
    clock.advance(0.2)
    assert told(await chat(inside, bearer, "files", upload_ids=[id])) == (410, "UPLOAD_EXPIRED")


# --------------------------------------------------------------------------- sizes


@pytest.mark.requirement("STK-64")
async def test_an_empty_file_is_refused_and_leaves_nothing(start_inside: Start) -> None:
    inside = await start_inside()
    bearer = await token(inside)
    made = await form(inside, bearer)
    assert xml_code(await post(inside, made, b"")) == (400, "EntityTooSmall")
    assert files(inside) == []
    assert told(await chat(inside, bearer, "files", upload_ids=[made["id"]])) == (409, "UPLOAD_INCOMPLETE")


@pytest.mark.requirement("STK-65")
async def test_the_size_limit_is_exact(start_inside: Start) -> None:
    inside = await start_inside(settings={"stackspot": {"upload_limit": 1000}})
    bearer = await token(inside)
    made = await form(inside, bearer)
    assert xml_code(await post(inside, made, b"x" * 1001)) == (400, "EntityTooLarge")
    assert files(inside) == []
    assert (await post(inside, made, b"x" * 1000)).status == 204


@pytest.mark.requirement("STK-65")
async def test_a_body_that_says_it_is_far_too_large_is_not_even_kept(start_inside: Start) -> None:
    inside = await start_inside(settings={"stackspot": {"upload_limit": 1000}})
    made = await form(inside, await token(inside))
    body = encoded(made["form"], b"x" * (2 * MIB))
    assert xml_code(await post_body(inside, made, body)) == (400, "EntityTooLarge")
    assert files(inside) == []


@pytest.mark.requirement("STK-65")
def test_who_sends_too_much_can_read_why_after_all_was_sent(serve_live: Callable[..., Live]) -> None:
    live = serve_live(settings={"stackspot": {"upload_limit": 1000}})
    made = live_form(live)
    body = encoded(made["form"], b"x" * (8 * MIB))
    with live.connect() as client:
        client.sendall(post_head(made, len(body)) + body)
        assert b"EntityTooLarge" in received(client)


@pytest.mark.requirement("STK-60")
def test_an_interrupted_upload_leaves_nothing_and_can_be_sent_again(serve_live: Callable[..., Live]) -> None:
    live = serve_live()
    made = live_form(live)
    services = live.application.services
    assert services is not None
    directory = services.blobs.directory  # type: ignore[attr-defined]
    body = encoded(made["form"], b"x" * MIB)
    with live.connect() as client:
        client.sendall(post_head(made, len(body)) + body[: MIB // 2])
        until(lambda: any(path.is_file() for path in directory.glob("**/*")))
    until(lambda: not any(path.is_file() for path in directory.glob("**/*")))
    with live.connect() as client:
        client.sendall(post_head(made, len(body)) + body)
        assert received(client).startswith(b"HTTP/1.1 204")


def live_form(live: Live) -> dict[str, Any]:
    said = {"grant_type": "client_credentials", "client_id": "demo", "client_secret": "demo-secret"}
    bearer = live.client.post("/demo/oidc/oauth/token", data=said).json()["access_token"]
    asked = {"file_name": "a.txt", "target_type": "CONTEXT", "expiration": 60}
    answer = live.client.post("/v2/file-upload/form", json=asked, headers={"authorization": f"Bearer {bearer}"})
    made: dict[str, Any] = answer.json()
    return made


def post_head(made: dict[str, Any], length: int) -> bytes:
    head = f"POST {urlsplit(made['url']).path} HTTP/1.1\r\nhost: test\r\ncontent-type: {FORM_TYPE}\r\n"
    return f"{head}content-length: {length}\r\nconnection: close\r\n\r\n".encode()


def received(client: socket.socket) -> bytes:
    got = b""
    while piece := client.recv(65536):
        got += piece
    return got


def until(holds: Callable[[], bool]) -> None:
    """Wait on another thread's work, at most some seconds."""

    pause, deadline = threading.Event(), time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        pause.wait(0.005)


# --------------------------------------------------------------------------- whose and until when


@pytest.mark.requirement("STK-66")
@pytest.mark.parametrize(
    "id", ["nonsense", "ä", as_ulid(new_id(0.0)), "x" * 300], ids=["word", "letter", "ulid", "long"]
)
async def test_an_unknown_upload_is_named(start_inside: Start, id: str) -> None:
    inside = await start_inside()
    reply = await chat(inside, await token(inside), "files", upload_ids=[id])
    assert told(reply) == (404, "UPLOAD_NOT_FOUND")
    assert repr(id[:100]) in reply.json()["details"]


@pytest.mark.requirement("STK-66", "STK-P05")
async def test_anothers_upload_is_as_unknown(start_inside: Start) -> None:
    inside = await start_inside()
    id = await uploaded(inside, await token(inside, "demo-ann"), "a.txt", b"x")
    eve = await chat(inside, await token(inside, "demo-eve"), "files", upload_ids=[id])
    assert told(eve) == (404, "UPLOAD_NOT_FOUND")
    assert (await chat(inside, await token(inside, "demo-ann"), "files", upload_ids=[id])).status == 200


@pytest.mark.requirement("STK-67")
async def test_an_expired_upload_is_told_from_an_unknown_one_and_its_bytes_go(start_inside: Start) -> None:
    clock = FakeClock()
    inside = await start_inside(clock=clock)
    id = await uploaded(inside, await token(inside), "a.txt", b"x", expiration=30)
    clock.advance(30 * 60)
    bearer = await token(inside)
    assert told(await chat(inside, bearer, "files", upload_ids=[id])) == (410, "UPLOAD_EXPIRED")
    await swept(inside)
    assert files(inside) == []
    reply = await chat(inside, bearer, "files", upload_ids=[id])
    assert told(reply) == (410, "UPLOAD_EXPIRED")
    assert id in reply.json()["details"]
    clock.advance(24 * 3600)
    gone = await chat(inside, await token(inside), "files", upload_ids=[id])
    assert told(gone) == (404, "UPLOAD_NOT_FOUND")


async def swept(inside: Inside) -> None:

    services = inside.services
    await sweep_blobs(services.store, services.blobs, now=services.clock())


@pytest.mark.requirement("STK-67", "STK-69")
async def test_a_form_that_has_expired_takes_no_file(start_inside: Start) -> None:
    clock = FakeClock()
    inside = await start_inside(clock=clock)
    made = await form(inside, await token(inside), expiration=1)
    clock.advance(60)
    assert xml_code(await post(inside, made, b"x")) == (403, "AccessDenied")
    assert files(inside) == []


@pytest.mark.requirement("STK-67")
async def test_a_form_whose_row_was_swept_takes_no_file(start_inside: Start) -> None:
    clock = FakeClock()
    inside = await start_inside(clock=clock)
    made = await form(inside, await token(inside))
    services = inside.services

    await services.store.commit(DropBlob(canonical(made["id"])))
    assert xml_code(await post(inside, made, b"x")) == (403, "AccessDenied")
    assert files(inside) == []


@pytest.mark.requirement("STK-68")
async def test_an_upload_without_its_file_is_named(start_inside: Start) -> None:
    inside = await start_inside()
    bearer = await token(inside)
    made = await form(inside, bearer)
    reply = await chat(inside, bearer, "files", upload_ids=[made["id"]])
    assert told(reply) == (409, "UPLOAD_INCOMPLETE")
    assert made["id"] in reply.json()["details"]


@pytest.mark.requirement("STK-61")
async def test_each_upload_is_checked_before_the_model_starts(start_inside: Start) -> None:
    inside = await start_inside()
    bearer = await token(inside)
    id = await uploaded(inside, bearer, "a.txt", b"x")
    assert (await chat(inside, bearer, "files", upload_ids=[id, "nonsense"])).status == 404
    assert not (await inside.services.store.runs("demo")).rows


async def test_what_erases_a_user_takes_the_uploads_along(start_inside: Start) -> None:
    inside = await start_inside()
    id = await uploaded(inside, await token(inside), "a.txt", b"x")
    async for _ in inside.services.store.erase("demo", DEMO.user):
        pass
    assert told(await chat(inside, await token(inside), "files", upload_ids=[id])) == (404, "UPLOAD_NOT_FOUND")
    await swept(inside)
    assert files(inside) == []


# --------------------------------------------------------------------------- where the bytes lie


@pytest.mark.requirement("STK-60", "STK-64", "STK-65", "STK-95")
async def test_the_bytes_may_lie_in_a_bucket(start_inside: Start) -> None:
    inside = await start_inside(settings={"stackspot": {"upload_limit": 2000}})
    bucket = MemoryStore()
    inside.services.blobs = ObjectBlobs(bucket)
    bearer = await token(inside)
    for content, code in ((b"", "EntityTooSmall"), (b"x" * 2001, "EntityTooLarge")):
        assert xml_code(await post(inside, await form(inside, bearer), content)) == (400, code)
    made = await form(inside, bearer)
    cut = await post_body(inside, made, encoded(made["form"], b"x" * 900)[:-60])
    assert xml_code(cut) == (400, "MalformedPOSTRequest")
    assert [one for page in bucket.list() for one in page] == []
    assert [(await post(inside, made, b"x" * 2000)).status for _ in range(2)] == [204, 204]
    assert [one["size"] for page in bucket.list() for one in page] == [2000]
    assert (await chat(inside, bearer, "files", upload_ids=[made["id"]])).status == 200
