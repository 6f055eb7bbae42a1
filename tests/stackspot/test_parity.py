"""The blocking and the awaiting shell: the same names, signatures and words, and the same outcome of one script."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import requests
from tests.stackspot.clients import (
    ANSWER,
    CONVERSATION,
    FAST,
    URL,
    AsyncScriptedClient,
    Script,
    ScriptedClient,
    Step,
    response,
    script,
    streamed,
)

from dragoman.stackspot.agents import (
    JSON_RESULT_HANDLER,
    Agent,
    AsyncAgent,
    AsyncChatResponseStream,
    ChatRequest,
    ChatResponse,
    ChatResponseStream,
    ChatResultHandler,
    UseConversation,
)

PAIRS = [(Agent, AsyncAgent), (ChatResponseStream, AsyncChatResponseStream)]
TWINS = {"close": "aclose", "executor": None}


def public(cls: type) -> dict[str, Any]:
    return {name: value for name, value in inspect.getmembers_static(cls) if not name.startswith("_")}


def first_paragraph(member: Any) -> str:
    return (inspect.getdoc(member) or "").partition("\n\n")[0]


@pytest.mark.parametrize(("blocks", "awaits"), PAIRS)
def test_twins_have_the_same_members(blocks: type, awaits: type) -> None:
    ours = {TWINS.get(name, name) for name in public(blocks)}
    theirs = set(public(awaits))
    instance_only = {"max_workers"}  # computed on the one, kept on the other
    assert ours - instance_only == theirs - instance_only


@pytest.mark.parametrize(("blocks", "awaits"), PAIRS)
def test_twins_take_the_same_arguments_and_say_the_same(blocks: type, awaits: type) -> None:
    theirs = public(awaits)
    for name, member in public(blocks).items():
        twin = theirs.get(TWINS.get(name) or name)
        if not inspect.isfunction(member) or name == "close":
            continue
        assert inspect.iscoroutinefunction(twin), name
        mine, its = inspect.signature(member), inspect.signature(twin)
        assert list(mine.parameters.values()) == list(its.parameters.values()), name
        assert mine.return_annotation == its.return_annotation.replace("AsyncChat", "Chat"), name
        assert first_paragraph(member) == first_paragraph(twin), name


def test_constructors_differ_in_the_client_only() -> None:
    mine, its = (list(inspect.signature(cls).parameters.values()) for cls in (Agent, AsyncAgent))
    assert [one.name for one in mine] == [one.name for one in its]
    assert mine[:-1] == its[:-1]


# ------------------------------------------------------------------------------------ one script, both shells

CHATS: dict[str, Callable[[], list[Step]]] = {
    "answer": lambda: [response(body=ANSWER)],
    "retried": lambda: [requests.ConnectionError("reset"), response(503, Retry_After="0"), response(body=ANSWER)],
    "refused": lambda: [response(404, {"details": "no such agent"})],
    "used up": lambda: [lambda call: response(500, {"details": "broken"})],
    "slow": lambda: [requests.ReadTimeout("slow")],
    "no json": lambda: [response(body=b"<html>")],
    "bug": lambda: [KeyError("a bug")],
    "handler": lambda: [response(body={**ANSWER, "message": '{"a": 1}'})],
}
HANDLERS: dict[str, ChatResultHandler] = {"handler": JSON_RESULT_HANDLER}
STREAMS: dict[str, Callable[[], list[Step]]] = {
    "answer": lambda: [streamed({"message": "a", "conversation_id": CONVERSATION}, {"message": "b"})],
    "retried": lambda: [requests.ConnectionError("reset"), response(503), streamed({"message": "a"})],
    "error": lambda: [streamed({"message": "a"}, {"type": "error", "message": "quota"}, end=b"")],
    "unmarked": lambda: [streamed({"message": "a"}, end=b"")],
    "json": lambda: [response(body=ANSWER)],
    "html": lambda: [response(body=b"<html>", content_type="text/html")],
    "refused": lambda: [response(404, {"details": "no such agent"})],
    "used up": lambda: [lambda call: response(503, {"details": "broken"})],
}


def compared(got: ChatResponse) -> tuple[Any, ...]:
    return got.status, got.result, got.error, got.raw_response


def asked(played: Script) -> list[Any]:
    return [(call.kind, call.url, call.body, call.headers, call.timeout) for call in played.calls]


@pytest.mark.parametrize("name", CHATS)
async def test_a_chat_ends_the_same_way(name: str) -> None:
    request, handler = ChatRequest("hi", id="r-1"), HANDLERS.get(name)
    mine, its = script(*CHATS[name]()), script(*CHATS[name]())
    with UseConversation() as first:
        blocked = Agent("a", URL, FAST, ScriptedClient(mine)).chat(request, handler)
    with UseConversation() as second:
        awaited = await AsyncAgent("a", URL, FAST, AsyncScriptedClient(its)).chat(request, handler)
    assert compared(blocked) == compared(awaited)
    assert asked(mine) == asked(its)
    assert first.conversation_id == second.conversation_id


@pytest.mark.parametrize("name", STREAMS)
async def test_a_stream_ends_the_same_way(name: str) -> None:
    request = ChatRequest("hi", id="r-1")
    mine, its = script(*STREAMS[name]()), script(*STREAMS[name]())
    blocked: list[Any] = []
    awaited: list[Any] = []
    with UseConversation() as first:
        try:
            with Agent("a", URL, FAST, ScriptedClient(mine)).chat_stream(request) as stream:
                blocked += [*stream, compared(stream.response), stream.terminated, stream.conversation_id]
        except Exception as error:
            blocked.append((type(error), str(error)))
    with UseConversation() as second:
        try:
            async with await AsyncAgent("a", URL, FAST, AsyncScriptedClient(its)).chat_stream(request) as twin:
                awaited += [event async for event in twin]
                awaited += [compared(twin.response), twin.terminated, twin.conversation_id]
        except Exception as error:
            awaited.append((type(error), str(error)))
    assert blocked == awaited
    assert asked(mine) == asked(its)
    assert first.conversation_id == second.conversation_id


async def test_a_batch_ends_the_same_way() -> None:
    def some(call: Any) -> requests.Response:
        number = int(call.body["user_prompt"])
        return response(400, {"details": number}) if number % 3 == 0 else response(body={**ANSWER, "message": number})

    requests_ = [ChatRequest(str(number)) for number in range(12)]
    with Agent("a", URL, FAST, ScriptedClient(script(some))) as blocks:
        blocked = blocks.chat_many(requests_)
    async with AsyncAgent("a", URL, FAST, AsyncScriptedClient(script(some))) as awaits:
        awaited = await awaits.chat_many(requests_)
    assert blocked == awaited
    assert all(one.request is request for one, request in zip(awaited, requests_, strict=True))
    assert [one.is_success() for one in awaited[:4]] == [False, True, True, False]
