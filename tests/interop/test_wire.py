"""What no published client sends, or would show: raw requests over a socket to a server that a user started."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from tests.interop.wire import Wire, error_of, fresh, kai_body, message, page_body, stored, text_part, user_token
from tests.kai.chunk_rules import check_stream, parse, text_of, types

pytestmark = [pytest.mark.interop, pytest.mark.xdist_group("interop")]

ROUTES = [
    ("POST", "/api/chat"),
    ("DELETE", "/api/chat"),
    ("GET", "/api/chat/some-chat"),
    ("GET", "/api/chat/some-chat/stream"),
    ("POST", "/api/chat/some-chat/approval"),
    ("POST", "/api/chat/some-chat/stop"),
    ("GET", "/api/history"),
    ("DELETE", "/api/history"),
    ("GET", "/api/vote"),
    ("PATCH", "/api/vote"),
    ("GET", "/api/usage"),
    ("GET", "/api/settings"),
    ("PATCH", "/api/settings"),
    ("GET", "/api/settings/user"),
    ("PATCH", "/api/settings/user"),
    ("GET", "/api/settings/tools"),
    ("POST", "/api/suggestions"),
]


def texts(messages: list[dict[str, Any]]) -> list[str]:
    return ["".join(part.get("text", "") for part in each["parts"] if part["type"] == "text") for each in messages]


# --------------------------------------------------------------------------- discovery, tokens, errors


@pytest.mark.requirement("KAI-30")
@pytest.mark.parametrize("path", ["/ping", "/api"])
def test_ping_and_info_need_no_credentials_and_do_not_redirect(demo_server: Any, path: str) -> None:
    answer = Wire(demo_server.url).send("GET", path)
    assert answer.status == 200
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", answer.json["timestamp"])


@pytest.mark.requirement("KAI-31")
@pytest.mark.parametrize("mount", ["", "/agent"])
def test_discovery_names_this_server_and_refuses_a_wrong_token(demo_server: Any, mount: str) -> None:
    listed = Wire(demo_server.url).send("GET", f"{mount}/v2/storage").json["services"]
    assert {"id": "kai-assistant", "url": demo_server.url + mount} in listed
    wrong = Wire(demo_server.url, "nobody").send("GET", f"{mount}/v2/storage")
    assert error_of(wrong) == (401, "unauthorized:api")


@pytest.mark.requirement("KAI-32", "KAI-33")
@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_route_authenticates_before_it_reads_the_body(demo_server: Any, method: str, path: str) -> None:
    for headers in ({}, {"x-storageapi-token": ""}, {"x-storageapi-token": "no"}, {"authorization": "Bearer no"}):
        for mount in ("", "/agent"):
            answer = Wire(demo_server.url).send(method, mount + path, b"{not json", headers=headers)
            status, code = error_of(answer)
            assert (status, code.split(":")[0]) == (401, "unauthorized"), (headers, answer)


@pytest.mark.requirement("KAI-32")
def test_a_bearer_token_is_as_good_as_the_header(demo_server: Any) -> None:
    token, chat = user_token(), fresh()
    Wire(demo_server.url, token).post(kai_body(chat, "echo: x"))
    bearer = Wire(demo_server.url).send("GET", "/api/history", headers={"authorization": f"Bearer {token}"})
    assert [each["id"] for each in bearer.json["chats"]] == [chat]


@pytest.mark.requirement("KAI-33")
@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/api/no-such-route", (404, "not_found:api")),
        ("GET", "/api/chat/none", (404, "not_found:chat")),
        ("PUT", "/api/history", (405, "bad_request:api")),
        ("DELETE", "/api/chat", (400, "bad_request:api")),
        ("GET", "/api/vote", (400, "bad_request:api")),
        ("GET", "/api/chat/a%2Fb", (404, "not_found:chat")),
        ("GET", "/api/chat/a%20b", (404, "not_found:chat")),
    ],
)
def test_every_error_has_the_one_shape(user: Wire, method: str, path: str, expected: tuple[int, str]) -> None:
    assert error_of(user.send(method, path)) == expected


@pytest.mark.requirement("KAI-33")
@pytest.mark.parametrize("path", ["/ping/", "/api/", "/api/chat/", "/api/history/", "/v2/storage/"])
def test_no_route_redirects(user: Wire, path: str) -> None:
    assert user.send("GET", path).status not in range(300, 400)


# --------------------------------------------------------------------------- bad bodies


def changed(change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    body = kai_body("some-chat", "echo: x")
    change(body)
    return body


BAD_BODIES = {
    "no JSON": b'{"id": ',
    "no UTF-8": b'{"id": "\xff\xfe"}',
    "a list": [],
    "a string": "x",
    "null": b"null",
    "nothing": {},
    "no id": changed(lambda body: body.pop("id")),
    "a number as id": changed(lambda body: body.update(id=5)),
    "an empty id": changed(lambda body: body.update(id="")),
    "a slash in the id": changed(lambda body: body.update(id="a/b")),
    "an endless id": changed(lambda body: body.update(id="x" * 129)),
    "no message": changed(lambda body: body.pop("message")),
    "a null message": changed(lambda body: body.update(message=None)),
    "no parts": changed(lambda body: body["message"].pop("parts")),
    "empty parts": changed(lambda body: body["message"].update(parts=[])),
    "parts as text": changed(lambda body: body["message"].update(parts="x")),
    "a part as text": changed(lambda body: body["message"].update(parts=["x"])),
    "an unknown part": changed(lambda body: body["message"].update(parts=[{"type": "bogus"}])),
    "a number as text": changed(lambda body: body["message"].update(parts=[{"type": "text", "text": 5}])),
    "too many parts": changed(lambda body: body["message"].update(parts=[text_part("x")] * 33)),
    "the system's role": changed(lambda body: body["message"].update(role="system")),
    "an unknown visibility": changed(lambda body: body.update(selectedVisibilityType="secret")),
    "a word as branch": changed(lambda body: body.update(branchId="main")),
    "an unknown model": changed(lambda body: body.update(selectedChatModel="no-such-model")),
    "no messages": {"id": "some-chat", "messages": [], "trigger": "submit-message"},
    "messages as text": {"id": "some-chat", "messages": "x", "trigger": "submit-message"},
    "an unknown trigger": page_body("some-chat", message("echo: x"), trigger="do-something"),
}


@pytest.mark.requirement("KAI-34", "KAI-60", "KAI-33")
@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES)
def test_a_body_that_is_not_right_is_refused_and_leaves_nothing(user: Wire, body: Any) -> None:
    assert error_of(user.post(body)) == (400, "bad_request:api")
    assert user.send("GET", "/api/history").json == {"chats": [], "hasMore": False}
    assert user.send("GET", "/api/usage").json["messagesUsed"] == 0


@pytest.mark.requirement("KAI-34")
def test_a_body_that_is_too_large_is_refused(user: Wire) -> None:
    huge = kai_body(fresh(), *["x" * 100_000] * 31, padding="x" * 2_000_000)
    assert error_of(user.post(huge)) == (413, "bad_request:api")


@pytest.mark.requirement("KAI-56", "KAI-58", "KAI-33")
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "/api/settings", b"{"),
        ("PATCH", "/api/settings", []),
        ("PATCH", "/api/settings", {"customInstructions": 5}),
        ("PATCH", "/api/settings", {"customInstructions": "x" * 20_001}),
        ("PATCH", "/api/settings/user", b"null"),
        ("PATCH", "/api/settings/user", {"toolPermissions": ["add"]}),
        ("PATCH", "/api/settings/user", {"toolPermissions": {"add": "perhaps"}}),
        ("PATCH", "/api/settings/user", {"customInstructions": {}}),
        ("POST", "/api/suggestions", b"{"),
        ("POST", "/api/suggestions", {"context": "dashboard"}),
        ("POST", "/api/suggestions", {"context": "dashboard", "data": 3}),
        ("POST", "/api/suggestions", {"context": "elsewhere", "data": {}}),
    ],
)
def test_settings_and_suggestions_that_make_no_sense_are_refused(user: Wire, method: str, path: str, body: Any) -> None:
    assert error_of(user.send(method, path, body)) == (400, "bad_request:api")


# --------------------------------------------------------------------------- streams


@pytest.mark.requirement("KAI-35")
@pytest.mark.parametrize("mount", ["", "/agent"])
def test_a_stream_is_ascii_one_line_an_event_and_neither_compressed_nor_cached(user: Wire, mount: str) -> None:
    body = kai_body(fresh(), "echo: \u2028\u2029\u0085\U0001f600\u017e\r\n")
    answer = user.send("POST", f"{mount}/api/chat", body, headers={"accept-encoding": "gzip, br, zstd"})
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-vercel-ai-ui-message-stream"] == "v1"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-accel-buffering"] == "no"
    assert "content-encoding" not in answer.headers
    assert answer.headers["x-dragoman-run"]
    assert text_of(parse(answer.body)) == "\u2028\u2029\u0085\U0001f600\u017e\r\n"


COMMANDS = ["echo: hello", "tool: add 2 3", "reason: why", "count: 3", "fail: bang", "approve: create_bucket b"]


@pytest.mark.requirement("KAI-36", "KAI-37", "KAI-46")
@pytest.mark.parametrize("text", COMMANDS)
def test_both_profiles_keep_to_their_grammar(user: Wire, page: Wire, text: str) -> None:
    told = parse(user.post(kai_body(fresh(), text)).body)
    check_stream(told, ui=False)
    shown = parse(page.post(page_body(fresh(), message(text))).body)
    check_stream(shown, ui=True)
    assert text_of(told) == text_of(shown)
    assert types(told) == [kind for kind in types(shown) if kind != "finish-step"]


@pytest.mark.requirement("KAI-37")
def test_a_page_is_known_by_its_headers_or_its_body(demo_server: Any) -> None:
    token = user_token()
    for browser, body in ((True, kai_body(fresh(), "echo: x")), (False, page_body(fresh(), message("echo: x")))):
        chunks = Wire(demo_server.url, token, browser=browser).post(body).chunks
        assert "finish-step" in types(chunks)
    assert "finish-step" not in types(Wire(demo_server.url, token).post(kai_body(fresh(), "echo: x")).chunks)


@pytest.mark.requirement("KAI-46")
def test_a_page_gets_the_text_of_an_error_and_nothing_else(page: Wire) -> None:
    chunks = page.post(page_body(fresh(), message("fail: bang"))).chunks
    (error,) = (chunk for chunk in chunks if chunk["type"] == "error")
    assert set(error) == {"type", "errorText"}
    assert "bang" in error["errorText"]
    assert chunks[-1] == {"type": "finish", "finishReason": "error"}


@pytest.mark.requirement("KAI-65")
@pytest.mark.parametrize("text", COMMANDS[:4])
def test_usage_is_one_transient_chunk_of_integers(user: Wire, text: str) -> None:
    chunks = user.post(kai_body(fresh(), text)).chunks
    (usage,) = (chunk for chunk in chunks if chunk["type"] == "data-usage")
    assert usage["transient"] is True
    assert set(usage["data"]) == {
        "promptTokens",
        "completionTokens",
        "totalTokens",
        "cacheReadTokens",
        "cacheWriteTokens",
        "reasoningTokens",
    }
    assert {type(count) for count in usage["data"].values()} == {int}
    assert "usage" not in chunks[-1]


# --------------------------------------------------------------------------- pages


@pytest.mark.requirement("KAI-62")
def test_a_page_chats_with_ids_of_its_own_and_without_naming_a_model(page: Wire) -> None:
    chat, first, second = "aB3dE6gH9jK2mN5p" + fresh()[:8], "Zy8xW7vU6tS5rQ4p", "second0000000001"
    asked = message("echo: hi browser", message_id=first)
    chunks = page.post(page_body(chat, asked)).chunks
    answer = message("hi browser", role="assistant", message_id=chunks[0]["messageId"])
    chunks = page.post(page_body(chat, asked, answer, message("recall", message_id=second))).chunks
    assert text_of(chunks) == "echo: hi browser"
    assert [each["id"] for each in stored(page, chat)] == [first, answer["id"], second, chunks[0]["messageId"]]


@pytest.mark.requirement("KAI-62")
def test_the_stored_history_wins_over_the_one_that_a_page_claims(page: Wire) -> None:
    chat = fresh()
    page.post(page_body(chat, message("echo: true story")))
    claimed = [message("echo: a lie"), message("a lie", role="assistant"), message("recall")]
    assert text_of(page.post(page_body(chat, *claimed)).chunks) == "echo: true story"
    assert "a lie" not in json.dumps(stored(page, chat))


@pytest.mark.requirement("KAI-63")
def test_regenerating_replaces_the_last_answer(page: Wire) -> None:
    chat, asked = fresh(), message("echo: again")
    old = page.post(page_body(chat, asked)).chunks[0]["messageId"]
    for named in ({"messageId": old}, {}):
        chunks = page.post(page_body(chat, asked, trigger="regenerate-message", **named)).chunks
        assert text_of(chunks) == "again"
        kept = stored(page, chat)
        assert [each["id"] for each in kept] == [asked["id"], chunks[0]["messageId"]]
    assert old not in json.dumps(kept)


@pytest.mark.requirement("KAI-63")
def test_editing_a_message_cuts_the_chat_after_it(page: Wire) -> None:
    chat, first = fresh(), message("echo: one")
    page.post(page_body(chat, first))
    page.post(page_body(chat, message("echo: two")))
    edited = message("echo: changed", message_id=first["id"])
    assert text_of(page.post(page_body(chat, edited, messageId=first["id"])).chunks) == "changed"
    assert texts(stored(page, chat)) == ["echo: changed", "changed"]
