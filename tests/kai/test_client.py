"""Construction and life cycle of the client, and what its plain calls send."""

from __future__ import annotations

import inspect
import uuid
from typing import Any

import pytest
from tests.kai.faults import serving
from tests.kai.shells import BASE, FINISH, STORAGE, TOKEN, Awaiting, Shell, answer, body_of, scripted, streamed

from dragoman.kai import ChatModel, KaiClient, KaiClientSync, KaiError
from dragoman.kai.types import UNSET
from dragoman.wire.http import Timeouts

NOW = "2026-01-02T03:04:05.678Z"
INFO = {"timestamp": NOW, "uptime": 1.5, "appName": "a", "appVersion": "b", "serverVersion": "c", "connectedMcp": []}
SETTINGS = {"projectId": "p", "userId": "u", "customInstructions": None, "createdAt": NOW, "updatedAt": NOW}


@pytest.mark.requirement("KAI-02")
@pytest.mark.parametrize("cls", [KaiClient, KaiClientSync])
def test_the_constructor_has_the_documented_defaults(cls: Any) -> None:
    client = cls("token", "https://storage.example/")
    assert client.storage_api_token == "token"
    assert client.storage_api_url == "https://storage.example/"
    assert client.base_url == "http://localhost:3000"
    assert (client.timeout, client.stream_timeout) == (300.0, 600.0)
    positional = cls("t", "u", "http://kai.example/p//", 1.0, 2.0)
    assert (positional.base_url, positional.timeout, positional.stream_timeout) == ("http://kai.example/p", 1.0, 2.0)


@pytest.mark.requirement("KAI-02")
def test_the_token_is_not_in_the_repr() -> None:
    assert repr(KaiClient("secret-token", "u")) == "KaiClient(base_url='http://localhost:3000')"


@pytest.mark.requirement("KAI-02")
async def test_connections_open_at_the_first_call_and_again_after_close() -> None:
    async with serving(lambda exchange: exchange.json({"timestamp": NOW})) as server:
        client = KaiClient("t", "u", server.url)
        assert client._client is None
        await client.ping()
        assert client._client is not None
        await client.close()
        assert client._client is None
        await client.close()
        assert (await client.ping()).timestamp.year == 2026
        await client.close()
        assert server.connections == 2


@pytest.mark.requirement("KAI-02", "KAI-19")
async def test_async_with_on_a_client_in_use_keeps_its_connections() -> None:
    async with serving(lambda exchange: exchange.json({"timestamp": NOW})) as server:
        client = KaiClient("t", "u", server.url)
        await client.ping()
        before = client._client
        async with client as entered:
            assert entered is client
            assert client._client is before
            await client.ping()
        assert client._client is None
        assert server.connections == 1


@pytest.mark.requirement("KAI-02")
async def test_a_port_of_the_callers_is_used_and_not_closed(shell: Shell) -> None:
    io = scripted(answer({"timestamp": NOW}), answer({"timestamp": NOW}))
    client = shell.client(io)
    await shell.call(client.ping)
    await shell.call(client.close)
    await shell.call(client.ping)
    assert len(io.requests) == 2


@pytest.mark.requirement("KAI-02")
async def test_time_limits_apply_to_every_phase(shell: Shell) -> None:
    io = scripted(answer({"timestamp": NOW}), streamed(FINISH), streamed(FINISH))
    client = shell.client(io, timeout=7.0, stream_timeout=9.0)
    await shell.call(client.ping)
    await shell.events(client.send_message, "c", "hi")
    await shell.events(client.resume_stream, "c")
    assert [request.timeouts for request in io.requests] == [Timeouts.all(7.0), Timeouts.all(9.0), Timeouts.all(9.0)]


@pytest.mark.requirement("KAI-04")
def test_ids_are_fresh_uuids() -> None:
    made = [KaiClient.new_chat_id(), KaiClient.new_message_id(), KaiClientSync.new_chat_id()]
    assert [uuid.UUID(id).version for id in made] == [4, 4, 4]
    assert len({KaiClient.new_chat_id() for _ in range(50)}) == 50


@pytest.mark.requirement("KAI-05")
async def test_ping_and_info_send_no_credentials(shell: Shell) -> None:
    io = scripted(answer({"timestamp": NOW, "later": 1}), answer(INFO | {"later": 1}))
    client = shell.client(io)
    assert (await shell.call(client.ping)).timestamp.tzinfo is not None
    info = await shell.call(client.info)
    assert (info.app_name, info.uptime, info.later) == ("a", 1.5, 1)
    assert [request.url for request in io.requests] == [f"{BASE}/ping", f"{BASE}/api"]
    for request in io.requests:
        assert not [name for name in request.headers if name.startswith("x-storageapi")]


async def test_all_other_calls_send_both_credentials(shell: Shell) -> None:
    io = scripted(answer([]), streamed(FINISH))
    client = shell.client(io)
    await shell.call(client.get_votes, "c")
    await shell.events(client.send_message, "c", "hi")
    for request in io.requests:
        assert request.headers["x-storageapi-token"] == TOKEN
        assert request.headers["x-storageapi-url"] == STORAGE


@pytest.mark.requirement("KAI-20")
@pytest.mark.parametrize(
    ("chat_id", "path"),
    [
        ("a/b?c#d e", "a%2Fb%3Fc%23d%20e"),
        ("é%", "%C3%A9%25"),
        ("..", "%2E%2E"),
        (".", "%2E"),
        ("A-Z_a.b~c", "A-Z_a.b~c"),
    ],
)
async def test_an_id_is_one_segment_of_the_path(shell: Shell, chat_id: str, path: str) -> None:
    io = scripted(
        answer({"id": "x"}),
        streamed(FINISH),
        answer({"success": True, "toolUseId": "t", "approved": True}),
    )
    client = shell.client(io)
    await shell.call(client.get_chat, chat_id)
    await shell.events(client.resume_stream, chat_id)
    await shell.call(client.submit_approval, chat_id, "t", True)
    assert [request.url for request in io.requests] == [
        f"{BASE}/api/chat/{path}",
        f"{BASE}/api/chat/{path}/stream",
        f"{BASE}/api/chat/{path}/approval",
    ]


@pytest.mark.requirement("KAI-20")
async def test_an_encoded_id_reaches_the_server_as_sent() -> None:
    async with (
        serving(lambda exchange: exchange.json({"id": "x"})) as server,
        KaiClient("t", "u", server.url + "/base") as client,
    ):
        await client.get_chat("a/../b?x")
        await client.get_chat("..")
    assert server.paths == ["/base/api/chat/a%2F..%2Fb%3Fx", "/base/api/chat/%2E%2E"]


@pytest.mark.requirement("KAI-20")
async def test_an_id_in_a_query_is_encoded(shell: Shell) -> None:
    io = scripted(answer({}), answer([]))
    client = shell.client(io)
    assert await shell.call(client.delete_chat, "a&b=c d") is None
    await shell.call(client.get_votes, "a&b")
    assert [request.url for request in io.requests] == [
        f"{BASE}/api/chat?id=a%26b%3Dc+d",
        f"{BASE}/api/vote?chatId=a%26b",
    ]


@pytest.mark.requirement("KAI-24")
async def test_usage_settings_tools_and_suggestions(shell: Shell) -> None:
    tools = {"tools": [{"name": "add", "description": "d", "readOnly": True}]}
    idea = {"id": "1", "label": "l", "prompt": "p", "priority": 2, "category": "c", "reasoning": "r"}
    io = scripted(
        answer({"messagesUsed": 1, "messagesLimit": 5, "resetDate": NOW}),
        answer(SETTINGS),
        answer(SETTINGS | {"toolPermissions": {"add": "blocked"}}),
        answer(tools),
        answer({"suggestions": [idea], "suggestionSessionId": "s"}),
    )
    client = shell.client(io)
    usage = await shell.call(client.get_usage)
    assert (usage.messages_used, usage.messages_limit, usage.reset_date.year) == (1, 5, 2026)
    assert (await shell.call(client.get_settings)).project_id == "p"
    assert (await shell.call(client.get_user_settings)).tool_permissions == {"add": "blocked"}
    assert (await shell.call(client.get_tools)).tools[0].read_only is True
    ideas = await shell.call(client.get_suggestions, "dashboard", {"x": 1})
    assert (ideas.suggestions[0].priority, ideas.suggestion_session_id) == (2, "s")
    assert body_of(io) == {"context": "dashboard", "data": {"x": 1}}
    assert [request.url.removeprefix(BASE) for request in io.requests] == [
        "/api/usage",
        "/api/settings",
        "/api/settings/user",
        "/api/settings/tools",
        "/api/suggestions",
    ]


@pytest.mark.requirement("KAI-24")
async def test_a_setting_left_out_is_not_sent_and_none_clears(shell: Shell) -> None:
    io = scripted(*[answer(SETTINGS)] * 5)
    client = shell.client(io)
    await shell.call(client.update_settings)
    await shell.call(client.update_settings, custom_instructions=None)
    await shell.call(client.update_user_settings, custom_instructions="x")
    await shell.call(client.update_user_settings, tool_permissions=None)
    await shell.call(client.update_user_settings, custom_instructions=UNSET, tool_permissions={"a": "blocked"})
    assert [body_of(io, index) for index in range(5)] == [
        {},
        {"customInstructions": None},
        {"customInstructions": "x"},
        {"toolPermissions": None},
        {"toolPermissions": {"a": "blocked"}},
    ]
    assert {request.method for request in io.requests} == {"PATCH"}


@pytest.mark.requirement("KAI-24")
async def test_changing_no_user_setting_is_refused_before_sending(shell: Shell) -> None:
    io = scripted()
    with pytest.raises(ValueError, match="at least one argument"):
        await shell.call(shell.client(io).update_user_settings)
    assert io.requests == []


@pytest.mark.requirement("KAI-25")
async def test_one_class_takes_models_and_has_the_newer_methods(shell: Shell) -> None:
    io = scripted(*[streamed(FINISH)] * 4)
    client = shell.client(io)
    await shell.events(client.send_message, "c", "hi", model=ChatModel.REASONING)
    await shell.events(client.confirm_tool, "c", "t", "n", model="mine")
    await shell.events(client.send_message, "c", "hi")
    assert [body_of(io, index)["selectedChatModel"] for index in range(3)] == [
        "chat-model-reasoning",
        "mine",
        "chat-model",
    ]
    _, text = await shell.call(client.chat, "hi", model=ChatModel.REASONING)
    assert text == ""
    for name in ("submit_approval", "approve_tool", "get_usage", "get_tools", "update_user_settings"):
        assert callable(getattr(client, name))


async def test_streams_of_the_awaiting_client_are_async_generators() -> None:
    client = Awaiting().client(scripted())
    for stream in (client.send_message("c", "x"), client.resume_stream("c"), client.get_all_history()):
        assert inspect.isasyncgen(stream)
        await stream.aclose()


async def test_nothing_is_sent_before_the_first_iteration(shell: Shell) -> None:
    io = scripted()
    stream = shell.client(io).send_message("c", "x")
    assert io.requests == []
    if isinstance(shell, Awaiting):
        await stream.aclose()
    else:
        stream.close()
    assert io.requests == []


async def test_text_that_is_no_unicode_is_refused_before_sending(shell: Shell) -> None:
    io = scripted()
    with pytest.raises(ValueError, match="surrogates"):
        await shell.events(shell.client(io).send_message, "c", "\ud800")
    assert io.requests == []


async def test_a_204_ends_a_resumed_stream_quietly(shell: Shell) -> None:
    io = scripted(streamed(status=204, content_type=None))
    assert await shell.events(shell.client(io).resume_stream, "c") == []
    assert io.open_streams == []


async def test_an_answer_of_the_wrong_shape_names_what_was_expected(shell: Shell) -> None:
    with pytest.raises(KaiError, match="expected a ChatDetail") as caught:
        await shell.call(shell.client(scripted(answer({"nothing": 1}))).get_chat, "c")
    assert (caught.value.code, caught.value.status_code) == ("http:invalid_body", 200)
    assert caught.value.response_data == {"nothing": 1}
