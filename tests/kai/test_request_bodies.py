"""Requests are those of the published clients, byte for byte.

The bodies were recorded from kai-client 0.2.0 and 0.12.0 over a socket; `MESSAGE` stands for the
message id, which is random.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from tests.kai.shells import BASE, FINISH, Shell, answer, scripted, streamed

from dragoman.kai import ChatModel, KaiError, VisibilityType, VoteType
from dragoman.kai.requests import Limits, decode_chat

NOW = "2026-01-01T00:00:00Z"
PARTS = [
    {"type": "step-start"},
    {
        "type": "tool-create_bucket",
        "toolCallId": "c9",
        "state": "approval-requested",
        "input": {"name": "raw"},
        "approval": {"id": "p9"},
    },
]
CHAT = {
    "id": "K",
    "messages": [{"id": "a1", "role": "assistant", "createdAt": NOW, "metadata": {"x": 1}, "parts": PARTS}],
}
TAIL = '"selectedChatModel":"chat-model","selectedVisibilityType":"private"'
RESULT = '{"type":"tool-result","toolCallId":"c9","toolName":"create_bucket","result":'
STEP = '{"type":"step-start"},{"type":"tool-create_bucket","toolCallId":"c9","state":"approval-responded"'

STREAMS: list[tuple[str, tuple[Any, ...], dict[str, Any], str]] = [
    (
        "send_message",
        ("K", 'Höi "q" \u2028 /x\x7f'),
        {},
        '{"id":"K","message":{"id":"MESSAGE","role":"user","parts":[{"type":"text","text":"Höi \\"q\\" \u2028 /x\x7f"}]},'
        + TAIL
        + "}",
    ),
    (
        "send_message",
        ("K", "t"),
        {"visibility": VisibilityType.PUBLIC, "branch_id": 7, "hidden": True, "request_path": "/p"},
        '{"id":"K","message":{"id":"MESSAGE","role":"user","parts":[{"type":"text","text":"t"}],"metadata":{"hidden":true,'
        '"requestContext":{"path":"/p"}}},"selectedChatModel":"chat-model","selectedVisibilityType":"public","branchId":7}',
    ),
    (
        "send_message",
        ("K", "t"),
        {"request_path": "/p", "branch_id": 0},
        '{"id":"K","message":{"id":"MESSAGE","role":"user","parts":[{"type":"text","text":"t"}],"metadata":{"hidden":false,'
        '"requestContext":{"path":"/p"}}},' + TAIL + ',"branchId":0}',
    ),
    (
        "send_message",
        ("K", "t"),
        {"request_path": "", "model": ChatModel.REASONING},
        '{"id":"K","message":{"id":"MESSAGE","role":"user","parts":[{"type":"text","text":"t"}]},'
        '"selectedChatModel":"chat-model-reasoning","selectedVisibilityType":"private"}',
    ),
    (
        "confirm_tool",
        ("K", "c9", "create_bucket"),
        {},
        '{"id":"K","message":{"id":"MESSAGE","role":"user","parts":[' + RESULT + '"confirmed"}]},' + TAIL + "}",
    ),
    (
        "deny_tool",
        ("K", "c9", "create_bucket"),
        {"branch_id": 3},
        '{"id":"K","message":{"id":"MESSAGE","role":"user","parts":['
        + RESULT
        + '"denied"}]},'
        + TAIL
        + ',"branchId":3}',
    ),
    (
        "send_tool_result",
        ("K", "c9", "create_bucket", "confirmed"),
        {"model": "x"},
        '{"id":"K","message":{"id":"MESSAGE","role":"user","parts":['
        + RESULT
        + '"confirmed"}]},"selectedChatModel":"x","selectedVisibilityType":"private"}',
    ),
    (
        "approve_tool",
        ("K", "p9"),
        {},
        '{"id":"K","message":{"id":"a1","role":"assistant","parts":['
        + STEP
        + ',"input":{"name":"raw"},"approval":{"id":"p9","approved":true}}]},'
        + TAIL
        + "}",
    ),
    (
        "reject_tool",
        ("K", "p9"),
        {"reason": "no", "branch_id": 2},
        '{"id":"K","message":{"id":"a1","role":"assistant","parts":['
        + STEP
        + ',"input":{"name":"raw"},"approval":{"id":"p9","approved":false,"reason":"no"}}]},'
        + TAIL
        + ',"branchId":2}',
    ),
]

PLAIN: list[tuple[str, tuple[Any, ...], dict[str, Any], str, str, str]] = [
    ("upvote", ("K", "m"), {}, "PATCH", "/api/vote", '{"chatId":"K","messageId":"m","type":"up"}'),
    ("vote", ("K", "m", VoteType.DOWN), {}, "PATCH", "/api/vote", '{"chatId":"K","messageId":"m","type":"down"}'),
    ("submit_approval", ("K", "c9", True), {}, "POST", "/api/chat/K/approval", '{"toolUseId":"c9","approved":true}'),
    (
        "submit_approval",
        ("K", "c9", False),
        {"reason": "r", "updated_input": {"a": 1.5e-7}, "answers": {}},
        "POST",
        "/api/chat/K/approval",
        '{"toolUseId":"c9","approved":false,"reason":"r","updatedInput":{"a":1.5e-07},"answers":{}}',
    ),
    ("update_settings", (), {}, "PATCH", "/api/settings", "{}"),
    ("update_settings", (), {"custom_instructions": None}, "PATCH", "/api/settings", '{"customInstructions":null}'),
    (
        "update_user_settings",
        (),
        {"tool_permissions": {"a": "blocked"}, "custom_instructions": "x"},
        "PATCH",
        "/api/settings/user",
        '{"customInstructions":"x","toolPermissions":{"a":"blocked"}}',
    ),
    (
        "get_suggestions",
        ("dashboard", {"a": None}),
        {},
        "POST",
        "/api/suggestions",
        '{"context":"dashboard","data":{"a":null}}',
    ),
]


def pick(method: str) -> Any:
    """A plain answer that satisfies every model of the table."""
    return answer(
        {
            "projectId": "p",
            "userId": "u",
            "createdAt": NOW,
            "updatedAt": NOW,
            "success": True,
            "toolUseId": "c9",
            "approved": True,
            "suggestions": [],
            "suggestionSessionId": "s",
        }
    )


@pytest.mark.requirement("KAI-06")
@pytest.mark.parametrize(("method", "args", "options", "body"), STREAMS)
async def test_the_body_of_a_chat_request(
    shell: Shell, method: str, args: tuple[Any, ...], options: dict[str, Any], body: str
) -> None:
    form_b = method in ("approve_tool", "reject_tool")
    io = scripted(*([answer(CHAT)] if form_b else []), streamed(FINISH))
    await shell.events(getattr(shell.client(io), method), *args, **options)
    request = io.requests[-1]
    assert (request.method, request.url) == ("POST", f"{BASE}/api/chat")
    assert request.headers["content-type"] == "application/json"
    assert request.body is not None
    sent = request.body.decode("utf-8")
    assert re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "MESSAGE", sent) == body


@pytest.mark.requirement("KAI-06")
@pytest.mark.parametrize(("method", "args", "options", "verb", "path", "body"), PLAIN)
async def test_the_body_of_a_plain_request(
    shell: Shell, method: str, args: tuple[Any, ...], options: dict[str, Any], verb: str, path: str, body: str
) -> None:
    io = scripted(pick(method))
    await shell.call(getattr(shell.client(io), method), *args, **options)
    [request] = io.requests
    assert (request.method, request.url) == (verb, BASE + path)
    assert request.body == body.encode()


@pytest.mark.requirement("KAI-06")
@pytest.mark.parametrize(("method", "args", "options", "body"), STREAMS)
async def test_our_server_understands_each_of_them(
    method: str, args: tuple[Any, ...], options: dict[str, Any], body: str
) -> None:
    post = decode_chat(json.loads(body), Limits())
    assert post.chat == "K"
    assert not post.from_browser


@pytest.mark.requirement("KAI-06")
async def test_history_queries(shell: Shell) -> None:
    io = scripted(*[answer({"chats": [], "hasMore": False})] * 3)
    client = shell.client(io)
    await shell.call(client.get_history)
    await shell.call(client.get_history, 5, "a b", "c")
    await shell.call(client.get_history, limit=5, starting_after="", ending_before=None)
    assert [request.url.removeprefix(BASE) for request in io.requests] == [
        "/api/history?limit=10",
        "/api/history?limit=5&starting_after=a+b&ending_before=c",
        "/api/history?limit=5",
    ]


@pytest.mark.requirement("KAI-21")
async def test_the_latest_message_with_the_approval_goes_back_as_it_was(shell: Shell) -> None:
    odd = {"type": "tool-x", "toolCallId": "c1", "state": "input-available", "input": {"a": None}, "approval": None}
    messages = [
        {"id": "old", "role": "assistant", "parts": PARTS},
        {"id": "new", "role": "assistant", "parts": [odd, *PARTS, {"type": "text", "text": "t", "later": None}]},
        {"id": "user", "role": "user", "parts": PARTS},
    ]
    io = scripted(answer({"id": "K", "messages": messages}), streamed(FINISH))
    await shell.events(shell.client(io).send_tool_approval_response, "K", "p9", True)
    body = json.loads(io.requests[-1].body or b"")
    assert body["message"]["id"] == "new"
    assert body["message"]["parts"][0] == odd
    assert body["message"]["parts"][2]["approval"] == {"id": "p9", "approved": True}
    assert body["message"]["parts"][3] == {"type": "text", "text": "t", "later": None}


@pytest.mark.requirement("KAI-21")
async def test_an_unknown_approval_is_an_error_and_nothing_is_posted(shell: Shell) -> None:
    io = scripted(answer(CHAT))
    with pytest.raises(KaiError, match="zz") as caught:
        await shell.events(shell.client(io).approve_tool, "K", "zz")
    assert caught.value.code == "approval:not_found"
    assert [request.method for request in io.requests] == ["GET"]
