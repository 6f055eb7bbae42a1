"""The tour of ChatKit's wire over a real demo server: files, what is refused, who sees what, pages of other origins."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from tests.interop.chatkit.speaking import Document, Speaker, actions, answer_of, done, message

MIB = 1024 * 1024
NOBODYS = "0" * 32


# --------------------------------------------------------------------------- files


def announce(user: Speaker, name: str, content: bytes, kind: str = "text/plain") -> Document:
    return user.ask("attachments.create", name=name, size=len(content), mime_type=kind)


def send(user: Speaker, attachment: Document, content: bytes, **changes: Any) -> httpx2.Response:
    """The bytes as the descriptor wants them, with no credentials but the URL's."""
    descriptor = attachment["upload_descriptor"]
    with httpx2.Client(trust_env=False) as http:
        if descriptor["method"] == "POST":
            return http.post(descriptor["url"], files={"file": (attachment["name"], content)}, **changes)
        return http.put(descriptor["url"], content=content, headers=descriptor["headers"], **changes)


def uploaded(user: Speaker, name: str, content: bytes, kind: str = "text/plain") -> Document:
    made = announce(user, name, content, kind)
    assert send(user, made, content).is_success
    return made


@pytest.mark.requirement("CHK-15")
def test_a_file_is_announced_sent_and_said(user: Speaker) -> None:
    made = announce(user, "notes.txt", b"hello file")
    assert made["type"] == "file"
    assert made["name"] == "notes.txt"
    assert set(made["upload_descriptor"]) == {"url", "method", "headers"}
    assert send(user, made, b"hello file").is_success
    _, events = user.begin("files", attachments=(made["id"],))
    (attached,) = done(events, "user_message")[0]["attachments"]
    assert attached["id"] == made["id"]
    assert "upload_descriptor" not in attached
    assert attached["thread_id"] == events[0]["thread"]["id"]
    assert answer_of(events) == "notes.txt"
    assert user.items(events[0]["thread"]["id"])[0]["attachments"] == [attached]


@pytest.mark.requirement("CHK-15")
def test_an_image_has_a_preview_that_an_img_can_load(user: Speaker) -> None:
    png = b"\x89PNG\r\n\x1a\n" + bytes(64)
    made = uploaded(user, "a.png", png, "image/png")
    assert made["type"] == "image"
    _, events = user.begin("files", attachments=(made["id"],))
    (attached,) = done(events, "user_message")[0]["attachments"]
    with httpx2.Client(trust_env=False) as http:
        shown = http.get(attached["preview_url"])
        assert (shown.status_code, shown.headers["content-type"], shown.content) == (200, "image/png", png)
        assert shown.headers["x-content-type-options"] == "nosniff"
        forged = http.get(attached["preview_url"][:-4] + "0000")
        assert forged.status_code in (401, 403, 404)


@pytest.mark.requirement("CHK-15")
@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("raw", [True, False])
def test_both_bodies_are_taken_on_both_methods(user: Speaker, method: str, raw: bool) -> None:
    made = announce(user, "n.txt", b"abc")
    body: dict[str, Any] = {"content": b"abc"} if raw else {"files": {"file": ("n.txt", b"abc")}}
    with httpx2.Client(trust_env=False) as http:
        assert http.request(method, made["upload_descriptor"]["url"], **body).is_success
    assert answer_of(user.begin("files", attachments=(made["id"],))[1]) == "n.txt"


@pytest.mark.requirement("CHK-15", "CHK-29")
def test_files_beyond_the_demos_limits_are_refused(user: Speaker) -> None:
    too_large = user.post("attachments.create", name="big", size=10 * MIB + 1, mime_type="text/plain")
    assert too_large.status_code == 413
    made = announce(user, "four.txt", b"four")
    assert send(user, made, b"more than four").status_code in (400, 413)
    early = user.post("threads.create", input=message("files", attachments=(made["id"],)))
    assert early.status_code in (400, 404, 409)  # nothing was sent yet
    assert user.ask("threads.list")["data"] == []
    assert send(user, made, b"four").is_success
    assert answer_of(user.begin("files", attachments=(made["id"],))[1]) == "four.txt"


@pytest.mark.requirement("CHK-15")
def test_a_name_is_no_path_and_a_deleted_file_is_gone(user: Speaker) -> None:
    for name in ("../../etc/passwd", "..", "a\\b", "", "a\nb"):
        assert user.post("attachments.create", name=name, size=1, mime_type="text/plain").status_code == 400, name
    other = uploaded(user, "b.txt", b"x")
    user.ask("attachments.delete", attachment_id=other["id"])
    assert user.post("threads.create", input=message("files", attachments=(other["id"],))).status_code == 404
    assert user.post("attachments.delete", attachment_id=other["id"]).status_code == 404


@pytest.mark.requirement("CHK-15")
def test_a_file_of_a_message_that_kai_shows_has_its_name(user: Speaker) -> None:
    made = uploaded(user, "shared.txt", b"x")
    thread, _ = user.begin("files", attachments=(made["id"],))
    chat = str(uuid.UUID(thread.removeprefix("thr_")))
    history = user.raw("GET", f"/api/chat/{chat}", headers={"x-storageapi-token": user.token}).json()
    assert "shared.txt" in json.dumps(history)
    assert "blob:" not in json.dumps(history)


# --------------------------------------------------------------------------- refusals


@pytest.mark.requirement("CHK-29")
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"{", 422),
        (b"[]", 422),
        (b'{"type": "threads.vanish", "params": {}}', 422),
        (b'{"type": "threads.create"}', 422),
        (b'{"type": "threads.create", "params": {"input": {"content": [{"type": "input_video"}]}}}', 422),
        (b"\xff\xfe", 422),
        (b'{"type": "threads.list", "params": {}, "more": 1, "metadata": {"x": [1]}}', 200),
        (b'{"type": "threads.list", "params": {"limit": 100000}}', 200),
        (b'{"type": "threads.list", "params": {"limit": -3}}', 200),
        (b'{"type": "threads.list", "params": {"limit": null, "unknown": 1}}', 200),
    ],
)
def test_what_is_no_request_is_422_and_what_comes_in_future_is_ignored(user: Speaker, body: bytes, status: int) -> None:
    answer = user.raw("POST", "/chatkit", content=body)
    assert answer.status_code == status, answer.text
    assert status == 200 or set(answer.json()["error"]) == {"code", "message"}


@pytest.mark.requirement("CHK-29")
def test_large_bodies_are_413_but_dictation_may_be_larger(user: Speaker) -> None:
    large = user.raw("POST", "/chatkit", content=b'{"type": "threads.list", "params": {"x": "%s"}}' % (b"x" * MIB))
    assert large.status_code == 413
    spoken = user.post("input.transcribe", audio_base64="AAAA" * MIB, mime_type="audio/webm")
    assert spoken.status_code == 501
    assert user.raw("POST", "/chatkit", content=b"x" * (33 * MIB)).status_code == 413


@pytest.mark.requirement("CHK-12", "CHK-14", "CHK-29")
def test_what_the_demo_has_not_is_told_by_its_status(user: Speaker) -> None:
    thread, events = user.begin("echo: hi")
    said = done(events, "user_message")[0]["id"]
    missing, answers = f"msg_{NOBODYS}", {"status": "answered", "answers": {}}
    for item, status in ((said, 400), (missing, 404)):
        click = {"thread_id": thread, "item_id": item, "action": {"type": "approval.approve", "payload": {}}}
        assert user.post("threads.custom_action", **click).status_code == status
        unheard = click | {"action": {"type": "shop.buy"}}
        assert user.post("threads.custom_action", **unheard).status_code == 501
        assert user.post("threads.sync_custom_action", **unheard).status_code in (status, 501)
        submit = {"thread_id": thread, "item_id": item, "input": answers}
        assert user.post("threads.add_structured_input", **submit).status_code == status
    assert user.post("threads.add_client_tool_output", thread_id=thread, result=1).status_code == 409
    assert user.post("input.transcribe", audio_base64="AAAA", mime_type="audio/webm").status_code == 501
    assert user.items(thread) == done(events)


@pytest.mark.requirement("CHK-29", "CHK-30")
@pytest.mark.parametrize("token", [None, "wrong", "dk_x_y", "nk_demo"])
def test_without_a_user_it_is_401(demo_server: Any, token: str | None) -> None:
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    body = {"type": "threads.list", "params": {}}
    answer = httpx2.post(f"{demo_server.url}/chatkit", json=body, headers=headers, trust_env=False)
    assert answer.status_code == 401
    assert set(answer.json()["error"]) == {"code", "message"}


# --------------------------------------------------------------------------- who sees what


@pytest.mark.requirement("CHK-30")
def test_anothers_is_answered_byte_for_byte_as_what_is_not_there(
    user: Speaker, speakers: Callable[..., Speaker]
) -> None:
    thread, events = user.begin("approve: create_bucket mine")
    card = done(events, "widget")[-1]
    item, attachment = card["id"], uploaded(user, "mine.txt", b"x")["id"]
    approve = actions(card["widget"])["approval.approve"]
    said = message("echo: x")
    answers = {"status": "answered", "answers": {}}

    def requests(thread: str, item: str, attachment: str, own: str) -> list[tuple[str, Document]]:
        return [
            ("threads.add_user_message", {"thread_id": thread, "input": said}),
            ("threads.add_client_tool_output", {"thread_id": thread, "result": 1}),
            ("threads.add_structured_input", {"thread_id": thread, "item_id": item, "input": answers}),
            ("threads.add_structured_input", {"thread_id": own, "item_id": item, "input": answers}),
            ("threads.retry_after_item", {"thread_id": thread, "item_id": item}),
            ("threads.retry_after_item", {"thread_id": own, "item_id": item}),
            ("threads.custom_action", {"thread_id": thread, "item_id": item, "action": approve}),
            ("threads.custom_action", {"thread_id": own, "item_id": item, "action": approve}),
            ("threads.sync_custom_action", {"thread_id": thread, "item_id": item, "action": approve}),
            ("threads.sync_custom_action", {"thread_id": own, "item_id": item, "action": approve}),
            ("threads.get_by_id", {"thread_id": thread}),
            ("threads.list", {"after": thread}),
            ("threads.update", {"thread_id": thread, "title": "mine now"}),
            ("threads.delete", {"thread_id": thread}),
            ("items.list", {"thread_id": thread}),
            ("items.list", {"thread_id": own, "after": item}),
            ("items.feedback", {"thread_id": thread, "item_ids": [item], "kind": "positive"}),
            ("items.feedback", {"thread_id": own, "item_ids": [item], "kind": "positive"}),
            ("attachments.delete", {"attachment_id": attachment}),
            ("threads.create", {"input": message("files", attachments=(attachment,))}),
            ("threads.add_user_message", {"thread_id": own, "input": message("files", attachments=(attachment,))}),
        ]

    before = user.ask("threads.list"), user.items(thread)
    stranger = speakers()
    own, _ = stranger.begin("echo: my own")
    foreign = requests(thread, item, attachment, own)
    unknown = requests(f"thr_{NOBODYS}", f"msg_{NOBODYS}", f"atc_{NOBODYS}", own)
    for (op, params), (_, missing) in zip(foreign, unknown, strict=True):
        answer, expected = stranger.post(op, **params), stranger.post(op, **missing)
        assert answer.status_code == expected.status_code == 404, (op, answer.text)
        assert answer.content == expected.content, op
    nobodys = dict.fromkeys(approve["payload"], NOBODYS)
    for payload in (approve["payload"], nobodys):
        action = {"type": approve["type"], "payload": payload}
        stray = stranger.post("threads.custom_action", thread_id=own, action=action)
        assert (stray.status_code, stray.content) == (404, expected.content)
    assert (user.ask("threads.list"), user.items(thread)) == before


@pytest.mark.requirement("CHK-30")
def test_the_users_are_those_of_kais_tokens(user: Speaker, speakers: Callable[..., Speaker]) -> None:
    thread, _ = user.begin("echo: hello")
    kai = {"x-storageapi-token": user.token, "x-storageapi-url": user.url}
    (chat,) = user.raw("GET", "/api/history?limit=5", headers=kai).json()["chats"]
    assert chat["id"].replace("-", "") == thread.removeprefix("thr_")
    assert speakers().ask("threads.list")["data"] == []


# --------------------------------------------------------------------------- pages of other origins


@pytest.mark.requirement("CHK-31")
def test_pages_of_any_origin_may_call_with_headers_of_their_own(user: Speaker) -> None:
    origin = {"origin": "https://page.example"}
    wanted = {"access-control-request-method": "POST", "access-control-request-headers": "authorization, x-my-app"}
    with httpx2.Client(base_url=user.url, trust_env=False) as http:
        preflight = http.options("/chatkit", headers=origin | wanted)
    assert preflight.is_success
    assert preflight.headers["access-control-allow-origin"] == "*"
    allowed = preflight.headers["access-control-allow-headers"].split(", ")
    assert {"authorization", "content-type", "x-my-app"} <= set(allowed)
    assert "POST" in preflight.headers["access-control-allow-methods"]
    for body, status in (({"type": "threads.list", "params": {}}, 200), ({}, 422)):
        answer = user.raw("POST", "/chatkit", json=body, headers=origin)
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (status, "*")
    with user.open("threads.create", input=message("echo: hi")) as events:
        assert next(events)["type"] == "thread.created"
    refused = user.raw("PUT", f"/chatkit/files/atc_{NOBODYS}?token=x", content=b"x", headers=origin)
    assert refused.status_code in (401, 403, 404)
    assert refused.headers["access-control-allow-origin"] == "*"
