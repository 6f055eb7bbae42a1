"""What a provider tells of its counts is believed where it can be; else, and where it tells nothing, they are estimated."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.ai.wires.server import HOLD, Received, Reply, serving
from tests.ai.wires.speak import TOKENS, speaker_of, stream
from tests.server.openai.gateway import CHAT, app_of, asking, calling
from tests.server.openai.test_cut_answers import BUDGET, counted, spent
from tests.server.openai.test_limits import key_of, settled
from tests.server.openai.test_models_and_embeddings import EMBED, VECTORS, vectors_of

from dragoman.ai.tokens import vocabulary
from dragoman.ai.tokens.estimator import get_price_book
from dragoman.ai.tokens.prices import ModelPricing

OPENAI = speaker_of("openai_chat")
EMBEDDER = "openai/text-embedding-3-small"
WAYS: list[dict[str, Any]] = [{}, {"stream": True}]
PRICE = TOKENS[0] + 10 * TOKENS[1]


@pytest.fixture(autouse=True)
def dear() -> Iterator[None]:
    """A dollar for a token of what is asked, ten for one of the answer."""
    book = get_price_book()
    for model in (OPENAI.model, EMBEDDER):
        book.set(model, ModelPricing(model, 1000.0, 10_000.0))
    yield
    for model in (OPENAI.model, EMBEDDER):
        book.forget(model)


def telling(counts: Any, text: str = "Hello there") -> Any:
    """A provider that tells of these counts in plain answers and in streams."""

    def answer(request: Received) -> Reply:
        if not request.json().get("stream"):
            return Reply.json({**OPENAI.plain(text), "usage": counts})
        chunk = {"id": "c1", "object": "chat.completion.chunk", "choices": [], "usage": counts}
        said = [step for step in OPENAI.text([text]) if b'"usage":{' not in step]
        return stream(OPENAI, [*said[:-1], b"data: %b\n\n" % json.dumps(chunk).encode(), said[-1]])

    return answer


@pytest.mark.parametrize("cost", [-1e6, 1e300, float("inf"), float("nan"), {"total_cost": -1}, "free"])
@pytest.mark.parametrize("more", WAYS)
async def test_a_cost_that_cannot_be_leaves_the_prices(start_inside: Any, more: dict[str, Any], cost: Any) -> None:
    counts = {"prompt_tokens": TOKENS[0], "completion_tokens": TOKENS[1], "total_tokens": sum(TOKENS), "cost": cost}
    async with serving(telling(counts)) as provider:
        inside = await start_inside(app_of(provider.url), demo=False)
        key = await key_of(inside, budget=BUDGET)
        assert (await inside.ask("POST", CHAT, asking(**more), token=key)).status == 200
        assert await spent(inside, key) == PRICE


@pytest.mark.parametrize(
    "counts",
    [
        None,
        {"prompt_tokens": 10**30, "completion_tokens": 10**30, "total_tokens": 10**30},
        {"prompt_tokens": 10**30, "completion_tokens": 1, "total_tokens": 1},
        {"prompt_tokens": -5, "completion_tokens": -5, "total_tokens": -10},
        {"prompt_tokens": "7", "completion_tokens": [], "total_tokens": None},
    ],
    ids=str,
)
@pytest.mark.parametrize("more", WAYS)
async def test_counts_that_cannot_be_are_estimated(start_inside: Any, more: dict[str, Any], counts: Any) -> None:
    async with serving(telling(counts)) as provider:
        inside = await start_inside(app_of(provider.url), demo=False)
        key = await key_of(inside, budget=BUDGET)
        assert (await inside.ask("POST", CHAT, asking("tell me", **more), token=key)).status == 200
        cost = await spent(inside, key)
    prompt, completion = counted(inside, "prompt_estimated"), counted(inside, "completion_estimated")
    assert 0 < prompt < 20
    assert 0 < completion < 40
    assert cost == int(prompt + 10 * completion)
    assert counted(inside, "prompt") == counted(inside, "completion") == 0


@pytest.mark.parametrize("more", WAYS)
async def test_who_leaves_before_the_first_word_pays_for_what_was_asked(
    start_inside: Any, more: dict[str, Any]
) -> None:
    """By the prices of the provider's model, whatever the app calls it."""
    async with serving([stream(OPENAI, [HOLD], hold=True)]) as provider:
        inside = await start_inside(app_of(provider.url), demo=False)
        key = await key_of(inside, budget=BUDGET)
        async with calling(inside, asking("tell me", **more), authorization=f"Bearer {key}") as caller:
            await provider.arrived()
            await caller.leave()
        assert await spent(inside, key) == counted(inside, "prompt_estimated") > 0


@pytest.mark.parametrize(
    ("counts", "given", "cost"),
    [
        ({"prompt_tokens": 4, "total_tokens": 4}, ["a" * 40, "b" * 20], 4),
        (None, ["a" * 40, "b" * 20], 15),
        (None, [[1, 2, 3], [4]], 4),
        ({"prompt_tokens": 10**30, "total_tokens": 10**30}, ["a" * 40, "b" * 20], 15),
    ],
)
async def test_vectors_cost_what_their_model_costs_by_any_name(
    start_inside: Any, counts: Any, given: Any, cost: int
) -> None:
    async with serving([Reply.json({**VECTORS, "usage": counts})]) as provider:
        inside = await start_inside(vectors_of(provider.url), demo=False)
        key = await key_of(inside, budget=BUDGET)
        assert (await inside.ask("POST", EMBED, {"model": "far", "input": given}, token=key)).status == 200
        assert await spent(inside, key) == cost


class _Vocabulary:
    """Notes how long the texts are that it is asked about."""

    def __init__(self) -> None:
        self.lengths: list[int] = []

    def encode(self, text: str, **_: Any) -> list[int]:
        self.lengths.append(len(text))
        return [0] * 7


async def test_no_vocabulary_is_asked_about_a_prompt_without_end(
    start_inside: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = _Vocabulary()
    monkeypatch.setitem(vocabulary._loaded, "o200k_base", known)
    async with serving([stream(OPENAI, [HOLD], hold=True)] * 2) as provider:
        inside = await start_inside(app_of(provider.url), demo=False)
        key = await key_of(inside, budget=BUDGET)
        for number, text in enumerate(("short", "long " * 200_000)):
            async with calling(inside, asking(text), authorization=f"Bearer {key}") as caller:
                await provider.arrived(number + 1)
                await caller.leave()
            await settled(inside)
    assert 0 < max(known.lengths) < 100
    assert counted(inside, "prompt_estimated") > 200_000


async def test_words_of_ours_mean_nothing_in_a_request_for_vectors(start_inside: Any) -> None:
    more = {"texts": ["x"], "batch_size": 0, "purpose": "query", "self": 1}
    async with serving([Reply.json(VECTORS)]) as provider:
        inside = await start_inside(vectors_of(provider.url))
        reply = await inside.ask("POST", EMBED, {"model": "far", "input": ["a", "b"], **more})
        assert reply.status == 200
        assert provider.requests[0].json()["input"] == ["a", "b"]
