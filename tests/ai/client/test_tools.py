"""The loop of a model that calls tools."""

from __future__ import annotations

import threading
from typing import Any

import anyio
import pytest
from tests.ai.client.acme import body_of, call_of, whole

from dragoman.ai.client.tools import ToolRoundsExceeded
from dragoman.ai.errors import ValidationError
from dragoman.ai.types import ToolDefinition
from dragoman.core.errors import TooManyRounds

pytestmark = pytest.mark.requirement("AIP-21")


def weather(city: str) -> dict[str, str]:
    """How the weather is."""
    return {"sky": f"blue over {city}"}


def results(body: Any) -> list[tuple[str, str]]:
    return [(message["tool_call_id"], message["content"]) for message in body["messages"] if message["role"] == "tool"]


async def test_calls_are_run_and_told_until_there_are_none(client_of) -> None:
    client, io = await client_of([whole("", calls=[call_of("weather", '{"city":"Bonn"}')]), whole("Blue.")])
    chat = client.chat().user("Weather?")
    response = await chat.run_tools([weather])
    assert response.content == "Blue."
    first, second = body_of(io, 0), body_of(io, 1)
    assert first["tools"][0]["function"]["name"] == "weather"
    assert first["tools"][0]["function"]["description"] == "How the weather is."
    assert second["messages"][1]["tool_calls"][0]["function"]["name"] == "weather"
    assert results(second) == [("c1", '{"sky": "blue over Bonn"}')]
    assert len(chat.build_payload()["messages"]) == 1


async def test_handlers_go_by_name_may_await_and_run_at_the_same_time(client_of) -> None:
    meeting = anyio.Event()

    async def wait() -> str:
        await meeting.wait()
        return "waited"

    async def say() -> str:
        meeting.set()
        return "said"

    def where() -> str:
        return "elsewhere" if threading.current_thread() is not threading.main_thread() else "main"

    calls = [call_of(name, "", id) for id, name in (("1", "wait"), ("2", "say"), ("3", "where"))]
    client, io = await client_of([whole(calls=calls), whole("Done.")])
    chat = client.chat().user("x").tools([ToolDefinition.from_function("wait")])
    with anyio.fail_after(10):
        await chat.run_tools({"wait": wait, "say": say, "where": where})
    assert results(body_of(io)) == [("1", "waited"), ("2", "said"), ("3", "elsewhere")]
    assert len(body_of(io)["tools"]) == 1


async def test_what_goes_wrong_is_told_to_the_model(client_of) -> None:
    def fail() -> None:
        raise KeyError("lost")

    calls = [call_of("fail", "{}", "1"), call_of("unknown", "{}", "2"), call_of("fail", "{broken", "3")]
    calls.append(call_of("fail", '{"surprising":1}', "4"))
    client, io = await client_of([whole(calls=calls), whole("Done.")])
    await client.chat().user("x").run_tools([fail])
    told = dict(results(body_of(io)))
    assert "KeyError" in told["1"]
    assert "no tool 'unknown'" in told["2"]
    assert "not valid JSON" in told["3"]
    assert "TypeError" in told["4"]


async def test_a_loop_of_no_rounds_is_refused(client_of) -> None:
    client, io = await client_of([])
    with pytest.raises(ValidationError, match="max_rounds"):
        await client.chat().user("x").run_tools({}, max_rounds=0)
    assert io.requests == []


async def test_a_model_that_never_stops_calling_is_stopped(client_of) -> None:
    client, io = await client_of(lambda request: whole(calls=[call_of("weather", '{"city":"x"}')]))
    with pytest.raises(ToolRoundsExceeded) as caught:
        await client.chat().user("x").run_tools([weather], max_rounds=3)
    assert len(io.requests) == 3
    assert caught.value.response.has_tool_calls
    assert isinstance(caught.value, TooManyRounds)
