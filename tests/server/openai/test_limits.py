"""Every limit answers 429 and says when to come back; nobody waits for a place; what is spent is counted."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from tests.ai.wires.server import HOLD, Reply, serving
from tests.ai.wires.speak import speaker_of, stream
from tests.server.openai.gateway import CHAT, LONG, Waiting, app_of, asking, calling

from dragoman import Agent, App, provider_model
from dragoman.core.writes import PutKey
from dragoman.server.keys import create_key

OPENAI = speaker_of("openai_chat")


def is_limit(reply: Any, code: str = "rate_limit_exceeded") -> bool:
    error = reply.json()["error"]
    return (reply.status, error["code"]) == (429, code) and int(reply.headers["retry-after"]) >= 1


def is_spent(reply: Any) -> bool:
    """A budget that is used up: no time helps, so none is told."""
    told = reply.status, reply.json()["error"]["code"], reply.headers.get("x-should-retry")
    return told == (429, "insufficient_quota", "false") and "retry-after" not in reply.headers


async def key_of(inside: Any, **options: Any) -> str:
    key, text = create_key(tenant="acme", user="ann", now=time.time(), **options)
    await inside.services.store.commit(PutKey(key))
    return text


@pytest.mark.parametrize("limit", ["openai.limits.parallel", "openai.limits.calls", "models.concurrent"])
async def test_a_place_that_is_taken_is_refused_at_once_and_free_again_afterwards(
    start_inside: Any, limit: str
) -> None:
    model = Waiting()
    app = App("acme", agents=[Agent("a", model=model)], models={"slow": model})
    inside = await start_inside(app, settings={limit: 1})
    async with calling(inside, asking(model="slow", stream=True)) as caller:
        await caller.until(b"one")
        for streamed in (False, True):
            assert is_limit(await inside.ask("POST", CHAT, asking(model="slow", stream=streamed)))
        model.go_on.set()
        await caller.end()
    assert (await inside.ask("POST", CHAT, asking(model="slow"))).status == 200


async def test_nobody_waits_for_a_model_with_few_places(start_inside: Any) -> None:
    steps = OPENAI.text(["Hel", "lo"])
    async with serving([stream(OPENAI, [*steps[:2], HOLD, *steps[2:]])]) as provider:
        inside = await start_inside(app_of(provider.url, max_inflight=1))
        async with calling(inside, asking(stream=True)) as caller:
            await caller.until(b"Hel")
            for more in ({}, {"stream": True}, {"store": True}):
                assert is_limit(await inside.ask("POST", CHAT, asking(**more)))
            assert len(provider.requests) == 1
            provider.release()
            await caller.end()


@pytest.mark.parametrize("spare", [False, True])
async def test_places_that_an_agent_has_taken_are_not_waited_for(start_inside: Any, spare: bool) -> None:
    steps = OPENAI.text(["Hel", "lo"])
    async with serving([stream(OPENAI, [*steps[:2], HOLD, *steps[2:]]), Reply.json(OPENAI.plain("two"))]) as provider:
        place = {"api_key": "k", "base_url": provider.url + OPENAI.base}
        far = provider_model(
            OPENAI.model, max_inflight=1, fallbacks=[provider_model(OPENAI.model, **place)] if spare else (), **place
        )
        inside = await start_inside(App("acme", agents=[Agent("helper", model=far)], models={"far": far}))
        async with calling(inside, asking(model="agent/helper", stream=True)) as caller:
            await caller.until(b"Hel")
            reply = await inside.ask("POST", CHAT, asking())
            assert (reply.status, len(provider.requests)) == ((200, 2) if spare else (429, 1))
            assert spare or is_limit(reply)
            provider.release()
            await caller.end()


async def test_places_are_free_again_whatever_became_of_the_answer(start_inside: Any) -> None:
    async with serving(lambda request: Reply.json(OPENAI.refused(500), 500)) as provider:
        inside = await start_inside(app_of(provider.url), settings={"openai.limits.calls": 1})
        for streamed in (False, True, False, True):
            assert (await inside.ask("POST", CHAT, asking(stream=streamed))).status == 502
        for body in (
            asking("fail: x", "near", stream=True),
            asking("x", "near", store=True),
            asking(model="agent/helper"),
        ):
            assert (await inside.ask("POST", CHAT, body)).status == 200


async def test_so_many_requests_a_minute(start_inside: Any) -> None:
    inside = await start_inside(settings={"openai.limits.requests_per_minute": 2})
    for _ in range(2):
        assert (await inside.ask("POST", CHAT, asking("echo: x", "demo"))).status == 200
    assert is_limit(await inside.ask("POST", CHAT, asking("echo: x", "demo")))
    assert is_limit(await inside.ask("POST", "/v1/embeddings", {"model": "demo-embed", "input": "x"}))
    assert (await inside.ask("POST", CHAT, asking("echo: x", "demo"), token="demo-else")).status == 200


async def test_the_rate_of_a_key(start_inside: Any) -> None:
    inside = await start_inside(app_of(), demo=False)
    key = await key_of(inside, rate_limit=(1, 60.0))
    assert (await inside.ask("POST", CHAT, asking("echo: x", "near"), token=key)).status == 200
    assert is_limit(await inside.ask("POST", CHAT, asking("echo: x", "near"), token=key))


@pytest.mark.parametrize("model", ["demo", "agent/demo"])
async def test_messages_of_a_day(start_inside: Any, model: str) -> None:
    inside = await start_inside()
    for _ in range(2):
        reply = await inside.ask("POST", CHAT, asking("echo: x", model), token="demo-limit2-x")
        assert reply.status == 200
    assert is_limit(
        await inside.ask("POST", CHAT, asking("echo: x", model), token="demo-limit2-x"), "insufficient_quota"
    )


@pytest.mark.parametrize("limit", ["limits.requests", "limits.runs"])
async def test_a_server_that_is_full_says_429_here(start_inside: Any, limit: str) -> None:
    model = Waiting()
    app = App("acme", agents=[Agent("helper", model=model)], models={"slow": model})
    inside = await start_inside(app, settings={limit: 1})
    async with calling(inside, asking(model="agent/helper")) as caller:
        async with asyncio.timeout(LONG):
            await model.begun.wait()
        assert is_limit(await inside.ask("POST", CHAT, asking(model="agent/helper")))
        model.go_on.set()
        await caller.end()


COSTLY = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "cost": 0.75}


def answers(request: Any) -> Reply:
    if not request.json().get("stream"):
        return Reply.json(OPENAI.plain("Hello") | {"usage": COSTLY})
    said = OPENAI.text(["Hello"])
    said[-2] = said[-2].replace(said[-2][said[-2].index(b'"usage":') :], b'"usage":%b}\n\n' % _json(COSTLY))
    return stream(OPENAI, said)


def _json(value: Any) -> bytes:
    import json

    return json.dumps(value).encode()


@pytest.mark.parametrize("more", [{}, {"stream": True}, {"store": True}, {"store": True, "stream": True}])
async def test_a_budget_is_spent_by_what_answers_cost(start_inside: Any, more: dict[str, Any]) -> None:
    async with serving(answers) as provider:
        inside = await start_inside(app_of(provider.url), demo=False)
        key = await key_of(inside, budget=1.0)
        other = await key_of(inside, budget=1.0)
        for _ in range(2):
            assert (await inside.ask("POST", CHAT, asking(**more), token=key)).status == 200
            await settled(inside)
        assert is_spent(await inside.ask("POST", CHAT, asking(**more), token=key))
        assert (await inside.ask("POST", CHAT, asking(**more), token=other)).status == 200
        assert len(provider.requests) == 3


async def settled(inside: Any) -> None:
    """Until what was counted in the background is counted."""
    others = [task for task in asyncio.all_tasks() if task.get_name() == "what an answer has cost"]
    if others:
        await asyncio.wait(others)


async def test_a_tenants_balance_holds_for_all_its_users(start_inside: Any) -> None:
    async with serving(answers) as provider:
        inside = await start_inside(app_of(provider.url), settings={"credits.balances": {"demo": "0.5"}})
        assert (await inside.ask("POST", CHAT, asking(), token="demo-ann")).status == 200
        await settled(inside)
        assert is_spent(await inside.ask("POST", CHAT, asking(), token="demo-ben"))
