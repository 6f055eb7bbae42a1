"""Answers that do not come to their end: what they are charged with, and what the caller is told of the server's end."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from tests.ai.wires.server import CUT, HOLD, Reply, serving
from tests.ai.wires.speak import TOKENS, speaker_of, stream
from tests.server.openai.gateway import CHAT, Waiting, app_of, asking, calling, frames, text_of
from tests.server.openai.test_limits import key_of, settled

from dragoman import Agent, App, provider_model
from dragoman.ai.tokens.estimator import get_price_book
from dragoman.ai.tokens.prices import ModelPricing
from dragoman.core.principal import Principal
from dragoman.server.credits import StoredLedger
from dragoman.server.metric_table import TOKENS as COUNTED

OPENAI = speaker_of("openai_chat")
WORDS = ["Once ", "upon ", "a ", "time "]
BUDGET = 1000.0


@pytest.fixture(autouse=True)
def dear() -> Iterator[None]:
    """A dollar for a token of the prompt, ten for one of the answer."""
    book = get_price_book()
    book.set(OPENAI.model, ModelPricing(OPENAI.model, 1000.0, 10_000.0))
    yield
    book.forget(OPENAI.model)


def counted(inside: Any, kind: str) -> float:
    return inside.services.metrics.value(COUNTED, (("kind", kind),))


async def spent(inside: Any, key: str) -> Decimal:
    await settled(inside)
    services = inside.services
    who = Principal("acme", "ann", key_id=key.split("_")[1], budget=BUDGET)
    left = await StoredLedger(services.store, {}, services.clock).left(who)
    assert left is not None
    return Decimal(BUDGET) - left


def said_until(word: str, *more: Any) -> Reply:
    said = OPENAI.text(WORDS)
    place = next(number for number, step in enumerate(said) if word.encode() in step) + 1
    return stream(OPENAI, [*said[:place], *more])


async def test_a_stream_that_its_caller_leaves_is_charged_by_an_estimate_that_is_called_one(start_inside: Any) -> None:
    async with serving([said_until("time", HOLD)]) as provider:
        inside = await start_inside(app_of(provider.url), demo=False)
        key = await key_of(inside, budget=BUDGET)
        async with calling(inside, asking("tell me", stream=True), authorization=f"Bearer {key}") as caller:
            await caller.until(b"time")
            await caller.leave()
        cost = await spent(inside, key)
    prompt, completion = counted(inside, "prompt_estimated"), counted(inside, "completion_estimated")
    assert prompt > 0
    assert len(WORDS) <= completion <= 2 * len(WORDS)
    assert counted(inside, "prompt") == counted(inside, "completion") == 0
    assert cost == Decimal(prompt) + 10 * Decimal(completion)


async def test_what_the_provider_had_reported_of_a_cut_stream_counts(start_inside: Any) -> None:
    claude = speaker_of("anthropic")
    said = claude.text(["Hel", "lo"])
    place = next(number for number, step in enumerate(said) if b"Hel" in step) + 1
    async with serving([stream(claude, [*said[:place], HOLD])]) as provider:
        inside = await start_inside(app_of(provider.url, "anthropic"), demo=False)
        key = await key_of(inside, budget=BUDGET)
        async with calling(inside, asking(stream=True), authorization=f"Bearer {key}") as caller:
            await caller.until(b"Hel")
            await caller.leave()
        await settled(inside)
    assert (counted(inside, "prompt"), counted(inside, "prompt_estimated")) == (TOKENS[0], 0)


async def test_counts_that_have_come_are_the_last_word_though_the_caller_does_not_wait_for_the_end(
    start_inside: Any,
) -> None:
    async with serving([stream(OPENAI, [*OPENAI.text(WORDS)[:-1], HOLD])]) as provider:
        inside = await start_inside(app_of(provider.url))
        asked = asking(stream=True, stream_options={"include_usage": True})
        async with calling(inside, asked) as caller:
            await caller.until(b"total_tokens")
            await caller.leave()
        await settled(inside)
    assert (counted(inside, "prompt"), counted(inside, "completion")) == TOKENS
    assert counted(inside, "completion_estimated") == 0


async def test_a_stream_that_the_provider_cuts_is_charged_too(start_inside: Any) -> None:
    async with serving([said_until("time", CUT)]) as provider:
        inside = await start_inside(app_of(provider.url), demo=False)
        key = await key_of(inside, budget=BUDGET)
        reply = await inside.ask("POST", CHAT, asking(stream=True), token=key)
        assert frames(reply.body)[-1]["error"]["type"] == "server_error"
        assert await spent(inside, key) >= 10 * len(WORDS)


async def test_an_answer_that_was_refused_costs_nothing(start_inside: Any) -> None:
    async with serving([Reply.json(OPENAI.refused(500), 500)] * 2) as provider:
        inside = await start_inside(app_of(provider.url), demo=False)
        key = await key_of(inside, budget=BUDGET)
        for streamed in (False, True):
            assert (await inside.ask("POST", CHAT, asking(stream=streamed), token=key)).status == 502
        assert await spent(inside, key) == 0
    assert counted(inside, "prompt_estimated") == 0


async def test_a_stream_whose_provider_never_counts_is_estimated(start_inside: Any) -> None:
    said = [step for step in OPENAI.text(WORDS) if b'"usage":{' not in step]
    async with serving([stream(OPENAI, said)]) as provider:
        inside = await start_inside(app_of(provider.url), demo=False)
        key = await key_of(inside, budget=BUDGET)
        reply = await inside.ask("POST", CHAT, asking(stream=True), token=key)
        assert text_of(frames(reply.body)) == "".join(WORDS)
        assert await spent(inside, key) >= 10 * len(WORDS)


@pytest.mark.parametrize("model", ["agent/helper", "quick", OPENAI.model])
@pytest.mark.parametrize("more", [{}, {"stream": True}, {"store": True}])
async def test_every_way_to_a_model_costs_what_its_tokens_cost(
    start_inside: Any, model: str, more: dict[str, Any]
) -> None:
    """Of a provider that says nothing of cost; by the name of an app's, of an agent, and its own."""

    def answer(request: Any) -> Reply:
        is_stream = request.json().get("stream")
        return stream(OPENAI, OPENAI.text(WORDS)) if is_stream else Reply.json(OPENAI.plain("Hello"))

    async with serving(answer) as provider:
        far = provider_model(OPENAI.model, api_key="k", base_url=provider.url + OPENAI.base)
        models = {"far": far, "quick": "far", OPENAI.model: far}
        inside = await start_inside(App("acme", agents=[Agent("helper", model="quick")], models=models), demo=False)
        key = await key_of(inside, budget=BUDGET)
        assert (await inside.ask("POST", CHAT, asking(model=model, **more), token=key)).status == 200
        assert await spent(inside, key) == TOKENS[0] + 10 * TOKENS[1]


# --------------------------------------------------------------------------- the server's end


async def test_a_stream_gets_the_time_that_is_left_when_the_server_closes(start_inside: Any) -> None:
    model = Waiting()
    inside = await start_inside(App("acme", agents=[Agent("a", model=model)], models={"slow": model}))
    async with calling(inside, asking(model="slow", stream=True)) as caller:
        await caller.until(b"one")
        inside.application.begin_closing()
        model.go_on.set()
        await caller.end()
    assert text_of(frames(caller.body)) == "one two"


@pytest.mark.parametrize("far", [False, True])
async def test_a_stream_that_is_not_over_at_the_servers_end_is_told_so(start_inside: Any, far: bool) -> None:
    async with serving([said_until("time", HOLD)]) as provider:
        model = Waiting()
        app = app_of(provider.url) if far else App("acme", agents=[Agent("a", model=model)], models={"far": model})
        inside = await start_inside(app, settings={"limits.shutdown_seconds": 1})
        async with calling(inside, asking(stream=True)) as caller:
            await caller.until(b"time" if far else b"one")
            inside.application.begin_closing()
            await caller.end()
        if far:
            await provider.requests[0].gone()
    told = frames(caller.body)
    assert told[-1]["error"] == {
        "message": "The server is shutting down; ask again.",
        "type": "server_error",
        "param": None,
        "code": "overloaded",
    }
    assert caller.pieces[-1] == b""  # a proper end
    assert model.over.is_set() is not far


@pytest.mark.parametrize("streamed", [False, True])
async def test_before_the_first_word_the_servers_end_has_a_status(start_inside: Any, streamed: bool) -> None:
    async with serving([stream(OPENAI, [HOLD])]) as provider:
        inside = await start_inside(app_of(provider.url), settings={"limits.shutdown_seconds": 1})
        async with calling(inside, asking(stream=streamed)) as caller:
            await provider.arrived()
            inside.application.begin_closing()
            await caller.end()
    assert caller.status == 503
    assert frames(b"data: " + caller.body + b"\n\n")[0]["error"]["type"] == "server_error"
    assert not inside.services.closing.waiting
