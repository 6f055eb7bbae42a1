"""Answers that are runs: agents, and models whose answers are kept. Keys, repetitions, callers who leave, restarts."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from tests.ai.wires.server import HOLD, serving
from tests.ai.wires.speak import TOKENS, speaker_of, stream
from tests.server.openai.gateway import CHAT, LONG, Waiting, app_of, asking, calling, frames, text_of

from dragoman import Agent, App, tool
from dragoman.core.writes import Count
from dragoman.server.credits import NEVER, counter_name

V1 = "/dragoman/v1"
TOOLS = [{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}]
OPENAI = speaker_of("openai_chat")


async def run_of(inside: Any, run: str) -> dict[str, Any]:
    found: dict[str, Any] = (await inside.ask("GET", f"{V1}/runs/{run}")).json()
    return found


async def until_over(inside: Any, run: str) -> str:
    async with asyncio.timeout(LONG):
        async for event in inside.services.engine.events(run):
            last = event.type
    return str(last)


async def soon(event: asyncio.Event) -> None:
    async with asyncio.timeout(LONG):
        await event.wait()


async def test_an_agent_answers_with_its_own_tools(start_inside: Any) -> None:
    inside = await start_inside()
    reply = await inside.ask("POST", CHAT, asking("tool: add 2 3", "agent/demo"))
    answer = reply.json()
    assert answer["choices"][0]["message"]["content"] == "5"
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["usage"]["prompt_tokens"] == 42  # of both calls of its model
    run = await run_of(inside, reply.headers["x-dragoman-run"])
    assert (run["kind"], run["face"], run["status"]) == ("completion", "openai", "completed")


async def test_what_needs_approval_is_denied_to_an_agent(start_inside: Any) -> None:
    inside = await start_inside()
    reply = await inside.ask("POST", CHAT, asking("approve: create_bucket x", "agent/demo"))
    assert reply.json()["choices"][0]["message"]["content"] == "denied"


async def test_an_agent_is_told_what_was_said_before(start_inside: Any) -> None:
    inside = await start_inside()
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "echo: alpha"},
        {"role": "assistant", "content": "alpha"},
        {"role": "user", "content": "recall"},
    ]
    reply = await inside.ask("POST", CHAT, {"model": "agent/demo", "messages": messages})
    assert reply.json()["choices"][0]["message"]["content"] == "echo: alpha"


@pytest.mark.parametrize(
    ("more", "param"),
    [({"tools": TOOLS}, "tools"), ({"functions": [{"name": "x"}]}, "functions"), ({"n": 2}, "n")],
)
async def test_an_agent_takes_no_tools_and_gives_one_answer(
    start_inside: Any, more: dict[str, Any], param: str
) -> None:
    inside = await start_inside()
    reply = await inside.ask("POST", CHAT, asking(model="agent/demo", **more))
    assert (reply.status, reply.json()["error"]["param"]) == (400, param)


async def test_an_agents_question_comes_last(start_inside: Any) -> None:
    inside = await start_inside()
    body = {"model": "agent/demo", "messages": [{"role": "assistant", "content": "x"}]}
    reply = await inside.ask("POST", CHAT, body)
    assert (reply.status, reply.json()["error"]["param"]) == (400, "messages[0]")


async def test_a_models_answer_leaves_nothing_behind_unless_it_is_to_be_kept(start_inside: Any) -> None:
    inside = await start_inside()
    reply = await inside.ask("POST", CHAT, asking("echo: x", "demo"))
    assert "x-dragoman-run" not in reply.headers
    assert (await inside.ask("GET", f"{V1}/runs")).json()["runs"] == []


@pytest.mark.parametrize("way", ["store", "setting", "key"])
async def test_a_kept_answer_is_a_run_whose_events_can_be_read(start_inside: Any, way: str) -> None:
    inside = await start_inside(settings={"openai.store": way == "setting"})
    more = {"store": True, "metadata": {"order": "7"}} if way == "store" else {}
    headers = {"idempotency-key": "k"} if way == "key" else {}
    reply = await inside.ask("POST", CHAT, asking("count: 3", "demo", stream=True, **more), headers=headers)
    run = reply.headers["x-dragoman-run"]
    assert text_of(frames(reply.body)) == "1 2 3"
    events = await inside.ask("GET", f"{V1}/runs/{run}/events", headers={"last-event-id": "3"})
    told = frames_of_events(events.text)
    assert [event["seq"] for event in told] == list(range(4, 4 + len(told)))
    assert "".join(e["payload"]["delta"] for e in told if e["type"] == "block.delta") in "1 2 3"
    found = await run_of(inside, run)
    assert (found["kind"], found["agent"], found["status"]) == ("completion", "demo", "completed")


def frames_of_events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]


async def test_a_kept_call_of_a_tool_is_the_callers_and_the_conversation_goes_on(start_inside: Any) -> None:
    inside = await start_inside()
    body = asking("tool: add 2 3", "demo", tools=TOOLS, store=True)
    for streamed in (False, True):
        reply = await inside.ask("POST", CHAT, {**body, "stream": streamed})
        if streamed:
            told = frames(reply.body)
            deltas = [call for c in told[:-1] for call in c["choices"][0]["delta"].get("tool_calls") or ()]
            arguments = "".join(call["function"]["arguments"] for call in deltas)
            call = {**deltas[0], "function": {"name": "add", "arguments": arguments}}
            assert told[-2]["choices"][0]["finish_reason"] == "tool_calls"
        else:
            choice = reply.json()["choices"][0]
            [call] = choice["message"]["tool_calls"]
            assert choice["finish_reason"] == "tool_calls"
        assert json.loads(call["function"]["arguments"]) == {"a": 2, "b": 3}
        assert (await run_of(inside, reply.headers["x-dragoman-run"]))["status"] == "completed"
        messages = [
            *body["messages"],
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": call["id"], "content": "5"},
        ]
        again = await inside.ask("POST", CHAT, {**body, "messages": messages})
        assert again.json()["choices"][0]["message"]["content"] == "5"


@pytest.mark.parametrize("model", ["demo", "agent/demo"])
async def test_the_same_key_gives_the_same_answer(start_inside: Any, model: str) -> None:
    inside = await start_inside()
    body, headers = asking("reason: x", model), {"idempotency-key": "k-1"}
    first = await inside.ask("POST", CHAT, body, headers=headers)
    again = await inside.ask("POST", CHAT, body, headers=headers)
    streamed = await inside.ask("POST", CHAT, {**body, "stream": True}, headers=headers)
    assert again.body == first.body
    assert again.headers["x-dragoman-run"] == streamed.headers["x-dragoman-run"] == first.headers["x-dragoman-run"]
    assert text_of(frames(streamed.body)) == first.json()["choices"][0]["message"]["content"]
    assert len((await inside.ask("GET", f"{V1}/runs")).json()["runs"]) == 1


async def test_a_key_belongs_to_one_request_and_one_user(start_inside: Any) -> None:
    inside = await start_inside()
    headers = {"idempotency-key": "k"}
    await inside.ask("POST", CHAT, asking("echo: a", "demo"), headers=headers)
    other = await inside.ask("POST", CHAT, asking("echo: b", "demo"), headers=headers)
    assert (other.status, other.json()["error"]["code"]) == (409, "idempotency_key_in_use")
    assert other.headers["x-should-retry"] == "false"  # or the published client asks twice more
    stranger = await inside.ask("POST", CHAT, asking("echo: b", "demo"), headers=headers, token="demo-else")
    assert stranger.json()["choices"][0]["message"]["content"] == "b"
    bad = await inside.ask("POST", CHAT, asking("echo: b", "demo"), headers={"idempotency-key": "ä ö"})
    assert bad.status == 400


async def test_after_a_failure_the_same_key_tries_again(start_inside: Any) -> None:
    inside = await start_inside()
    headers = {"idempotency-key": "k"}
    first = await inside.ask("POST", CHAT, asking("fail: no", "demo"), headers=headers)
    again = await inside.ask("POST", CHAT, asking("fail: no", "demo"), headers=headers)
    assert first.status == again.status == 502
    assert first.json()["error"]["message"] == "no"
    assert first.headers["x-dragoman-run"] != again.headers["x-dragoman-run"]


@pytest.mark.parametrize("model", ["demo", "agent/demo"])
@pytest.mark.parametrize("store", [False, True])
async def test_a_failure_has_a_status_and_behind_the_first_word_it_is_a_frame(
    start_inside: Any, model: str, store: bool
) -> None:
    inside = await start_inside()
    plain = await inside.ask("POST", CHAT, asking("fail: my words", model, store=store))
    assert (plain.status, plain.json()["error"]["message"]) == (502, "my words")
    streamed = await inside.ask("POST", CHAT, asking("fail: my words", model, store=store, stream=True))
    told = frames(streamed.body)
    assert streamed.status == 200
    assert text_of(told[:-1]) == "One moment: "
    assert told[-1]["error"]["message"] == "my words"


def waiting_app(model: Waiting) -> App:
    return App("acme", agents=[Agent("helper", model=model)], models={"slow": model})


@pytest.mark.parametrize("name", ["slow", "agent/helper"])
async def test_a_caller_who_leaves_ends_what_is_not_kept(start_inside: Any, name: str) -> None:
    for streamed in (True, False):
        model = Waiting()
        inside = await start_inside(waiting_app(model))
        async with calling(inside, asking(model=name, stream=streamed)) as caller:
            if streamed:
                await caller.until(b"one")
            else:
                await soon(model.begun)
            await caller.leave()
        await soon(model.over)
        runs = (await inside.ask("GET", f"{V1}/runs")).json()["runs"]
        assert [run["status"] for run in runs] == ([] if name == "slow" else ["cancelled"])


@pytest.mark.parametrize("way", ["store", "key"])
async def test_a_caller_who_leaves_what_is_kept_finds_it_whole(start_inside: Any, way: str) -> None:
    model = Waiting()
    inside = await start_inside(waiting_app(model), settings={"openai.limits.parallel": 1})
    body = asking(model="slow", stream=True, store=way == "store")
    headers = {"idempotency_key": "k"} if way == "key" else {}
    async with calling(inside, body, **headers) as caller:
        await caller.until(b"one")
        await caller.leave()
    run = caller.headers["x-dragoman-run"]
    full = await inside.ask("POST", CHAT, asking(model="slow"))
    assert full.status == 429  # its place is held until it is over
    model.go_on.set()
    assert await until_over(inside, run) == "run.completed"
    if way == "key":
        again = await inside.ask("POST", CHAT, body, headers={"idempotency-key": "k"})
        assert text_of(frames(again.body)) == "one two"
    assert model.asked == 1
    events = [event async for event in inside.services.engine.events(run)]
    assert "".join(event.body.delta for event in events if event.type == "block.delta") == "one two"


async def test_two_who_ask_the_same_at_once_share_one_run(start_inside: Any) -> None:
    model = Waiting()
    inside = await start_inside(waiting_app(model))
    body = asking(model="slow", stream=True)
    async with (
        calling(inside, body, idempotency_key="k") as first,
        calling(inside, body, idempotency_key="k") as second,
    ):
        await first.until(b"one")
        await second.until(b"one")
        model.go_on.set()
        await first.end()
        await second.end()
    assert text_of(frames(first.body)) == text_of(frames(second.body)) == "one two"
    assert model.asked == 1


async def test_a_kept_call_of_a_providers_model_says_all_that_was_asked(start_inside: Any) -> None:
    async with serving([stream(OPENAI, OPENAI.text(["Hé", "llo"]))]) as provider:
        inside = await start_inside(app_of(provider.url))
        more = {"temperature": 0.5, "max_tokens": 9, "user": "u", "response_format": {"type": "json_object"}}
        reply = await inside.ask("POST", CHAT, asking(store=True, tools=TOOLS, tool_choice="auto", **more))
        body = provider.requests[0].json()
    answer = reply.json()
    assert answer["choices"][0]["message"]["content"] == "Héllo"
    assert answer["usage"]["prompt_tokens"] == TOKENS[0]
    assert {name: body[name] for name in more} == more
    assert (body["tool_choice"], body["tools"][0]["function"]["name"]) == ("auto", "add")
    assert (await run_of(inside, reply.headers["x-dragoman-run"]))["usage"]["prompt_tokens"] == TOKENS[0]


async def test_what_was_paid_for_can_be_fetched_with_nothing_left(start_inside: Any) -> None:
    """The look at what is left comes behind the look for a repetition."""
    inside = await start_inside(settings={"credits.balances": {"demo": "1"}})
    body, headers = asking("echo: x", "demo"), {"idempotency-key": "k"}
    first = await inside.ask("POST", CHAT, body, headers=headers)
    counted = Count("demo", "", counter_name(""), now=1.0, resets=NEVER, amount=2 * 10**12)
    await inside.services.store.commit(counted)
    again = await inside.ask("POST", CHAT, body, headers=headers)
    assert (again.status, again.body) == (200, first.body)
    assert (await inside.ask("POST", CHAT, body)).status == 429


async def test_behind_a_restart_a_kept_answer_begins_anew_and_another_has_ended(
    start_inside: Any, tmp_path: Path
) -> None:
    first, second = Waiting(), Waiting()
    second.go_on.set()
    inside = await start_inside(waiting_app(first), data=tmp_path)
    body = asking(model="agent/helper", stream=True)
    async with calling(inside, body, idempotency_key="k") as kept, calling(inside, body) as lost:
        await kept.until(b"one")
        await lost.until(b"one")
        await inside.application.stop()
        await kept.end()
        await lost.end()
    assert frames(kept.body)[-1]["error"]["message"].startswith("The server is shutting down")
    inside = await start_inside(waiting_app(second), data=tmp_path)
    again = await inside.ask("POST", CHAT, body, headers={"idempotency-key": "k"})
    assert text_of(frames(again.body)) == "one two"
    assert again.headers["x-dragoman-run"] == kept.headers["x-dragoman-run"]
    ended = await run_of(inside, lost.headers["x-dragoman-run"])
    assert ended["status"] == "cancelled"


async def test_a_kept_call_of_a_model_goes_on_behind_a_restart(start_inside: Any, tmp_path: Path) -> None:
    first, second = Waiting(), Waiting()
    second.go_on.set()
    inside = await start_inside(waiting_app(first), data=tmp_path)
    async with calling(inside, asking(model="slow", stream=True, store=True)) as caller:
        await caller.until(b"one")
        await inside.application.stop()
        await caller.end()
    run = caller.headers["x-dragoman-run"]
    inside = await start_inside(waiting_app(second), data=tmp_path)
    assert await until_over(inside, run) == "run.completed"
    assert (await run_of(inside, run))["status"] == "completed"


async def test_another_user_cannot_read_a_kept_answer(start_inside: Any) -> None:
    inside = await start_inside()
    reply = await inside.ask("POST", CHAT, asking("echo: x", "demo", store=True), token="demo-ann")
    run = reply.headers["x-dragoman-run"]
    assert (await inside.ask("GET", f"{V1}/runs/{run}", token="demo-ben")).status == 404
    assert (await inside.ask("GET", f"{V1}/runs/{run}", token="demo-ann")).status == 200


async def test_the_tools_of_an_agent_are_not_the_callers_business(start_inside: Any) -> None:
    @tool(read_only=True)
    def add(a: float, b: float) -> float:
        """Adds."""
        return a + b

    app = App("acme", agents=[Agent("helper", model="near", tools=[add])], models=app_of().models)
    inside = await start_inside(app)
    reply = await inside.ask("POST", CHAT, asking("tool: add 2 3", "agent/helper", stream=True))
    assert not any(chunk["choices"][0]["delta"].get("tool_calls") for chunk in frames(reply.body)[:-1])
    assert text_of(frames(reply.body)) == "5"


async def test_a_provider_that_waits_is_let_go_when_a_kept_call_is_cancelled(start_inside: Any) -> None:
    async with serving([stream(OPENAI, [*OPENAI.text(["Hel"])[:2], HOLD])]) as provider:
        inside = await start_inside(app_of(provider.url))
        async with calling(inside, asking(stream=True, store=True)) as caller:
            await caller.until(b"Hel")
            run = caller.headers["x-dragoman-run"]
            assert (await inside.ask("POST", f"{V1}/runs/{run}/cancel")).status < 300
            await caller.end()
        await provider.requests[0].gone()
    assert frames(caller.body)[-1]["error"]["code"] == "cancelled"


@pytest.mark.parametrize("model", ["demo", "agent/demo"])
async def test_a_kept_answer_can_be_run_again(start_inside: Any, model: str) -> None:
    inside = await start_inside()
    said = [{"role": "user", "content": "echo: alpha"}, {"role": "assistant", "content": "alpha"}]
    body = {"model": model, "store": True, "messages": [*said, {"role": "user", "content": "recall"}]}
    first = await inside.ask("POST", CHAT, body)
    again = await inside.ask("POST", f"{V1}/runs/{first.headers['x-dragoman-run']}/rerun")
    assert again.status < 300, again.text
    run = again.json()["id"]
    assert await until_over(inside, run) == "run.completed"
    events = [event async for event in inside.services.engine.events(run)]
    assert "".join(event.body.delta for event in events if event.type == "block.delta") == "echo: alpha"
