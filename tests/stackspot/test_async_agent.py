"""What `AsyncAgent` does in its own way: clients, closing, cancelling. Everything else is in `test_parity`."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
import requests
from tests.stackspot.clients import ANSWER, CONVERSATION, FAST, URL, AsyncScriptedClient, response, script, streamed
from tests.stackspot.faulty import Faulty

from dragoman.stackspot import STKAI
from dragoman.stackspot.agents import AsyncAgent, ChatRequest, UseConversation
from dragoman.stackspot.http_client import AsyncHttpClient

WAIT = 10.0


def test_what_is_left_open_comes_from_the_configuration() -> None:
    STKAI.configure(agent={"base_url": "https://mine.example/", "request_timeout": 11, "max_workers": 3})
    made = AsyncAgent("a", http_client=AsyncScriptedClient(script()))
    assert (made.base_url, made.options.request_timeout, made.max_workers) == ("https://mine.example", 11, 3)


@pytest.mark.parametrize("fields", [{"agent_id": ""}, {"agent_id": "a", "base_url": ""}])
def test_an_agent_needs_an_id_and_an_address(fields: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        AsyncAgent(**fields)


async def test_only_a_missing_request_raises() -> None:
    made = AsyncAgent("a", URL, http_client=AsyncScriptedClient(script()))
    with pytest.raises(AssertionError):
        await made.chat(None)  # type: ignore[arg-type]
    with pytest.raises(AssertionError, match="place 0"):
        await made.chat_many([None])  # type: ignore[list-item]
    assert await made.chat_many([]) == []


async def test_a_client_of_the_users_stays_open() -> None:
    closed: list[bool] = []

    class Mine(AsyncScriptedClient):
        async def aclose(self) -> None:
            closed.append(True)

    async with AsyncAgent("a", URL, http_client=Mine(script())) as made:
        assert (await made.chat(ChatRequest("hi"))).is_success()
    assert not closed


async def test_tasks_keep_their_conversations_apart() -> None:
    played = script(lambda call: response(body={**ANSWER, "conversation_id": call.body["user_prompt"]}))
    made = AsyncAgent("a", URL, FAST, AsyncScriptedClient(played))
    seen: dict[str, str | None] = {}

    async def talk(name: str) -> None:
        with UseConversation() as conversation:
            await made.chat(ChatRequest(name))
            await made.chat(ChatRequest(f"{name} again"))
            seen[name] = conversation.conversation_id

    async with anyio.create_task_group() as tasks:
        for name in ("a", "b", "c"):
            tasks.start_soon(talk, name)
    assert seen == {"a": "a", "b": "b", "c": "c"}
    assert {
        body["user_prompt"]: body.get("conversation_id") for body in played.bodies if "again" in body["user_prompt"]
    } == {
        "a again": "a",
        "b again": "b",
        "c again": "c",
    }


async def test_a_batch_is_in_the_callers_conversation() -> None:
    played = script()
    with UseConversation(CONVERSATION):
        await AsyncAgent("a", URL, FAST, AsyncScriptedClient(played)).chat_many([ChatRequest("1"), ChatRequest("2")])
    assert {body["conversation_id"] for body in played.bodies} == {CONVERSATION}


async def test_cancelling_a_chat_is_not_an_answer() -> None:
    class Hanging(AsyncScriptedClient):
        async def post(self, *args: Any, **fields: Any) -> requests.Response:
            scope.cancel()
            await anyio.sleep_forever()
            raise AssertionError

    made = AsyncAgent("a", URL, FAST, Hanging(script()))
    with anyio.move_on_after(WAIT) as scope:
        await made.chat(ChatRequest("hi"))
    assert scope.cancelled_caught


async def test_a_client_that_can_not_stream_says_so() -> None:
    class Plain(AsyncHttpClient):
        async def get(self, *args: Any, **fields: Any) -> Any:
            return response(body=ANSWER)

        post = get

    made = AsyncAgent("a", URL, http_client=Plain())
    with pytest.raises(NotImplementedError):
        await made.chat_stream(ChatRequest("hi"))


@pytest.mark.requirement("STK-40", "STK-S10")
async def test_a_stream_that_is_left_lets_go_of_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    with Faulty() as service:
        monkeypatch.setenv("STKAI_AUTH_CLIENT_ID", "x")
        monkeypatch.setenv("STKAI_AUTH_CLIENT_SECRET", "y")
        monkeypatch.setenv("STKAI_AUTH_TOKEN_URL", f"{service.url}/realm/oidc/oauth/token")
        STKAI.reset()
        async with AsyncAgent("a", service.url) as made:
            async with await made.chat_stream(ChatRequest("ok 1")) as stream:
                async for _ in stream:
                    break
            assert stream.accumulated_text == "you said "
            async with await made.chat_stream(ChatRequest("ok 2")) as stream:
                assert (await stream.get_final_response()).result == "you said ok 2"
        assert await anyio.to_thread.run_sync(service.no_connection_left)


async def test_an_awaited_stream_may_be_a_blocking_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    played = script(streamed({"message": "a"}))
    async with await AsyncAgent("a", URL, FAST, AsyncScriptedClient(played)).chat_stream(ChatRequest("hi")) as stream:
        assert [text async for text in stream.text_stream] == ["a"]
    assert played.given[0].closed  # type: ignore[attr-defined]
