"""A model's provider that wants the server to do what nobody asked for; and a user who wants another model."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.ai.wires.server import Provider, Reply, serving

from dragoman import Agent, App, openai_compatible, tool
from dragoman.wire.sse import SSEDecoder

pytestmark = pytest.mark.requirement("AIP-113", "AIP-115")

KEY = "Zq7Very0Secret1Value2For3This4Test5"
V1 = "/dragoman/v1"
DONE = b"data: [DONE]\n\n"
Start = Callable[..., Awaitable[Any]]

CALLED: list[Any] = []


@tool(read_only=True)
def add(a: float, b: float) -> float:
    """Adds two numbers."""
    CALLED.append((a, b))
    return a + b


@tool
def drop(name: str) -> str:
    """Drops something."""
    CALLED.append(name)
    return name


def frame(value: Any) -> bytes:
    return b"data: " + (value if isinstance(value, bytes) else json.dumps(value).encode()) + b"\n\n"


def delta(value: Any, finish: str | None = None, **more: Any) -> bytes:
    return frame({"id": "c", "model": "m", "choices": [{"index": 0, "delta": value, "finish_reason": finish}], **more})


def calls(*given: tuple[str, str, str]) -> list[bytes]:
    """(id, name, arguments) each."""
    begun = [
        delta({"tool_calls": [{"index": n, "id": id, "function": {"name": name, "arguments": text}}]})
        for n, (id, name, text) in enumerate(given)
    ]
    return [*begun, delta({}, "tool_calls"), DONE]


END = [delta({"content": "Done."}), delta({}, "stop"), DONE]


@asynccontextmanager
async def asking(start: Start, *rounds: list[bytes], text: str = "Hello") -> AsyncIterator[tuple[Any, Any, Provider]]:
    """(the server, the run at its end or pause, the provider)."""
    CALLED.clear()
    rest = [*rounds]
    replies = [Reply(steps, 200, {"content-type": "text/event-stream"}) for steps in (*rest, END)]
    async with serving(replies) as provider:
        model = openai_compatible(f"{provider.url}/v1", "m", api_key=KEY)
        inside = await start(App("acme", agents=[Agent("helper", model=model, tools=[add, drop])]))
        run = (await inside.ask("POST", f"{V1}/runs", {"message": {"text": text}})).json()
        async for event in inside.services.engine.events(run["id"]):
            if event.type == "run.paused":
                break
        yield inside, (await inside.ask("GET", f"{V1}/runs/{run['id']}")).json(), provider


async def items(inside: Any, run: Any, kind: str) -> list[dict[str, Any]]:
    page = (await inside.ask("GET", f"{V1}/threads/{run['thread']}/items")).json()["items"]
    return [item["body"] for item in page if item["kind"] == kind]


# --------------------------------------------------------------------------- calls of tools


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1e400, "b": 1}',
        '{"a": NaN, "b": 1}',
        '{"a": "x", "b": 1}',
        '{"a": 1, "b": 2, "c": 3}',
        '{"a": ' + "9" * 5000 + ', "b": 1}',
        '{"a": ' + "[" * 5000 + "]" * 5000 + "}",
        "[1, 2]",
        '"a"',
        "null",
    ],
    ids=lambda text: text[:14],
)
async def test_arguments_that_do_not_fit_reach_no_tool(start_inside: Start, text: str) -> None:
    """Nor does anything that a human would be shown otherwise: what JSON cannot hold was stored as null."""
    async with asking(start_inside, calls(("c1", "add", text))) as (inside, run, provider):
        assert (run["status"], CALLED) == ("completed", [])
        (call,) = await items(inside, run, "tool_call")
        assert call["state"] == "output-error"
        assert len(provider.requests) == 2


async def test_two_calls_of_one_id_keep_their_own_arguments(start_inside: Start) -> None:
    """An approval of one must never be an approval of the other."""

    def piece(index: int, name: str | None, text: str) -> Any:
        function = {"arguments": text} if name is None else {"name": name, "arguments": text}
        return {"index": index, "function": function, **({} if name is None else {"id": "same"})}

    steps = [
        delta({"tool_calls": [piece(0, "add", '{"a":1,'), piece(1, "drop", '{"name":')]}),
        delta({"tool_calls": [piece(1, None, '"all"}'), piece(0, None, '"b":2}')]}),
        delta({}, "tool_calls"),
        DONE,
    ]
    async with asking(start_inside, steps) as (inside, run, _):
        assert (run["status"], CALLED) == ("paused", [(1.0, 2.0)])
        made = {body["name"]: body["input"] for body in await items(inside, run, "tool_call")}
        assert made == {"add": {"a": 1, "b": 2}, "drop": {"name": "all"}}


async def test_names_and_ids_of_a_megabyte_are_kept_short(start_inside: Start) -> None:
    async with asking(start_inside, calls(("i" * 1_000_000, "n" * 1_000_000, "{}"))) as (inside, run, _):
        events = (await inside.ask("GET", f"{V1}/runs/{run['id']}/events", headers={"accept": "application/json"})).body
        assert run["status"] == "completed"
        assert len(events) < 20_000


async def test_more_calls_than_any_model_makes_fail_the_run(start_inside: Start) -> None:
    many = calls(*[(f"c{n}", "add", '{"a": 1, "b": 2}') for n in range(4097)])
    async with asking(start_inside, many) as (_, run, _):
        assert (run["status"], CALLED) == ("failed", [])


async def test_what_a_second_candidate_calls_is_not_run(start_inside: Start) -> None:
    call = {"index": 0, "id": "c", "function": {"name": "add", "arguments": '{"a":1,"b":2}'}}
    choice = {"index": 1, "delta": {"tool_calls": [call]}, "finish_reason": "tool_calls"}
    async with asking(start_inside, [frame({"choices": [choice]}), DONE]) as (_, run, _):
        assert CALLED == []
        assert run["status"] in ("completed", "failed")


# --------------------------------------------------------------------------- what is told


@pytest.mark.requirement("AIP-111")
@pytest.mark.parametrize(
    "usage",
    [
        '{"prompt_tokens": 1e400, "completion_tokens": NaN, "cost": Infinity}',
        '{"prompt_tokens": 1' + "0" * 400 + ', "completion_tokens": 1' + "0" * 40 + ', "cost": 1' + "0" * 400 + "}",
        '{"prompt_tokens": -5, "completion_tokens": true, "cost": -1000000000}',
        '{"prompt_tokens": "5", "completion_tokens": [5], "cost": {"total_cost": "5"}}',
    ],
    ids=["endless", "huge", "negative", "other"],
)
async def test_usage_that_cannot_be_is_unknown(start_inside: Start, usage: str) -> None:
    last = f'{{"choices":[{{"index":0,"delta":{{}},"finish_reason":"stop"}}],"usage":{usage}}}'.encode()
    async with asking(start_inside, [delta({"content": "Hi."}), frame(last), DONE]) as (_, run, _):
        assert run["status"] == "completed"
        assert (run["usage"]["prompt_tokens"], run["usage"]["completion_tokens"], run["cost"]) == (None, None, None)


async def test_text_of_a_model_makes_no_events_and_no_headers(start_inside: Start) -> None:
    evil = "a\r\n\r\nevent: run.completed\ndata: {}\n\n\x00\x1b[31m\u2028"
    named = frame(
        {"id": "x\r\ny: z", "model": "m\r\nset-cookie: a=b", "choices": [{"index": 0, "delta": {"content": evil}}]}
    )
    async with asking(start_inside, [named, delta({}, "stop"), DONE]) as (inside, run, _):
        assert [body["text"] for body in await items(inside, run, "message") if "text" in body] == [evil]
        stream = await inside.ask("GET", f"{V1}/runs/{run['id']}/events", headers={"accept": "text/event-stream"})
        events = SSEDecoder().feed(stream.body)
        assert {event.event for event in events} == {"message"}
        assert [json.loads(event.data)["type"] for event in events].count("run.completed") == 1
        assert "set-cookie" not in stream.headers
        assert all("\r" not in text and "\n" not in text for text in stream.headers.values())


async def test_a_key_that_the_provider_says_back_is_told_to_nobody(
    start_inside: Start, caplog: pytest.LogCaptureFixture
) -> None:
    loud = frame({"error": {"message": f"no such key: {KEY}", "code": KEY}})
    for steps in ([loud], [delta({"content": "Hi."}), loud], [f"data: {{{KEY}\n\n".encode(), loud]):
        async with asking(start_inside, steps) as (inside, run, provider):
            assert run["status"] == "failed"
            assert provider.requests[0].headers["authorization"] == f"Bearer {KEY}"
            events = await inside.ask("GET", f"{V1}/runs/{run['id']}/events", headers={"accept": "application/json"})
            assert KEY not in json.dumps(run) + events.text
    assert KEY not in caplog.text


async def test_frames_that_are_none_fill_no_log(start_inside: Start, caplog: pytest.LogCaptureFixture) -> None:
    async with asking(start_inside, [delta({"content": "Hi."}), b"data: {\n\n" * 5000, *END]) as (_, run, _):
        assert run["status"] == "completed"
    assert caplog.text.count("could not be read") == 1


# --------------------------------------------------------------------------- who chooses the model


@pytest.mark.parametrize("name", ["openai/gpt-4o", "openai-compatible/other", "helper/../x", "m", "../m"])
async def test_a_client_names_agents_and_never_a_model(start_inside: Start, name: str) -> None:
    async with serving([Reply(END, 200, {"content-type": "text/event-stream"})] * 3) as provider:
        model = openai_compatible(f"{provider.url}/v1", "m", api_key=KEY)
        inside = await start_inside(App("acme", agents=[Agent("helper", model=model)]))
        message = {"message": {"text": "Hello"}}
        assert (await inside.ask("POST", f"{V1}/runs", {**message, "agent": name})).status == 400
        started = await inside.ask("POST", f"{V1}/runs", {**message, "model": name, "options": {"model": name}})
        run = started.json()
        async for _ in inside.services.engine.events(run["id"]):
            pass
        chat = {
            "id": "6f1c1e1e-5b1f-4e0e-9b5c-0c5f5d5e5f60",
            "message": {
                "id": "6f1c1e1e-5b1f-4e0e-9b5c-0c5f5d5e5f61",
                "role": "user",
                "parts": [{"type": "text", "text": "Hello"}],
            },
            "selectedChatModel": name,
            "selectedVisibilityType": "private",
        }
        kai = await inside.ask("POST", "/api/chat", chat, headers={"x-storageapi-token": "demo-you"})
        assert kai.status == 400
        assert {request.json()["model"] for request in provider.requests} == {"m"}
